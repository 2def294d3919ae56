"""The processes circusd-stats knows: events and answers of circusd in, processes to look at out. Pure.

Events may be lost, and an answer may be older than an event that came before it. So what happens to a watcher while
a question about it is open is written down and applied to the answer again: the result is right in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from circus.common import names

CIRCUS = "circus"
"""The group of Circus' own programs: the daemon, and `names.OWN_WATCHERS` under their names."""

DAEMON = "circusd"


class Member(NamedTuple):
    pid: int
    name: str | None = None
    """Only in the group `circus`."""


class Table:
    """Processes by res name of their watcher."""

    def __init__(self, own_pid: int) -> None:
        self.daemon_pid: int | None = None
        self._own_pid = own_pid
        self._pids: dict[str, dict[int, None]] = {}  # sets that keep their order
        self._left: dict[str, set[int]] = {}  # found gone; the event is still to come
        self._journals: dict[str, list[tuple[str, int]]] = {}  # by watcher with an open question

    # ---- answers -------------------------------------------------------------------------------------------------

    def listed(self, watchers: Iterable[str]) -> list[str]:
        """Circusd has these watchers. Returns which to ask about: also those it has not, for they may just be new."""
        asked = {names.res_name(name): name for name in watchers}
        return list(({name: name for name in self._pids} | asked).values())

    def asked(self, watcher: str) -> None:
        """A question about its processes is on its way."""
        self._journals.setdefault(names.res_name(watcher), [])

    def answered(self, watcher: str, pids: Iterable[int] | None) -> None:
        """It has these processes; None: there is no such watcher."""
        watcher = names.res_name(watcher)
        journal = self._journals.pop(watcher, [])
        self._pids[watcher] = dict.fromkeys(pids or ())
        self._left.pop(watcher, None)
        for event, pid in journal:
            self._apply(watcher, event, pid)
        if pids is None and not self._pids[watcher]:
            del self._pids[watcher]

    def unanswered(self) -> None:
        """No open question will be answered any more."""
        self._journals.clear()

    # ---- facts ---------------------------------------------------------------------------------------------------

    def happened(self, watcher: str, event: str, pid: int = 0) -> bool:
        """An event of a watcher, by its res name. True: events were missed, ask about its processes."""
        if watcher in self._journals:
            self._journals[watcher].append((event, pid))
            self._apply(watcher, event, pid)
            return False
        is_known = watcher in self._pids
        return not self._apply(watcher, event, pid) or not is_known or event == names.REMOVE

    def _apply(self, watcher: str, event: str, pid: int) -> bool:
        """False if it is about an unknown process."""
        pids = self._pids.setdefault(watcher, {})
        left = self._left.setdefault(watcher, set())
        if event == names.SPAWN:
            pids[pid] = None
            left.discard(pid)
        elif event == names.REAP:
            if pid not in pids and pid not in left:
                return False
            pids.pop(pid, None)
            left.discard(pid)
        elif event == names.STOP:
            pids.clear()
            left.clear()
        return True

    def gone(self, pid: int) -> None:
        """There is no such process any more; the event that says so may be on its way, or lost."""
        if pid == self.daemon_pid:
            self.daemon_pid = None
        for watcher, pids in self._pids.items():
            if pid in pids:
                del pids[pid]
                self._left.setdefault(watcher, set()).add(pid)

    # ---- members -------------------------------------------------------------------------------------------------

    def groups(self) -> dict[str, list[Member]]:
        """Processes by the second part of their topics; no group is empty."""
        own = {} if self.daemon_pid is None else {self.daemon_pid: Member(self.daemon_pid, DAEMON)}
        own[self._own_pid] = Member(self._own_pid, names.STATS_WATCHER)
        for watcher in names.OWN_WATCHERS:
            own |= {pid: Member(pid, watcher) for pid in self._pids.get(watcher, ())}
        found = {CIRCUS: list(own.values())}
        for watcher, pids in self._pids.items():
            if pids and watcher not in names.OWN_WATCHERS:
                found.setdefault(watcher, []).extend(map(Member, pids))
        return found
