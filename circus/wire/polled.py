"""A zmq socket in a loop, without a thread and without waiting.

ZeroMQ's descriptor is edge-triggered: it tells that something changed, once, and a read or a write consumes
such a change. So the descriptor only wakes the loop, and the socket itself is asked on every pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import zmq

from circus.exc import CallError
from circus.loop import Loop, Turn

# Messages taken per pass, so that timers and other descriptors have a turn.
MESSAGES_PER_PASS = 1000


if TYPE_CHECKING:
    from circus.wire.tunnel import Tunnel

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


def watch_tunnel(loop: Reactor, tunnel: Tunnel | None, on_end: Callable[[CallError], object]) -> None:
    """Have `on_end` called once, with the reason, when the tunnel, if there is one, has ended by itself."""
    if tunnel is None:
        return
    fd = tunnel.fileno()

    def look() -> None:
        if not tunnel.hear():
            loop.remove_reader(fd)
            tunnel.close()
            on_end(tunnel.ending())

    loop.add_reader(fd, look)


def _wake() -> None:
    """Nothing: the loop makes a pass now, and `look` is part of it."""
