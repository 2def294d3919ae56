"""What one process is given of the managed sockets, from before its fork until it has been executed."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Mapping
from types import TracebackType

from circus.common.listen_fds import FIRST
from circus.exc import SpawnError
from circus.options.socket_use import PORT, SocketUse, missing
from circus.posix.launch import Lent
from circus.sockets.managed import CircusSocket


class Lending:
    """A context manager. Sockets with `so_reuseport` are bound anew for each process, and closed here afterwards.

    Raises SpawnError (stage `sockets`) for one that is not there or cannot be bound.
    """

    def __init__(self, sockets: Mapping[str, CircusSocket], use: SocketUse) -> None:
        self._sockets = sockets
        self._use = use
        self._own: list[CircusSocket] = []
        self._copies: list[int] = []

    def __enter__(self) -> Lent:
        try:
            return self._lend()
        except OSError as exc:  # SocketError, or no descriptor left
            self._close()
            raise SpawnError("sockets", exc.errno or 0, exc.strerror or str(exc)) from exc

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._close()

    def _lend(self) -> Lent:
        use = self._use
        fault = missing(use, self._sockets)
        if fault:
            raise SpawnError("sockets", errno.ENOENT, fault)
        named = use.named()
        fds = {
            name: self._fd(sock)
            for name, sock in self._sockets.items()
            if name in named or (use.every and not sock.so_reuseport)  # else nobody would use it
        }
        listen = tuple((name, fds[name]) for name in use.listen)
        for _, fd in listen:  # as systemd hands them over, and programs made for that expect
            os.set_blocking(fd, True)
        passed = {name for name in fds if use.every or name in use.mentioned}
        numbers = {name: self._beyond(fd, FIRST + len(listen)) if name in passed else fd for name, fd in fds.items()}
        stdin = fds[use.stdin] if use.stdin else None
        ports = {f"{name}{PORT}": self._port(name) for name in use.told}
        return Lent(numbers | ports, tuple(numbers[name] for name in passed), stdin, listen)

    def _port(self, name: str) -> int:
        sock = self._sockets[name]
        if sock.port is None:
            raise OSError(errno.EINVAL, f"{sock} has no port that $(circus.sockets.{name}{PORT}) could tell")
        return sock.port

    def _beyond(self, fd: int, first: int) -> int:
        """The same socket under a number that is not in the way of those from 3 on."""
        if first == FIRST or fd >= first:
            return fd
        copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, first)
        self._copies.append(copy)
        return copy

    def _fd(self, sock: CircusSocket) -> int:
        if not sock.so_reuseport:
            if sock.fileno() < 0:  # by a hook, or by the program around us
                raise OSError(errno.EBADF, f"{sock} was closed")
            return sock.fileno()
        own = sock.fresh()
        self._own.append(own)
        own.bind_and_listen()
        return own.fileno()

    def _close(self) -> None:
        for sock in self._own:
            sock.close()
        for fd in self._copies:
            os.close(fd)
        self._own, self._copies = [], []
