"""How other threads hand work to a thread that sleeps in a selector."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Request = tuple[Callable[..., None], tuple[Any, ...]]

_WAKE = (1).to_bytes(8, sys.byteorder)  # what an eventfd wants; for a pipe any bytes do


class Mailbox:
    """Requests for one thread, and a descriptor that is readable while there are new ones.

    The lock is held for a few instructions only. It keeps the descriptor open while a thread writes to it, and makes
    sure that each request is either taken by the thread or refused: none is left lying when the thread has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque()
        self._shut = False
        self._read = self._write = -1

    # ---- from any thread ---------------------------------------------------------------------------------------

    def put(self, call: Callable[..., None], *args: Any) -> bool:
        """Have `call(*args)` run in the thread; False, and nothing happens, once the box is shut."""
        with self._lock:
            if self._shut:
                return False
            self._requests.append((call, args))
            if self._write >= 0:  # else not open yet: the thread looks into the box before it sleeps
                try:
                    os.write(self._write, _WAKE)
                except OSError:
                    pass  # full: it will wake up anyway; broken: the thread opens the box again
            return True

    # ---- from the thread that takes the requests ------------------------------------------------------------------

    def open(self) -> int:
        """Make the wake descriptor, in place of the last one, and return its read end. OSError if there is none."""
        with self._lock:
            self._close()
            if hasattr(os, "eventfd"):
                self._read = self._write = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            else:
                self._read, self._write = os.pipe()
                os.set_blocking(self._read, False)
                os.set_blocking(self._write, False)
            return self._read

    def run_requests(self) -> None:
        while self._requests:
            call, args = self._requests.popleft()
            call(*args)

    def clear_wake(self) -> None:
        """To be called before `run_requests`, so that nothing put in between is overlooked."""
        os.read(self._read, 4096)

    def shut_if_empty(self) -> bool:
        with self._lock:
            if not self._requests:
                self._shut = True
            return self._shut

    def close(self) -> None:
        """Shut it for good, whatever is in it, and close the descriptor."""
        with self._lock:
            self._shut = True
            self._close()

    def _close(self) -> None:
        for fd in {self._read, self._write} - {-1}:
            try:
                os.close(fd)
            except OSError:
                pass  # other code closed it
        self._read = self._write = -1
