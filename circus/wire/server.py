"""The daemon's sockets: ROUTER for requests, UDP for discovery. Nothing here looks into a message.

ZeroMQ's descriptor is edge-triggered: it tells that something *changed*, once. So every wake-up drains until
`EVENTS` shows nothing, and every send is followed by another look, because a send consumes pending changes too.
Nothing ever blocks: a ROUTER drops what an absent client would get.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from circus.wire.polled import Reactor

logger = logging.getLogger("circus")

# Requests taken per wake-up, so that a flood of them cannot keep the loop from reaping and pumping.
REQUESTS_PER_PASS = 50

# Time for the last replies and events to leave when a socket is closed, in milliseconds. `quit --waiting` is
# answered right before the end; with 0 that answer would be lost.
LINGER = 500

# Kernel limit of sun_path is 108 bytes with the closing zero, unix(7).
MAX_IPC_PATH = 107

# A bind takes a millisecond; two seconds are for a machine that is busy.
_TRIES = 100
_TRY_DELAY = 0.02

OnRequest = Callable[[list[bytes], bytes], None]


class EndpointError(OSError):
    """An endpoint that cannot be bound; the text says which and what to do."""


def bind(sock: zmq.Socket[bytes], endpoint: str, option: str, owner: int | None = None) -> str:
    """Bind and return the real address (port 0 is filled in). An ipc socket is created with mode 0600.

    Raises `EndpointError`; `option` names the setting to change.
    """
    sock.linger = LINGER
    path = endpoint.removeprefix("ipc://") if endpoint.startswith("ipc://") else ""
    try:
        if path:
            with _turn_in(os.path.dirname(path) or "."):
                _make_way(path, endpoint, option)
                _bind_file(sock, endpoint, path)
        else:
            sock.bind(endpoint)
        if path and owner is not None:
            os.chown(path, owner, -1)
    except zmq.ZMQError as exc:
        raise EndpointError(exc.errno, _bind_text(exc, endpoint, option)) from exc
    return str(sock.getsockopt_string(zmq.LAST_ENDPOINT)) or endpoint


@contextmanager
def _turn_in(folder: str) -> Iterator[None]:
    """One daemon at a time: of two that look at once, both would find nobody and the later take the file away.

    A lock on the directory leaves nothing behind. Who cannot have it soon goes on without: any user may hold one on
    a directory that is open to all.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # not there, which is told later, or not ours to read
        yield
        return
    try:
        for _ in range(_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(_TRY_DELAY)
        yield
    finally:
        os.close(fd)


def _bind_file(sock: zmq.Socket[bytes], endpoint: str, path: str) -> None:
    """bind(2) applies the umask to the new file, so that it is closed to others from the first moment on.

    But the umask belongs to the whole program. In a thread of somebody's the mode is changed afterwards; with any
    usual umask nobody but the owner may connect in between either, since that takes the right to write.
    """
    if threading.current_thread() is not threading.main_thread():
        sock.bind(endpoint)
        if not path.startswith("@"):  # an abstract name, which is no file
            os.chmod(path, 0o600)
        return
    before = os.umask(0o177)
    try:
        sock.bind(endpoint)
    finally:
        os.umask(before)


def _bind_text(exc: zmq.ZMQError, endpoint: str, option: str) -> str:
    if exc.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
        hint = "another circusd may be running; stop it, or choose another address"
        if exc.errno == errno.EACCES:
            hint = "choose a port above 1023 or another directory"
        if exc.errno == errno.EADDRNOTAVAIL:
            hint = "this machine has no such address"
        return f"{option} {endpoint}: {os.strerror(exc.errno).lower()} ({hint})"
    return f"{option} {endpoint}: {exc.strerror} (use tcp://ADDRESS:PORT or ipc://PATH)"


def _make_way(path: str, endpoint: str, option: str) -> None:
    """Remove a socket file nobody listens on. ZeroMQ would unlink a living daemon's file without asking."""
    if len(os.fsencode(path)) > MAX_IPC_PATH:
        text = f"{option} {endpoint}: the path is longer than {MAX_IPC_PATH} bytes, the limit for unix sockets"
        raise EndpointError(errno.ENAMETOOLONG, text)
    folder = os.path.dirname(path) or "."
    if not path.startswith("@") and not os.path.isdir(folder):
        raise EndpointError(errno.ENOENT, f"{option} {endpoint}: there is no directory {folder}")
    if path.startswith("@") or not os.path.exists(path):
        return
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        # connect(2) refuses a plain file just as it refuses a dead socket: it must not be mistaken for one.
        raise EndpointError(errno.EEXIST, f"{option} {endpoint}: there is a file of that name which is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # left behind by a daemon that was killed
            return
        except OSError as exc:
            raise EndpointError(exc.errno or 0, f"{option} {endpoint}: {exc.strerror} (not a usable socket)") from exc
    raise EndpointError(errno.EADDRINUSE, f"{option} {endpoint}: in use (another circusd may be running)")


class RequestServer:
    """The control socket. `on_request(address, body)` gets every well-formed message; answer with `send`."""

    def __init__(self, context: zmq.Context[Any], endpoint: str, reactor: Reactor, on_request: OnRequest) -> None:
        self.endpoint = endpoint
        self._context = context
        self._reactor = reactor
        self._on_request = on_request
        self._is_paused = False
        self._socket: zmq.Socket[bytes] | None = None

    def start(self, owner: int | None = None) -> None:
        self._socket = self._context.socket(zmq.ROUTER)
        try:
            self.endpoint = bind(self._socket, self.endpoint, "endpoint", owner)
        except OSError:
            self._socket.close(0)
            self._socket = None
            raise
        self._listen()

    def _listen(self) -> None:
        assert self._socket is not None
        self._reactor.add_reader(int(self._socket.getsockopt(zmq.FD)), self.drain)
        self._reactor.post(self.drain)  # something may have come before we looked

    def pause(self) -> None:
        """Stay open, and let what comes wait for `resume`."""
        self._is_paused = True
        if self._socket is not None:
            self._reactor.remove_reader(int(self._socket.getsockopt(zmq.FD)))

    def resume(self, reactor: Reactor, on_request: OnRequest) -> None:
        """Go on for somebody else."""
        self._reactor, self._on_request, self._is_paused = reactor, on_request, False
        self._listen()

    def drain(self) -> None:
        for _ in range(REQUESTS_PER_PASS):
            if self._socket is None or self._is_paused or not int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._receive(frames)
        self._reactor.post(self.drain)

    def _receive(self, frames: list[bytes]) -> None:
        """Identity and body, as DEALER clients send; or with an empty frame between, as REQ clients do."""
        if len(frames) == 3 and not frames[1]:
            self._on_request(frames[:2], frames[2])
        elif len(frames) == 2:
            self._on_request(frames[:1], frames[1])
        else:
            # Nothing says which frame is the body: answer what the client can read as an error.
            self._on_request(frames[:2] if len(frames) > 1 and not frames[1] else frames[:1], b"")

    def send(self, address: list[bytes], body: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send_multipart([*address, body], zmq.NOBLOCK)
        except zmq.ZMQError as exc:
            logger.debug("a reply could not be sent: %s", exc)
        self._reactor.post(self.drain)

    def close(self) -> None:
        if self._socket is not None:
            self._reactor.remove_reader(int(self._socket.getsockopt(zmq.FD)))
            self._socket.close(LINGER)
            self._socket = None


class Discovery:
    """Answers any datagram to the multicast group with the control endpoint. Never a reason not to start."""

    def __init__(self, multicast_endpoint: str, endpoint: str, reactor: Reactor) -> None:
        self._multicast_endpoint = multicast_endpoint
        self._answer = json.dumps({"endpoint": endpoint}).encode()
        self._reactor = reactor
        self._socket: socket.socket | None = None

    def start(self) -> None:
        try:
            self._socket = multicast_socket(self._multicast_endpoint)
        except (OSError, ValueError) as exc:
            logger.warning("discovery is off: multicast_endpoint %s: %s", self._multicast_endpoint, exc)
            return
        self._socket.setblocking(False)
        self._reactor.add_reader(self._socket.fileno(), self._receive)

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            _, sender = self._socket.recvfrom(1024)
            self._socket.sendto(self._answer, sender)
        except OSError as exc:
            logger.debug("a discovery request could not be answered: %s", exc)

    def close(self) -> None:
        if self._socket is not None:
            self._reactor.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None


def multicast_socket(endpoint: str) -> socket.socket:
    """A socket in the group of `udp://ADDRESS:PORT`. ValueError if the address is not a multicast one."""
    scheme, _, rest = endpoint.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme != "udp" or not port.isdigit():
        raise ValueError("udp://ADDRESS:PORT is needed")
    first = host.partition(".")[0]
    if not first.isdigit() or not 224 <= int(first) <= 239:
        raise ValueError("the address must be between 224.0.0.0 and 239.255.255.255")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        membership = struct.pack("4sl", socket.inet_aton(host), socket.INADDR_ANY)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        sock.bind(("0.0.0.0", int(port)))  # noqa: S104  # the group's datagrams come to any address
    except OSError:
        sock.close()
        raise
    return sock
