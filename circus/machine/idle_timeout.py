"""When a running watcher of `on_demand` may sleep again: when nothing was seen of it for `idle_timeout` seconds.

What is looked at, now and then, is how much of the processor its processes have used since the last look, and whether
there are connections to its sockets. Between two looks a connection that has to wait is told of. One that is opened
and closed in between, by another machine and at hardly any cost, may go unseen; then the program is stopped early, and
the next connection wakes it.
"""

from __future__ import annotations

from circus.machine.actions import Look
from circus.machine.context import Context
from circus.machine.deadlines import Timer
from circus.machine.on_demand import OnDemand
from circus.machine.process import State
from circus.options.table import WatcherSpec

# Looks in one idle_timeout: it is over after no more than a quarter of itself more.
LOOKS = 4

# Linux shows an end of a connection for 60 s (TCP_TIMEWAIT_LEN), so that none which this side has closed is missed.
LONGEST_LOOK_DELAY = 60.0

# Of one processor, for each process: more than the timers of a program that serves nobody need (of gunicorn, which
# looks around every second, 0.0002), less than one request in a second.
IDLE_SHARE = 0.001

# The system counts processor time in steps of 10 ms, so that less than this says nothing.
TICK = 0.01


class IdleTimeout:
    """One look after the other, while the watcher is active and has such an option."""

    __slots__ = ("_context", "_demand", "_is_looking", "_looked_at", "_quiet_since", "_used")

    def __init__(self, context: Context, demand: OnDemand) -> None:
        self._context = context
        self._demand = demand
        self._is_looking = False
        self._looked_at = 0.0
        self._quiet_since = 0.0
        self._used = 0.0  # processor time at the last look

    def begin(self, now: float) -> None:
        """It is active."""
        self._quiet_since = self._looked_at = now
        self._used = 0.0
        self._look_later(now)

    def change(self, old: WatcherSpec, now: float) -> None:
        """An active watcher has other options; what was seen so far counts."""
        before, after = _timeout(old), _timeout(self._context.spec)
        if not after:
            self.drop()
        elif not before:
            self.begin(now)
        elif before != after and not self._is_looking:
            self._look_later(now)

    def drop(self) -> None:
        """It is not active any more, or may stay so for ever."""
        self._is_looking = False
        self._context.deadlines.set((Timer.IDLE, 0), None)
        self._demand.hush()

    def _look_later(self, now: float) -> None:
        timeout = _timeout(self._context.spec)
        if timeout:
            delay = min(timeout / LOOKS, LONGEST_LOOK_DELAY)
            self._context.deadlines.set((Timer.IDLE, 0), now + delay)

    def look(self, now: float) -> None:
        self._is_looking = True
        self._context.out.append(Look(self._context.key))
        self._demand.listen(now)

    def heard(self, now: float) -> None:
        """A connection had to wait."""
        if self._demand.heard():
            self._quiet_since = now

    def looked(self, now: float, used: float, connected: float | None) -> bool:
        """What a look has shown, see `events.Looked`. True if it was idle for long enough."""
        if not self._is_looking:
            return False  # of an earlier round
        self._is_looking = False
        if connected is not None:
            self._quiet_since = max(self._quiet_since, now - connected)
        if self._is_at_work(used, now):
            self._quiet_since = now
        self._used, self._looked_at = used, now
        self._look_later(now)
        return now - self._quiet_since >= self._context.spec.idle_timeout

    def _is_at_work(self, used: float, now: float) -> bool:
        """Also if a process is gone, with what it has used."""
        share = IDLE_SHARE * (now - self._looked_at) * self._context.table.count(State.UP)
        return not 0.0 <= used - self._used <= max(share, TICK)


def _timeout(spec: WatcherSpec) -> float:
    """0: it is never looked at."""
    return max(0.0, spec.idle_timeout) if spec.on_demand else 0.0
