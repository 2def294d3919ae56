"""One output of a watcher on its way into a stream object, which may be third-party code and may fail at any time.

A failure never reaches the pump: the bytes that were lost are counted, the log tells about it once a minute at most
and once more when the stream works again, and the next piece is a new attempt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from circus.stream.base import PartialWriteError, Stream

# Pieces handed to a stream: small enough for a datagram and for a text widget, large enough for speed.
PIECE = 32768

_LOG_DELAY = 60.0
# A failing attempt that took T seconds is not repeated for 10 T, so that an expensive failure (a connection that
# times out) cannot eat more than a tenth of the time; a cheap one (disk full) is repeated with the next piece.
_PAUSE_FACTOR = 10
_LONGEST_PAUSE = 5.0


class Sink:
    """Owned by the pump's thread; `received` and `dropped` may be read by any thread.

    `raw` is the stream's function for data without a copy, None if the stream wants to be called with pieces.
    `feeders` is the number of pipes that lead here.
    """

    def __init__(self, watcher: str, name: str, stream: Stream | None, log: logging.Logger) -> None:
        self.name = name
        self.stream = stream
        self.feeders = 0
        self.received = 0
        self.dropped = 0
        self._watcher = watcher
        self._log = log
        self._opened = False
        self._closed = False
        self._failing = False
        self._told = False  # whether the log knows that it fails
        self._untold = 0  # bytes lost since the last message that summed up
        self._since = 0.0  # when the first of them was lost; wall clock, for the log
        self._retry_at = 0.0
        self._log_at = 0.0
        self.raw = self._raw_writer()

    def replace(self, stream: Stream | None) -> None:
        """Continue with another stream; the counters go on. The caller has closed the old one."""
        self.stream = stream
        self.raw = self._raw_writer()
        self._opened = self._closed = self._failing = False
        self._retry_at = 0.0

    def _raw_writer(self) -> Callable[[memoryview], None] | None:
        offer = getattr(self.stream, "raw_writer", None)
        return offer() if offer is not None else None

    def open(self) -> None:
        if self.stream is not None:
            self._attempt(lambda: None, 0)  # opening is a part of every attempt until it succeeded

    def reopen(self) -> None:
        """Log files were moved: write to new ones from now on."""
        reopen = getattr(self.stream, "reopen", None)
        if reopen is not None and self._opened:
            self._attempt(reopen, 0)

    def deliver(self, pid: int, data: memoryview) -> None:
        """Hand over what a process wrote. `data` may be reused when this returns."""
        self.received += len(data)
        if self.stream is None:
            return
        if self.raw is not None:
            self._attempt(self.raw, len(data), data)
            return
        whole = bytes(data)
        start = 0
        while start < len(whole):
            end = _piece_end(whole, start)
            self._attempt(self._call, end - start, pid, whole[start:end])
            start = end

    def end_of_output(self, pid: int) -> None:
        end = getattr(self.stream, "end_of_output", None)
        if end is not None and self._opened:
            self._attempt(end, 0, pid, self.name)

    def close(self) -> None:
        if self._closed:
            return
        close = getattr(self.stream, "close", None)
        if close is not None:
            self._retry_at = 0.0
            self._opened = True  # a stream that never opened is closed all the same
            self._attempt(close, 0)
        self._opened = False
        self._closed = True
        if self._untold:
            self._log.error("stream %r of watcher %r: %d bytes dropped", self.name, self._watcher, self._untold)
            self._untold = 0

    def _call(self, pid: int, data: bytes) -> None:
        assert self.stream is not None
        self.stream({"pid": pid, "name": self.name, "data": data, "timestamp": time.time()})

    def _open_stream(self) -> None:
        opener = getattr(self.stream, "open", None)
        if opener is not None:
            opener()
        self._opened = True
        self._closed = False

    def _attempt(self, call: Callable[..., object], size: int, *args: Any) -> None:
        """Call into the stream; `size` bytes are lost if it fails, or is not asked because it failed just now."""
        if self._opened and not self._failing:  # the usual case
            try:
                call(*args)
                return
            except (Exception, SystemExit) as error:  # a stream may be third-party code; the pump must outlive it
                self._failed(error, size, 0.0)
                return
        self._attempt_again(call, size, args)

    def _attempt_again(self, call: Callable[..., object], size: int, args: tuple[Any, ...]) -> None:
        started = time.monotonic()
        if started < self._retry_at:
            self._lose(size)
            return
        try:
            if not self._opened:
                self._open_stream()
            call(*args)
        except (Exception, SystemExit) as error:  # as above
            self._failed(error, size, time.monotonic() - started)
        else:
            if size:  # what took no data proves nothing
                self._recovered()

    def _lose(self, size: int) -> None:
        self.dropped += size
        self._untold += size

    def _failed(self, error: BaseException, size: int, duration: float) -> None:
        if not self._untold:
            self._since = time.time()
        self._failing = True
        self._lose(error.lost if isinstance(error, PartialWriteError) else size)
        now = time.monotonic()
        self._retry_at = now + min(duration * _PAUSE_FACTOR, _LONGEST_PAUSE)
        if now < self._log_at:
            return
        self._log_at = now + _LOG_DELAY
        self._told = True
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._since))
        known = isinstance(error, OSError)  # anything else is a fault of the class: show where
        self._log.error(
            "stream %r of watcher %r failed: %s; %d bytes dropped since %s; its programs go on",
            self.name,
            self._watcher,
            error if known else repr(error),
            self._untold,
            since,
            exc_info=None if known else error,
        )

    def _recovered(self) -> None:
        self._failing = False
        if self._told:
            self._told = False
            self._log.warning(
                "stream %r of watcher %r works again; %d bytes were dropped",
                self.name,
                self._watcher,
                self._untold,
            )
            self._untold = 0


def _piece_end(data: bytes, start: int) -> int:
    """End of the next piece: the last line end within reach, else as far as allowed."""
    limit = start + PIECE
    if limit >= len(data):
        return len(data)
    return data.rfind(b"\n", start, limit) + 1 or limit
