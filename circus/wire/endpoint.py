"""Addresses: binding and connecting, and what to say when that is impossible."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Any

import zmq

from circus.exc import CallError
from circus.posix import socket_file

if TYPE_CHECKING:
    from circus.wire.tunnel import Tunnel

# Time for the last replies and events to leave when a socket is closed, in milliseconds. `quit --waiting` is
# answered right before the end; with 0 that answer would be lost.
LINGER = 500


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
            with socket_file.turn_in(os.path.dirname(path) or "."):
                _make_way(path, endpoint, option)
                _bind_file(sock, endpoint, path)
        else:
            sock.bind(endpoint)
        if path and owner is not None:
            os.chown(path, owner, -1)
    except zmq.ZMQError as exc:
        raise EndpointError(exc.errno, _bind_text(exc, endpoint, option)) from exc
    return str(sock.getsockopt_string(zmq.LAST_ENDPOINT)) or endpoint


def _bind_file(sock: zmq.Socket[bytes], endpoint: str, path: str) -> None:
    """bind(2) applies the umask to the new file, so that it is closed to others from the first moment on.

    But the umask belongs to the whole program. In a thread of another one the mode is changed afterwards; with any
    usual umask nobody but the owner may connect in between either, since that takes the right to write.
    """
    if threading.current_thread() is not threading.main_thread():
        sock.bind(endpoint)
        if not socket_file.is_abstract(path):
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
    """Remove a socket file without a listener. ZeroMQ would unlink a living daemon's file without asking."""
    try:
        socket_file.require_usable(path)
        if socket_file.is_abstract(path) or not os.path.lexists(path):
            return
        if socket_file.kind_of(path):
            text = f"{option} {endpoint}: there is a file of that name which is no socket"
            raise EndpointError(errno.EEXIST, text)
        is_left_behind = socket_file.is_left_behind(path)
    except EndpointError:
        raise
    except OSError as exc:
        raise EndpointError(exc.errno or 0, f"{option} {endpoint}: {exc.strerror}") from exc
    if not is_left_behind:
        raise EndpointError(errno.EADDRINUSE, f"{option} {endpoint}: in use (another circusd may be running)")
    os.unlink(path)  # of a daemon that was killed


def connect(
    socket: zmq.Socket[Any],
    endpoint: str,
    ssh_server: str | None = None,
    ssh_keyfile: str | None = None,
    poller: Any = zmq.Poller,
) -> Tunnel | None:
    """Connect a socket, if asked through an ssh tunnel, which the caller has to keep, to check and to close.

    Raises `CallError` when `endpoint` is none, or cannot be reached in that way.
    """
    if ssh_server:
        from circus.wire.tunnel import Tunnel

        tunnel = Tunnel(ssh_server, endpoint, ssh_keyfile, poller=poller)
        tunnel.connect(socket)
        return tunnel
    if "[" in endpoint:  # tcp://[::1]:5555
        socket.setsockopt(zmq.IPV6, 1)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as exc:
        raise CallError(f"{endpoint!r} is not usable as an endpoint such as tcp://127.0.0.1:5555: {exc}") from exc
    return None
