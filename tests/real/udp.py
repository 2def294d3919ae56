"""The other end of what sends datagrams."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from tests.real.support import wait_for


class Listener:
    """Keeps the datagrams that come to a port of its own, as text without `circus.app.watcher.`."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._seen: list[str] = []

    @property
    def seen(self) -> list[str]:
        """All so far."""
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self._seen
            self._seen.append(text.removeprefix("circus.app.watcher."))

    def forget(self) -> None:
        self.seen.clear()

    def wait(self, start: str) -> str:
        """The first datagram that begins so."""

        def first() -> str:
            return next((text for text in self.seen if text.startswith(start)), "")

        return str(wait_for(first, what=lambda: f"({start}); seen: {self.seen}"))

    def value(self, bucket: str) -> str:
        """What comes first for a bucket, with its unit."""
        return self.wait(f"{bucket}:").partition(":")[2]

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
