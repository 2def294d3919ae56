"""The live watchers of an arbiter: by key, by name, by pattern. The only list of them beside the machine's."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence

from circus.commands.matching import METHODS
from circus.exc import ConflictError, MessageError
from circus.machine.arbiter import Arbiter as Decided
from circus.runtime.live_watcher import LiveWatcher


class Registry:
    """Watchers stay until they are forgotten; those that were removed and are still stopping have a key, but no name.

    Names count without their case. A res name, the only one that readers of events know, works as well.
    """

    def __init__(self, decided: Decided) -> None:
        self._decided = decided
        self._by_key: dict[int, LiveWatcher] = {}
        self._by_name: dict[str, LiveWatcher] = {}  # for speed; one that was removed may still be in it

    @property
    def by_key(self) -> Mapping[int, LiveWatcher]:
        return self._by_key

    def admit(self, watcher: LiveWatcher, announce: bool = False) -> None:
        """Take in a watcher; it is not started."""
        watcher.belong(self._decided.add(watcher.spec, announce))
        self._by_key[watcher.key] = self._by_name[watcher.name.lower()] = watcher

    def forget(self, key: int) -> None:
        """A watcher that was removed has come to its end."""
        watcher = self._by_key.pop(key, None)
        if watcher is not None and self._by_name.get(watcher.name.lower()) is watcher:
            del self._by_name[watcher.name.lower()]

    def all(self) -> list[LiveWatcher]:
        """In the order they came, without those that were removed."""
        return self._live(self._decided.watchers)

    def in_order(self) -> list[LiveWatcher]:
        """By priority, bigger first."""
        return self._live(decided.key for decided in self._decided.in_order())

    def _live(self, keys: Iterable[int]) -> list[LiveWatcher]:
        # One may go while another thread looks.
        return [watcher for key in list(keys) if (watcher := self._by_key.get(key)) is not None]

    def present(self, key: int) -> LiveWatcher:
        """By key. ConflictError if it was removed, be it still stopping or not."""
        if key not in self._decided.watchers:
            raise ConflictError("this watcher was removed")
        return self._by_key[key]

    def get(self, name: str) -> LiveWatcher:
        """By name, else by res name. KeyError if there is none."""
        lower = name.lower()
        watcher = self._by_name.get(lower)
        if watcher is not None and watcher.key in self._decided.watchers:
            return watcher
        watchers = self.all()
        for names in ({w.name.lower(): w for w in watchers}, {w.res_name: w for w in watchers}):
            if lower in names:
                return names[lower]
        raise KeyError(name)

    def find(self, name: str) -> LiveWatcher:
        """As `get`, with the MessageError of a command."""
        try:
            return self.get(name)
        except KeyError:
            raise MessageError(f"program {name} not found") from None

    def matching(self, pattern: str, method: str) -> list[LiveWatcher]:
        """By priority. MessageError if none matches, or the method or the pattern is wrong."""
        found = _matching(self.in_order(), pattern, method)
        if not found:
            raise MessageError(f"program {pattern} not found")
        return found


def _matching(watchers: Sequence[LiveWatcher], pattern: str, method: str) -> list[LiveWatcher]:
    if method not in METHODS:
        raise MessageError(f"unknown match method {method}")
    try:
        return [watcher for watcher in watchers if _matches(watcher, pattern, method)]
    except re.error as exc:
        raise MessageError(f"{pattern!r} is not a regular expression: {exc}") from None


def _matches(watcher: LiveWatcher, pattern: str, method: str) -> bool:
    name = watcher.name.lower()
    if method == "regex":
        return re.match(pattern, name, re.IGNORECASE) is not None
    if method == "simple":
        return pattern.lower() in (name, watcher.res_name)
    return fnmatch.fnmatchcase(name, pattern.lower()) or fnmatch.fnmatchcase(watcher.res_name, pattern.lower())
