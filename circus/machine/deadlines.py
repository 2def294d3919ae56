"""Deadlines by key, so that the earliest is known without looking at all of them."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from enum import Enum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# Entries that may be out of date before the heap is cleaned.
SLACK = 64


class Timer(Enum):
    """What comes due in a watcher: of a process, of a worker number, or of the watcher itself."""

    KILL = "a process that was asked to end is sent SIGKILL"
    STUCK = "a process should have ended by SIGKILL"
    INSPECT = "descendants of a process are looked at again"
    EXPIRE = "a process reaches its max_age"
    SLOT = "a worker number has waited long enough after a death"
    RETRY = "a program that could not be executed is tried again"
    WARMUP = "the next process may be spawned"
    EARLY_EXIT = "processes have lived for a moment"
    HOOK = "a hook is waited for no longer"
    STREAMS = "the end of the output is waited for no longer"
    WAKE = "a watcher that sleeps may be woken again"
    IDLE = "it is looked whether a watcher is at work"
    START_TIMEOUT = "others wait no longer for a start"
    STOP_TIMEOUT = "others wait no longer for a stop"


class Deadlines(Generic[K]):
    """A set of keys, each due at a monotonic time. Setting a key again moves it; None removes it."""

    def __init__(self) -> None:
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0  # breaks ties, so that keys are never compared

    def set(self, key: K, at: float | None) -> None:
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, key))
            if len(self._heap) > 2 * len(self._at) + SLACK:
                self._clean()

    def _clean(self) -> None:
        """What was moved or removed long before its time would otherwise stay in the heap until then."""
        self._heap = [(at, number, key) for number, (key, at) in enumerate(self._at.items())]
        self._count = len(self._heap)
        heapq.heapify(self._heap)

    def get(self, key: K) -> float | None:
        return self._at.get(key)

    def clear(self) -> None:
        self._at.clear()
        self._heap.clear()

    def earliest(self) -> float | None:
        while self._heap:
            at, _, key = self._heap[0]
            if self._at.get(key) == at:
                return at
            heapq.heappop(self._heap)  # moved or removed since
        return None

    def due(self, now: float) -> Iterator[K]:
        """Keys whose time has come, each taken out as it is handed over."""
        while (at := self.earliest()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            yield key
