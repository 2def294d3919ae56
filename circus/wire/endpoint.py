"""Addresses: binding and connecting, and what to say when that is impossible."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from circus.exc import CallError

# Time for the last replies and events to leave when a socket is closed, in milliseconds. `quit --waiting` is
# answered right before the end; with 0 that answer would be lost.
LINGER = 500

# Kernel limit of sun_path is 108 bytes with the closing zero, unix(7).
MAX_IPC_PATH = 107

# A bind takes a millisecond; two seconds are for a machine that is busy.
_TRIES = 100
_TRY_DELAY = 0.02


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
    """One daemon at a time: of two that look at once, both would find none and the later take the file away.

    A lock on the directory leaves nothing behind. A daemon that cannot have it soon goes on without: any user may hold
    one on a directory that is open to all.
    """
    import fcntl  # as `socket` below

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

    But the umask belongs to the whole program. In a thread of another one the mode is changed afterwards; with any
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
    """Remove a socket file without a listener. ZeroMQ would unlink a living daemon's file without asking."""
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
    import socket  # here, because circusctl, which binds nothing, pays for each module at every call

    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # left behind by a daemon that was killed
            return
        except OSError as exc:
            raise EndpointError(exc.errno or 0, f"{option} {endpoint}: {exc.strerror} (not a usable socket)") from exc
    raise EndpointError(errno.EADDRINUSE, f"{option} {endpoint}: in use (another circusd may be running)")


def connect(
    socket: zmq.Socket[Any], endpoint: str, ssh_server: str | None = None, ssh_keyfile: str | None = None
) -> None:
    """Connect a socket, through a tunnel if asked. Raises `CallError` when `endpoint` is not one."""
    if "[" in endpoint:  # tcp://[::1]:5555
        socket.setsockopt(zmq.IPV6, 1)
    if ssh_server:
        _tunnel(socket, endpoint, ssh_server, ssh_keyfile)
        return
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as exc:
        raise CallError(f"{endpoint!r} is not usable as an endpoint such as tcp://127.0.0.1:5555: {exc}") from exc


def _tunnel(socket: zmq.Socket[Any], endpoint: str, server: str, keyfile: str | None) -> None:
    try:
        from zmq import ssh

        open_tunnel: Any = ssh.tunnel_connection  # declared for another kind of socket
        open_tunnel(socket, endpoint, server, keyfile=keyfile)
    except ImportError as exc:
        raise CallError(f"ssh needs pyzmq's zmq.ssh, and that the package pexpect: {exc}") from exc
    except Exception as exc:  # whatever ssh and pexpect come up with
        raise CallError(f"no ssh tunnel through {server}: {exc}") from exc
