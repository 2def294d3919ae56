"""The statistics daemon as an object, under the name existing programs import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from circus.common.names import STATS_TOPIC, res_name
from circus.loop import Loop
from circus.stats.daemon.streamer import Streamer
from circus.stats.daemon.table import CIRCUS

__all__ = ["StatsStreamer"]


class StatsStreamer(Streamer):
    """`start` publishes at `stats_endpoint`, every `delay` seconds, until `stop` is called."""

    def __init__(
        self,
        endpoint: str,
        pubsub_endpoint: str,
        stats_endpoint: str,
        ssh_server: str | None = None,
        delay: float = 1.0,
        loop: Loop | None = None,
    ) -> None:
        super().__init__(endpoint, pubsub_endpoint, stats_endpoint, ssh_server, delay, loop)
        self.stats_endpoint = stats_endpoint
        self.publisher = self

    def start(self) -> None:
        self.run()

    def publish(self, name: str, stat: Mapping[str, Any]) -> None:
        topic = f"{STATS_TOPIC}.{name}"
        self._send(f"{topic}.{stat['subtopic']}" if "subtopic" in stat else topic, dict(stat))

    def get_watchers(self) -> list[str]:
        return list(self._table.groups())

    def get_pids(self, watcher: str | None = None) -> list[int]:
        """Of one watcher, or of all but Circus' own programs."""
        groups = self._table.groups()
        chosen = [name for name in groups if name != CIRCUS] if watcher is None else [res_name(watcher)]
        return [member.pid for name in chosen for member in groups.get(name, ())]

    @property
    def sockets(self) -> list[tuple[int, str, int]]:
        """Managed sockets that this process has inherited: descriptor, address, and descriptor in circusd."""
        return [(fd, address, fd) for fd, address in self._sockets.addresses.items()]

    def get_circus_pids(self) -> dict[int, str | None]:
        """Of Circus' own programs, with their names."""
        return {member.pid: member.name for member in self._table.groups().get(CIRCUS, ())}
