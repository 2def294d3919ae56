"""Other sockets for those there are, in two steps: what can fail is done beforehand, then all are exchanged at once."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence

from circus.options.table import SocketSpec
from circus.sockets.collection import CircusSockets, open_all
from circus.sockets.managed import CircusSocket, SocketError

logger = logging.getLogger("circus")


class Exchange:
    """`opens` are bound, in the place of one of their name if there is one; `adjusts` go on under other options;
    `closes` are names. Those in `blocked` can only be bound when nobody holds their address any more.
    """

    def __init__(
        self,
        sockets: CircusSockets,
        opens: Sequence[SocketSpec],
        adjusts: Iterable[SocketSpec],
        closes: Iterable[str],
        blocked: Collection[str],
    ) -> None:
        self._sockets = sockets
        self._adjusts = list(adjusts)
        self._closes = list(closes)
        self._ready: list[CircusSocket] = []
        self._opens = [spec for spec in opens if spec.name not in blocked]
        self._late = [spec for spec in opens if spec.name in blocked]
        self._in_the_way = [name for name in blocked if name in sockets]

    def prepare(self) -> None:
        """Bind what can be bound now. SocketError with all that cannot; then nothing is."""
        self._ready = _open(self._opens)

    def discard(self) -> None:
        """It is not carried out."""
        for sock in self._ready:
            sock.close()
        self._ready = []

    def unblock(self) -> None:
        """Nobody uses those in the way any more: close them, and bind the others.

        SocketError: all is as it was, but for what the text names.
        """
        if not self._late:
            return
        before = {name: self._sockets[name] for name in self._in_the_way}
        for sock in before.values():
            sock.close()
        try:
            self._ready += _open(self._late)
        except SocketError as exc:
            raise SocketError(0, "; ".join([str(exc.strerror), *self._put_back(before)])) from exc

    def _put_back(self, before: dict[str, CircusSocket]) -> list[str]:
        """Open them again; which cannot be."""
        return [text for name, sock in before.items() if (text := self._open_again(name, sock))]

    def _open_again(self, name: str, before: CircusSocket) -> str:
        try:
            again = before.fresh()
            self._sockets[name] = again
            open_all([again])
        except SocketError as exc:  # somebody was faster, or its file cannot be removed
            self._sockets[name].close()  # else it would be lent as if it were bound
            text = f"{before} is closed from now on, since it cannot be opened again: {exc.strerror}"
            logger.error("%s", text)
            return text
        return ""

    def take(self) -> None:
        """Exchange them. Cannot fail."""
        for name in self._closes:
            self._sockets.pop(name).close()
        for spec in self._adjusts:
            self._sockets[spec.name].adjust(spec)
        for sock in self._ready:
            before = self._sockets.get(sock.name)
            self._sockets[sock.name] = sock
            if before is not None:
                before.close()
        self._ready = []


def _open(specs: Iterable[SocketSpec]) -> list[CircusSocket]:
    """SocketError: none of them is left."""
    made = CircusSockets.from_specs(specs)
    try:
        open_all(made.values())
    except SocketError:
        made.close_all()
        raise
    return [*made.values()]
