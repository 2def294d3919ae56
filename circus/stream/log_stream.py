"""Output that becomes lines of the daemon's own log: what plugins and circusd-stats have to say."""

from __future__ import annotations

import logging
from typing import Any

from circus.common import names
from circus.stream.base import LINE_LIMIT, as_bytes

logger = logging.getLogger("circus")

# As they stand in a line: `[WARNING] text`.
_LEVELS = {name: getattr(logging, name) for name in map(str.upper, names.LOG_LEVELS)}


class LogStream:
    """Logs each line as `label: text`. An indented line, as in a traceback, has the level of the one before.

    `complaint` is the last line of level error or above, for `status` to show; empty if there is none.
    """

    def __init__(self, label: str = "", **kwargs: Any) -> None:
        self.label = label
        self.complaint = ""
        self._level = logging.INFO
        self._held: dict[int, bytes] = {}  # unfinished lines by pid

    def __call__(self, data: dict[str, Any]) -> None:
        pid = data["pid"]
        text = self._held.pop(pid, b"") + as_bytes(data["data"])
        end = text.rfind(b"\n") + 1
        if len(text) - end > LINE_LIMIT:
            end = len(text)
        for line in text[:end].splitlines():
            self._log(line)
        if end < len(text):
            self._held[pid] = text[end:]

    def end_of_output(self, pid: int, name: str) -> None:
        rest = self._held.pop(pid, b"")
        if rest:
            self._log(rest)

    def _log(self, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace").rstrip()
        if not text:
            return
        # As in `circus.posix.logs.LOG_FMT_BELOW`.
        level, bracket, rest = text.removeprefix("[").partition("] ")
        if text.startswith("[") and bracket and level in _LEVELS:
            self._level, text = _LEVELS[level], rest
        elif not text.startswith(" "):
            self._level = max(self._level, logging.WARNING)  # no log line: other code wrote to standard error
        if self._level >= logging.ERROR and not text.startswith(" "):
            self.complaint = text
        logger.log(self._level, "%s: %s", self.label, text)
