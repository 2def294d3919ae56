"""When a log file is rotated by the clock, and what the finished file is then called. Pure: time is an argument.

This is about wall-clock time on purpose: people want one file per day of their calendar. Days are counted with
`mktime`, so that a day of 23 or 25 hours (daylight saving time) begins and ends at midnight like any other.
"""

from __future__ import annotations

import math
import time

_DAY = 86400
_SECONDS = {"S": 1, "M": 60, "H": 3600, "D": _DAY}
_SUFFIX = {"S": "%Y%m%d%H%M%S", "M": "%Y%m%d%H%M", "H": "%Y%m%d%H"}
_DAILY_SUFFIX = "%Y%m%d"


class Schedule:
    """Turns of a file every `interval` seconds, minutes, hours, days, midnights or weeks.

    `when` in any case: `S M H D` count from the start of the file; `MIDNIGHT` is the end of a day; `W0` (Monday) to
    `W6` (Sunday) is the midnight that ends this day of the week. ValueError for anything else.
    """

    def __init__(self, when: str | None, interval: int | str = 1, utc: bool = False) -> None:
        self.when = str(when or "").strip().upper()
        self.interval = int(interval)
        self.utc = utc
        self.suffix = _SUFFIX.get(self.when, _DAILY_SUFFIX)
        weekday = self.when[1:] if self.when.startswith("W") else ""
        self._weekday = int(weekday) if weekday in tuple("0123456") and weekday else None
        if self.when not in (*_SECONDS, "MIDNIGHT") and self._weekday is None:
            raise ValueError(f"rotate_when is {when!r}: use one of S, M, H, D, MIDNIGHT, W0 (Monday) to W6 (Sunday)")
        if self.interval < 1:
            raise ValueError(f"rotate_interval is {interval!r}: a number from 1 is needed")

    @property
    def suffix_length(self) -> int:
        """Number of digits in a suffix."""
        return len(time.strftime(self.suffix, time.gmtime(0)))

    def next_after(self, start: float) -> float:
        """The end of the period that begins at `start`; both are seconds since the epoch."""
        if self.when in _SECONDS:
            return int(start) + _SECONDS[self.when] * self.interval
        if self._weekday is None:
            return self._midnight(start, self.interval)
        days = (self._weekday - self._fields(start).tm_wday) % 7 + 1
        return self._midnight(start, days + 7 * (self.interval - 1))

    def suffix_for(self, end: float) -> str:
        """Name of the file whose period ends at `end`: when that period began."""
        if self.when in _SECONDS:
            start = end - _SECONDS[self.when] * self.interval
        else:
            start = self._midnight(end, -self.interval * (1 if self._weekday is None else 7))
        return time.strftime(self.suffix, self._fields(start))

    def _fields(self, at: float) -> time.struct_time:
        return time.gmtime(at) if self.utc else time.localtime(at)

    def _midnight(self, at: float, days: int) -> float:
        """The first moment of the day that comes `days` days after the day of `at`."""
        if self.utc:
            return at - at % _DAY + days * _DAY
        now = time.localtime(at)
        try:
            return time.mktime((now.tm_year, now.tm_mon, now.tm_mday + days, 0, 0, 0, 0, 0, -1))
        except OverflowError:  # beyond every calendar: it does not come
            return math.inf
