"""Beginning many watchers in order.

By priority, bigger first: a watcher begins when all of a higher priority have gone as far as they can; those of
equal priority begin together, unless a pause between watchers is asked for, which makes it one at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from circus.machine.jobs import Goal, Job
from circus.machine.watcher import Watcher


class Turn(NamedTuple):
    """One watcher's turn, and which requests it had seen when it was queued."""

    key: int
    name: str
    priority: int
    stops: int
    starts: int


Begin = Callable[[Watcher, float, Turn], Goal]


class Sequence:
    """`begin` is what to do with each watcher, `job` waits for all of them, `pause` is in seconds.

    The watchers of `resting` come to rest before anything begins.
    """

    def __init__(
        self, watchers: Iterable[Watcher], begin: Begin, job: Job, pause: float, resting: dict[int, Goal]
    ) -> None:
        self.queue = deque(Turn(w.key, w.name, w.spec.priority, w.stops, w.starts) for w in watchers)
        self.begin = begin
        self.job = job
        self._pause = pause
        self._resting = resting
        self._underway: set[int] = set()  # begun, all with the same priority, and still on their way
        self._priority: int | None = None  # of those
        self._free_at = 0.0  # end of the pause after the last one

    def may_begin(self, now: float) -> bool:
        """Whether it is the turn of the next in the queue."""
        if self._resting:
            return False
        if self._pause <= 0 and self.queue[0].priority == self._priority:
            return True
        return not self._underway and self._free_at <= now

    def next_turn(self) -> Turn:
        return self.queue.popleft()

    def began(self, turn: Turn) -> None:
        self._priority = turn.priority
        self._underway.add(turn.key)

    def saw(self, watcher: Watcher, now: float) -> None:
        """Something happened to this watcher: perhaps nobody has to wait for it any more."""
        goal = self._resting.get(watcher.key)
        if goal is not None and goal(watcher) is not None:
            del self._resting[watcher.key]
        if watcher.is_begun:
            self._let_go(watcher.key, now)

    def forget(self, key: int, now: float) -> None:
        """The watcher was removed."""
        self._resting.pop(key, None)
        self._let_go(key, now)

    def _let_go(self, key: int, now: float) -> None:
        if key in self._underway:
            self._underway.discard(key)
            if not self._underway:
                self._free_at = now + self._pause

    def wake_at(self, now: float) -> float | None:
        """When the pause after the last one is over, if that is all it waits for."""
        return self._free_at if self._free_at > now and not self._resting and not self._underway else None
