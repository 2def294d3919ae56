"""The interactive circusctl, driven through a terminal as a person does."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time

import pytest

import circus
from tests.real.fake_daemon import FakeDaemon, refused
from tests.real.terminal import Terminal

pytest.importorskip("readline")

PROMPT = r"\(circusctl\) "


class Circusctl(Terminal):
    def __init__(self, home, *words):
        super().__init__([sys.executable, "-m", "circus.circusctl", *words], home, {})

    def say(self, line):
        """Type a line, and what was printed until the next prompt."""
        self.type(line + "\n")
        self.expect(re.escape(line) + "\n")
        return self.expect(PROMPT).removesuffix("(circusctl) ")


def answer(request):
    command, props = request["command"], request["properties"]
    if props.get("name") == "nope":
        return refused("program nope not found")
    answers = {
        "list": {"pids": [11, 12]} if "name" in props else {"watchers": ["db", "my app", "web-1"]},
        "status": {"statuses": {"web": "active"}},
        "globaloptions": {"options": {"endpoint": "x", "check_delay": 1}},
        "options": {"options": {"cmd": "sleep", "free-form": "x"}},
    }
    return None if command == "quit" else answers.get(command, {})


@pytest.fixture
def daemon():
    with FakeDaemon(answer) as running:
        yield running


@pytest.fixture
def shell(daemon, tmp_path):
    with Circusctl(tmp_path, "--endpoint", daemon.endpoint, "--timeout", "60") as terminal:
        greeting = terminal.expect(PROMPT)
        assert greeting == f"circusctl {circus.__version__}\nweb: active\n(circusctl) "
        yield terminal


def test_commands_work_as_on_the_command_line(shell):
    assert shell.say("list") == "db,my app,web-1\n"
    assert shell.say("stop web --waiting") == "ok\n"
    assert shell.say("list nope") == "error: program nope not found\n"


def test_words_may_be_quoted(shell, daemon):
    assert shell.say("list 'my app'") == "11,12\n"
    assert daemon.requests[-1]["properties"] == {"name": "my app"}


def test_empty_line_repeats_the_last_command(shell):
    assert shell.say("list") == "db,my app,web-1\n"
    assert shell.say("") == "db,my app,web-1\n"


def test_wrong_lines_leave_the_shell_open(shell):
    assert shell.say("nonsense x") == "*** Unknown syntax: nonsense x\n"
    assert "unrecognized arguments: --foo" in shell.say("start --foo")
    assert "usage: circusctl start" in shell.say("start --help")
    assert shell.say("list 'x") == "error: No closing quotation\n"
    assert shell.say("rm").startswith("Invalid number of arguments\n")
    assert shell.say("set web nope 1").startswith("unknown key 'nope'")
    assert shell.say("numwatchers") == "None\n"


def test_help_lists_commands_and_tells_about_one(shell):
    assert "\nadd     globaloptions  list" in shell.say("help")
    assert shell.say("?") == shell.say("help")
    assert shell.say("help stop").startswith("Stop watchers\n=============\n")
    assert shell.say("help nonsense") == "*** No help on nonsense\n"


def test_end_of_input_ends_with_a_new_line_and_code_0(shell):
    shell.type("\x04")
    shell.expect("\n")
    assert shell.code() == 0


def test_interrupt_at_the_prompt_ends_with_a_new_line_and_code_0(shell):
    # Python misses an interrupt that comes between showing the prompt and waiting for keys; a person presses again, but
    # not while it ends.
    end_at = time.monotonic() + 30
    while shell.process.poll() is None and time.monotonic() < end_at:
        shell.type("\x03")
        again_at = time.monotonic() + 5
        while shell.process.poll() is None and time.monotonic() < again_at:
            time.sleep(0.01)
    shell.expect("\n")
    assert shell.code() == 0


def test_interrupt_of_a_command_returns_to_the_prompt(shell, daemon):
    shell.type("quit\n")
    shell.expect("this shell only")
    shell.type("y\n")
    end_at = time.monotonic() + 30
    while daemon.requests[-1]["command"] != "quit":
        assert time.monotonic() < end_at
        time.sleep(0.01)
    shell.type("\x03")
    shell.expect(PROMPT)
    assert shell.say("list") == "db,my app,web-1\n"


def test_lost_daemon_is_told_and_found_again(tmp_path):
    endpoint = f"ipc://{tmp_path}/sock"
    with Circusctl(tmp_path, "--endpoint", endpoint, "--timeout", "60") as terminal:
        assert f"error: no circusd at {endpoint}" in terminal.expect(PROMPT)
        with FakeDaemon(answer, endpoint):
            assert terminal.say("list") == "db,my app,web-1\n"
        assert f"error: no circusd at {endpoint}" in terminal.say("list")
        with FakeDaemon(answer, endpoint):
            assert terminal.say("list") == "db,my app,web-1\n"


def test_json_flags_count_in_the_shell_too(daemon, tmp_path):
    with Circusctl(tmp_path, "--json", "--endpoint", daemon.endpoint) as terminal:
        assert '{"status": "ok", "time": 1.5, "statuses": {"web": "active"}, "id": "' in terminal.expect(PROMPT)


def test_history_is_kept_for_its_owner_only(daemon, tmp_path):
    for line in ("numwatchers", "list"):
        with Circusctl(tmp_path, "--endpoint", daemon.endpoint) as terminal:
            terminal.expect(PROMPT)
            terminal.say(line)
            terminal.type("\x04")
            assert terminal.code() == 0
    path = tmp_path / ".local" / "state" / "circus" / "history"
    assert path.read_text() == "numwatchers\nlist\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Circusctl(tmp_path, "--endpoint", daemon.endpoint) as terminal:
        terminal.expect(PROMPT)
        terminal.type("\x1b[A\x1b[A")  # up, up
        terminal.expect("numwatchers")


def test_history_that_cannot_be_written_is_no_matter(daemon, tmp_path):
    (tmp_path / ".local").write_text("a file where a directory should be")
    with Circusctl(tmp_path, "--endpoint", daemon.endpoint) as terminal:
        terminal.expect(PROMPT)
        terminal.say("numwatchers")
        terminal.type("\x04")
        assert terminal.code() == 0


def completed(shell, typed, pattern):
    """Type and press TAB until the pattern shows; the line is then thrown away."""
    shell.type(typed + "\t\t")
    said = shell.expect(pattern)
    shell.type("\x15")  # Ctrl-U
    return said


@pytest.mark.parametrize(
    ("typed", "pattern"),
    [
        ("numw", "numwatchers "),
        ("help listp", "listpids"),
        ("stop w", "web-1 "),
        ("stop m", "'my app' "),
        ("kill web 1", r"11 +12"),
        ("get web fr", "free-form "),
        ("set web numproc", "numprocesses "),
        ("set web max_age 5 graceful", "graceful_timeout "),
        ("signal web WIN", "WINCH "),
        ("signal web 11 WIN", "WINCH "),
        ("stop --wait", "--waiting "),
        ("stop web --match si", "simple "),
        ("globaloptions check", "check_delay "),
    ],
)
def test_tab_completes(shell, typed, pattern):
    completed(shell, typed, pattern)
    shell.type("list\n")
    shell.expect("db,my app,web-1\n")


def test_tab_with_a_daemon_that_does_not_answer_does_no_harm(daemon, tmp_path):
    with Circusctl(tmp_path, "--endpoint", daemon.endpoint) as terminal:
        terminal.expect(PROMPT)
        daemon_stopped = FakeDaemon(lambda request: None)
        with daemon_stopped:
            terminal.type("stop w\t\t\x15list\n")
            terminal.expect("db,my app,web-1\n")


def test_shell_ends_when_its_terminal_goes(shell):
    os.kill(shell.process.pid, signal.SIGHUP)
    assert shell.code() == -signal.SIGHUP


@pytest.mark.parametrize("word", ["quit", "QUIT"])
def test_quit_at_a_terminal_asks_first(shell, daemon, word):
    shell.type(f"{word}\n")
    shell.expect(re.escape("(y/n; exit leaves this shell only) "))
    shell.type("n\n")
    shell.expect(PROMPT)
    assert not any(request["command"] == "quit" for request in daemon.requests)
    shell.type("quit --waiting\n")
    shell.expect(re.escape("(y/n; exit leaves this shell only) "))
    shell.type("y\n")
    end_at = time.monotonic() + 30
    while not any(request["command"] == "quit" for request in daemon.requests):
        assert time.monotonic() < end_at
        time.sleep(0.01)


def test_help_of_quit_is_not_asked_about(shell):
    assert shell.say("quit --help").startswith("usage: circusctl quit")


def test_exit_in_capitals_leaves_the_shell_too(shell):
    shell.type("EXIT\n")
    assert shell.code() == 0


def test_exit_leaves_the_shell_and_not_the_daemon(shell, daemon):
    assert "exit, or Ctrl-D, leaves this shell" in shell.say("help")
    assert shell.say("help exit").startswith("exit, or Ctrl-D, leaves this shell")
    shell.type("ex\t")
    shell.expect("exit ")
    shell.type("\n")
    assert shell.code() == 0
    assert not any(request["command"] == "quit" for request in daemon.requests)


def test_quit_of_a_script_is_not_asked(tmp_path):
    with FakeDaemon(lambda request: {"statuses": {}} if request["command"] == "status" else {}) as daemon:
        run = subprocess.run(
            [sys.executable, "-m", "circus.circusctl", "--endpoint", daemon.endpoint],
            input="quit\n", capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        assert run.returncode == 0
        assert daemon.requests[-1]["command"] == "quit"
