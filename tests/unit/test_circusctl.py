"""What circusctl decides without a daemon."""

from __future__ import annotations

import pytest

from circus.circusctl import main
from circus.commands import get_command, get_commands
from circus.commands.base import Command
from circus.ctl.argv import places
from circus.ctl.completion import script
from circus.ctl.diagnose import FAIL, WAIT, _judge, _mechanism, _socket_type
from circus.ctl.global_options import GLOBAL_FLAGS, Globals, known_words
from circus.ctl.listening import _reachable
from circus.ctl.manual import body, manual, overview, summary, usage
from circus.posix.peers import Peer


def test_every_global_flag_with_a_value_has_a_default():
    for names, metavar, _ in GLOBAL_FLAGS:
        attribute = names[0].removeprefix("--")
        assert hasattr(Globals, attribute) or attribute in ("completion", "help", "version")
        assert metavar or getattr(Globals, attribute, False) is False


def test_main_returns_the_exit_code(capsys):
    assert main(["--version"]) == 0
    assert main(["nonsense"]) == 2
    assert main(["--nonsense"]) == 2
    assert main(["rm"]) == 1
    assert capsys.readouterr().out.startswith("circusctl ")


def test_usage_follows_from_the_declaration():
    assert usage(get_command("signal")) == "signal <name> [<pid>] <signum> [--children] [--recursive]"
    assert usage(get_command("set")) == "set <name> <key> <value>... [--waiting]"
    assert usage(get_command("dstats")) == "dstats"


def test_usage_of_a_command_that_reads_its_words_itself_is_open():
    class Own(Command):
        def message(self, *args, **opts):
            return self.make_message()

    assert usage(Own()) == " [<word>...]"


def test_manual_of_a_command_without_a_docstring_is_still_one():
    class Bare(Command):
        pass

    assert summary(Bare()) == "" and body(Bare()) == ""
    assert "usage: circusctl" in manual(Bare())


@pytest.mark.parametrize("name", sorted(get_commands()))
def test_manual_page_is_well_formed(name):
    command = get_command(name)
    text = manual(command)
    assert text.startswith(f"{summary(command)}\n{'=' * len(summary(command))}\n\nusage: circusctl {name}")
    assert not any(line != line.rstrip() or len(line) > 130 for line in text.split("\n"))
    assert all(p.name in text for p in command.takes if command.msg_type != "sub")


def test_overview_has_one_line_for_each_command():
    assert len(overview(get_commands()).split("\n")) == len(get_commands())


def test_word_that_may_be_left_out_before_a_required_one_shares_its_place():
    kinds = [[p.name for p in fitting] for fitting in places(get_command("signal"))]
    assert kinds == [["name"], ["pid", "signum"], ["signum"]]
    assert [[p.name for p in fitting] for fitting in places(get_command("kill"))] == [["name"], ["pid"]]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_file_knows_every_command_and_flag_and_leaves_no_gap(shell):
    text = script(shell)
    for word in known_words():
        assert word in text
    for command in get_commands().values():
        for _, flag, _, _ in command.options:
            assert flag in text
    assert "@" not in text.replace("USER@HOST", "").replace('$@"', "").replace("[@]", "")


@pytest.mark.parametrize(
    ("events", "control", "expected"),
    [
        ("tcp://127.0.0.1:5556", "tcp://10.0.0.1:5555", "tcp://127.0.0.1:5556"),
        ("tcp://0.0.0.0:5556", "tcp://10.0.0.1:5555", "tcp://10.0.0.1:5556"),
        ("tcp://*:5556", "tcp://[::1]:5555", "tcp://[::1]:5556"),
        ("tcp://[::]:5556", "ipc:///run/circus.sock", "tcp://127.0.0.1:5556"),
        ("ipc:///run/events.sock", "tcp://10.0.0.1:5555", "ipc:///run/events.sock"),
    ],
)
def test_event_endpoint_is_seen_from_here(events, control, expected):
    assert _reachable(events, control) == expected


# ---- judging a greeting


class Known(Peer):
    """A peer of which everything is given."""

    suspended = False
    speaks_zmq = None
    stranger = ""

    def __init__(self, **facts):
        self.pid, self.uid, self.name = 7, 0, "circusd"
        vars(self).update(facts)


def greeting(kind: bytes = b"ROUTER", mechanism: bytes = b"NULL") -> bytes:
    head = b"\xff" + bytes(8) + b"\x7f\x03\x01" + mechanism.ljust(20, b"\0") + bytes(32)
    return head + b"\x04\x26\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind + b"\x08Identity" + bytes(4)


def judged(received: bytes, silent: bool = False, **facts):
    finding = _judge("tcp://x:1", received, silent, Known(**facts))
    return finding.verdict, finding.text, finding.socket_type


def test_greeting_is_read():
    assert _socket_type(greeting(b"PUB")) == "PUB"
    assert _mechanism(greeting(mechanism=b"CURVE")) == "CURVE"
    for end in range(len(greeting())):
        assert _socket_type(greeting()[:end]) in ("", "ROUTER")
        assert _mechanism(greeting()[:end]) in ("", "NULL")


def test_router_that_greets_is_busy_not_dead():
    verdict, text, kind = judged(greeting())
    assert (verdict, kind) == (WAIT, "ROUTER")
    assert text.startswith("circusd (pid 7) at tcp://x:1 is alive, but has not answered; it may be busy")


def test_router_that_greets_is_never_called_suspended():
    assert judged(greeting(), suspended=True)[0] == WAIT


def test_stranger_who_does_not_answer_is_told_so():
    assert "it obeys only root" in judged(greeting(), stranger="it obeys only root: run circusctl so")[1]


def test_keys_that_are_wanted_are_told():
    verdict, text, _ = judged(greeting(mechanism=b"CURVE")[:64])
    assert verdict == FAIL and "wants CURVE keys" in text


@pytest.mark.parametrize(("kind", "words"), [(b"PUB", "an event endpoint"), (b"REP", "a REP socket")])
def test_socket_of_another_type_is_told(kind, words):
    verdict, text, found = judged(greeting(kind))
    assert verdict == FAIL and words in text and found == kind.decode()


def test_silence_alone_condemns_nobody():
    assert judged(b"", silent=True)[0] == WAIT
    assert judged(b"", silent=True, speaks_zmq=True)[0] == WAIT


def test_silence_of_a_program_without_zeromq_is_another_program():
    verdict, text, _ = judged(b"", silent=True, speaks_zmq=False)
    assert verdict == FAIL and "does not speak the protocol of circus" in text


def test_silence_of_a_suspended_process_is_that():
    verdict, text, _ = judged(b"", silent=True, suspended=True)
    assert verdict == FAIL and text.endswith("kill -CONT 7")


@pytest.mark.parametrize("received", [b"SSH-2.0", b"HTTP/1.1 400", b""])
def test_other_words_or_hanging_up_is_another_program(received):
    assert judged(received)[0] == FAIL
