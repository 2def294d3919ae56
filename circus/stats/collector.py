"""Figures of one watcher, taken again and again, under the names existing programs import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from circus.loop import Loop
from circus.posix.info import InfoCache
from circus.stats.daemon import payload
from circus.stats.daemon.hits import Hits
from circus.stats.daemon.socket_watch import LOOK_DELAY, ready
from circus.stats.daemon.table import CIRCUS
from circus.util import AsyncPeriodicCallback

__all__ = ["BaseStatsCollector", "SocketStatsCollector", "WatcherStatsCollector"]

_CLOSED = -1  # the descriptor of a socket that was closed


class BaseStatsCollector(AsyncPeriodicCallback):
    """Publishes what `collect_stats` yields every `callback_time` seconds, by `streamer.publisher`, once started."""

    def __init__(self, streamer: Any, name: str, callback_time: float = 1.0, io_loop: Loop | None = None) -> None:
        super().__init__(self._publish, callback_time * 1000, io_loop)
        self.streamer = streamer
        self.name = name

    def collect_stats(self) -> Iterator[dict[str, Any] | None]:
        raise NotImplementedError(f"{type(self).__name__} has no collect_stats")

    def _publish(self) -> None:
        for stats in self.collect_stats():
            if stats is not None:
                self.streamer.publisher.publish(self.name, stats)


class WatcherStatsCollector(BaseStatsCollector):
    """Of each process of a watcher, and of all together; of those of Circus itself if the name is `circus`."""

    def __init__(self, streamer: Any, name: str, callback_time: float = 1.0, io_loop: Loop | None = None) -> None:
        super().__init__(streamer, name, callback_time, io_loop)
        self._cache = InfoCache()

    def collect_stats(self) -> Iterator[dict[str, Any]]:
        own = self.streamer.get_circus_pids() if self.name == CIRCUS else {}
        found = []
        for pid in own or self.streamer.get_pids(self.name):
            figures = self._cache.info(pid)
            if figures is not None:
                found.append(figures)
                yield payload.process(figures, own.get(pid))
        if found:
            yield payload.total(found)


class SocketStatsCollector(BaseStatsCollector):
    """How often each of `streamer.sockets` was ready, and all together.

    These are (socket, address, descriptor to be told); for a socket its descriptor will do.
    """

    def __init__(self, streamer: Any, name: str, callback_time: float = 1.0, io_loop: Loop | None = None) -> None:
        super().__init__(streamer, name, callback_time, io_loop)
        self._hits = Hits()
        self._looks = AsyncPeriodicCallback(self._look, LOOK_DELAY * 1000, io_loop)

    def start(self) -> None:
        super().start()  # first: it begins with `stop`
        self._looks.start()

    def stop(self) -> None:
        self._looks.stop()
        super().stop()

    def _look(self) -> None:
        self._count()
        numbers = {_number(sock): fd for sock, _, fd in self.streamer.sockets}
        self._hits.looked(numbers[number] for number in ready(numbers.keys() - {_CLOSED}))

    def _count(self) -> None:
        open_ones = {fd: address for sock, address, fd in self.streamer.sockets if _number(sock) != _CLOSED}
        self._hits.count(open_ones)

    def collect_stats(self) -> Iterator[dict[str, Any]]:
        self._count()
        found = [payload.socket(fd, self._hits.addresses[fd], reads) for fd, reads in self._hits.take().items()]
        yield from found
        if found:
            yield payload.sockets(found)


def _number(sock: Any) -> int:
    return sock if isinstance(sock, int) else int(sock.fileno())
