"""What ssh is told, and what people are told of what it says."""

from __future__ import annotations

import pytest

from circus.exc import CallError
from circus.wire.ssh import Server, command_line, failure, far_end, last_words, parse_server, refusal

SERVER = Server("me", "there", 2222)


def words(server=SERVER, keyfile=None, may_ask=False, is_heard=True):
    return command_line(server, "/tmp/x/s", "127.0.0.1:5555", keyfile, may_ask, is_heard)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("there", ("", "there", 0)),
        ("me@there", ("me", "there", 0)),
        ("me@there.example.org:2222", ("me", "there.example.org", 2222)),
        ("there:22", ("", "there", 22)),
        ("my_host-1", ("", "my_host-1", 0)),
        ("me@192.0.2.1:22", ("me", "192.0.2.1", 22)),
        ("me@[2001:db8::1]:22", ("me", "2001:db8::1", 22)),
        ("me@[2001:db8::1]", ("me", "2001:db8::1", 0)),
        ("2001:db8::1", ("", "2001:db8::1", 0)),
        ("me@fe80::1%eth0", ("me", "fe80::1%eth0", 0)),
        ("me@home@there", ("me@home", "there", 0)),  # some log in with an address
        (r"DOMAIN\me@there", (r"DOMAIN\me", "there", 0)),
    ],
)
def test_server_is_user_host_and_port(text, server):
    assert parse_server(text) == server


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "me@", "@there", "there:", "there:0", "there:65536", "there:x", "there:22x", "there: 22", "there:²",
        "[::1", "[::1]22", "[::1]:", "::1]:22", "a:b:c@there:22:33", "a b", "there\n", "there ", " there",
        "-oProxyCommand=touch x", "-there", "me@-oProxyCommand=x", "me@-there", "-l@there", "-@there",
        "there;id", "$(id)", "`id`", "there|id", "there&id", "there'", 'there"', "me;id@there",
        "$(id)@there", "`id`@there", "me'@there", "me@the(re", "../there", "th%re", "th/re",
    ],
)  # fmt: skip
def test_what_is_no_server_or_would_be_an_option_or_a_command_is_refused(text):
    with pytest.raises(CallError, match="is no ssh server: USER@HOST or USER@HOST:PORT is needed"):
        parse_server(text)


@pytest.mark.parametrize(
    ("server", "text", "by_hand"),
    [
        (Server("", "there", 0), "there", "ssh there"),
        (SERVER, "me@there:2222", "ssh -p 2222 me@there"),
        (Server("me", "::1", 22), "me@[::1]:22", "ssh -p 22 me@::1"),
    ],
)
def test_server_is_shown_as_it_is_given_and_as_a_person_would_call_it(server, text, by_hand):
    assert (str(server), server.by_hand) == (text, by_hand)


@pytest.mark.parametrize(
    ("endpoint", "far"),
    [
        ("tcp://127.0.0.1:5555", "127.0.0.1:5555"),
        ("tcp://localhost:1", "localhost:1"),
        ("tcp://[::1]:5555", "[::1]:5555"),
        ("ipc:///run/circus/circus.sock", "/run/circus/circus.sock"),
        (r"ipc:///a:b\c %h", r"/a\:b\\c %%h"),
    ],
)
def test_endpoint_of_the_other_machine(endpoint, far):
    assert far_end(endpoint) == far


@pytest.mark.parametrize(
    "endpoint",
    ["", "tcp://", "tcp://a", "tcp://a:0", "tcp://a:70000", "tcp://*:5555", "tcp://a;b:1", "tcp://a b:1", "ipc://relative",
      "ipc://@abstract", "ipc://", "ipc:///a${HOME}", "ipc:///a\nb", "udp://1.2.3.4:5", "inproc://a",
     "tcp://::1:5"],
)  # fmt: skip
def test_endpoint_that_ssh_cannot_lead_to_is_refused(endpoint):
    with pytest.raises(CallError, match="cannot be reached through ssh"):
        far_end(endpoint)


def test_command_line_ends_with_the_server_after_all_options():
    assert words()[:2] == ["ssh", "-T"]
    assert words()[-9:] == ["-L", "/tmp/x/s:127.0.0.1:5555", "-p", "2222", "-l", "me", "--", "there", "cat"]
    assert words(Server("", "there", 0))[-5:] == ["-L", "/tmp/x/s:127.0.0.1:5555", "--", "there", "cat"]


def test_key_is_named_and_a_percent_sign_in_it_stays_one():
    plain = words(keyfile="~/my %h key")
    assert plain[plain.index("-i") + 1] == "~/my %%h key"
    assert "-i" not in words()


def test_ssh_asks_only_where_somebody_can_answer():
    assert "-oBatchMode=yes" in words()
    assert "-oBatchMode=no" in words(may_ask=True)


def test_ssh_that_nobody_hears_says_only_what_is_wrong():
    assert "-oLogLevel=ERROR" in words(is_heard=False)
    assert not any("LogLevel" in word for word in words())


def test_nothing_of_a_configuration_outlives_us_or_is_lent_to_the_server():
    for word in ("ControlPath=none", "ControlMaster=no", "ForwardAgent=no", "RemoteCommand=none"):
        assert f"-o{word}" in words()


def test_last_words_are_those_that_tell_something():
    said = "Warning: Permanently added 'x'\r\nPermission denied (publickey).\r\n\r\ndebug1: bye\r\n"
    assert last_words(said) == "Permission denied (publickey)."
    assert last_words("") == last_words("\r\n debug1: x\n") == ""


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("me@there: Permission denied (publickey).", "name the key with --ssh_keyfile or in ~/.ssh/config"),
        ("Host key verification failed.", "log in by hand once, to check the key of that machine: ssh -p 2222 me@"),
        ("ssh: Could not resolve hostname x: Name or service not known", "check the name, or give it a HostName in"),
        ("ssh: connect to host there port 22: Connection refused", "check that an ssh server runs there, and its"),
        ("ssh: connect to host there port 22: Connection timed out", "check that the machine is up, and its port"),
        ("This account is currently not available.", "try it by hand: ssh -p 2222 me@there"),
    ],
)
def test_failure_says_what_ssh_said_and_what_to_do(said, hint):
    text = failure(SERVER, f"a banner\r\n{said}\r\n")
    assert text.startswith(f"no ssh tunnel through me@there:2222: {said} (")
    assert hint in text and "\n" not in text


def test_failure_without_words_is_told_all_the_same():
    assert "ssh ended without a word" in failure(SERVER, "")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("connect failed: Connection refused", "nobody listens there"),
        ("connect failed: open failed", "there is no such socket, or none for that user"),
        ("administratively prohibited: open failed", "its ssh server forbids forwarding (AllowTcpForwarding, "),
        ("connect failed: No route to host", "No route to host"),
    ],
)
def test_refusal_says_what_of_the_other_machine_cannot_be_reached(said, told):
    text = refusal(SERVER, "tcp://a:1", f"hello\r\nchannel 2: open failed: {said}\r\n")
    assert text.startswith(f"tcp://a:1 of me@there:2222 cannot be reached: {told}")


@pytest.mark.parametrize("said", ["", "hello", "open failed: x", "Connection closed"])
def test_what_is_no_refusal_is_none(said):
    assert refusal(SERVER, "tcp://a:1", said) == ""
