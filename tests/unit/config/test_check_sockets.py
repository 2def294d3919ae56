"""What is wrong with managed sockets and their users is told with its line, before anything is bound."""

from __future__ import annotations

import pytest

from tests.unit.config.support import read

USER = "\n[watcher:user]\ncmd = x\nuse_sockets = true\n"


def told(text, environ=None):
    result = read(text, environ=environ or {})
    return [line.removeprefix("main.ini:") for line in result.texts]


def test_good_sockets_are_not_remarked_upon():
    assert told("[socket:a]\nport = 0\n[socket:b]\npath = /run/b.sock\nreplace = yes\numask = 077" + USER) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("port = 70000", ["2: [socket:s] port: 70000 is out of range: from 0 to 65535 is possible"]),
        (
            "family = af_inte",
            ["2: [socket:s] family: 'af_inte' is none of AF_INET, AF_INET6, AF_UNIX; did you mean AF_INET?"],
        ),
        (
            "type = stream",
            ["2: [socket:s] type: 'stream' is none of SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW, SOCK_RDM"],
        ),
        ("family = AF_UNIX", ["2: [socket:s] family: AF_UNIX needs a path: add `path = FILE`"]),
        (f"path = /{'x' * 107}", ["2: [socket:s] path: is longer than 107 bytes, the limit for unix sockets"]),
        ("path = /a\nso_reuseport = 1", ["3: [socket:s] so_reuseport: is for ports: a unix socket has none"]),
        (
            "port = 0\nso_reuseport = 1",
            ["3: [socket:s] so_reuseport: needs a port: with `port = 0` each process would listen on another one"],
        ),
        ("path = /a\nport = 80", ["3: [socket:s] port: has no effect on a unix socket"]),
        ("port = 80\numask = 022", ["3: [socket:s] umask: has an effect on unix sockets only: there is no path"]),
    ],
)
def test_what_is_wrong_with_a_socket_is_said(lines, expected):
    assert told(f"[socket:s]\n{lines}{USER}") == expected


def test_names_that_not_everything_can_say_are_remarked_upon():
    result = read("[socket:a b]\nport = 1\n[socket:a:b]\nport = 2" + USER)
    text = "can be named by listen_fds and use_sockets only: a name of letters, digits and `_.-` works everywhere"
    assert result.texts == [f"main.ini:1: [socket:a b]: {text}", f"main.ini:3: [socket:a:b]: {text}"]
    assert result.fatal == [f"main.ini:3: [socket:a:b]: {text}"]


def test_two_sockets_cannot_be_one():
    assert told("[socket:Web]\nport = 1\n[socket:web]\nport = 2" + USER) == [
        "3: [socket:web]: [socket:Web] has that name already, for case does not matter"
    ]
    for key, value in (("port", "1"), ("path", "/x")):
        assert told(f"[socket:a]\n{key} = {value}\n[socket:b]\n{key} = {value}{USER}") == [
            f"4: [socket:b] {key}: [socket:a] listens there already"
        ]


@pytest.mark.parametrize(
    "lines", ["so_reuseport = 1\nport = 1", "port = 0", "port = 1\nhost = 127.0.0.{}", "port = 1\ntype = {}"]
)
def test_sockets_side_by_side(lines):
    first, second = (lines.format(word) for word in (("1", "2") if "host" in lines else ("SOCK_STREAM", "SOCK_DGRAM")))
    assert told(f"[socket:a]\n{first}\n[socket:b]\n{second}{USER}") == []


def test_a_socket_without_a_user_gets_a_warning():
    assert told("[socket:a]\nport = 0\n[watcher:w]\ncmd = x") == ["1: [socket:a]: is used by no watcher"]
    assert read("[socket:a]\nport = 0\n[watcher:w]\ncmd = x").fatal == []


