"""The stream contract, and what several streams need: errors that count, and time stamps on whole lines.

A stream is any callable that takes one mapping:

    {"pid": int, "name": "stdout" or "stderr", "data": bytes, "timestamp": float}

`data` is what a process wrote, untouched, in pieces of at most 32 KiB that end at a line end where there is one;
`timestamp` is the time it was read (`time.time()`). It is called in the thread of its pump, one call at a time.
It may raise: the pump counts what was lost, says so in the log and tries again with the next piece. It may block:
then only the programs of this one watcher wait. Streams are built as `Class(**options)` and the options of a
configuration file are strings, so accept `**kwargs` and convert.

Optional methods, all called in the pump's thread too:

- `open()` when the watcher starts, and again after a `close()`;
- `close()` when the watcher stops or the stream is replaced;
- `reopen()` when circusd was told to open log files anew (SIGUSR1);
- `end_of_output(pid, name)` when a process has ended and everything it wrote has been handed over.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

LINE_LIMIT = 65536
"""A longer unfinished line is passed on in parts, so that a program which never ends a line costs no more memory."""


class Stream(Protocol):
    """What a pump needs of a stream; see the module's text for the optional rest."""

    def __call__(self, data: dict[str, Any]) -> None: ...


class PartialWriteError(OSError):
    """A write that failed on the way. `lost` is the exact number of bytes that were not written."""

    def __init__(self, error: OSError, lost: int) -> None:
        super().__init__(error.errno, error.strerror, error.filename)
        self.lost = lost


def as_bytes(data: bytes | bytearray | memoryview | str) -> bytes:
    """Pumps hand over bytes; programs that call a stream themselves may hand over text."""
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else bytes(data)


class LineStamper:
    """Puts `TIME [PID] | ` before every line, also when lines arrive in pieces and from several processes at once.

    A line is held back until its end has come, separately for each process and each of its outputs, so lines of
    different processes never mix. A line above `LINE_LIMIT` is passed on in parts: the parts still make one line as
    long as no other process writes in between.

    `time_format` is a `strftime` format, `now` gives the local time. `start` and `stop` surround each line (colours).
    """

    def __init__(self, time_format: str, now: Callable[[], datetime], start: bytes = b"", stop: bytes = b"") -> None:
        self.time_format = time_format
        self._now = now
        self._start = start
        self._stop = stop
        self._held: dict[tuple[int, str], bytearray] = {}  # unfinished lines, none above LINE_LIMIT
        self._open: tuple[int, str] | None = None  # the writer of a line that was passed on in part and has no end yet

    def feed(self, pid: int, name: str, data: bytes) -> bytes:
        """Take what a process wrote; give back what can be written out now."""
        key = (pid, name)
        if self._open == key:
            return self._go_on(key, data)
        end = data.rfind(b"\n") + 1
        ready = b""
        if end:
            ready = self._stamp(pid, bytes(self._held.pop(key, b"")) + data[: end - 1]) + self._stop + b"\n"
        if end < len(data):
            held = self._held.setdefault(key, bytearray())
            held += data[end:]
            if len(held) > LINE_LIMIT:
                ready += self._stamp(pid, bytes(self._held.pop(key)))
                return self._after_open_line(ready, key)
        return self._after_open_line(ready, None) if ready else b""

    def end(self, pid: int, name: str) -> bytes:
        """The process will write no more: give back its unfinished line, as a whole line."""
        key = (pid, name)
        if self._open == key:
            return self._after_open_line(b"", None)
        held = self._held.pop(key, None)
        if not held:
            return b""
        return self._after_open_line(self._stamp(pid, bytes(held)) + self._stop + b"\n", None)

    def end_all(self) -> bytes:
        """As `end`, for every process."""
        rest = b"".join([self.end(pid, name) for pid, name in list(self._held)])
        return rest + self._after_open_line(b"", None)

    def _stamp(self, pid: int, lines: bytes) -> bytes:
        stamp = f"{self._now().strftime(self.time_format)} [{pid}] | ".encode("utf-8", "surrogateescape")
        before = self._start + stamp
        return before + lines.replace(b"\n", self._stop + b"\n" + before)

    def _go_on(self, key: tuple[int, str], data: bytes) -> bytes:
        """The start of this line is out already: its rest needs no stamp and no waiting."""
        end = data.find(b"\n")
        if end < 0:
            return data
        self._open = None
        return data[:end] + self._stop + b"\n" + self.feed(*key, data[end + 1 :])

    def _after_open_line(self, ready: bytes, now_open: tuple[int, str] | None) -> bytes:
        """End the line that another process left open before anything else is written."""
        if self._open is not None:
            ready = self._stop + b"\n" + ready
        self._open = now_open
        return ready
