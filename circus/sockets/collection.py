"""All managed sockets of a daemon, by name: opened together or not at all, kept from one run to the next."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from circus.common.convert import error_text
from circus.options.table import SocketSpec
from circus.sockets.managed import CircusSocket, SocketError

logger = logging.getLogger("circus")


class CircusSockets(dict[str, CircusSocket]):
    """Names are in lower case; `sockets[NAME]` finds them in any.

    `backlog` is that of sockets that `add` makes without one.
    """

    def __init__(self, sockets: Iterable[CircusSocket] | None = None, backlog: int = 2048) -> None:
        super().__init__()
        self.backlog = backlog
        for sock in sockets or ():
            self.take(sock)

    @classmethod
    def from_specs(cls, specs: Iterable[SocketSpec]) -> CircusSockets:
        """SocketError with every one of a kind that this system does not have."""
        made = cls()
        faults = []
        for spec in specs:
            try:
                made.take(CircusSocket.from_spec(spec))
            except (OSError, ValueError) as exc:
                faults.append(f"socket {spec.name!r}: {error_text(exc)}")
        if faults:
            made.close_all()
            raise SocketError(0, "; ".join(faults))
        return made

    def __missing__(self, name: str) -> CircusSocket:
        if name == name.lower():
            raise KeyError(name)
        return self[name.lower()]

    def add(
        self,
        name: str,
        host: str = "localhost",
        port: int = 8080,
        family: int | str = socket.AF_INET,
        type: int | str = socket.SOCK_STREAM,
        proto: int | str | None = 0,
        backlog: int | None = None,
        path: str | None = None,
        umask: int | None = None,
        interface: str | None = None,
        **options: Any,
    ) -> CircusSocket:
        """Make a socket of this name, not opened. ValueError if there is one."""
        self._require_free(name)
        backlog = self.backlog if backlog is None else backlog
        given = (host, port, family, type, proto, backlog, path, umask)
        return self.take(CircusSocket(name, *given, interface=interface, **options))

    def take(self, sock: CircusSocket) -> CircusSocket:
        """ValueError if there is one of its name."""
        self._require_free(sock.name)
        self[sock.name.lower()] = sock
        return sock

    def _require_free(self, name: str) -> None:
        if name.lower() in self:
            raise ValueError(f"there is a socket {name!r} already: {self[name]}")

    def bind_and_listen_all(self) -> None:
        """Open those that are not open. Raises SocketError with every one that cannot be; then none is opened.

        Of one with `so_reuseport` each process is given its own: here it is only tried.
        """
        for sock in self.values():
            if sock.fileno() < 0:  # closed by an earlier run
                sock.renew()
        if open_all(sock for sock in self.values() if not sock.is_open):
            logger.info("sockets started")

    def take_over(self, others: CircusSockets) -> list[str]:
        """Go on with those of an earlier run that are open and of the same options, and take them out of `others`.

        Returns their names.
        """
        taken = []
        for name, sock in list(self.items()):
            other = others.get(name)
            if other is not None and other.is_intact and sock.is_like(other) and not sock.is_open:
                sock.close()
                self[name] = others.pop(name)
                taken.append(name)
        return taken

    def give_back(self, others: CircusSockets, names: Iterable[str]) -> None:
        """After `take_over`: this run does not come about, and others may go on with them."""
        for name in names:
            others[name] = self.pop(name)

    def inherit(self, inherited: Mapping[str, CircusSocket]) -> None:
        """Sockets that circusd was started with: each takes the place of one of its name, which is not opened."""
        for name, sock in inherited.items():
            if name in self:
                self[name].close()
            self[name] = sock

    def close_all(self) -> None:
        """But those that circusd was started with: it could not open them again for its next run."""
        for sock in self.values():
            if not sock.is_inherited:
                sock.close()


def open_all(sockets: Iterable[CircusSocket]) -> list[CircusSocket]:
    """Those that were bound. See `CircusSockets.bind_and_listen_all`."""
    opened: list[CircusSocket] = []
    faults: list[str] = []
    for sock in sockets:
        try:
            if sock.so_reuseport:
                sock.rehearse()
                continue
            sock.bind_and_listen()
            sock.set_inheritable(False)  # a program is given it, or is not
            opened.append(sock)
        except SocketError as exc:
            faults.append(str(exc.strerror))
    if faults:
        for sock in opened:
            sock.close()
        raise SocketError(0, "; ".join(faults))
    return opened
