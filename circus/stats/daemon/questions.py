"""Asking circusd without waiting: one question at a time, the answers come by the loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from circus.exc import CallError
from circus.loop import Loop, Timer
from circus.wire.client import CircusClient, PendingCall, make_message
from circus.wire.polled import PolledSocket, watch_tunnel

logger = logging.getLogger("circus")

# Seconds without an answer until circusd counts as silent, and then until it is asked again.
ANSWER_TIMEOUT = 5.0

Answered = Callable[[dict[str, Any]], object]


class Questions:
    """`on_silence` is called when circusd does not answer; what was not answered by then never will be.

    `ssh` are server and key of a tunnel. `on_failure` is called with the reason when it ends, or cannot be made anew.
    """

    def __init__(
        self,
        loop: Loop,
        endpoint: str,
        ssh: tuple[str | None, str | None],
        on_silence: Callable[[], object],
        on_failure: Callable[[CallError], object],
    ) -> None:
        self._loop = loop
        self._endpoint = endpoint
        self._ssh = ssh
        self._on_silence = on_silence
        self._on_failure = on_failure
        self._client: CircusClient | None = None
        self._polled: PolledSocket | None = None
        self._queue: dict[tuple[str, str], Answered] = {}  # by command and watcher
        self._pending: PendingCall | None = None
        self._answered: Answered | None = None
        self._timer: Timer | None = None

    def open(self) -> None:
        """Raises `CallError` if the endpoint is none."""
        server, keyfile = self._ssh
        self._client = CircusClient(endpoint=self._endpoint, ssh_server=server, ssh_keyfile=keyfile)
        watch_tunnel(self._loop, self._client.tunnel, self._on_failure)
        self._polled = PolledSocket(self._loop, self._client.socket, self._receive)

    def close(self) -> None:
        if self._polled is not None:
            self._polled.close()
            self._polled = None
        if self._client is not None:
            if self._client.tunnel is not None:
                self._loop.remove_reader(self._client.tunnel.fileno())
            self._client.stop()
            self._client = None
        self._settle()
        self._queue.clear()

    def ask(self, answered: Answered, command: str, watcher: str = "") -> None:
        """Have `answered` called with the reply. A question that still waits for its turn is not put twice."""
        self._queue[(command, watcher)] = answered
        self._send_next()

    def _send_next(self) -> None:
        if self._pending is not None or not self._queue or self._client is None:
            return
        command, watcher = key = next(iter(self._queue))
        self._answered = self._queue.pop(key)
        properties = {"name": watcher} if watcher else {}
        self._timer = self._loop.call_later(ANSWER_TIMEOUT, self._give_up)
        try:
            self._pending = self._client.send(make_message(command, **properties))
        except CallError as exc:
            logger.debug("circusd could not be asked for %s: %s", command, exc)  # the timer will see to it

    def _receive(self, now: float) -> None:
        """Take what has come."""
        while self._client is not None and self._pending is not None:
            if not self._client.socket.poll(0):
                return
            try:
                reply = self._pending.receive(0)
            except CallError as exc:
                logger.debug("no answer of circusd: %s", exc)
                continue
            answered = self._answered
            self._settle()
            if answered is not None:
                answered(reply)
            self._send_next()

    def _settle(self) -> None:
        self._pending = self._answered = None
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self) -> None:
        """Another socket, so that a daemon that starts later does not find old questions waiting for it."""
        self.close()
        try:
            self.open()
        except CallError as exc:
            self._on_failure(exc)
        else:
            self._on_silence()
