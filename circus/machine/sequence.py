"""Many watchers in order: starting by priority, bigger first, and stopping in the same order turned round.

A watcher begins when those before it have gone as far as they can; those of equal priority begin together, unless a
pause between watchers is asked for, which makes it one at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from circus.machine.jobs import Goal, Job
from circus.machine.watcher import Watcher


class Turn(NamedTuple):
    """One watcher's turn. `starts`: how many starts of it were asked for when it was queued."""

    key: int
    name: str
    rank: int
    starts: int


Begin = Callable[[Watcher, float, Turn], Goal]


class Sequence:
    """`begin` is what to do with each watcher, `job` waits for all of them.

    - `stops`: it brings watchers down; else it brings them up, or replaces their processes.
    - `pause`: seconds between two watchers.
    - `after`: the sequence that has to be over before anything begins.
    """

    def __init__(
        self,
        watchers: Iterable[Watcher],
        begin: Begin,
        job: Job,
        stops: bool = False,
        pause: float = 0.0,
        after: Sequence | None = None,
    ) -> None:
        turns = [Turn(w.key, w.name, w.spec.priority if stops else -w.spec.priority, w.starts) for w in watchers]
        self.queue = deque(sorted(turns, key=lambda turn: turn.rank))
        self.begin = begin
        self.job = job
        self.stops = stops
        self._pause = pause
        self._after = after
        self._underway: dict[int, tuple[int, Goal]] = {}  # begun and still on their way: rank and goal
        self._free_at = 0.0  # end of the pause after the last one

    @property
    def is_over(self) -> bool:
        return not self.queue and not self._underway

    def may_begin(self, now: float) -> bool:
        """Whether it is the turn of the next in the queue."""
        if self._after is not None and not self._after.is_over:
            return False
        if self._pause > 0:
            return not self._underway and self._free_at <= now
        return all(rank >= self.queue[0].rank for rank, _ in self._underway.values())

    def began(self, turn: Turn, goal: Goal) -> None:
        self._underway[turn.key] = turn.rank, goal

    def take_out(self, key: int) -> Turn | None:
        """The turn of this watcher, which will not come any more; None if it has had it."""
        turn = next((turn for turn in self.queue if turn.key == key), None)
        if turn is not None:
            self.queue.remove(turn)
        return turn

    def saw(self, watcher: Watcher, now: float) -> None:
        """Something happened to this watcher: perhaps it need not be waited for any more."""
        if watcher.key in self._underway and self._is_done(watcher, self._underway[watcher.key][1]):
            self.forget(watcher.key, now)

    def _is_done(self, watcher: Watcher, goal: Goal) -> bool:
        """As far as it can go by itself."""
        return watcher.stop_hangs or goal(watcher) is not None if self.stops else watcher.is_begun

    def forget(self, key: int, now: float) -> None:
        """This watcher is not waited for any more."""
        if self._underway.pop(key, None) and not self._underway:
            self._free_at = now + self._pause

    def wake_at(self, now: float) -> float | None:
        """When the pause after the last one is over, if that is all it waits for."""
        is_pausing = self._free_at > now and self.queue and not self._underway
        return self._free_at if is_pausing else None
