"""Listening to the events of a running circusd."""

from __future__ import annotations

import json as json_module
import math
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import zmq

from circus.common.names import DEFAULT_ENDPOINT_SUB, split_topic
from circus.wire.endpoint import connect

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from circus.wire.tunnel import Tunnel

__all__ = ["CircusConsumer", "event_object"]


class CircusConsumer:
    """Iterates over events as `(topic, message)`, both bytes, the message a JSON object.

    `topics` are beginnings of topics, a single one or several; `""` fits all. `timeout`, in seconds, is how long
    it may take until an iteration notices a `stop()` from another thread. With `json` events are dictionaries, see
    `event_object`.

    Every event comes once and in order, but for those that are published while this stays thousands behind. With
    `ssh_server`, `user@host[:port]`, they come through the program ssh; when it ends, the iteration raises `CallError`.
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
        json: bool = False,
        ssh_keyfile: str | None = None,
    ) -> None:
        self.topics = [topics] if isinstance(topics, (str, bytes)) else list(topics)
        self.keep_context = context is not None
        self.context: zmq.Context[Any] = context or self._zmq.Context()
        self.endpoint = endpoint
        self.timeout = timeout
        self.json = json
        self._stopped = False
        self._reader: int | None = None  # thread that iterates; the socket is its own while it does
        self.pubsub_socket: zmq.Socket[bytes] = self.context.socket(zmq.SUB)
        self.pubsub_socket.setsockopt(zmq.LINGER, 0)
        self.tunnel: Tunnel | None = None
        try:
            self.tunnel = connect(self.pubsub_socket, endpoint, ssh_server, ssh_keyfile, self._zmq.Poller)
        except BaseException:
            self._close()
            raise
        for topic in self.topics:
            prefix = topic if isinstance(topic, bytes) else topic.encode()
            self.pubsub_socket.setsockopt(zmq.SUBSCRIBE, prefix)

    def iter_messages(self) -> Iterator[Any]:
        """Events as they come, until `stop()`: pairs of bytes, or dictionaries."""
        self._reader = self._me()
        try:
            while not self._stopped:
                if self.poll(self.timeout):
                    frames = self.pubsub_socket.recv_multipart()
                    if len(frames) == 2:
                        yield event_object(*frames) if self.json else tuple(frames)
        except zmq.ZMQError:
            if not self._stopped:  # else other code closed what we wait on, to end us
                raise
        finally:
            self._reader = None
            if self._stopped:
                self._close()

    __iter__ = iter_messages

    def poll(self, timeout: float) -> bool:
        """Whether there is an event within `timeout` seconds. Raises `CallError` when the tunnel to them has ended."""
        if self.pubsub_socket.poll(math.ceil(timeout * 1000)):
            return True
        if self.tunnel is not None:
            self.tunnel.check()
        return False

    def stop(self) -> None:
        """End the iteration. From another thread it ends within `timeout`, since a socket serves one thread only."""
        self._stopped = True
        if self._reader in (None, self._me()):
            self._close()

    def _close(self) -> None:
        self.pubsub_socket.close(linger=0)
        if self.tunnel is not None:
            self.tunnel.close()
        if not self.keep_context:
            self.context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def event_object(topic: bytes, payload: bytes) -> dict[str, Any]:
    """An event as one dictionary: `watcher`, `event` and `topic`, then what the payload holds.

    `watcher` is the name as topics have it, in lower case and with underscores for blanks; dots may be in it. What
    is no event of a watcher has None for both parts, and what is no JSON object stands under `payload`, as text.
    """
    text = topic.decode("utf-8", "replace")
    kind, name, event = split_topic(text)
    is_ours = kind == "watcher" and bool(name)
    head = {"watcher": name if is_ours else None, "event": event if is_ours else None, "topic": text}
    return {**head, **_members(payload), **head}  # the parts of the topic stand first, and nothing replaces them


def _members(payload: bytes) -> dict[str, Any]:
    try:
        value = json_module.loads(payload)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"payload": payload.decode("utf-8", "replace")}
