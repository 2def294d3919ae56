"""Figures of processes for `stats` and `dstats`: taken in a thread, since asking for a thousand takes a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from circus import names
from circus.future import Future

if TYPE_CHECKING:
    from circus.process import Process
    from circus.watcher import Watcher

T = TypeVar("T")

# One at a time: the interpreter runs one thread anyway, and "since the last call" needs an order.
_turn = threading.Lock()

DSTATS_INTERVAL = 0.01  # seconds over which the daemon's own use of the processor is measured


def in_thread(work: Callable[[], T], guard: Callable[[], object]) -> Future[T]:
    """Run `work` in a thread of its own; the future, guarded so, holds its result or what it raised."""
    future: Future[T] = Future(guard)

    def run() -> None:
        try:
            with _turn:
                result = work()
        except Exception as exc:  # belongs to who asked
            future.set_exception(exc)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="sampling", daemon=True).start()
    return future


def daemon_figures(pid: int) -> dict[str, Any]:
    from circus.posix.info import get_info

    figures = get_info(pid, interval=DSTATS_INTERVAL)
    figures["children"] = []
    return figures


def figures(wanted: Sequence[tuple[Watcher, Mapping[int, Process]]], extended: bool) -> dict[str, dict[int, Any]]:
    """{watcher: {pid: figures}}. Raises what an extended_stats hook raises."""
    return {
        watcher.name: {pid: _process_figures(watcher, process, extended) for pid, process in found.items()}
        for watcher, found in wanted
    }


def _process_figures(watcher: Watcher, process: Process, extended: bool) -> Any:
    figures = process.info()
    hook = watcher.resolved_hooks.get(names.EXTENDED_STATS) if extended else None
    if hook is not None and isinstance(figures, dict):
        hook.function(watcher, watcher.arbiter, names.EXTENDED_STATS, pid=process.pid, stats=figures)
    return figures
