"""What circus-top knows: the last figures of every process and socket, and when they came. Pure: time is an argument.

Figures come from another program: everything in them may be missing or of another kind than expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from circus.common.names import NOT_AVAILABLE, OWN_WATCHERS

Figures = dict[str, Any]

# Processes of circusd itself show up in the group `circus`; that they are watchers too is of no interest.
HIDDEN = frozenset(OWN_WATCHERS)


class Entry(NamedTuple):
    figures: Figures
    seen_at: float


class Group:
    """The processes of one watcher, or the sockets."""

    def __init__(self, name: str, has_sockets: bool) -> None:
        self.name = name
        self.has_sockets = has_sockets
        self.entries: dict[str, Entry] = {}  # by subtopic
        self.sum: Entry | None = None

    @property
    def figures(self) -> list[Figures]:
        return [entry.figures for entry in self.entries.values()]

    def total(self, key: str) -> Any:
        """What was published as the sum; while that is missing, our own."""
        if self.sum is not None and key in self.sum.figures:
            return self.sum.figures[key]
        return _TOTALS[key]([figures.get(key) for figures in self.figures])

    def _expire(self, before: float) -> None:
        self.entries = {key: entry for key, entry in self.entries.items() if entry.seen_at >= before}
        if self.sum is not None and self.sum.seen_at < before:
            self.sum = None


class Model:
    """Figures by watcher; what was silent for `timeout` seconds is dropped by `expire`."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.last_at: float | None = None  # when the last message came
        self._groups: dict[tuple[str, bool], Group] = {}

    def add(self, name: str, subtopic: str | None, figures: Figures, now: float) -> None:
        self.last_at = now
        # Told by the figures, not by the name: a watcher may be called `sockets`.
        key = (name, "address" in figures or "addresses" in figures)
        group = self._groups.get(key) or self._groups.setdefault(key, Group(*key))
        if subtopic is None:
            group.sum = Entry(figures, now)
        else:
            group.entries[subtopic] = Entry(figures, now)

    def expire(self, now: float) -> None:
        for key, group in list(self._groups.items()):
            group._expire(now - self.timeout)
            if not group.entries and group.sum is None:
                del self._groups[key]

    def groups(self) -> list[Group]:
        """All that have processes or sockets, by name; the sockets after a watcher of that name."""
        return [group for _, group in sorted(self._groups.items()) if group.entries]

    def snapshot(self) -> dict[str, Any]:
        """All of it as a program may want it. Watchers without processes are in it too, with their sums."""
        watchers = {group.name: _as_object(group, "processes") for group in self._sorted(has_sockets=False)}
        sockets = {group.name: _as_object(group, "sockets") for group in self._sorted(has_sockets=True)}
        return {"watchers": watchers, "sockets": sockets.get("sockets", {})}

    def _sorted(self, has_sockets: bool) -> Iterable[Group]:
        return (self._groups[key] for key in sorted(self._groups) if key[1] is has_sockets)


class Round:
    """Notices when everything was heard once: each process, socket and sum is published once in a round.

    A reader that joins in the middle has heard all when the first one comes again. Publishers that change their order
    publish all of a round at once, and so a moment of quiet is waited for besides.
    """

    QUIET = 0.1  # seconds
    LONGEST = 2.5  # seconds; two rounds, and something for a machine that is busy

    def __init__(self) -> None:
        self._heard: set[tuple[str, str | None]] = set()
        self._is_second = False
        self._first_at = math.inf
        self._last_at = math.inf

    def hear(self, name: str, subtopic: str | None, now: float) -> None:
        self._is_second = self._is_second or (name, subtopic) in self._heard
        self._heard.add((name, subtopic))
        self._first_at = min(self._first_at, now)
        self._last_at = now

    @property
    def over_at(self) -> float:
        """When there is nothing more to wait for, if nothing more comes until then; infinite before the first."""
        end_at = self._first_at + self.LONGEST
        return min(end_at, self._last_at + self.QUIET) if self._is_second else end_at


def number(value: object) -> float | None:
    """None for what is no number to compare or to add: `N/A`, text, a missing value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON has integers of any size
        return None


def _as_object(group: Group, members: str) -> dict[str, Any]:
    keys = ("reads",) if group.has_sockets else ("cpu", "mem", "age")
    return {**{key: group.total(key) for key in keys}, members: group.figures}


def _combined(combine: Callable[[list[float]], float]) -> Callable[[list[Any]], Any]:
    """As the publisher does it: one value that is not known makes the whole unknown."""

    def total(values: list[Any]) -> Any:
        numbers = [known for value in values if (known := number(value)) is not None]
        return combine(numbers) if values and len(numbers) == len(values) else NOT_AVAILABLE

    return total


_TOTALS: dict[str, Callable[[list[Any]], Any]] = {
    "cpu": _combined(lambda numbers: sum(numbers) / len(numbers)),
    "mem": _combined(sum),
    "age": _combined(max),
    "reads": _combined(sum),
}
