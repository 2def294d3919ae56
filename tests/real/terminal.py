"""A person at a terminal: types, and waits for what shows."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import circus

# The new session gets the terminal as its own, so that Ctrl-C reaches it (tty_ioctl(2)).
OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A program at the far end of a pseudo terminal, with a home of its own."""

    def __init__(self, argv: list[str], home: Path, extra: Mapping[str, str]) -> None:
        self.master, slave = os.openpty()
        env = {key: value for key, value in os.environ.items() if not key.startswith(("CIRCUS", "AUTO_", "XDG"))}
        env |= {"TERM": "dumb", "HOME": str(home), "INPUTRC": "/dev/null", "COLUMNS": "80", **extra}
        env["PYTHONPATH"] = os.path.dirname(os.path.dirname(circus.__file__))
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, *argv],
            stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.master, selectors.EVENT_READ)
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.selector.close()
        os.close(self.master)
        self.process.kill()
        self.process.wait(10)

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern):
        """The output up to and with this pattern, which is then taken off."""
        end_at = time.monotonic() + 30
        while not (match := re.search(pattern, self.seen)):
            assert time.monotonic() < end_at and self.selector.select(end_at - time.monotonic()), self.seen
            try:
                self.seen += os.read(self.master, 4096).decode().replace("\r\n", "\n")
            except OSError:  # the other end is closed: EIO on Linux
                raise AssertionError(f"ended; said {self.seen!r}") from None
        said, self.seen = self.seen[: match.end()], self.seen[match.end() :]
        return said

    def code(self):
        return self.process.wait(30)
