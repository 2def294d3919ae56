"""A ROUTER socket in a thread that answers as it is told: the other end for tests of clients."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

import zmq

# What a test may answer: result keys of a good reply, a whole error reply, raw bytes, several of these, or nothing.
Answer = dict[str, Any] | bytes | Iterable[Any] | None


class FakeDaemon:
    """`answer` gets each request as an object. `requests` keeps them."""

    def __init__(self, answer: Callable[[dict[str, Any]], Answer], endpoint: str = "tcp://127.0.0.1:*") -> None:
        self._answer = answer
        self.requests: list[dict[str, Any]] = []
        self.context = zmq.Context()
        self._router = self.context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.bind(endpoint)
        self.endpoint: str = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._bell = self.context.socket(zmq.PULL)
        self._bell.bind(f"inproc://bell-{id(self)}")
        self._ring = self.context.socket(zmq.PUSH)
        self._ring.connect(f"inproc://bell-{id(self)}")
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeDaemon:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ring.send(b"")
        self._thread.join(10)
        self.context.destroy(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._bell, zmq.POLLIN)
        while True:
            if self._bell in dict(poller.poll()):
                return
            identity, body = self._router.recv_multipart()
            request = json.loads(body)
            self.requests.append(request)
            for reply in _each(self._answer(request)):
                self._router.send_multipart([identity, _as_bytes(reply, request.get("id"))])


def _each(answer: Answer) -> Iterable[Any]:
    if answer is None:
        return []
    return [answer] if isinstance(answer, (dict, bytes)) else answer


def _as_bytes(reply: Any, msg_id: object) -> bytes:
    if isinstance(reply, bytes):
        return reply
    return json.dumps({"status": "ok", "time": 1.5, **reply, **({} if "id" in reply else {"id": msg_id})}).encode()


def refused(reason: str, errno: int = 3) -> dict[str, Any]:
    return {"status": "error", "reason": reason, "tb": None, "errno": errno}
