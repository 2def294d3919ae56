"""Publishing figures as circusd-stats does, under the name existing programs import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import zmq

from circus.common.messages import event_frames
from circus.common.names import DEFAULT_ENDPOINT_STATS, STATS_TOPIC
from circus.wire.endpoint import bind

__all__ = ["StatsPublisher"]


class StatsPublisher:
    """Raises `EndpointError` if the endpoint cannot be bound. A given context is left open by `stop`."""

    def __init__(self, stats_endpoint: str = DEFAULT_ENDPOINT_STATS, context: zmq.Context[Any] | None = None) -> None:
        self.destroy_context = context is None
        self.ctx: zmq.Context[Any] = context or zmq.Context()
        self.socket: zmq.Socket[bytes] = self.ctx.socket(zmq.PUB)
        try:
            self.stats_endpoint = bind(self.socket, stats_endpoint, "stats_endpoint")
        except OSError:
            self.stop()
            raise
        self.socket.linger = 0

    def publish(self, name: str, stat: Mapping[str, Any]) -> None:
        """To `stat.NAME`, or to `stat.NAME.SUBTOPIC` if the figures hold a `subtopic`. After `stop` nothing happens."""
        topic = f"{STATS_TOPIC}.{name}"
        if "subtopic" in stat:
            topic += f".{stat['subtopic']}"
        if not self.socket.closed:
            self.socket.send_multipart(event_frames(topic, stat))

    def stop(self) -> None:
        self.socket.close(linger=0)
        if self.destroy_context:
            self.ctx.destroy(linger=0)
