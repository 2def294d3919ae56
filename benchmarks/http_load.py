"""A bounded HTTP client that asks all the time, and counts every request that was not answered whole.

Used by downtime.py and by the tests in tests/real. Needs the standard library only.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

Address = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""


class Lost(Exception):
    """A request without an answer; the text is its kind."""


class Load:
    """A context manager: `clients` threads ask, one request after the other, until it is left.

    `failures` counts by kind: `refused`, `reset` and `empty` (closed before the first byte of the answer), `short`,
    `timeout`, `status`. A kept connection that the server closes before the first byte is no failure by RFC 9112 9.3.1:
    the client asks again on a new one, once, which `asked_again` counts. `worst` is the longest time to a whole answer,
    in seconds, those asked again included. `paths` are taken in turn by the clients, and `pause` is how many seconds
    each of them rests after an answer.
    """

    def __init__(
        self,
        address: Address,
        clients: int = 8,
        keep_alive: bool = False,
        paths: tuple[str, ...] = ("/",),
        timeout: float = 30.0,
        pause: float = 0.0,
    ) -> None:
        self._pause = pause
        self.requests = 0
        self.asked_again = 0
        self.failures: Counter[str] = Counter()
        self.worst = 0.0
        self.bodies: set[bytes] = set()
        self._address = address
        self._keep_alive = keep_alive
        self._timeout = timeout
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask_all_the_time, args=(paths[number % len(paths)],), daemon=True)
            for number in range(clients)
        ]

    def _ask_all_the_time(self, path: str) -> None:
        client = Client(self._address, path, self._keep_alive, self._timeout)
        while not self._over.is_set():
            begun = time.monotonic()
            body, failure = b"", ""
            try:
                body = client.ask()
            except Lost as exc:
                failure = str(exc)
                time.sleep(0.01)  # one that cannot be reached is not to be asked a million times
            self._note(body, failure, time.monotonic() - begun)
            if self._pause:
                time.sleep(self._pause)
        client.close()
        with self._lock:
            self.asked_again += client.asked_again

    def _note(self, body: bytes, failure: str, seconds: float) -> None:
        with self._lock:
            self.requests += 1
            if failure:
                self.failures[failure] += 1
            else:
                self.bodies.add(body)
                self.worst = max(self.worst, seconds)

    def wait_for_more(self, number: int, timeout: float = 60.0) -> None:
        """Return when so many further requests have come to an end. TimeoutError."""
        wanted, limit = self.requests + number, time.monotonic() + timeout
        while self.requests < wanted:
            if time.monotonic() > limit:
                raise TimeoutError(f"only {self.requests} of {wanted} requests after {timeout} s")
            time.sleep(0.005)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(self._timeout + 5)

    def __str__(self) -> str:
        failed = ", ".join(f"{number} {kind}" for kind, number in sorted(self.failures.items())) or "0"
        again = f"asked again: {self.asked_again}"
        return f"{self.requests} requests, failures: {failed}, {again}, worst {self.worst:.3f} s"


class Client:
    """One client with one connection at a time."""

    def __init__(self, address: Address, path: str, keep_alive: bool, timeout: float) -> None:
        self.asked_again = 0
        self._address = address
        self._keep_alive = keep_alive
        self._timeout = timeout
        close = "" if keep_alive else "Connection: close\r\n"
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n".encode()
        self._connection: socket.socket | None = None

    def ask(self) -> bytes:
        """The body of the answer. Raises Lost."""
        is_kept = self._connection is not None
        try:
            return self._ask_once()
        except Lost as exc:
            self.close()
            if not is_kept or str(exc) not in ("reset", "empty"):
                raise
        self.asked_again += 1
        try:
            return self._ask_once()
        except Lost:
            self.close()
            raise

    def _ask_once(self) -> bytes:
        connection = self._connection = self._connection or self._connect()
        received = b""
        try:
            connection.sendall(self._request)
            while not (head_end := received.find(b"\r\n\r\n") + 4) > 3:
                received += self._receive(connection, received)
            head = received[:head_end].lower()
            length = int(_header(head, b"content-length") or b"0")
            while len(received) < head_end + length:
                received += self._receive(connection, received)
        except TimeoutError:
            raise Lost("timeout") from None
        except OSError:
            raise Lost("short" if received else "reset") from None
        if not head.split(maxsplit=2)[1:2] == [b"200"]:
            raise Lost("status")
        if not self._keep_alive or not _is_kept(head):
            self.close()
        return received[head_end:]

    def _receive(self, connection: socket.socket, received: bytes) -> bytes:
        data = connection.recv(65536)
        if not data:
            raise Lost("short" if received else "empty")
        return data

    def _connect(self) -> socket.socket:
        is_path = isinstance(self._address, str)
        connection = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
        connection.settimeout(self._timeout)
        try:
            connection.connect(self._address)
        except TimeoutError:
            connection.close()
            raise Lost("timeout") from None
        except OSError:
            connection.close()
            raise Lost("refused") from None
        return connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _is_kept(head: bytes) -> bool:
    connection = _header(head, b"connection")
    return connection != b"close" and (not head.startswith(b"http/1.0") or connection == b"keep-alive")


def _header(head: bytes, name: bytes) -> bytes:
    """Value of a header in lower case, empty if it is not there."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key == name:
            return value.strip()
    return b""
