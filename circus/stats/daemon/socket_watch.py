"""Looking at the managed sockets: how often somebody waits at one.

circusd-stats is started with `use_sockets`: it has them under the numbers they have in circusd, and looks at them
without taking anything away.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterable, Mapping
from typing import Any

from circus.loop import Loop, Timer
from circus.posix.socket_address import place_of_descriptor
from circus.stats.daemon import payload
from circus.stats.daemon.hits import Hits

LOOK_DELAY = 0.01
"""Seconds from one look to the next."""


class SocketWatch:
    """Looks only while somebody listens and there is a socket to look at."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._hits = Hits()
        self._timer: Timer | None = None
        self._is_wanted = False

    def __bool__(self) -> bool:
        return bool(self._hits.addresses)

    @property
    def addresses(self) -> Mapping[int, str]:
        """Of the sockets that are looked at, by descriptor."""
        return self._hits.addresses

    def told(self, sockets: Iterable[Mapping[str, Any]]) -> None:
        """Circusd has these sockets, as `listsockets` answers."""
        self._hits.listed(sockets, place_of_descriptor)
        self._settle()

    def want(self, is_wanted: bool) -> None:
        """Whether somebody listens."""
        self._is_wanted = is_wanted
        self._settle()

    def take(self) -> list[dict[str, Any]]:
        """Figures of each socket since the last call."""
        return [payload.socket(fd, self.addresses[fd], reads) for fd, reads in self._hits.take().items()]

    def _settle(self) -> None:
        goes_on = self._is_wanted and bool(self)
        if goes_on and self._timer is None:
            self._hits.take()  # of an earlier time
            self._plan(time.monotonic())
        elif not goes_on and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self, now: float) -> None:
        self._timer = self._loop.call_at(now + LOOK_DELAY, self._look)

    def _look(self) -> None:
        self._hits.looked(ready(self.addresses))
        self._plan(time.monotonic())  # looks that were missed are not made up for


def ready(descriptors: Iterable[int]) -> list[int]:
    """Those at which a connection or a datagram waits."""
    poll = select.poll()  # select(2) knows the first 1,024 numbers only
    for fd in descriptors:
        poll.register(fd, select.POLLIN)
    return [fd for fd, events in poll.poll(0) if events & select.POLLIN]
