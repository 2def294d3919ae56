"""Listening to the events of a running circusd."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import zmq

from circus.client import connect
from circus.names import DEFAULT_ENDPOINT_SUB

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["CircusConsumer"]


class CircusConsumer:
    """Iterates over events as `(topic, message)`, both bytes, the message a JSON object.

    `topics` are beginnings of topics, a single one or several; `""` fits all. `timeout`, in seconds, is how long
    it may take until an iteration notices a `stop()` from another thread.
    """

    # `circus.green` has others.
    _zmq: Any = zmq
    _me = staticmethod(threading.get_ident)

    def __init__(
        self,
        topics: str | bytes | Iterable[str | bytes],
        context: zmq.Context[Any] | None = None,
        endpoint: str = DEFAULT_ENDPOINT_SUB,
        ssh_server: str | None = None,
        timeout: float = 1.0,
    ) -> None:
        self.topics = [topics] if isinstance(topics, (str, bytes)) else list(topics)
        self.keep_context = context is not None
        self.context: zmq.Context[Any] = context or self._zmq.Context()
        self.endpoint = endpoint
        self.timeout = timeout
        self._stopped = False
        self._reader: int | None = None  # thread that iterates; the socket is its own while it does
        self.pubsub_socket: zmq.Socket[bytes] = self.context.socket(zmq.SUB)
        self.pubsub_socket.setsockopt(zmq.LINGER, 0)
        try:
            connect(self.pubsub_socket, endpoint, ssh_server)
        except BaseException:
            self._close()
            raise
        for topic in self.topics:
            prefix = topic if isinstance(topic, bytes) else topic.encode()
            self.pubsub_socket.setsockopt(zmq.SUBSCRIBE, prefix)

    def iter_messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Events as they come, until `stop()`."""
        self._reader = self._me()
        try:
            while not self._stopped:
                if self.pubsub_socket.poll(int(self.timeout * 1000)):
                    frames = self.pubsub_socket.recv_multipart()
                    if len(frames) == 2:
                        yield frames[0], frames[1]
        except zmq.ZMQError:
            if not self._stopped:  # else somebody closed what we wait on, to end us
                raise
        finally:
            self._reader = None
            if self._stopped:
                self._close()

    __iter__ = iter_messages

    def stop(self) -> None:
        """End the iteration. From another thread it ends within `timeout`, since a socket serves one thread only."""
        self._stopped = True
        if self._reader in (None, self._me()):
            self._close()

    def _close(self) -> None:
        self.pubsub_socket.close(linger=0)
        if not self.keep_context:
            self.context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
