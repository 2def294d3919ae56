"""Stopping a watcher, step by step.

before_stop runs, the processes end, their output is written, `stop` is published, after_stop runs.
No step can be skipped or undone; what was requested meanwhile begins when the last one is over.
"""

from __future__ import annotations

from enum import Enum

from circus.common import names
from circus.machine.actions import CloseStreams, OpenStreams
from circus.machine.awaited_hook import AwaitedHook
from circus.machine.context import Context
from circus.machine.deadlines import Timer
from circus.machine.termination import Termination

# A stream that blocks (dead disk, full terminal) must not keep its watcher from being stopped. In a hurry the last
# words still get a moment: they often say why there is a hurry, and a healthy stream takes milliseconds.
CLOSE_STREAMS_TIMEOUT = 5.0
HURRIED_CLOSE_STREAMS_TIMEOUT = 0.5


class Stage(Enum):
    HOOK = "before_stop runs"
    PROCESSES = "processes end"
    STREAMS = "output is written"
    AFTER = "after_stop runs"


class Stopping:
    """One step after the other, each when the one before is complete."""

    def __init__(self, context: Context, termination: Termination, awaited: AwaitedHook) -> None:
        self._context = context
        self._termination = termination
        self._awaited = awaited
        self._stage = Stage.HOOK
        self._closings = 0  # streams that were told to close and have not said that they are
        self._awaits_streams = False

    def begin(self, now: float) -> None:
        self._stage = Stage.HOOK
        self._awaited.ask(now, names.BEFORE_STOP)

    def step(self, now: float) -> bool:
        """One step; True if another may follow at once."""
        if self._stage is Stage.HOOK:
            return self._awaited.is_answered and self._end_all(now)
        if self._stage is Stage.PROCESSES:
            return not len(self._context.table) and self._close_streams(now)
        if self._stage is Stage.STREAMS:
            return not self._awaits_streams and self._tell(now)
        return False

    @property
    def is_over(self) -> bool:
        return self._stage is Stage.AFTER and self._awaited.is_answered

    def _end_all(self, now: float) -> bool:
        self._stage = Stage.PROCESSES
        for process in self._context.table:
            self._termination.end(process, now)
        return True

    def _tell(self, now: float) -> bool:
        self._stage = Stage.AFTER
        self._context.publish(names.STOP)
        self._awaited.ask(now, names.AFTER_STOP)
        return True

    # ---- streams: opened with every start, closed with every stop ----------------------------------------------

    def open_streams(self) -> None:
        self._context.out.append(OpenStreams(self._context.key))

    def _close_streams(self, now: float) -> bool:
        self._stage = Stage.STREAMS
        self._closings += 1
        self._awaits_streams = True
        timeout = HURRIED_CLOSE_STREAMS_TIMEOUT if self._context.is_hurried else CLOSE_STREAMS_TIMEOUT
        self._context.deadlines.set((Timer.STREAMS, 0), now + timeout)
        self._context.out.append(CloseStreams(self._context.key))
        return True

    def streams_closed(self) -> None:
        """Those of an earlier stop, which were not waited for any more, may come first."""
        self._closings = max(0, self._closings - 1)
        if not self._closings:
            self._go_on()

    def streams_timed_out(self) -> None:
        name = self._context.name
        self._context.log("error", f"{name}: its output could not be written in time; some may be lost")
        self._go_on()

    def _go_on(self) -> None:
        self._awaits_streams = False
        self._context.deadlines.set((Timer.STREAMS, 0), None)

    def hurry(self, now: float) -> None:
        self._awaited.drop()
        if self._awaits_streams:
            self._context.deadlines.set((Timer.STREAMS, 0), now + HURRIED_CLOSE_STREAMS_TIMEOUT)
