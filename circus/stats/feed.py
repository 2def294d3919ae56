"""The figures that circusd-stats publishes about processes and sockets, as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from circus.common.names import DEFAULT_ENDPOINT_STATS, STATS_TOPIC

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import zmq

Stat = tuple[str, str | None, dict[str, Any]]
"""Watcher as the topic spells it; process id or descriptor, None for the sums of a watcher; the figures."""


class StatsClient:
    """Iterates over figures as `(watcher, subtopic, figures)`, once a second for each process, socket and watcher.

    `subtopic` is the process id or descriptor as text, None for the sums of a watcher. With `ssh_server`,
    `user@host[:port]`, figures come through the program ssh. Raises `CallError` when `endpoint` is not one, and when
    ssh has ended. A given context is left open by `stop`.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT_STATS,
        ssh_server: str | None = None,
        context: zmq.Context[Any] | None = None,
        ssh_keyfile: str | None = None,
    ) -> None:
        from circus.wire.consumer import CircusConsumer  # here, since `circus-top --help` need not pay for zmq

        self._consumer = CircusConsumer(f"{STATS_TOPIC}.", context, endpoint, ssh_server, ssh_keyfile=ssh_keyfile)
        self.endpoint = endpoint
        self.context = self._consumer.context
        self.pubsub_socket = self._consumer.pubsub_socket
        self.tunnel = self._consumer.tunnel

    def iter_messages(self) -> Iterator[Stat]:
        """Figures as they come, until `stop()`."""
        for topic, payload in self._consumer:
            stat = parse(topic, payload)
            if stat is not None:
                yield stat

    __iter__ = iter_messages

    def receive(self, timeout: float = 0.0) -> Stat | None:
        """The next figures; None if there are none within `timeout` seconds. Not during an iteration."""
        if not self._consumer.poll(timeout):
            return None
        frames = self.pubsub_socket.recv_multipart()
        return parse(*frames) if len(frames) == 2 else None

    def stop(self) -> None:
        """End the iteration, within a second if it runs in another thread."""
        self._consumer.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def parse(topic: bytes, payload: bytes) -> Stat | None:
    """What a message says; None if it is none of ours.

    The name of a watcher may hold dots. Figures tell their `subtopic`, so the name is what stands before it; only
    without (as in early versions) the parts of the topic are counted.
    """
    try:
        prefix, *parts = topic.decode().split(".")
        figures = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if prefix != STATS_TOPIC or not parts or not isinstance(figures, dict):
        return None
    if _is_sum(figures):
        return ".".join(parts), None, figures
    name, subtopic = ".".join(parts[:-1]), parts[-1]
    if name and str(figures.get("subtopic")) == subtopic:
        return name, subtopic, figures
    if len(parts) > 2:
        return None
    return parts[0], parts[1] if len(parts) == 2 else None, figures


def _is_sum(figures: dict[str, Any]) -> bool:
    return isinstance(figures.get("pid"), list) or isinstance(figures.get("addresses"), list)
