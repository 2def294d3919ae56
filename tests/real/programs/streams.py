"""Stream classes for tests; named in configurations as `tests.real.programs.streams.NAME`."""

from __future__ import annotations

from typing import Any


class Blocking:
    """Writes into a FIFO: blocks for as long as nobody reads it."""

    def __init__(self, filename: str, **kwargs: Any) -> None:
        self._filename = filename

    def __call__(self, data: dict[str, Any]) -> None:
        with open(self._filename, "wb", buffering=0) as fifo:
            fifo.write(data["data"])