@pytest.mark.parametrize(
    ("lines", "key", "line"),
    [
        ("cmd = x $(circus.sockets.wbe)", "cmd", 4),
        ("cmd = x\nargs = ((CIRCUS.SOCKETS.WBE))", "args", 5),
        ("cmd = x\nshell_args = $(circus.sockets.wbe)", "shell_args", 5),
        ("cmd = x\nargs = $(circus.sockets.wbe.port)", "args", 5),
        ("cmd = x\nstdin_socket = Wbe", "stdin_socket", 5),
        ("cmd = x\nlisten_fds = web, Wbe", "listen_fds", 5),
        ("cmd = x\n[env:w]\nFD = $(circus.sockets.wbe)", "", 3),
    ],
)
def test_a_socket_that_is_not_there_is_said_where_it_is_named(lines, key, line):
    place = f"[watcher:w] {key}" if key else "[watcher:w]"
    texts = told(f"[socket:web]\nport = 0\n[watcher:w]\n{lines}")
    assert f"{line}: {place}: there is no socket 'wbe'; did you mean web?" in texts


def test_a_socket_unlike_any_other_is_to_be_added():
    assert told("[watcher:w]\ncmd = x\nlisten_fds = web") == [
        "3: [watcher:w] listen_fds: there is no socket 'web'; add [socket:web]"
    ]


def test_one_that_circusd_was_started_with_is_there():
    text = "[watcher:w]\ncmd = x\nlisten_fds = web"
    assert told(text, {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "Web"}) == []


def test_listen_fds_names_each_once():
    assert told("[socket:web]\nport = 0\n[watcher:w]\ncmd = x\nlisten_fds = web web") == [
        "5: [watcher:w] listen_fds: names 'web' twice"
    ]


def test_on_demand_needs_something_to_wait_for():
    text = "needs a socket to wait for: use_sockets, listen_fds, stdin_socket or $(circus.sockets.NAME)"
    assert f"3: [watcher:w] on_demand: {text}" in told("[watcher:w]\ncmd = x\non_demand = true")
    assert f"4: [watcher:w] on_demand: {text}" in told("[watcher:w]\ncmd = x\nuse_sockets = 1\non_demand = true")
    waits = told("[socket:web]\nport = 0\n[watcher:w]\ncmd = x\nuse_sockets = 1\non_demand = true")
    assert not any(text in line for line in waits)


@pytest.mark.parametrize("line", ["listen_fds = web", "use_sockets = 1", "stdin_socket = web"])
def test_on_demand_cannot_wait_at_a_socket_that_only_processes_open(line):
    found = told(f"[socket:web]\nport = 8000\nso_reuseport = 1\n[watcher:w]\ncmd = x\n{line}\non_demand = true")
    text = "cannot wait at socket 'web': with so_reuseport it is open only in processes that run"
    assert f"7: [watcher:w] on_demand: {text}" in found


def test_on_demand_waits_at_the_others_of_all_sockets():
    sockets = "[socket:web]\nport = 8000\nso_reuseport = 1\n[socket:admin]\nport = 8001\n"
    assert told(sockets + "[watcher:w]\ncmd = x\nuse_sockets = 1\non_demand = true") == []
    (line,) = told(sockets + "[watcher:w]\ncmd = x\nlisten_fds = web, admin\non_demand = true")
    assert "cannot wait at socket 'web'" in line


def test_on_demand_can_wait_at_one_that_circusd_was_started_with():
    text = "[socket:web]\nport = 8000\nso_reuseport = 1\n[watcher:w]\ncmd = x\nlisten_fds = web\non_demand = true"
    assert told(text, {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}) == []


def test_idle_timeout_without_on_demand_is_told():
    text = "4: [watcher:w] idle_timeout: has no effect without on_demand: nothing would start it again"
    assert told("[watcher:w]\ncmd = x\n# never\nidle_timeout = 3") == [text]
    assert told("[watcher:w]\ncmd = x\nidle_timeout = 0") == []
