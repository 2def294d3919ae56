"""A zmq socket in a loop, without a thread and without waiting.

ZeroMQ's descriptor is edge-triggered: it tells that something changed, once, and a read or a write consumes
such a change. So the descriptor only wakes the loop, and the socket itself is asked on every pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import zmq

from circus.loop import Loop, Turn

# Messages taken per pass, so that timers and other descriptors have a turn.
MESSAGES_PER_PASS = 1000


if TYPE_CHECKING:

    class Reactor(Protocol):
        """What a loop must offer to the daemon's sockets."""

        def add_reader(self, fd: int, call: Callable[[], object]) -> None: ...
        def remove_reader(self, fd: int) -> None: ...
        def post(self, call: Callable[[], object]) -> None: ...


class PolledSocket:
    """Has `look` called on every pass of the loop, and one pass made whenever something changes at the socket.

    `close` ends that; the socket stays open, and may be closed before.
    """

    def __init__(self, loop: Loop, socket: zmq.Socket[Any], look: Turn) -> None:
        self._loop = loop
        self._look = look
        self._fd: int = socket.fileno()
        loop.add_reader(self._fd, _wake)
        loop.add_turn(look)

    def close(self) -> None:
        self._loop.remove_turn(self._look)
        self._loop.remove_reader(self._fd)


def taking(socket: zmq.Socket[bytes], take: Callable[[list[bytes]], object]) -> Turn:
    """A `look` that hands each message over as its frames. `take` must not close the socket."""

    def look(now: float) -> float | None:
        for _ in range(MESSAGES_PER_PASS):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            take(frames)
        return now  # there may be more: the next pass comes at once

    return look


def _wake() -> None:
    """Nothing: the loop makes a pass now, and `look` is part of it."""
