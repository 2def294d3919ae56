"""The way down: a hook may speak, the processes end, their output is written, `stop` is published, a hook may speak.

Nothing on this way can be skipped or turned back; what was wished meanwhile begins when it is over.
"""

from __future__ import annotations

from enum import Enum

from circus import names
from circus.machine.actions import CloseStreams, OpenStreams
from circus.machine.context import Context
from circus.machine.ending import Ending
from circus.machine.gate import Gate

# A stream that blocks (dead disk, full terminal) must not keep its watcher from being stopped. In a hurry the last
# words still get a moment: they often are why somebody is in a hurry, and a healthy stream takes milliseconds.
CLOSE_STREAMS_TIMEOUT = 5.0
HURRIED_CLOSE_STREAMS_TIMEOUT = 0.5


class Stage(Enum):
    HOOK = "before_stop runs"
    PROCESSES = "processes end"
    STREAMS = "output is written"
    AFTER = "after_stop runs"


class Stopping:
    """One step after the other, each when the one before is complete."""

    def __init__(self, context: Context, ending: Ending, gate: Gate) -> None:
        self._context = context
        self._ending = ending
        self._gate = gate
        self._stage = Stage.HOOK
        self._closings = 0  # streams that were told to close and have not said that they are
        self._awaits_streams = False

    def begin(self, now: float) -> None:
        self._stage = Stage.HOOK
        self._gate.open(now, names.BEFORE_STOP)

    def step(self, now: float) -> bool:
        """One step; True if another may follow at once."""
        if self._stage is Stage.HOOK:
            return self._gate.is_answered and self._end_all(now)
        if self._stage is Stage.PROCESSES:
            return not len(self._context.roster) and self._close_streams(now)
        if self._stage is Stage.STREAMS:
            return not self._awaits_streams and self._tell(now)
        return False

    @property
    def is_over(self) -> bool:
        return self._stage is Stage.AFTER and self._gate.is_answered

    def _end_all(self, now: float) -> bool:
        self._stage = Stage.PROCESSES
        for process in self._context.roster:
            self._ending.end(process, now)
        return True

    def _tell(self, now: float) -> bool:
        self._stage = Stage.AFTER
        self._context.publish(names.STOP)
        self._gate.open(now, names.AFTER_STOP)
        return True

    # ---- streams: opened with every start, closed with every stop ----------------------------------------------

    def open_streams(self) -> None:
        self._context.out.append(OpenStreams(self._context.key))

    def _close_streams(self, now: float) -> bool:
        self._stage = Stage.STREAMS
        self._closings += 1
        self._awaits_streams = True
        timeout = HURRIED_CLOSE_STREAMS_TIMEOUT if self._context.is_hurried else CLOSE_STREAMS_TIMEOUT
        self._context.deadlines.set(("streams", 0), now + timeout)
        self._context.out.append(CloseStreams(self._context.key))
        return True

    def streams_closed(self) -> None:
        """Those of an earlier stop, which nobody waited for any more, may come first."""
        self._closings = max(0, self._closings - 1)
        if not self._closings:
            self._go_on()

    def streams_overran(self) -> None:
        name = self._context.name
        self._context.log("error", f"{name}: its output could not be written in time; some may be lost")
        self._go_on()

    def _go_on(self) -> None:
        self._awaits_streams = False
        self._context.deadlines.set(("streams", 0), None)

    def hurry(self, now: float) -> None:
        self._gate.drop()
        if self._awaits_streams:
            self._context.deadlines.set(("streams", 0), now + HURRIED_CLOSE_STREAMS_TIMEOUT)
