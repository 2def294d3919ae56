"""`stream_backend = gevent`: a greenlet in place of the thread of a pump."""

from __future__ import annotations

import selectors

import gevent
from gevent.selectors import DefaultSelector

from circus.stream.pump import REPAIR_DELAY, Pump


class GreenPump(Pump):
    """As `Pump`, in the hub of the thread that starts it. A stream that blocks stops that whole thread."""

    def _start_thread(self) -> gevent.Greenlet:
        return gevent.spawn(self._run)

    def _make_selector(self) -> selectors.BaseSelector:
        selector: selectors.BaseSelector = DefaultSelector()
        return selector

    def _pause(self) -> None:
        gevent.sleep(REPAIR_DELAY)

    def join(self, timeout: float | None = None) -> bool:
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return bool(self._thread.dead)
