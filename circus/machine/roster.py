"""The processes of one watcher, indexed so that one event costs the same with ten of them or a thousand."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterator

from circus.machine.process import Process, State


class Roster:
    """Processes by serial, state and generation. Iteration is in order of birth, oldest first."""

    def __init__(self) -> None:
        self._all: dict[int, Process] = {}
        self._states: dict[State, dict[int, Process]] = {state: {} for state in State}
        self._generations: dict[int, int] = {}
        self._free_wids: list[int] = []
        self._top_wid = 0

    def __iter__(self) -> Iterator[Process]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def get(self, serial: int) -> Process | None:
        return self._all.get(serial)

    def add(self, process: Process) -> None:
        self._all[process.serial] = process
        self._states[process.state][process.serial] = process
        self._generations[process.generation] = self._generations.get(process.generation, 0) + 1

    def move(self, process: Process, state: State) -> None:
        del self._states[process.state][process.serial]
        process.state = state
        self._states[state][process.serial] = process

    def regenerate(self, process: Process, generation: int) -> None:
        self._count(process.generation, -1)
        process.generation = generation
        self._count(generation, 1)

    def remove(self, process: Process) -> None:
        del self._all[process.serial]
        del self._states[process.state][process.serial]
        self._count(process.generation, -1)
        heapq.heappush(self._free_wids, process.wid)

    def _count(self, generation: int, change: int) -> None:
        count = self._generations.get(generation, 0) + change
        if count:
            self._generations[generation] = count
        else:
            self._generations.pop(generation, None)

    def count(self, *states: State) -> int:
        return sum(len(self._states[state]) for state in states)

    def in_state(self, *states: State) -> list[Process]:
        return sorted((p for state in states for p in self._states[state].values()), key=lambda p: p.serial)

    def of_generation(self, generation: int) -> int:
        return self._generations.get(generation, 0)

    def has_older(self, generation: int) -> bool:
        return any(number < generation for number in self._generations)

    def live(self) -> list[Process]:
        """Those with a pid that has not been reaped, oldest first."""
        return self.in_state(State.BORN, State.UP, State.ENDING)

    def take_wid(self, avoid: Container[int]) -> int:
        """The smallest free worker number that is not in `avoid`."""
        skipped = []
        wid = 0
        while self._free_wids:
            candidate = heapq.heappop(self._free_wids)
            if candidate not in avoid:
                wid = candidate
                break
            skipped.append(candidate)
        for number in skipped:
            heapq.heappush(self._free_wids, number)
        if not wid:
            self._top_wid += 1
            wid = self._top_wid
        return wid
