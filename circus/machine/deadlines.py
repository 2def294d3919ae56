"""Deadlines by key, so that the earliest is known without looking at all of them."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator


class Deadlines:
    """A set of keys, each due at a monotonic time. Setting a key again moves it; None removes it."""

    def __init__(self) -> None:
        self._at: dict[Hashable, float] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._count = 0  # breaks ties, so that keys are never compared

    def set(self, key: Hashable, at: float | None) -> None:
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, key))

    def get(self, key: Hashable) -> float | None:
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

    def due(self, now: float) -> Iterator[Hashable]:
        """Keys whose time has come, each taken out as it is handed over."""
        while (at := self.earliest()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            yield key
