"""Requests over keys of watchers: those of a watcher that was removed."""

from __future__ import annotations

import signal

import pytest

from circus.arbiter import Arbiter
from circus.exc import ConflictError
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
