"""Streams that stay in this process: its own standard output, and a queue."""

from __future__ import annotations

import os
import sys
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any

from circus.stream.base import LineStamper, as_bytes

if TYPE_CHECKING:
    from datetime import datetime


class _Stdout:
    """`sys.stdout` as it is at the moment of looking, as an attribute of a class that may be replaced."""

    def __get__(self, stream: object, owner: type) -> Any:
        return sys.stdout


class StdoutStream:
    """Copies everything to this process's `sys.stdout`, byte for byte, and flushes it at once."""

    out: Any = _Stdout()
    """Where to: `sys.stdout` as it is at each write, unless another file is put here."""

    def __init__(self, **kwargs: Any) -> None:
        pass

    def __call__(self, data: dict[str, Any]) -> None:
        self.write(as_bytes(data["data"]))

    def write(self, data: bytes) -> None:
        out = self.out
        if out is None or not data:  # started without a standard output at all
            return
        binary = getattr(out, "buffer", None)
        if binary is None:
            out.write(data.decode("utf-8", "replace"))
            out.flush()
        else:
            binary.write(data)
            binary.flush()

    def close(self) -> None:
        """Nothing to do: standard output is not ours to close."""


class FancyStdoutStream(StdoutStream):
    """`StdoutStream` with `TIME [PID] | ` before each line, all in one of seven colours.

    `color` is one of `colors`, any of them if None or unknown; `time_format` is a `strftime` format.
    """

    colors = ("red", "green", "yellow", "blue", "magenta", "cyan", "white")

    def __init__(self, color: str | None = None, time_format: str | None = None, **kwargs: Any) -> None:
        super().__init__()
        self.time_format = time_format or "%Y-%m-%d %H:%M:%S"
        self.color = color if color in self.colors else self.colors[os.urandom(1)[0] % len(self.colors)]
        self.color_code = self.colors.index(self.color) + 1  # 31-37 are the colours in ECMA-48
        start = f"\x1b[0;3{self.color_code};40m".encode()
        # `now` is looked up at each use, so that it can be replaced.
        self._stamper = LineStamper(self.time_format, lambda: self.now(), start, b"\x1b[0m")  # noqa: PLW0108

    @staticmethod
    def now() -> datetime:
        """The local time for `time_format`."""
        from datetime import datetime  # costs 2 ms and is needed only here

        return datetime.now()

    def __call__(self, data: dict[str, Any]) -> None:
        self.write(self._stamper.feed(data["pid"], data.get("name", ""), as_bytes(data["data"])))

    def end_of_output(self, pid: int, name: str) -> None:
        self.write(self._stamper.end(pid, name))

    def close(self) -> None:
        self.write(self._stamper.end_all())


class QueueStream(Queue[dict[str, Any]]):
    """A `queue.Queue` of the mappings a stream is called with.

    It holds at most `maxsize` of them (4096, that is 128 MiB in the worst case; 0 = without bound). When they are not
    taken out, the oldest one makes room for the newest and is counted in `dropped`.
    """

    def __init__(self, maxsize: int | str = 4096, **kwargs: Any) -> None:
        super().__init__(int(maxsize))
        self.dropped = 0

    def __call__(self, data: dict[str, Any]) -> None:
        while True:
            try:
                self.put_nowait(data)
                return
            except Full:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        try:
            self.get_nowait()
        except Empty:
            return  # another thread took it in this moment
        self.task_done()
        self.dropped += 1

    def close(self) -> None:
        """Nothing to do: what is in the queue stays there for its reader."""
