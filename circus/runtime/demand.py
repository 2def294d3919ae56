"""Which managed sockets are watched, and for which watchers: each is told once that a connection waits.

The loop's selector tells of a socket as long as a connection waits there, also of one that came before anybody
listened. So nothing is lost between two watches, and a socket is taken out with the first news of it. The descriptors
belong to the managed sockets: they must not be watched when they are closed, since a program that holds the same socket
would keep it alive in the selector, under a number nobody can take out any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from circus.loop import Loop
from circus.options.socket_use import missing
from circus.runtime.live_watcher import LiveWatcher

if TYPE_CHECKING:
    from circus.sockets.managed import CircusSocket

logger = logging.getLogger("circus")


class Demand:
    """`sockets` gives the managed ones by name, as they are; `call` is told the key of a watcher."""

    def __init__(
        self,
        loop: Loop,
        watchers: Mapping[int, LiveWatcher],
        sockets: Callable[[], Mapping[str, CircusSocket]],
        call: Callable[[int], object],
    ) -> None:
        self._loop = loop
        self._watchers = watchers
        self._sockets = sockets
        self._call = call
        self._names: dict[int, list[str]] = {}  # by watcher: the sockets it listens to
        self._keys: dict[str, dict[int, None]] = {}  # by socket: the watchers that listen
        self._fds: dict[str, int] = {}  # of those that are watched

    def listen(self, key: int) -> None:
        """Tell of the next connection to a socket of this watcher. One without any is told at once."""
        watcher, sockets = self._watchers[key], self._sockets()
        found = sockets_of(watcher, sockets)
        if not found or missing(watcher.socket_use, sockets):
            logger.warning("%s starts at once: the sockets it is to wait at are not there", watcher.name)
            self._call(key)
            return
        self._names[key] = list(found)
        for name, sock in found.items():
            self._keys.setdefault(name, {})[key] = None
            self._watch(name, sock.fileno())

    def _watch(self, name: str, fd: int) -> None:
        if name not in self._fds:
            self._loop.add_reader(fd, partial(self._ready, name))
            self._fds[name] = fd

    def _ready(self, name: str) -> None:
        for key in list(self._keys.get(name, ())):  # none if another socket was ready in the same pass
            self._forget_and_call(key)

    def _forget_and_call(self, key: int) -> None:
        self.forget(key)
        self._call(key)

    def forget(self, key: int) -> None:
        """This watcher does not listen any more. What nobody listens to is not watched."""
        for name in self._names.pop(key, ()):
            del self._keys[name][key]
            if not self._keys[name]:
                del self._keys[name]
                self._loop.remove_reader(self._fds.pop(name))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Sockets may be closed and others opened meanwhile, and watchers may be given others; those that listened, and
        are still wanted, go on with what is there then."""
        keys = list(self._names)
        self.close()
        try:
            yield
        finally:
            for key in keys:
                if self._watchers[key].decided.wanted:
                    self.listen(key)

    def close(self) -> None:
        for key in list(self._names):
            self.forget(key)


def sockets_of(watcher: LiveWatcher, sockets: Mapping[str, CircusSocket]) -> dict[str, CircusSocket]:
    """Those at which it waits: what it is given, or all if it is given none, as in earlier versions. One of
    `so_reuseport` is open in its processes only."""
    names = watcher.socket_use.among(sockets) or sockets
    return {name: sockets[name] for name in names if sockets[name].is_open}
