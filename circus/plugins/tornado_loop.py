"""For plugins that use tornado's timers: while our loop sleeps, tornado's runs, in the same thread."""

from __future__ import annotations

import selectors
from typing import Any

from tornado.ioloop import IOLoop

from circus.loop import Loop


class TornadoLoop(Loop):
    """The loop of a plugin whose module has loaded tornado. Callbacks of both loops never overlap."""

    def _new_selector(self) -> selectors.BaseSelector:
        return _Selector()


class _Selector(selectors.DefaultSelector):
    """Waits by running tornado's loop until a descriptor is ready or the time is over."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        outer = IOLoop.current()
        # A selector has a descriptor of its own, readable when one of those in it is (epoll(7)).
        outer.add_handler(self.fileno(), lambda *_: outer.stop(), IOLoop.READ)
        timer: Any = None if timeout is None else outer.call_later(timeout, outer.stop)
        try:
            outer.start()
        finally:
            outer.remove_handler(self.fileno())
            if timer is not None:
                outer.remove_timeout(timer)
        return super().select(0)
