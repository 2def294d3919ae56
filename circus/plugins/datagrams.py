"""Sending to a statsd server by UDP, from a thread of its own: to look up a name may take half a minute."""

from __future__ import annotations

import logging
import queue
import re
import socket
import threading
import time
from collections.abc import Iterable

logger = logging.getLogger("circus")

# Datagrams kept while the name is looked up; more are lost, as they are on a network.
BACKLOG = 1000

LOOK_UP_DELAY = 60.0  # seconds for which the address of a name is taken for granted
RETRY_DELAY = 5.0  # seconds until a name that was not found is looked up again

CLOSE_TIMEOUT = 1.0  # seconds the last datagrams have for leaving

# What has a meaning in a datagram, and blanks.
_SPECIAL = re.compile(r"[:|@\s\x00-\x1f\x7f]")


def datagram(prefix: str | None, bucket: str, value: str, sample_rate: float = 1) -> bytes:
    """`PREFIX.BUCKET:VALUE`, with `|@RATE` for one that stands for several."""
    path = _SPECIAL.sub("_", f"{prefix}.{bucket}" if prefix else bucket)
    rate = f"|@{sample_rate}" if sample_rate != 1 else ""
    return f"{path}:{value}{rate}".encode(errors="replace")


class DatagramSender:
    """`put` and `close` never raise; `put` never waits. What goes wrong is logged, each trouble once.

    A socket and an address belong to the thread.
    """

    def __init__(self, host: str, port: int, what: str, level: int = logging.WARNING) -> None:
        self._level = level
        self._host = host
        self._port = port
        self._what = what
        self._queue: queue.Queue[bytes | None] = queue.Queue(BACKLOG)
        self._socket: socket.socket | None = None
        self._address: object = None
        self._look_up_at = 0.0
        self._said: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="datagrams", daemon=True)
        self._thread.start()

    # ---- from the thread of the owner ----------------------------------------------------------------------------

    def put(self, data: bytes) -> None:
        try:
            self._queue.put_nowait(data)
        except queue.Full:
            pass  # lost: see BACKLOG

    def close(self) -> None:
        """Returns when all has left, or a second later."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # the thread still looks up the name, and ends with the program
        self._thread.join(CLOSE_TIMEOUT)

    # ---- in its own thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            if time.monotonic() >= self._look_up_at:
                self._look_up()
            if self._socket is not None:
                self._send(self._socket, data)
        if self._socket is not None:
            self._socket.close()

    def _look_up(self) -> None:
        """Find the server. The address known before goes on being used when this fails."""
        try:
            family, address = _address_of(self._host, self._port)
            if address != self._address:
                self._connect(family, address)
        except (OSError, ValueError) as exc:  # ValueError: no host can have such a name
            self._complain(str(exc))
            self._look_up_at = time.monotonic() + RETRY_DELAY
        else:
            self._look_up_at = time.monotonic() + LOOK_UP_DELAY

    def _connect(self, family: int, address: tuple[object, ...]) -> None:
        # A connected socket learns that there is no listener; another would send into the void for ever.
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        if self._socket is not None:
            self._socket.close()
        self._socket, self._address = sock, address

    def _send(self, sock: socket.socket, data: bytes) -> None:
        try:
            sock.send(data)
        except ConnectionRefusedError:
            # Told about an earlier one; this one has not been sent, and there may be a listener by now (udp(7)).
            self._complain("nobody listens there")
            try:
                sock.send(data)
            except OSError:
                pass
        except OSError as exc:
            self._complain(str(exc))

    def _complain(self, trouble: str) -> None:
        if trouble not in self._said:
            self._said.add(trouble)
            where = f"{self._what} {self._host}:{self._port}"
            logger.log(self._level, "%s: %s; figures are lost meanwhile", where, trouble)


def _address_of(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    return preferred((family, at) for family, _, _, _, at in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM))


def preferred(found: Iterable[tuple[int, tuple[object, ...]]]) -> tuple[int, tuple[object, ...]]:
    """IPv4 before others: it is what statsd servers listen on, and `localhost` often means both."""
    return min(found, key=lambda entry: entry[0] != socket.AF_INET)
