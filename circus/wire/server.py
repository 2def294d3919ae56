"""The control socket, a ROUTER. Nothing here looks into a message.

ZeroMQ's descriptor is edge-triggered: it tells that something *changed*, once. So every wake-up drains until
`EVENTS` shows nothing, and every send is followed by another look, because a send consumes pending changes too.
Nothing ever blocks: a ROUTER drops what an absent client would get.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import zmq

from circus.wire.endpoint import LINGER, bind

if TYPE_CHECKING:
    from circus.wire.polled import Reactor

logger = logging.getLogger("circus")

# Requests taken per wake-up, so that a flood of them cannot keep the loop from reaping and pumping.
REQUESTS_PER_PASS = 50

OnRequest = Callable[[list[bytes], bytes], None]


class RequestServer:
    """The control socket. `on_request(address, body)` gets every well-formed message; answer with `send`."""

    def __init__(self, context: zmq.Context[Any], endpoint: str, reactor: Reactor, on_request: OnRequest) -> None:
        self.endpoint = endpoint
        self._context = context
        self._reactor = reactor
        self._on_request = on_request
        self._is_paused = False
        self._socket: zmq.Socket[bytes] | None = None

    def start(self, owner: int | None = None) -> None:
        self._socket = self._context.socket(zmq.ROUTER)
        try:
            self.endpoint = bind(self._socket, self.endpoint, "endpoint", owner)
        except OSError:
            self._socket.close(0)
            self._socket = None
            raise
        self._listen()

    def _listen(self) -> None:
        assert self._socket is not None
        self._reactor.add_reader(int(self._socket.getsockopt(zmq.FD)), self.drain)
        self._reactor.post(self.drain)  # something may have come before we looked

    def pause(self) -> None:
        """Stay open, and let what comes wait for `resume`."""
        self._is_paused = True
        if self._socket is not None:
            self._reactor.remove_reader(int(self._socket.getsockopt(zmq.FD)))

    def resume(self, reactor: Reactor, on_request: OnRequest) -> None:
        """Go on for another owner."""
        self._reactor, self._on_request, self._is_paused = reactor, on_request, False
        self._listen()

    def drain(self) -> None:
        for _ in range(REQUESTS_PER_PASS):
            if self._socket is None or self._is_paused or not int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._receive(frames)
        self._reactor.post(self.drain)

    def _receive(self, frames: list[bytes]) -> None:
        """Identity and body, as DEALER clients send; or with an empty frame between, as REQ clients do."""
        if len(frames) == 3 and not frames[1]:
            self._on_request(frames[:2], frames[2])
        elif len(frames) == 2:
            self._on_request(frames[:1], frames[1])
        else:
            # Nothing says which frame is the body: answer what the client can read as an error.
            self._on_request(frames[:2] if len(frames) > 1 and not frames[1] else frames[:1], b"")

    def send(self, address: list[bytes], body: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send_multipart([*address, body], zmq.NOBLOCK)
        except zmq.ZMQError as exc:
            logger.debug("a reply could not be sent: %s", exc)
        self._reactor.post(self.drain)

    def close(self) -> None:
        if self._socket is not None:
            self._reactor.remove_reader(int(self._socket.getsockopt(zmq.FD)))
            self._socket.close(LINGER)
            self._socket = None
