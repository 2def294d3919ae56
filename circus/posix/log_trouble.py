"""A log that cannot be written: said once, and once more when it can."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from circus.posix.standard import complain


class Trouble:
    """What is wrong with the log at `place`. Lines not taken at once are counted; `say` is told of the turns."""

    def __init__(self, place: str, say: Callable[[str], object] = complain) -> None:
        self.text = ""
        """What is wrong now; empty if nothing is."""
        self.lost = 0
        self._place = place
        self._say = say

    def begin(self, error: OSError) -> None:
        if not self.text:
            why = error.strerror or error
            self.text = f"the log {self._place} cannot be written: {why}; lines may be lost until it can"
            self._say(self.text)

    def end(self) -> logging.LogRecord | None:
        """A line was written. If none was before: what the log itself is to say of that."""
        if not self.text:
            return None
        text = f"the log {self._place} is written again; up to {self.lost} lines are lost"
        self.text, self.lost = "", 0
        self._say(text)
        return logging.LogRecord("circus", logging.WARNING, "", 0, text, None, None)


class TroubleHandler(logging.Handler):
    """Put before a class of `logging` that writes: instead of a traceback for each line it has a `trouble`."""

    def __init__(self, place: str) -> None:
        """Before that of the other class, which may fail already."""
        self.trouble = Trouble(place)
        self._errors: list[BaseException | None] = []  # of the line that is being written

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.clear()
        super().emit(record)
        back = None if self._errors else self.trouble.end()
        if back is not None:
            super().emit(back)

    def handleError(self, record: logging.LogRecord) -> None:
        """Called where the exception is handled."""
        error = sys.exc_info()[1]
        self._errors.append(error)
        if isinstance(error, OSError):
            self.trouble.lost += 1
            self.trouble.begin(error)
        else:  # what is logged is at fault, not where it goes
            super().handleError(record)
