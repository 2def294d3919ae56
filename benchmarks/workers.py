"""The workers: how they are built, and how they tell when they started.

Every worker appends one 16-byte record (its own monotonic clock, pid, slot) to a file, the first thing it does.
The clock is the same in all processes, so a time does not depend on when it is read here, and reading costs the
supervisor nothing: a socket with a busy reader would take a core away from it.
"""

from __future__ import annotations

import os
import select
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RECORD = struct.Struct("=qii")


class TooLate(Exception):
    """Something did not happen within its time limit."""


@dataclass(frozen=True)
class Worker:
    """The program all supervisors run: its command line without arguments, and what to call it in a report."""

    argv: tuple[str, ...]
    description: str


def build_worker(directory: Path) -> Worker:
    """Compile worker.c into `directory`, statically where possible (no dynamic linking at each start).

    Without a working `cc`, a Python script stands in: its start-up time is then part of every figure.
    """
    compiler = shutil.which("cc")
    program = directory / "worker"
    for flags, description in ((("-static",), "static C program"), ((), "C program")):
        command = [compiler or "", "-O2", *flags, "-o", str(program), str(HERE / "worker.c")]
        if compiler and subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return Worker((str(program),), description)
    script = shutil.copy(HERE / "worker.py", directory)
    return Worker((sys.executable, "-ISE", str(script)), "Python script (no C compiler found)")


@dataclass(frozen=True)
class Start:
    """One worker's own word: `at` in seconds on the monotonic clock."""

    at: float
    pid: int
    slot: int


class Starts:
    """Reads the file the workers append to."""

    POLL_DELAY = (
        0.005  # s; how late we learn of a start. Not part of any figure: workers give their own time.
    )

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()
        self.seen: list[Start] = []
        self._offset = 0

    def read(self) -> list[Start]:
        """The starts since the last call."""
        if self.path.stat().st_size < self._offset + RECORD.size:
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        data = data[: len(data) - len(data) % RECORD.size]
        self._offset += len(data)
        new = [Start(ns / 1e9, pid, slot) for ns, pid, slot in RECORD.iter_unpack(data)]
        self.seen += new
        return new

    def wait(self, done: Callable[[], bool], timeout: float, what: str) -> None:
        """Read until `done()`; `TooLate` names `what` was waited for."""
        deadline = time.monotonic() + timeout
        self.read()
        while not done():
            if time.monotonic() > deadline:
                raise TooLate(f"{what}: not within {timeout:.0f} s ({len(self.seen)} starts seen)")
            time.sleep(self.POLL_DELAY)
            self.read()

    def wait_for(self, count: int, timeout: float, what: str) -> None:
        """Wait until `count` starts were seen in all."""
        self.wait(lambda: len(self.seen) >= count, timeout, what)

    def pids(self) -> dict[int, int]:
        """The newest pid of each slot."""
        return {start.slot: start.pid for start in self.seen}


class Deaths:
    """Knows when processes end, without polling: a pidfd becomes readable at that moment."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._poll = select.poll()
        self._open: set[int] = set()
        for pid in pids:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            self._open.add(fd)
            self._poll.register(fd, select.POLLIN)

    def wait(self, timeout: float) -> float:
        """Wait until all have ended; return the monotonic time of the last one."""
        deadline = time.monotonic() + timeout
        last = time.monotonic()
        while self._open:
            ready = self._poll.poll(max(deadline - time.monotonic(), 0) * 1000)
            last = time.monotonic()
            if not ready:
                raise TooLate(f"{len(self._open)} workers did not end within {timeout:.0f} s")
            for fd, _ in ready:
                self._forget(fd)
        return last

    def close(self) -> None:
        for fd in list(self._open):
            self._forget(fd)

    def _forget(self, fd: int) -> None:
        self._poll.unregister(fd)
        self._open.discard(fd)
        os.close(fd)
