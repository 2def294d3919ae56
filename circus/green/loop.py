"""The main loop in a greenlet: while it sleeps, the hub runs the other greenlets of its thread."""

from __future__ import annotations

import selectors
from typing import Any

from gevent import get_hub, getcurrent
from gevent.event import Event
from gevent.monkey import get_original
from gevent.selectors import DefaultSelector

from circus.common import future
from circus.loop import Loop

_thread_ident = get_original("threading", "get_ident")
_ThreadEvent = get_original("threading", "Event")

# Threads that have a green loop, once for each, so that there may be greenlets that wait for it.
_homes: list[int] = []


class GreenLoop(Loop):
    """Belongs to the thread it is made in, whose hub it uses, and there to the greenlet that runs it.

    Other greenlets are to it what other threads are to a plain loop: what they want done is done in its own greenlet,
    between two passes.
    """

    is_shared = True

    def __init__(self) -> None:
        super().__init__()
        self._home = _thread_ident()
        _homes.append(self._home)

    def close(self, all_fds: bool = False) -> None:
        if not self._closed:
            _homes.remove(self._home)
        super().close(all_fds)

    def _new_selector(self) -> selectors.BaseSelector:
        # Also with nothing to wait for it gives the other greenlets a turn each time.
        selector: selectors.BaseSelector = DefaultSelector()
        return selector

    @staticmethod
    def _me() -> int:
        return id(getcurrent())


class _GreenEvent:
    """As `threading.Event`, for a greenlet to sleep on; settled from any thread."""

    def __init__(self) -> None:
        self._loop = get_hub().loop
        self._event = Event()

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self._event.wait(timeout))

    def set(self) -> None:
        self._loop.run_callback_threadsafe(self._event.set)


def _new_event() -> Any:
    """Hooks and figures have real threads of their own (if they were not patched away), which need no hub to wait."""
    return _GreenEvent() if _thread_ident() in _homes else _ThreadEvent()


future.new_event = _new_event
