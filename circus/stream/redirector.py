"""`Redirector`: the name and the methods programs know, over a `Pump`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

from circus.stream.base import Stream
from circus.stream.pump import Pump

logger = logging.getLogger("circus")

# `stop` gives the streams this many seconds to take what the pipes still hold; a slow one goes on in its thread.
STOP_TIMEOUT = 2.0


class Redirector:
    """Carries `process.stdout` and `process.stderr` of some processes into two streams.

    A process is anything with a `pid` and the file objects `stdout` and `stderr` (or None). Their descriptors are
    duplicated: the files stay the caller's, to be closed by the caller. `buffer` is accepted and without effect.
    With a `loop` (anything with `post` or `add_callback`) nothing of the caller's ever runs in the pump's thread.
    """

    def __init__(
        self, stdout_redirect: Stream | None, stderr_redirect: Stream | None, buffer: int = 1024, loop: Any = None
    ) -> None:
        self.running = False
        self.redirect: dict[str, Stream | None] = {"stdout": stdout_redirect, "stderr": stderr_redirect}
        self.buffer = buffer
        self.loop = loop
        self.pipes: dict[int, tuple[str, Any]] = {}  # the caller's descriptors: name of the output, process
        self._pump: Pump | None = None

    def start(self) -> int:
        """Begin to read; returns the number of pipes. What was added while stopped is read from now on."""
        if self._pump is None:
            post = getattr(self.loop, "post", None) or getattr(self.loop, "add_callback", None) or _call
            self._pump = Pump("redirector", self.redirect, post)
            self._pump.start()
            for fd in self.pipes:
                self._hand_over(fd)
        self.running = True
        return len(self.pipes)

    def stop(self) -> int:
        """Read what the pipes hold and close the streams; returns the number of pipes. `start` goes on from here."""
        pump, self._pump = self._pump, None
        self.running = False
        if pump is not None:
            pump.close()
            if not pump.join(STOP_TIMEOUT):
                logger.warning("a stream takes more than %g s to close; it goes on in its own thread", STOP_TIMEOUT)
        return len(self.pipes)

    def add_redirections(self, process: Any) -> None:
        for name, fd in _descriptors(process):
            if fd in self.pipes:
                self.remove_fd(fd)
            self.pipes[fd] = (name, process)
            self._hand_over(fd)
        process.redirected = True

    def remove_redirections(self, process: Any) -> None:
        """Read what the process has written, and no more. Nothing happens for a process that was not added."""
        for fd, (_, owner) in list(self.pipes.items()):
            if owner is process:
                self.remove_fd(fd)
        process.redirected = False

    def remove_fd(self, fd: int) -> None:
        """As `remove_redirections`, for one of its descriptors."""
        if fd in self.pipes:
            name, process = self.pipes.pop(fd)
            if self._pump is not None:
                self._pump.remove(process.pid, name)

    def change_stream(self, name: str, stream: Stream | None) -> None:
        """Replace the stream for "stdout" or "stderr"; the old one gets everything read so far and is closed."""
        self.redirect[name] = stream
        if self._pump is not None:
            self._pump.swap(name, stream)

    def get_stream(self, name: str) -> Stream | None:
        return self.redirect.get(name)

    def _hand_over(self, fd: int) -> None:
        name, process = self.pipes[fd]
        if self._pump is not None:
            self._pump.add(process.pid, {name: os.dup(fd)})


def _descriptors(process: Any) -> Iterator[tuple[str, int]]:
    for name in ("stdout", "stderr"):
        file = getattr(process, name, None)
        if file is not None:
            yield name, file.fileno()


def _call(call: Callable[[], object]) -> None:
    call()
