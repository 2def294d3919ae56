"""Reading pipes into one reused buffer, and keeping lines whole where several processes write to one stream."""

from __future__ import annotations

import mmap
import time

from circus.stream.base import LINE_LIMIT
from circus.stream.pipe import ENDED, NOTHING, Pipe

# With pipes of 256 KiB and more, reads of 64 KiB to 1 MiB measured alike (the noise was larger than any difference);
# this is in the middle and still fits into a second-level cache.
BUFFER = 262144
# A buffer that was not used for this long is given back: hundreds of idle pumps must cost next to nothing.
IDLE_DELAY = 1.0
# How long the start of a line waits for its rest; short, because a person may be watching a prompt or a row of dots.
LINE_DELAY = 0.2


class Reader:
    """Owned by a pump's thread.

    What a process wrote goes to its sink at once, with one exception: when several pipes lead to one stream, or the
    stream is called with pieces, the start of an unfinished line waits up to `LINE_DELAY` for its rest.
    """

    def __init__(self) -> None:
        self._buffer: mmap.mmap | None = None  # not a bytearray: that is filled with zeros, and so costs all its pages
        self._tails: dict[Pipe, float] = {}  # pipes with a waiting tail and when it is let go, in the order of time

    def timeout(self) -> float | None:
        """Seconds until `tidy` has something to do; None if it has not."""
        if self._tails:
            return max(0.0, next(iter(self._tails.values())) - time.monotonic())
        return None if self._buffer is None else IDLE_DELAY

    def tidy(self, idle: bool) -> None:
        """Let go what has waited long enough; give the buffer back if nothing came during the last `timeout`."""
        if idle and not self._tails:
            self._buffer = None
        while self._tails:
            pipe, due = next(iter(self._tails.items()))
            if due > time.monotonic():
                break
            self.let_go(pipe)

    def read(self, pipe: Pipe) -> int:
        """One read. Returns the number of bytes, or NOTHING if there are none now, or ENDED."""
        buffer = self._buffer
        if buffer is None:
            buffer = self._buffer = mmap.mmap(-1, BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        view = memoryview(buffer)
        held = len(pipe.tail)
        view[:held] = pipe.tail
        count = pipe.read(view[held:])
        if count > 0:
            self._hand_over(pipe, buffer, held, held + count)
        return count

    def drain(self, pipe: Pipe) -> int:
        """Read what the pipe holds now, no more: a program may go on writing for ever. Returns NOTHING or ENDED."""
        left = pipe.capacity()
        while left > 0:
            count = self.read(pipe)
            if count == ENDED:
                return ENDED
            if count == NOTHING:
                break
            left -= count
        self.let_go(pipe)
        return NOTHING

    def let_go(self, pipe: Pipe) -> None:
        """Deliver the unfinished line of this pipe, if there is one."""
        if self._tails.pop(pipe, None) is not None:
            tail, pipe.tail = pipe.tail, b""
            pipe.sink.deliver(pipe.pid, memoryview(tail))

    def _hand_over(self, pipe: Pipe, buffer: mmap.mmap, held: int, end: int) -> None:
        """`buffer[:end]` is for the stream; its first `held` bytes had been waiting."""
        cut = end
        if pipe.sink.raw is None or pipe.sink.feeders > 1:
            cut = buffer.rfind(b"\n", held, end) + 1
            if end - cut > LINE_LIMIT:
                cut = end
        if held and cut:
            del self._tails[pipe]
        pipe.tail = buffer[cut:end]
        if pipe.tail:
            self._tails.setdefault(pipe, time.monotonic() + LINE_DELAY)
        if cut:
            pipe.sink.deliver(pipe.pid, memoryview(buffer)[:cut])
