"""The processes of one watcher, counted so that one event costs the same with ten of them or a thousand."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from typing import TypeVar

from circus.machine.process import Process, State

K = TypeVar("K", bound=Hashable)


class ProcessTable:
    """Processes by serial, counted by state and generation. Iteration is in order of birth, oldest first.

    A worker number is taken from `take_wid` until `free_wid`, which may be later than the end of its process.
    """

    def __init__(self) -> None:
        self._all: dict[int, Process] = {}
        self._states: dict[State, int] = {}
        self._held: dict[int, int] = {}  # by generation: all of them
        self._current: dict[int, int] = {}  # by generation: those on their way up, or up
        self._free_wids: list[int] = []
        self._top_wid = 0

    def __iter__(self) -> Iterator[Process]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def get(self, serial: int) -> Process | None:
        return self._all.get(serial)

    def __getitem__(self, serial: int) -> Process:
        return self._all[serial]

    def add(self, process: Process) -> None:
        self._all[process.serial] = process
        self._count(process, 1)

    def move(self, process: Process, state: State) -> None:
        was_current = process.is_current
        _add(self._states, process.state, -1)
        process.state = state
        _add(self._states, state, 1)
        if process.is_current != was_current:
            _add(self._current, process.generation, -1 if was_current else 1)

    def regenerate(self, process: Process, generation: int) -> None:
        self._count(process, -1)
        process.generation = generation
        self._count(process, 1)

    def remove(self, process: Process) -> None:
        del self._all[process.serial]
        self._count(process, -1)

    def _count(self, process: Process, change: int) -> None:
        _add(self._states, process.state, change)
        _add(self._held, process.generation, change)
        if process.is_current:
            _add(self._current, process.generation, change)

    # ---- counts ------------------------------------------------------------------------------------------------

    def count(self, *states: State) -> int:
        return sum(self._states.get(state, 0) for state in states)

    @property
    def underway(self) -> int:
        return self.count(State.PLANNED, State.FORKING, State.BORN)

    def held_of(self, generation: int) -> int:
        """All of a generation, also those that are ending."""
        return self._held.get(generation, 0)

    def current_of(self, generation: int) -> int:
        return self._current.get(generation, 0)

    def current_before(self, generation: int) -> int:
        return sum(count for number, count in self._current.items() if number < generation)

    def has_older(self, generation: int) -> bool:
        return any(number < generation for number in self._held)

    # ---- selections --------------------------------------------------------------------------------------------

    def in_state(self, *states: State) -> list[Process]:
        return [process for process in self._all.values() if process.state in states]

    def current(self) -> list[Process]:
        return [process for process in self._all.values() if process.is_current]

    def live(self) -> list[Process]:
        """Those with a pid that has not been reaped, oldest first."""
        return [process for process in self._all.values() if process.is_live]

    # ---- worker numbers ----------------------------------------------------------------------------------------

    def take_wid(self) -> int:
        """The smallest free worker number."""
        if self._free_wids:
            return heapq.heappop(self._free_wids)
        self._top_wid += 1
        return self._top_wid

    def free_wid(self, wid: int) -> None:
        heapq.heappush(self._free_wids, wid)


def _add(counts: dict[K, int], key: K, change: int) -> None:
    count = counts.get(key, 0) + change
    if count:
        counts[key] = count
    else:
        del counts[key]
