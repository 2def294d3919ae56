"""One child's life.

    PLANNED ──> FORKING ──> BORN ──> UP ──> ENDING ──> LEFTOVERS ──> (gone)
    before_      Spawn      after_         kill_at      reaped, but
    spawn runs   is out     spawn runs     is set       descendants live

A state is skipped when there is nothing to wait for. Death may come from BORN on; one not asked for goes
straight to LEFTOVERS or gone. One that is not wanted any more while it is FORKING is DOOMED: ENDING as soon as
it has a pid.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    PLANNED = "waits for its before_spawn hook"
    FORKING = "is being executed"
    DOOMED = "is being executed, to be ended at once"
    BORN = "waits for its after_spawn hook"
    UP = "runs"
    ENDING = "was asked to end"
    LEFTOVERS = "is dead, its descendants are being ended"


class Process:
    """Plain data; only the parts of `circus.machine.watcher` change it."""

    __slots__ = (
        "born_at",
        "end_requested",
        "exit_code",
        "generation",
        "inspections",
        "kill_sent",
        "pid",
        "refusal",
        "remains",
        "serial",
        "started",
        "state",
        "stop_signal",
        "ticket",
        "wid",
    )

    def __init__(self, serial: int, wid: int, generation: int, state: State) -> None:
        self.serial = serial
        self.wid = wid
        self.generation = generation
        self.state = state
        self.pid = 0
        self.started = 0.0  # wall clock, for people
        self.born_at = 0.0  # monotonic
        self.ticket = 0  # of the hook it waits for
        self.end_requested = False  # its end was asked for: not a crash
        self.kill_sent = False  # SIGKILL is out
        self.stop_signal = 0  # what it was asked to end with
        self.inspections = 0
        self.remains = ""  # its descendants that live on, for people
        self.refusal = ""  # why we may not signal it, or what it has left
        self.exit_code: int | None = None

    @property
    def is_live(self) -> bool:
        """It has a pid that has not been reaped."""
        return self.state in (State.BORN, State.UP, State.ENDING)

    @property
    def is_current(self) -> bool:
        """It counts as one of the wanted processes: on its way up, or up."""
        return self.state in (State.PLANNED, State.FORKING, State.BORN, State.UP)
