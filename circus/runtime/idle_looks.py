"""Looks at whether watchers are at work. In a thread, since the tables of a busy system are long; one at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from circus.machine.events import Looked
from circus.posix.socket_address import place
from circus.posix.usage import NOT_KNOWN, Asked, Place, Usage
from circus.runtime.demand import sockets_of
from circus.runtime.live_watcher import LiveWatcher

if TYPE_CHECKING:
    from circus.sockets.managed import CircusSocket

Look = Callable[[Iterable[Asked]], Collection[Usage]]


class IdleLooks:
    """`look` is called in the thread, `tell` in the loop; `post` hands over from one to the other."""

    def __init__(
        self, look: Look, post: Callable[[Callable[[], object]], object], tell: Callable[[Looked], object]
    ) -> None:
        self._look = look
        self._post = post
        self._tell = tell
        self._waiting: dict[int, Asked] = {}
        self._is_looking = False

    def ask(self, watcher: LiveWatcher, sockets: Mapping[str, CircusSocket]) -> None:
        """Answered by `Looked`."""
        pids = [process.pid for process in watcher.live()]
        self._waiting[watcher.key] = Asked(pids, list(_places(sockets_of(watcher, sockets).values())))
        if not self._is_looking:
            self._begin()

    def _begin(self) -> None:
        """One thread for all that were asked for meanwhile: long tables are read once."""
        asked, self._waiting = self._waiting, {}
        self._is_looking = bool(asked)
        if not asked:
            return
        try:
            threading.Thread(target=self._work, args=(asked,), name="idle look", daemon=True).start()
        except RuntimeError:  # no thread is to be had
            self._done(asked, [])

    def _work(self, asked: Mapping[int, Asked]) -> None:
        try:
            found = self._look(asked.values())
        except Exception:  # a process or table of the system that cannot be read
            found = []
        self._post(lambda: self._done(asked, found))

    def _done(self, asked: Iterable[int], found: Collection[Usage]) -> None:
        for key, usage in zip(asked, found or [NOT_KNOWN for _ in asked], strict=True):
            self._tell(Looked(key, usage.used, usage.connected))
        self._begin()


def _places(sockets: Iterable[CircusSocket]) -> Iterator[Place]:
    """Of those to which there can be connections: a datagram comes and leaves nothing behind."""
    for sock in sockets:
        if sock.socktype in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
            found = place(sock)
            yield Place(found.get("port", 0), found.get("path", ""))
