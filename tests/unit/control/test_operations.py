"""Requests over keys of watchers: those of a watcher that was removed."""

from __future__ import annotations

import signal

import pytest

from circus.arbiter import Arbiter
from circus.exc import ConflictError, MessageError
from circus.options.settings import watcher_spec
from circus.sockets import CircusSocket
from circus.watcher import Watcher


@pytest.fixture(params=["still stopping", "forgotten"])
def removed(request):
    """Operations, and the key of a watcher that was removed."""
    arbiter = Arbiter([Watcher("web", "true"), Watcher("other", "true")], "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
    key = arbiter.get_watcher("web").key
    arbiter.operations.remove(key)
    if request.param == "forgotten":
        arbiter.forget(key)
    return arbiter.operations, key


@pytest.mark.parametrize(
    "ask",
    [
        lambda operations, key: operations.start([key], single=True),
        lambda operations, key: operations.start([key]),
        lambda operations, key: operations.restart([key], single=True),
        lambda operations, key: operations.reload([key], single=True),
        lambda operations, key: operations.set(key, {"numprocesses": 2}),
        lambda operations, key: operations.set_quietly(key, {"numprocesses": 2}),
        lambda operations, key: operations.incr(key, 1),
        lambda operations, key: operations.remove(key),
    ],
)
def test_what_a_removed_watcher_cannot_do_any_more_says_so(removed, ask):
    operations, key = removed
    with pytest.raises(ConflictError, match="this watcher was removed"):
        ask(operations, key)


@pytest.mark.parametrize(
    "ask",
    [
        lambda operations, key: operations.stop([key], single=True).result(),
        lambda operations, key: operations.kill(key).result(),
        lambda operations, key: operations.signal(key, signal.SIGTERM),
    ],
)
def test_ending_what_was_removed_is_no_error(removed, ask):
    ask(*removed)


@pytest.mark.parametrize("options", [{"uid": "no-such-user"}, {"gid": "no-such-group"}, {"uid": 2**31 - 7}])
@pytest.mark.parametrize("change", ["set", "set_quietly"])
def test_user_that_is_not_there_is_refused_and_changes_nothing(change, options):
    arbiter = Arbiter([Watcher("web", "true")], "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
    watcher = arbiter.get_watcher("web")
    with pytest.raises(ValueError, match=r"isn't a valid|no passwd entry"):
        getattr(arbiter.operations, change)(watcher.key, options)
    assert (watcher.uid, watcher.gid) == (None, None)


# ---- sockets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def with_socket():
    """An arbiter with a socket, not opened, and its operations."""
    with CircusSocket("web", port=0) as sock:
        yield Arbiter([Watcher("server", "true")], "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", sockets=[sock])


@pytest.mark.parametrize(
    "options", [{"cmd": "x $(circus.sockets.wbe)"}, {"stdin_socket": "wbe"}, {"listen_fds": ["web", "wbe"]}]
)
def test_a_socket_that_is_not_there_is_refused_and_nothing_changes(with_socket, options):
    operations, watcher = with_socket.operations, with_socket.get_watcher("server")
    before = watcher.live.spec
    with pytest.raises(MessageError, match="there is no socket 'wbe'; did you mean web"):
        operations.set(watcher.key, options)
    with pytest.raises(MessageError, match="there is no socket 'wbe'; did you mean web"):
        operations.add(watcher_spec("new", **{"cmd": "x", **options}))
    assert watcher.live.spec is before
    assert with_socket.numwatchers() == 1


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"listen_fds": ["web", "Web"]}, "listen_fds: names 'web' twice"),
        ({"on_demand": True}, "on_demand: needs a socket to wait for"),
    ],
)
def test_what_a_file_must_not_say_of_sockets_is_refused_by_command_too(with_socket, options, fault):
    operations, watcher = with_socket.operations, with_socket.get_watcher("server")
    before = watcher.live.spec
    with pytest.raises(MessageError, match=fault):
        operations.set(watcher.key, options)
    with pytest.raises(MessageError, match=fault):
        operations.add(watcher_spec("new", "x", **options))
    assert watcher.live.spec is before


def test_one_that_is_there_is_taken(with_socket):
    operations, watcher = with_socket.operations, with_socket.get_watcher("server")
    operations.set(watcher.key, {"listen_fds": "Web"})
    operations.add(watcher_spec("new", "x --fd $(circus.sockets.web)"))
    assert with_socket.numwatchers() == 2
