"""The log on standard error. A reader that stands still must not stop a daemon: then lines are lost, and counted."""

from __future__ import annotations

import logging
import select
from typing import Any

# So much is taken at once by a pipe that poll(2) calls writable (PIPE_BUF, pipe(7)).
_PIECE = 4096


class ErrorLog(logging.StreamHandler[Any]):
    """As `logging.StreamHandler`, but it never waits: not for a full pipe, nor for a terminal that was halted."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        if not self._can_take():
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            text = f"{lost} lines of the log are lost: standard error was not read"
            self._write(logging.LogRecord(record.name, logging.WARNING, "", 0, text, None, None))
        self._write(record)

    def _write(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + self.terminator
            for start in range(0, len(text), _PIECE // 4):  # a character takes up to 4 bytes
                if start and not self._can_take():
                    return
                self.stream.write(text[start : start + _PIECE // 4])
                self.flush()
        except RecursionError:
            raise
        except Exception:  # as logging does: the code that logs must not suffer
            self.handleError(record)

    def _can_take(self) -> bool:
        try:
            ready = select.poll()
            ready.register(self.stream.fileno(), select.POLLOUT)
            return bool(ready.poll(0))
        except (OSError, ValueError, AttributeError):
            return True  # no descriptor, as in a program that has replaced `sys.stderr`
