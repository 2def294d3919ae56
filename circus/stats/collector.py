"""Figures of one watcher, taken again and again, under the names existing programs import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from circus.loop import Loop
from circus.posix.info import InfoCache
from circus.stats.daemon import payload
from circus.stats.daemon.table import CIRCUS
from circus.util import AsyncPeriodicCallback

__all__ = ["BaseStatsCollector", "SocketStatsCollector", "WatcherStatsCollector"]


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
    """circusd has no sockets of its own yet: nothing is published."""

    def collect_stats(self) -> Iterator[dict[str, Any]]:
        return iter(())
