"""Figures of processes for `stats` and `dstats`: taken in a thread, since asking for a thousand takes a while."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from circus.common import names
from circus.common.future import Future, gather

if TYPE_CHECKING:
    from circus.management import Management
    from circus.posix.info import InfoCache
    from circus.process import Process
    from circus.runtime.hooks import Outcome
    from circus.runtime.runtime import Runtime
    from circus.watcher import Watcher

T = TypeVar("T")

Figures = Mapping[str, Mapping[int, Any]]
"""By watcher and process id."""

# "Since the last call" needs an order, and the cache one thread at a time.
_lock = threading.Lock()

DSTATS_INTERVAL = 0.01  # seconds over which the daemon's own use of the processor is measured


def in_thread(work: Callable[[], T], guard: Callable[[], object]) -> Future[T]:
    """Run `work` in a thread of its own; the future, guarded so, holds its result or what it raised."""
    future: Future[T] = Future(guard)

    def run() -> None:
        try:
            result = work()
        except Exception as exc:  # belongs to who asked
            future.set_exception(exc)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="sampling", daemon=True).start()
    return future


def process_figures(pid: int) -> dict[str, Any] | None:
    """Figures of one process and its children; None if it is gone."""
    with _lock:
        return _cache().info(pid, with_childs=True)


def daemon_figures(pid: int) -> dict[str, Any]:
    from circus.posix.info import get_info

    with _lock:
        figures = get_info(pid, interval=DSTATS_INTERVAL)
    figures["children"] = []
    return figures


def figures(wanted: Sequence[tuple[Watcher, Mapping[int, Process]]]) -> Figures:
    return {watcher.name: {pid: process.info() for pid, process in found.items()} for watcher, found in wanted}


def extend(arbiter: Management, watchers: Sequence[Watcher], taken: Future[Figures]) -> Future[Figures]:
    """Have the extended_stats hooks add theirs, each in the thread of its watcher.

    A hook that fails makes the whole answer an error, as clients expect.
    """
    extended: Future[Figures] = Future(arbiter.not_in_loop)

    def begin() -> None:
        runtime = arbiter.runtime
        if runtime is None or taken.exception() is not None:
            taken.pass_on(extended)
        else:
            gather(_hook_calls(runtime, watchers, taken.result())).then(lambda _: taken.result()).pass_on(extended)

    taken.add_done_callback(lambda _: arbiter.within(begin))
    return extended


def _hook_calls(runtime: Runtime, watchers: Sequence[Watcher], taken: Figures) -> list[Future[None]]:
    return [
        _call_hook(runtime, watcher, pid, figures)
        for watcher in watchers
        for pid, figures in taken.get(watcher.name, {}).items()
        if names.EXTENDED_STATS in watcher.resolved_hooks and isinstance(figures, dict)
    ]


def _call_hook(runtime: Runtime, watcher: Watcher, pid: int, figures: dict[str, Any]) -> Future[None]:
    future: Future[None] = Future()

    def done(outcome: Outcome) -> None:
        if outcome.error:
            error = RuntimeError(outcome.error)
            error.__cause__ = outcome.cause
            future.set_exception(error)
        else:
            future.set_result(None)

    hook = watcher.resolved_hooks[names.EXTENDED_STATS]
    arguments = (watcher, watcher.arbiter, names.EXTENDED_STATS)
    runtime.submit_hook(watcher, hook, arguments, {"pid": pid, "stats": figures}, done)
    return future


@functools.cache
def _cache() -> InfoCache:
    from circus.posix.info import InfoCache

    return InfoCache()
