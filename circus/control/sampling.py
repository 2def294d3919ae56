"""Figures of processes for `stats` and `dstats`: taken in a thread, since asking for a thousand takes a while."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from circus.common import names
from circus.common.future import Future, gather
from circus.loop import Loop
from circus.runtime.hooks import Outcome
from circus.runtime.live_watcher import LiveWatcher

if TYPE_CHECKING:
    from circus.posix.info import InfoCache

T = TypeVar("T")

Figures = Mapping[str, Mapping[int, Any]]
"""By watcher and process id."""

# "Since the last call" needs an order, and the cache one thread at a time.
_lock = threading.Lock()

DSTATS_INTERVAL = 0.01  # seconds over which the daemon's own use of the processor is measured


class Asked(NamedTuple):
    """A process whose figures are wanted. `started` is wall-clock time."""

    pid: int
    wid: int
    started: float


def in_thread(work: Callable[[], T], guard: Callable[[], object]) -> Future[T]:
    """Run `work` in a thread of its own; the future, guarded so, holds its result or what it raised."""
    future: Future[T] = Future(guard)

    def run() -> None:
        try:
            result = work()
        except Exception as exc:  # belongs to the caller
            future.set_exception(exc)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="sampling", daemon=True).start()
    return future


def process_figures(pid: int) -> dict[str, Any] | None:
    """Figures of one process and its children; None if it is gone."""
    with _lock:
        return _cache().info(pid, with_childs=True)


def worker_figures(asked: Asked) -> dict[str, Any] | str:
    """Figures of a worker; the text `No such process (stopped?)` if it is gone."""
    figures = process_figures(asked.pid)
    if figures is None:
        return names.NO_SUCH_PROCESS
    figures.update(started=asked.started, wid=asked.wid, age=time.time() - asked.started)
    return figures


def daemon_figures(pid: int) -> dict[str, Any]:
    from circus.posix.info import get_info  # a daemon that is not asked does without

    with _lock:
        figures = get_info(pid, interval=DSTATS_INTERVAL)
    figures["children"] = []
    return figures


def figures(watchers: Sequence[LiveWatcher], pid: int | None, guard: Callable[[], object]) -> Future[Figures]:
    """Of all processes of these watchers, or of the one with this pid."""
    wanted = [
        (w.name, [Asked(p.pid, p.wid, p.started) for p in w.live() if pid in (None, p.pid)]) for w in watchers
    ]
    return in_thread(
        lambda: {name: {asked.pid: worker_figures(asked) for asked in found} for name, found in wanted}, guard
    )


def extend(
    watchers: Sequence[LiveWatcher], taken: Figures, loop: Loop, subject: object
) -> Future[Figures]:
    """Have the extended_stats hooks add theirs, each in the thread of its watcher. Called in the loop's thread.

    A hook that fails makes the whole answer an error, as clients expect.
    """
    calls = [
        _call_hook(loop, watcher, subject, pid, figures)
        for watcher in watchers
        for pid, figures in taken.get(watcher.name, {}).items()
        if names.EXTENDED_STATS in watcher.hooks and isinstance(figures, dict)
    ]
    return gather(calls).then(lambda _: taken)


def _call_hook(
    loop: Loop, watcher: LiveWatcher, subject: object, pid: int, figures: dict[str, Any]
) -> Future[None]:
    future: Future[None] = Future()

    def done(outcome: Outcome) -> None:
        if outcome.error:
            error = RuntimeError(outcome.error)
            error.__cause__ = outcome.cause
            future.set_exception(error)
        else:
            future.set_result(None)

    arguments = (watcher.face, subject, names.EXTENDED_STATS)
    watcher.submit_hook(loop, watcher.hooks[names.EXTENDED_STATS], arguments, {"pid": pid, "stats": figures}, done)
    return future


@functools.cache
def _cache() -> InfoCache:
    from circus.posix.info import InfoCache  # as above

    return InfoCache()
