"""As many processes as wanted, of the newest generation: too few, too many, and replacing them.

`replace` raises `generation`. A process of an older one is surplus: ended when its successors are up (graceful),
or one at a time before its successor is started (sequential). A reload whose new processes cannot be started, are
refused by a hook or die at once is given up while there are old ones to fall back on: those stay.

Methods that can find out that the watcher cannot go on return why, and an empty text otherwise.
"""

from __future__ import annotations

from circus.common import names
from circus.common.convert import exit_text
from circus.machine import flapping
from circus.machine.actions import Scope, Spawn
from circus.machine.backoff import Backoff
from circus.machine.context import Context
from circus.machine.deadlines import Timer
from circus.machine.process import Process, State
from circus.machine.termination import Termination
from circus.options.table import WatcherSpec

SIGHUP = 1

# In which order surplus processes go: first what has not started.
_TRIM_ORDER = (State.PLANNED, State.FORKING, State.BORN, State.UP)


class Pool:
    """Says which processes to start and which to end; how they end is for `Termination`."""

    def __init__(self, context: Context, termination: Termination, backoff: Backoff) -> None:
        self._context = context
        self._table = context.table
        self._deadlines = context.deadlines
        self._termination = termination
        self._backoff = backoff
        self.generation = 0
        self.reloading = False
        self.sequential = False
        self.failures = 0  # rounds in a row in which the program could not be executed
        self.aborted_reloads = 0
        self.wants_turn = False  # it could spawn more, but its spawns of this turn are used up
        self._tickets: dict[int, Process] = {}  # of hooks that processes wait for
        self._respawns_left = 0  # of a watcher that does not respawn
        self._not_retried = 0  # what a reload could not start is not tried again before the next request
        self._done = 0  # on demand: places of processes that ended well, empty until the next request or round
        self._spawns_this_turn = 0
        self._next_spawn_at = 0.0

    # ---- state -------------------------------------------------------------------------------------------------

    @property
    def target(self) -> int:
        wanted = self._context.spec.numprocesses
        return max(0, min(wanted, 1) if self._context.spec.singleton else wanted)

    def missing(self) -> int:
        """Processes to start now; negative if there are too many. Numbers in a pause count as held."""
        missing = self.target - self._held() - len(self._backoff) - self._not_retried - self._done
        return missing if self._context.spec.respawn else min(missing, self._respawns_left)

    def _held(self) -> int:
        """Also those that are ending: a place is free when its process is gone."""
        return len(self._table) if self.sequential else self._table.held_of(self.generation)

    @property
    def is_complete(self) -> bool:
        """Every process that can run does: those in a pause after a crash are not waited for."""
        return self.missing() <= 0 and not self._table.underway and not self.failures

    @property
    def is_finished(self) -> bool:
        """Nothing runs, and it is not to be started again: not at all, or not before the next connection."""
        if len(self._table):
            return False
        spec = self._context.spec
        return not self.reloading if spec.on_demand else not spec.respawn and self.missing() <= 0

    def reason(self, now: float) -> str:
        """For people: what keeps it from being complete; empty if nothing does."""
        if self.failures:
            retry_at = self._deadlines.get((Timer.RETRY, 0))
            wait = f"; next try in {max(0.0, retry_at - now):.0f} s" if retry_at is not None else ""
            return f"{self._context.trouble}{wait}, failure {self.failures}"
        if len(self._backoff):
            return f"{self._table.count(State.UP)} of {self.target} up, {self._backoff.reason(now)}"
        return ""

    def setback(self) -> str:
        """For people: what is missing although it is complete; empty if every process runs."""
        number = len(self._backoff)
        if not number:
            return ""
        return f"{number} of {self.target} ended at once ({self._backoff.exit_text()}), next try later"

    # ---- requests -----------------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """From nothing. What still waits after a crash goes on waiting."""
        self.reloading = self.sequential = False
        self._next_spawn_at = now
        self._try_all()

    def start_again(self) -> None:
        """What waits, ended or was given up is started once more."""
        self._backoff.forgive()
        self._try_all()

    def _try_all(self) -> None:
        self._clear_failures()
        self._not_retried = self._done = 0
        older = self._table.current_before(self.generation) if self.sequential else 0
        self._respawns_left = max(0, self.target - self._table.current_of(self.generation) - older)

    def replace(self, sequential: bool) -> None:
        self.generation += 1
        self.reloading = True
        self.sequential = sequential or self._context.spec.singleton
        self._clear_failures()
        self._backoff.forgive()
        self._not_retried = self._done = 0
        if not self.sequential:
            self._respawns_left = self.target

    def hang_up(self) -> None:
        """Reload by SIGHUP: every process stays."""
        for process in self._table.in_state(State.BORN, State.UP):
            self._termination.signal(process, SIGHUP, Scope.PROCESS, announce=False)
        if not self.reloading:  # a replacement that is underway says so itself when it is done
            self._tell_reloaded()

    def change(self, spec: WatcherSpec, now: float) -> None:
        target, old = self.target, self._context.spec
        self._context.spec = spec
        self._not_retried = 0
        self._done = max(0, self._done - max(0, target - self.target)) if spec.on_demand else 0
        self._respawns_left += max(0, self.target - target)
        if (spec.max_age, spec.max_age_variance) != (old.max_age, old.max_age_variance):
            for process in self._table.in_state(State.UP):
                self._draw_age(process, now)

    def halt(self) -> None:
        """No further process is started; `stopping` ends the others."""
        self.reloading = self.sequential = False
        self._clear_failures()
        for process in self._table.in_state(State.PLANNED):
            self.cancel(process)

    def _clear_failures(self) -> None:
        self.failures = 0
        self._deadlines.set((Timer.RETRY, 0), None)

    # ---- facts -------------------------------------------------------------------------------------------------

    def spawned(self, process: Process, now: float) -> None:
        """It was executed, and is wanted."""
        self.failures = 0
        self._table.move(process, State.BORN)
        process.ticket = self._context.ask_hook(names.AFTER_SPAWN, {"pid": process.pid})
        if process.ticket:
            self._tickets[process.ticket] = process
        else:
            self._came_up(process, now)

    def _came_up(self, process: Process, now: float) -> None:
        self._table.move(process, State.UP)
        self._draw_age(process, now)
        payload = {"process_pid": process.pid, "process_id": process.wid, "time": process.started}
        self._context.publish(names.SPAWN, payload)
        self._context.log("debug", f"running {self._context.name} process [pid {process.pid}]")

    def _draw_age(self, process: Process, now: float) -> None:
        chance = self._context.chance()
        expires_at = flapping.expires_at(self._context.spec, process.born_at, now, chance)
        self._deadlines.set((Timer.EXPIRE, process.serial), expires_at)

    def spawn_failed(self, process: Process, now: float, text: str) -> str:
        """The program could not be executed: again later, or never. Several failures at once count as one."""
        self.cancel(process)
        self._respawns_left += 1
        self._context.trouble = text
        if self._deadlines.get((Timer.RETRY, 0)) is not None:
            return ""
        self.failures += 1
        self._context.log("warning", f"error in '{self._context.name}': {text}")
        if 0 <= self._context.spec.max_retry <= self.failures:
            return self._cannot_go_on(now, text, f"{text}; given up after {self.failures} attempts")
        self._deadlines.set((Timer.RETRY, 0), now + flapping.spawn_retry_delay(self._context.spec, self.failures))
        return ""

    def hook_done(self, now: float, ticket: int, ok: bool) -> str:
        """A before_spawn or after_spawn hook has answered."""
        process = self._tickets.pop(ticket, None)
        if process is None or self._table.get(process.serial) is None:
            return ""
        if process.state is State.PLANNED:
            if ok:
                self._fork(process)
                return ""
            self.cancel(process)
            return self._vetoed(now, names.BEFORE_SPAWN)
        if process.state is not State.BORN:
            return ""  # it died, or was asked to end, while the hook ran
        if ok:
            self._came_up(process, now)
            return ""
        self._termination.end(process, now)
        return self._vetoed(now, names.AFTER_SPAWN)

    def _vetoed(self, now: float, hook: str) -> str:
        return self._cannot_go_on(now, f"its {hook} hook said no", f"stopped by its {hook} hook")

    def _cannot_go_on(self, now: float, why: str, trouble: str) -> str:
        """Fall back on the old processes of a reload, if there are any."""
        if not self._has_fallback():
            return trouble
        self._abort_reload(now, why, leave_out=True)
        return ""

    def died(self, process: Process, now: float) -> str:
        """A death that was not asked for: pause if it happens again and again, and give up in the end."""
        spec, text = self._context.spec, exit_text(process.exit_code)
        if spec.on_demand and process.exit_code == 0:
            self._done_well(process)
            return ""
        if not spec.respawn and not spec.on_demand:
            self._context.trouble = f"ended: {text}" if process.exit_code else ""
            return ""
        if process.generation != self.generation:
            return ""
        verdict = self._backoff.judge(process, now)
        has_fallback = self._has_fallback()
        if verdict.given_up and not has_fallback:
            return self._backoff.give_up(process.wid, verdict.attempt)
        if verdict.delay > 0:
            self._backoff.begin(process.wid, now, verdict)
        if has_fallback and (verdict.delay > 0 or verdict.given_up):
            self._abort_reload(now, f"its new processes end at once ({text})", leave_out=verdict.given_up)
        return ""

    def _done_well(self, process: Process) -> None:
        """It has served whom it was started for; of an older generation it is replaced by one of the newest."""
        self._backoff.forgive_one(process.wid)
        if process.generation == self.generation:
            self._done += 1

    def gone(self, process: Process) -> None:
        """Dead, with all its descendants."""
        self._termination.forget(process)
        self._table.remove(process)
        self._backoff.vacate(process.wid)

    # ---- number of processes -----------------------------------------------------------------------------------

    def allow(self, spawns: int) -> None:
        """At most so many programs are executed until the next call."""
        self._spawns_this_turn = spawns
        self.wants_turn = False

    def tend(self, now: float) -> int:
        """Start what is missing and end what is too much. Returns how many steps that took."""
        return self._forget_failures() + self._trim(now) + self._replace_old(now) + self._fill(now)

    def _forget_failures(self) -> int:
        """Fewer are wanted since, so that none is missing: what could not be executed no longer matters."""
        if not self.failures or self.reloading or self.missing() > 0 or self._table.underway:
            return 0
        self._clear_failures()
        self._context.trouble = ""
        return 1

    def _fill(self, now: float) -> int:
        planned = 0
        while self._may_plan(now):
            self._plan(now)
            planned += 1
        return planned

    def _may_plan(self, now: float) -> bool:
        if self.missing() <= 0 or self._table.count(State.PLANNED):
            return False  # before_spawn hooks run one after the other anyway
        if self._deadlines.get((Timer.RETRY, 0)) is not None:
            return False
        if self.failures and self._table.underway:
            return False  # one try at a time
        if self._next_spawn_at > now:
            self._deadlines.set((Timer.WARMUP, 0), self._next_spawn_at)
            return False
        self.wants_turn = self._spawns_this_turn <= 0
        return not self.wants_turn

    def _plan(self, now: float) -> None:
        wid = self._table.take_wid()
        process = Process(next(self._context.serials), wid, self.generation, State.PLANNED)
        self._table.add(process)
        self._spawns_this_turn -= 1
        self._respawns_left = max(0, self._respawns_left - 1)
        self._next_spawn_at = now + self._context.spec.warmup_delay
        process.ticket = self._context.ask_hook(names.BEFORE_SPAWN, {})
        if process.ticket:
            self._tickets[process.ticket] = process
        else:
            self._fork(process)

    def _fork(self, process: Process) -> None:
        self._table.move(process, State.FORKING)
        self._context.out.append(Spawn(self._context.key, process.serial, process.wid))

    def _trim(self, now: float) -> int:
        """More processes than wanted: pauses go first, then what has not started, then the oldest."""
        dropped = 0
        while len(self._backoff) and self._held() + len(self._backoff) > self.target:
            self._backoff.drop_one()
            dropped += 1
        surplus = self._surplus()
        for process in surplus:
            self._let_go(process, now)
        return dropped + len(surplus)

    def _surplus(self) -> list[Process]:
        """In a graceful reload there may be as many of the older generations as of the newest."""
        young = self._table.current_of(self.generation)
        old = self._table.current_before(self.generation)
        if self.sequential:
            return self._first_to_go(young + old - self.target, 0, self.generation)
        newest_first = self._first_to_go(old - self.target, 0, self.generation - 1, newest_first=True)
        return newest_first + self._first_to_go(young - self.target, self.generation, self.generation)

    def _first_to_go(self, number: int, oldest: int, newest: int, newest_first: bool = False) -> list[Process]:
        """Of the generations from `oldest` to `newest`. An overtaken reload leaves the generation that has proved
        itself and one that has not: `newest_first` ends the latter."""
        if number <= 0:
            return []
        sign = -1 if newest_first else 1
        found = [p for p in self._table.current() if oldest <= p.generation <= newest]
        found.sort(key=lambda p: (_TRIM_ORDER.index(p.state), sign * p.generation, p.serial))
        return found[:number]

    def _let_go(self, process: Process, now: float) -> None:
        if process.state is State.PLANNED:
            self.cancel(process)
        else:
            self._termination.end(process, now)

    def cancel(self, process: Process) -> None:
        """It never got a pid."""
        self._table.remove(process)
        self._table.free_wid(process.wid)

    # ---- reload ------------------------------------------------------------------------------------------------

    def _replace_old(self, now: float) -> int:
        if not self.reloading or self.missing() > 0 or self._table.underway:
            return 0
        old = [p for p in self._table.current() if p.generation < self.generation]
        if self.sequential:
            old = old[:1] if self._may_replace_next(now) else []
            self._respawns_left += len(old)
        for process in old:
            self._let_go(process, now)
        return len(old)

    def _may_replace_next(self, now: float) -> bool:
        if self._next_spawn_at > now:
            self._deadlines.set((Timer.WARMUP, 0), self._next_spawn_at)
            return False
        return not self._table.count(State.DOOMED, State.ENDING, State.LEFTOVERS) and not len(self._backoff)

    def finish_reload(self) -> bool:
        """True if that was the last step of a reload."""
        if not self.reloading or self._table.has_older(self.generation) or not self.is_complete:
            return False
        self.reloading = self.sequential = False
        self._tell_reloaded()
        return True

    def _tell_reloaded(self) -> None:
        self._context.publish(names.RELOAD)
        self._context.log("info", f"{self._context.name} reloaded")

    def _has_fallback(self) -> bool:
        return self.reloading and self._table.current_before(self.generation) > 0

    def _abort_reload(self, now: float, why: str, leave_out: bool) -> None:
        """The old processes stay and become the current ones; what was started for the reload ends.

        With `leave_out` nothing is started for those that are missing: it would fail like the reload. Otherwise
        the places of those that are ending, or wait after a crash, are filled when they are free.
        """
        self._context.trouble = f"not reloaded, the old processes stay: {why}"
        self._context.log("error", f"{self._context.name} is {self._context.trouble}")
        self.aborted_reloads += 1
        self.reloading = self.sequential = False
        self._clear_failures()
        self._respawns_left = self._done = 0
        current = self._table.current()
        too_many = max(0, len(current) - self.target)
        dismissed = [p for p in current if p.generation == self.generation][:too_many]
        for process in dismissed:
            self._let_go(process, now)
        self.generation += 1
        for process in self._table.current() if leave_out else self._table:
            if process not in dismissed:
                self._table.regenerate(process, self.generation)
        self._not_retried = max(0, self.missing()) if leave_out else 0
