"""Where one watcher stands: its parts, and what can be asked of them. Only `obstacle` is set here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from circus.machine.awaited_hook import AwaitedHook
from circus.machine.backoff import Backoff
from circus.machine.context import Context
from circus.machine.deadlines import Timer
from circus.machine.idle_timeout import IdleTimeout
from circus.machine.on_demand import OnDemand
from circus.machine.phase import Phase
from circus.machine.pool import Pool
from circus.machine.process_table import ProcessTable
from circus.machine.progress_timeout import ProgressTimeout
from circus.machine.stopping import Stopping
from circus.machine.termination import Termination
from circus.options.table import WatcherSpec


class WatcherState:
    """Pure. `serials` numbers processes and hook runs, `chance` gives random numbers in [0, 1)."""

    def __init__(self, key: int, spec: WatcherSpec, serials: Iterator[int], chance: Callable[[], float]) -> None:
        self._context = context = Context(key, spec, serials, chance)
        self._deadlines = context.deadlines
        self._backoff = Backoff(context)
        self._termination = Termination(context)
        self._awaited = AwaitedHook(context)
        self._stopping = Stopping(context, self._termination, self._awaited)
        self._start_timeout = ProgressTimeout(context, Timer.START_TIMEOUT, "start")
        self._stop_timeout = ProgressTimeout(context, Timer.STOP_TIMEOUT, "stop")
        self._demand = OnDemand(context)
        self._idle = IdleTimeout(context, self._demand)
        self.pool = Pool(context, self._termination, self._backoff)
        self.key = key
        self.wanted = False
        self.phase = Phase.STOPPED
        self.table: ProcessTable = context.table
        self.rounds = 0  # times it came to a full stop
        self.stops = 0  # times a stop was asked for
        self.starts = 0  # times a start was asked for
        self._obstacle = ""
        self.early_exits = 0
        self.early_exit = ""  # of a process whose first moment was waited for, for people
        self.waits_for_namesake = False  # a removed watcher of the same name has yet to stop
        self._waits_for_number = False  # it was to start with 0 processes, and does so when it may have some

    @property
    def name(self) -> str:
        return self._context.spec.name

    @property
    def spec(self) -> WatcherSpec:
        return self._context.spec

    @property
    def trouble(self) -> str:
        """Why it is down although no stop was asked for, or what keeps it from being complete."""
        return self._context.trouble

    @property
    def obstacle(self) -> str:
        """Why it cannot be started, whatever is wanted; found out elsewhere. Empty if it can."""
        return self._obstacle

    @obstacle.setter
    def obstacle(self, text: str) -> None:
        if self._obstacle and self._context.trouble == self._obstacle:  # what is gone is not what is wrong
            self._context.trouble = ""
        self._obstacle = text

    @property
    def is_missed(self) -> bool:
        """It is wanted active, or is down although that was not asked for."""
        return self.wanted or bool(self.trouble)

    @property
    def status(self) -> str:
        return self.phase.status

    @property
    def refusal(self) -> str:
        """Which of its processes cannot be ended, because we may not signal them."""
        return self._termination.refusal

    @property
    def is_stopped(self) -> bool:
        return self.phase is Phase.STOPPED and not self.wanted

    @property
    def is_sleeping(self) -> bool:
        """It is wanted, and starts at the next connection."""
        is_down = self.phase is Phase.STOPPED and not self.waits_for_namesake
        return self.wanted and self.spec.on_demand and is_down and not self._demand.is_called

    @property
    def is_running(self) -> bool:
        """Its processes are there, or on their way."""
        return self.phase.is_running

    @property
    def stop_hangs(self) -> bool:
        """Its stop does not come to an end by itself: SIGKILL does not work, or a hook does not return."""
        return self.phase is Phase.STOPPING and (self._termination.is_stuck or self._stop_timeout.is_over)

    @property
    def is_settled(self) -> bool:
        """As many processes as wanted, none older, none beyond that still ending."""
        is_at_work = self.phase is Phase.ACTIVE and not self.pool.reloading
        return is_at_work and self.pool.is_complete and len(self.table) <= self.pool.target

    @property
    def is_begun(self) -> bool:
        """Its start went as far as it can by itself: up, in trouble, or down again."""
        if self.phase.is_beginning and self.pool.failures:
            return True
        return self._start_timeout.is_over or self.phase is Phase.ACTIVE or not self.wanted or self.is_sleeping

    @property
    def keeps_failing(self) -> bool:
        """Its program cannot be executed, and it was told to go on trying for ever."""
        return self.pool.failures > 0 and self.spec.max_retry < 0

    def wake_at(self) -> float | None:
        return self._deadlines.earliest()

    def kill_at(self, serial: int) -> float | None:
        """When a process that was asked to end is sent SIGKILL; None: that is out, or it was not asked."""
        return self._deadlines.get((Timer.KILL, serial))

    def reason(self, now: float) -> str:
        """What is wrong, for people; empty if all is well."""
        if self.waits_for_namesake and self.wanted:
            return f"waits until the former '{self.name}' has stopped"
        if self.is_sleeping:
            return self._backoff.reason(now) if len(self._backoff) else self._demand.reason()
        reason = self.pool.reason(now) if self.phase.is_running else ""
        timeout = self._start_timeout.reason() or self._stop_timeout.reason()
        waiting = self._awaited.reason(now) or self.trouble or timeout
        kill = self._termination.kill_text(now) if self.phase is Phase.STOPPING else ""
        return self._termination.reason() or reason or waiting or self.obstacle or kill

    @property
    def awaits_early_exit(self) -> bool:
        """Processes were just executed, and may end at once."""
        return self._deadlines.get((Timer.EARLY_EXIT, 0)) is not None
