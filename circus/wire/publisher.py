"""The event socket, PUB: a bounded queue for each subscriber, and a count of what the slow ones missed.

ZeroMQ's PUB drops in silence what a full queue cannot take. With XPUB_NODROP it refuses the event instead, for all,
as long as one queue is full: then we count, and send it once more so that only the slow one goes without. It refuses
once only. After that the full queue is out of the game, with every event missing it, until its owner has taken half
of it; so from there we go by the kernel, which knows which connections take nothing.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import stat
import time
from collections.abc import Iterable
from typing import Any

import zmq

from circus.wire.endpoint import LINGER, bind

logger = logging.getLogger("circus")

# Events that wait for one subscriber in our memory, besides the megabytes that the kernel holds for it. Restarting
# 1,000 processes publishes 3,000 events within a second, and no plugin should miss one because its interpreter was
# doing something else. A subscriber that stands still costs 2 MiB when its queue is full, and never more.
QUEUE = 10_000

# A connection that stands still may yet take a little when the kernel makes room. It moves again when it has been seen
# to take something, and never not to, for this many seconds.
_MOVES = 0.1


class Publisher:
    """`sent` counts events; `dropped` counts them once for each subscriber that went without.

    `dropped` is 0 as long as no subscriber missed anything. Beyond that it is near the truth, not the truth: a
    subscriber of some topics that stands still is taken for one of all.
    """

    def __init__(self, context: zmq.Context[Any], endpoint: str) -> None:
        self.endpoint = endpoint
        self.socket: zmq.Socket[bytes] | None = None
        self.sent = 0
        self.dropped = 0
        self._context = context
        self._behind = Behind()

    def start(self) -> None:
        """Raises OSError (`EndpointError`) if the endpoint cannot be bound."""
        self.socket = self._context.socket(zmq.PUB)
        self.socket.sndhwm = QUEUE
        self.socket.setsockopt(zmq.XPUB_NODROP, 1)
        try:
            self.endpoint = bind(self.socket, self.endpoint, "pubsub_endpoint")
        except OSError:
            self.socket.close(0)
            self.socket = None
            raise

    def send(self, frames: list[bytes]) -> None:
        """Publish an event. Never waits, and never raises an error of the socket."""
        if self.socket is None:
            return
        try:
            self._send(self.socket, frames)
        except zmq.ZMQError as exc:
            logger.debug("an event could not be published: %s", exc)

    def _send(self, sock: zmq.Socket[bytes], frames: list[bytes]) -> None:
        self.sent += 1
        if offer(sock, frames):
            self.dropped += self._behind.stuck()
            return
        self._behind.look(self.endpoint)
        self.dropped += self._behind.stuck() or 1  # it moves, and yet its queue is full
        sock.setsockopt(zmq.XPUB_NODROP, 0)
        try:
            sock.send_multipart(frames, zmq.NOBLOCK)
        finally:
            sock.setsockopt(zmq.XPUB_NODROP, 1)

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close(LINGER)
            self.socket = None


def offer(sock: zmq.Socket[bytes], frames: list[bytes]) -> bool:
    """Send to all subscribers. False: one's queue is full, and none has got it."""
    try:
        sock.send_multipart(frames, zmq.NOBLOCK)
    except zmq.Again:
        # ZeroMQ hears of emptied queues about once a millisecond, or when it is asked for something. Of more events
        # in less time it would take a queue for full that is not.
        sock.getsockopt(zmq.EVENTS)
    else:
        return True
    try:
        sock.send_multipart(frames, zmq.NOBLOCK)
    except zmq.Again:
        return False
    return True


class Behind:
    """The connections of subscribers whose queue was found full."""

    def __init__(self) -> None:
        # By descriptor: inode, since its number may belong to something else a moment later, and since when it moves.
        self._known: dict[int, tuple[int, float | None]] = {}

    def look(self, endpoint: str) -> None:
        """A queue is full: its connection is one of those to the endpoint that take nothing."""
        found = connections(endpoint)
        for fd in found.keys() - self._known.keys() - _writable(found):
            self._known[fd] = found[fd], None

    def stuck(self) -> int:
        """How many take nothing now."""
        if not self._known:
            return 0
        now = time.monotonic()
        moving = _writable(self._known)
        known, self._known = self._known, {}
        for fd, (inode, since) in known.items():
            since = (since or now) if fd in moving else None
            if inode == _inode(fd) and (since is None or now - since < _MOVES):
                self._known[fd] = inode, since
        return len(self._known.keys() - moving)


def _writable(fds: Iterable[int]) -> set[int]:
    """Those to which something can be written, or which are broken."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLOUT)
    return {fd for fd, _ in poll.poll(0)}


def connections(endpoint: str) -> dict[int, int]:
    """Descriptor and inode of all to an endpoint, tcp or ipc, on which this process listens."""
    address: object = endpoint.removeprefix("ipc://")
    if endpoint.startswith("tcp://"):
        address = int(endpoint.rpartition(":")[2])
    if socket.getdefaulttimeout() is not None:
        return {}  # a look at a socket would change it: see socket(fileno=...)
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return {}
    return {fd: inode for fd in numbers if (inode := _inode(fd)) and _local_address(fd) == address}


def _inode(fd: int) -> int:
    """0 if it is no socket."""
    try:
        status = os.fstat(fd)
    except OSError:
        return 0
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else 0


def _local_address(fd: int) -> object:
    """Port or path of the near end of a connection; None if it is not connected."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        return None
    try:
        sock.getpeername()  # a socket that listens has none
        name = sock.getsockname()
        return name[1] if isinstance(name, tuple) else name
    except OSError:
        return None
    finally:
        sock.detach()  # it is ZeroMQ's
