"""One watcher: what is wanted, what was seen, and the one place that closes the gap.

Wanted                      Seen
  `wanted`   active or not    `phase`    where its life stands
  `target`   how many         `roster`   its processes and their states
  `generation` how new        `slots`    worker numbers that are waiting after a death

    STOPPED ──> PREPARING ──> STARTING ──> FINISHING ──> ACTIVE ──> STOPPING ──> STOPPED
               before_start    spawning    after_start

A wish changes what is wanted and returns. `settle` compares both columns and hands out actions; called again
without a new fact or a passed deadline it hands out nothing. Stop wins over everything at once; a start during a
stop lets the stop come to its end and then starts, so that hooks and events always come in whole rounds.

Reload raises `generation`. A process of an older one is surplus: replaced after its successors are up (graceful),
or one at a time (sequential). Worker numbers that wait after a crash count as held, so that a crash loop is never
escaped by taking another number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum

from circus import names
from circus.convert import exit_text, signal_name
from circus.machine import pacing
from circus.machine.actions import (
    Action,
    CloseStreams,
    Inspect,
    Log,
    OpenStreams,
    Publish,
    RunHook,
    Scope,
    Signal,
    Spawn,
)
from circus.machine.deadlines import Deadlines
from circus.machine.process import Process, State
from circus.machine.roster import Roster
from circus.spec import WatcherSpec

SIGHUP, SIGKILL = 1, 9

# A stream that blocks (dead disk, full terminal) must not keep its watcher from being stopped.
CLOSE_STREAMS_TIMEOUT = 5.0

# Descendants are looked at again soon after a signal, then less and less often: most die within milliseconds,
# and one that hangs in the kernel is not worth a wake-up every second.
FIRST_INSPECT_DELAY = 0.01
LAST_INSPECT_DELAY = 5.0

STUCK_AFTER_INSPECTIONS = 8


class Phase(Enum):
    """The value is what `status` answers."""

    STOPPED = names.STOPPED
    PREPARING = "preparing"
    STARTING = names.STARTING
    FINISHING = "finishing"
    ACTIVE = names.ACTIVE
    STOPPING = names.STOPPING


class StopStage(Enum):
    HOOK = "before_stop runs"
    PROCESSES = "processes end"
    STREAMS = "output is written"
    AFTER = "after_stop runs"


_STATUS = {Phase.PREPARING: names.STOPPED, Phase.FINISHING: names.STARTING}
_RUNNING = (Phase.STARTING, Phase.FINISHING, Phase.ACTIVE)


class Watcher:
    """Pure. `serials` numbers processes and hook runs, `chance` gives random numbers in [0, 1)."""

    def __init__(self, key: int, spec: WatcherSpec, serials: Iterator[int], chance: Callable[[], float]) -> None:
        self.key = key
        self.spec = spec
        self._serials = serials
        self._chance = chance
        self.wanted = False
        self.generation = 0
        self.phase = Phase.STOPPED
        self.roster = Roster()
        self.slots: dict[int, pacing.Slot] = {}
        self.reloading = False
        self.sequential = False
        self.rounds = 0  # times it came to a full stop
        self.stops = 0  # times a stop was asked for
        self.failures = 0  # programs that could not be executed, in a row
        self.trouble = ""  # why it is down although nobody asked, or what keeps it from coming up
        self.aborted_reloads = 0
        self.starved = False  # it could spawn more, but the arbiter's allowance was used up
        self._deadlines = Deadlines()
        self._waiting: set[int] = set()  # worker numbers in a pause
        self._next_spawn_at = 0.0
        self._allotment = 0  # spawns left to a watcher that does not respawn
        self._gate = 0  # ticket of the hook the phase waits for
        self._gate_ok: bool | None = None
        self._stage = StopStage.HOOK
        self._streams_open = False
        self._hurried = False
        self._hooks_until: float | None = None
        self._held_signals: dict[int, tuple[int, int, Scope]] = {}  # hook ticket -> serial, signum, scope
        self._out: list[Action] = []

    # ---- what can be asked -------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def status(self) -> str:
        return _STATUS.get(self.phase, self.phase.value)

    @property
    def is_stopped(self) -> bool:
        return self.phase is Phase.STOPPED and not self.wanted

    @property
    def is_settled(self) -> bool:
        """Nothing is on its way: as many as wanted (pauses after a crash count), none older, none ending."""
        ending = self.roster.count(State.ENDING, State.LEFTOVERS)
        return self.phase is Phase.ACTIVE and not self.reloading and not ending and self.is_complete

    @property
    def is_complete(self) -> bool:
        """Every process that can run does: those in a pause after a crash are not waited for."""
        return self._missing() <= 0 and not self._underway() and not self.failures

    @property
    def is_attempted(self) -> bool:
        """Its start went as far as it can by itself: up, in trouble, or down again."""
        if self.phase in (Phase.PREPARING, Phase.STARTING, Phase.FINISHING):
            return self.failures > 0
        return not (self.phase is Phase.STOPPED and self.wanted)

    def pids(self) -> list[int]:
        return [process.pid for process in self.roster.live()]

    def reason(self, now: float) -> str:
        """What is wrong, for people; empty if all is well."""
        if self.failures and self.wanted:
            retry_at = self._deadlines.get("retry")
            wait = f"; next try in {max(0.0, retry_at - now):.0f} s" if retry_at is not None else ""
            return f"{self.trouble}{wait}, failure {self.failures}"
        if self._waiting and self.phase in _RUNNING:
            return self._backing_off(now)
        return self.trouble

    def _backing_off(self, now: float) -> str:
        soonest = min(self._waiting, key=lambda wid: self.slots[wid].retry_at or 0.0)
        slot = self.slots[soonest]
        wait = max(0.0, (slot.retry_at or now) - now)
        up = f"{self.roster.count(State.UP)} of {self.target} up"
        attempt = f"attempt {slot.tries} of {self.spec.flapping_max_retry}" if slot.tries else "died at once"
        return f"{up}, backing off: next try in {wait:.0f} s, {attempt}, {exit_text(slot.exit_code)}"

    @property
    def target(self) -> int:
        return max(0, min(self.spec.numprocesses, 1) if self.spec.singleton else self.spec.numprocesses)

    def wake_at(self) -> float | None:
        return self._deadlines.earliest()

    # ---- wishes ------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Active and complete. On an active watcher it fires again what ended or waits after a crash."""
        self.wanted = True
        self.trouble = ""
        self.failures = 0
        self._deadlines.set("retry", None)
        self._forgive()
        if self.phase in _RUNNING:
            self._allot()

    def stop(self, now: float) -> None:
        self.stops += 1
        self._halt("")

    def _halt(self, trouble: str) -> None:
        self.wanted = False
        self.trouble = trouble
        if self.phase is Phase.PREPARING:
            self._drop_gate()
            self.phase = Phase.STOPPED
        elif self.phase in _RUNNING:
            self._begin_stop()

    def restart(self, now: float) -> None:
        self.stop(now)
        self.start(now)

    def reload(self, now: float, sequential: bool = False) -> None:
        """Replace every process without a gap; a stopped watcher is started."""
        if self.phase not in _RUNNING:
            self.start(now)
        elif self.spec.send_hup:
            for process in self.roster.in_state(State.BORN, State.UP):
                self._signal(process, SIGHUP, Scope.PROCESS, announce=False)
            self._reloaded()
        else:
            self.replace(now, sequential or self.spec.singleton)

    def replace(self, now: float, sequential: bool = False) -> None:
        self.generation += 1
        self.reloading = True
        self.sequential = sequential or self.spec.singleton
        self._forgive()
        self._allot()

    def change(self, now: float, spec: WatcherSpec, replace: bool) -> None:
        """Another spec for the same watcher; `replace` if running processes were started with what changed."""
        grown = spec.numprocesses - self.spec.numprocesses
        self.spec = spec
        self._allotment += max(0, grown)
        if replace and self.phase in _RUNNING:
            self.replace(now)

    def end(self, now: float, serials: list[int], signum: int | None, timeout: float | None) -> None:
        """The `kill` command: stop signal, then SIGKILL after `timeout`; replaced like any other that ended."""
        for process in filter(None, map(self.roster.get, serials)):
            self._end(process, now, signum, timeout)

    def signal(self, serial: int, signum: int, recursive: bool) -> None:
        """The `signal` command, for the process itself; its hooks are asked."""
        process = self.roster.get(serial)
        if process is not None and process.is_live:
            self._signal(process, signum, Scope.TREE if recursive else Scope.PROCESS, announce=False)

    def hurry(self, now: float) -> None:
        """Wait for nothing any more: SIGKILL now, hooks are not waited for. Used by shutdown only."""
        self._hurried = True
        if self.phase is Phase.STOPPING and self._gate:
            self._gate_ok = True
        for process in self.roster.in_state(State.ENDING, State.LEFTOVERS):
            if not process.killed:
                self._deadlines.set(("kill", process.serial), now)

    def limit_hooks(self, now: float) -> None:
        """From now on a hook may hold up the stop no longer than the graceful timeout. Used by shutdown only."""
        self._hooks_until = now + self.spec.graceful_timeout
        self._deadlines.set("gate", self._hooks_until)

    # ---- facts -------------------------------------------------------------------------------------------------

    def spawned(self, now: float, serial: int, pid: int, started: float) -> None:
        process = self._expect(serial, State.FORKING)
        process.pid, process.started, process.born_at = pid, started, now
        self.failures = 0
        self.trouble = ""
        self.roster.move(process, State.BORN)
        if process.doomed:
            self._end(process, now)
        elif names.AFTER_SPAWN in self.spec.hooks:
            process.ticket = self._run_hook(names.AFTER_SPAWN, {"pid": pid}, ticketed=True)
        else:
            self._came_up(process, now)

    def spawn_failed(self, now: float, serial: int, text: str) -> None:
        process = self._expect(serial, State.FORKING)
        self.roster.remove(process)
        if process.doomed:
            return
        self._allotment += 1
        self.failures += 1
        self.trouble = text
        self._log("warning", f"error in '{self.name}': {text}")
        if 0 <= self.spec.max_retry <= self.failures:
            self._give_up_spawning(now, text)
        else:
            self._deadlines.set("retry", now + pacing.spawn_retry_delay(self.spec, self.failures))

    def exited(self, now: float, serial: int, exit_code: int | None, remains: tuple[int, ...]) -> None:
        process = self.roster.get(serial)
        if process is None or not process.is_live:
            raise ValueError(f"{self.name}: exit of process {serial}, which does not run")
        process.exit_code = exit_code
        was_unwanted = process.requested
        self._reap_told(process)
        if remains and self.spec.stop_tree:
            self._sweep(process, now, len(remains))
        else:
            self._gone(process)
        if not was_unwanted:
            self._died(process, now)

    def remaining(self, now: float, serial: int, pids: tuple[int, ...], text: str) -> None:
        process = self.roster.get(serial)
        if process is None or process.state is not State.LEFTOVERS:
            return  # an answer that came late
        if not pids:
            self._gone(process)
            return
        process.inspections += 1
        if process.killed and process.inspections == STUCK_AFTER_INSPECTIONS:
            self._log("error", f"{self.name}: SIGKILL has not ended {text}; it hangs in the kernel")
        self._inspect_later(process, now)

    def hook_done(self, now: float, ticket: int, ok: bool) -> None:
        if ticket == self._gate:
            self._gate_ok = ok
        elif ticket in self._held_signals:
            self._release_signal(ticket, ok)
        else:
            self._spawn_hook_done(now, ticket, ok)

    def streams_closed(self) -> None:
        self._streams_open = False
        self._deadlines.set("streams", None)

    # ---- the one place that decides ----------------------------------------------------------------------------

    def settle(self, now: float, allowance: int) -> list[Action]:
        """What to do next; at most `allowance` programs are executed."""
        for key in self._deadlines.due(now):
            self._deadline_passed(key, now)
        while self._step(now):
            pass
        if self.phase in _RUNNING:
            self._trim(now)
            self._fill(now, allowance)
            while self._step(now):
                pass
        out, self._out = self._out, []
        return out

    def _step(self, now: float) -> bool:
        """One step of the phase; True if another may follow at once."""
        if self.phase is Phase.STOPPED:
            return self.wanted and self._prepare()
        if self.phase is Phase.PREPARING:
            return self._gate_answered() and self._prepared(now)
        if self.phase is Phase.STARTING:
            return self.is_complete and self._finish_start()
        if self.phase is Phase.FINISHING:
            return self._gate_answered() and self._started(now)
        if self.phase is Phase.ACTIVE:
            return self._keep(now)
        return self._step_stop(now)

    def _prepare(self) -> bool:
        if self.target == 0 and not self.spec.singleton:
            self._log("warning", f"{self.name} is not started: numprocesses is 0")
            self.wanted = False
            self._publish(names.STOP)
            return False
        self.phase = Phase.PREPARING
        self._open_gate(names.BEFORE_START)
        return True

    def _prepared(self, now: float) -> bool:
        if not self._pass_gate():
            self.wanted = False
            self.phase = Phase.STOPPED
            self.trouble = "start aborted by its before_start hook"
            self._log("warning", f"{self.name} is not started: its before_start hook said no")
            return False
        self.phase = Phase.STARTING
        self.reloading = False
        self._next_spawn_at = now
        self._allot()
        self._streams_open = True
        self._out.append(OpenStreams(self.key))
        return True

    def _finish_start(self) -> bool:
        self.phase = Phase.FINISHING
        self._open_gate(names.AFTER_START)
        return True

    def _started(self, now: float) -> bool:
        if not self._pass_gate():
            self._fail(now, "stopped by its after_start hook")
            return True
        self.phase = Phase.ACTIVE
        self._publish(names.START)
        self._log("info", f"{self.name} started")
        return True

    def _keep(self, now: float) -> bool:
        if self.reloading and self._is_replaced():
            self._reloaded()
        if not self.spec.respawn and not self.spec.on_demand and not self.roster and self._missing() <= 0:
            self.wanted = False
            self._begin_stop()
            return True
        return False

    # ---- stopping ----------------------------------------------------------------------------------------------

    def _begin_stop(self) -> None:
        self.phase = Phase.STOPPING
        self._stage = StopStage.HOOK
        self.reloading = False
        self.failures = 0
        self._forgive()
        self._deadlines.set("retry", None)
        for process in self.roster.in_state(State.PLANNED):
            self.roster.remove(process)
        self._open_gate(names.BEFORE_STOP)

    def _step_stop(self, now: float) -> bool:
        if self._stage is StopStage.HOOK:
            return self._gate_answered() and self._end_all(now)
        if self._stage is StopStage.PROCESSES:
            return not self.roster and self._close_streams(now)
        if self._stage is StopStage.STREAMS:
            return not self._streams_open and self._told_stop()
        return self._gate_answered() and self._stopped()

    def _end_all(self, now: float) -> bool:
        self._pass_gate()
        self._stage = StopStage.PROCESSES
        for process in self.roster:
            self._end(process, now)
        return True

    def _close_streams(self, now: float) -> bool:
        self._stage = StopStage.STREAMS
        if self._streams_open:
            self._out.append(CloseStreams(self.key))
            self._deadlines.set("streams", now + CLOSE_STREAMS_TIMEOUT)
        return True

    def _told_stop(self) -> bool:
        self._publish(names.STOP)
        self._stage = StopStage.AFTER
        self._open_gate(names.AFTER_STOP)
        return True

    def _stopped(self) -> bool:
        self._pass_gate()
        self._deadlines.clear()
        self.phase = Phase.STOPPED
        self.rounds += 1
        self._log("info", f"{self.name} stopped")
        return True

    def _fail(self, now: float, trouble: str) -> None:
        """It cannot go on by itself: down, and `status` says why."""
        self._log("error", f"{self.name}: {trouble}")
        self._halt(trouble)

    # ---- too few -----------------------------------------------------------------------------------------------

    def _missing(self) -> int:
        """Processes to start now. Pauses after a crash count as held."""
        held = len(self.roster) if self.sequential else self.roster.of_generation(self.generation)
        missing = self.target - held - len(self._waiting)
        return missing if self.spec.respawn else min(missing, self._allotment)

    def _allot(self) -> None:
        self._allotment = self.target - (0 if self.reloading else self.roster.of_generation(self.generation))

    def _fill(self, now: float, allowance: int) -> None:
        self.starved = False
        while self._missing() > 0 and not self.roster.count(State.PLANNED) and self.phase in _RUNNING:
            if self._deadlines.get("retry") is not None:
                return
            if self._next_spawn_at > now:
                self._deadlines.set("warmup", self._next_spawn_at)
                return
            if allowance <= 0:
                self.starved = True
                return
            allowance -= 1
            self._plan(now)

    def _plan(self, now: float) -> None:
        wid = self.roster.take_wid(self._waiting)
        process = Process(next(self._serials), wid, self.generation, State.PLANNED)
        self.roster.add(process)
        self._allotment -= 1
        self._next_spawn_at = now + self.spec.warmup_delay
        if names.BEFORE_SPAWN in self.spec.hooks:
            process.ticket = self._run_hook(names.BEFORE_SPAWN, {}, ticketed=True)
        else:
            self._fork(process)

    def _fork(self, process: Process) -> None:
        self.roster.move(process, State.FORKING)
        self._out.append(Spawn(self.key, process.serial, process.wid))

    def _came_up(self, process: Process, now: float) -> None:
        self.roster.move(process, State.UP)
        age = pacing.lifetime(self.spec, self._chance())
        if age is not None:
            self._deadlines.set(("expire", process.serial), now + age)
        payload = {"process_pid": process.pid, "process_id": process.wid, "time": process.started}
        self._out.append(Publish(self.key, names.SPAWN, payload))
        self._log("debug", f"running {self.name} process [pid {process.pid}]")

    def _spawn_hook_done(self, now: float, ticket: int, ok: bool) -> None:
        for process in self.roster.in_state(State.PLANNED, State.BORN):
            if process.ticket != ticket:
                continue
            if process.state is State.PLANNED:
                if ok:
                    self._fork(process)
                else:
                    self.roster.remove(process)
                    self._vetoed(now, names.BEFORE_SPAWN)
            elif ok:
                self._came_up(process, now)
            else:
                self._end(process, now)
                self._vetoed(now, names.AFTER_SPAWN)

    def _vetoed(self, now: float, hook: str) -> None:
        if self.reloading:
            self._abort_reload(now, f"its {hook} hook said no")
        else:
            self._fail(now, f"stopped by its {hook} hook")

    def _give_up_spawning(self, now: float, text: str) -> None:
        if self.reloading and self.roster.has_older(self.generation):
            self.failures = 0
            self._abort_reload(now, text)
        else:
            self._fail(now, f"given up after {self.failures} attempts: {text}")

    # ---- too many ----------------------------------------------------------------------------------------------

    def _trim(self, now: float) -> None:
        self._trim_surplus(now)
        if not self.reloading:
            return
        if self.sequential:
            self._replace_one(now)
        elif self._missing() <= 0 and not self._waiting and not self._underway():
            for process in self._older():
                self._end(process, now)

    def _trim_surplus(self, now: float) -> None:
        """More current processes than wanted: pauses go first, then what has not started, then the oldest."""
        while self._waiting and self._missing() < 0:
            self._waiting.pop()
        current = self.roster.count(State.PLANNED, State.FORKING, State.BORN, State.UP)
        if current <= self.target:
            return
        young = [p for p in self.roster if p.is_current and p.generation == self.generation]
        young.sort(key=lambda p: p.state is not State.PLANNED)
        for process in young[: max(0, len(young) - self.target)]:
            self._end(process, now)

    def _replace_one(self, now: float) -> None:
        busy = self._underway() or self.roster.count(State.ENDING, State.LEFTOVERS)
        if busy or self._waiting or self._missing() > 0 or self._next_spawn_at > now:
            if self._next_spawn_at > now:
                self._deadlines.set("warmup", self._next_spawn_at)
            return
        for process in self._older()[:1]:
            self._allotment += 1
            self._end(process, now)

    def _older(self) -> list[Process]:
        return [p for p in self.roster if p.is_current and p.generation < self.generation]

    def _underway(self) -> int:
        return self.roster.count(State.PLANNED, State.FORKING, State.BORN)

    def _is_replaced(self) -> bool:
        return not self.roster.has_older(self.generation) and self._missing() <= 0 and not self._underway()

    def _reloaded(self) -> None:
        self.reloading = self.sequential = False
        self._publish(names.RELOAD)
        self._log("info", f"{self.name} reloaded")

    def _abort_reload(self, now: float, why: str) -> None:
        """The old processes stay and become the current ones; what was started for the reload ends."""
        self._log("error", f"{self.name} is not reloaded, the old processes stay: {why}")
        self.aborted_reloads += 1
        self.reloading = self.sequential = False
        old = self._older()
        new = [p for p in self.roster if p.is_current and p.generation == self.generation]
        self.generation += 1
        for process in old:
            self.roster.regenerate(process, self.generation)
        for process in new[: max(0, len(old) + len(new) - self.target)]:
            self._end(process, now)
        for process in new:
            if process.is_current:
                self.roster.regenerate(process, self.generation)
        self._allotment = 0

    # ---- ending and death --------------------------------------------------------------------------------------

    def _end(self, process: Process, now: float, signum: int | None = None, timeout: float | None = None) -> None:
        """Ask one process to end. One that is already ending is not signalled twice, only sooner killed."""
        kill_at = now + (self.spec.graceful_timeout if timeout is None else timeout)
        process.requested = True
        if process.state is State.PLANNED:
            self.roster.remove(process)
        elif process.state is State.FORKING:
            process.doomed = True
        elif process.state in (State.ENDING, State.LEFTOVERS):
            self._kill_sooner(process, kill_at)
        else:
            self._deadlines.set(("expire", process.serial), None)
            self._deadlines.set(("kill", process.serial), kill_at)
            self.roster.move(process, State.ENDING)
            process.stop_signal = self.spec.stop_signal if signum is None else signum
            scope = Scope.CHILDREN if self.spec.stop_children else Scope.PROCESS
            self._signal(process, process.stop_signal, scope, announce=True)

    def _kill_sooner(self, process: Process, kill_at: float) -> None:
        before = self._deadlines.get(("kill", process.serial))
        if before is not None and kill_at < before:
            self._deadlines.set(("kill", process.serial), kill_at)

    def _kill(self, process: Process, now: float) -> None:
        process.killed = True
        if process.state is State.LEFTOVERS:
            self._log("warning", f"{self.name}: descendants of [{process.pid}] outlived the graceful timeout")
            self._send(process, SIGKILL, Scope.REMAINS, announce=True)
            process.inspections = 0
            self._inspect_later(process, now)
        else:
            text = signal_name(process.stop_signal)
            self._log("warning", f"{self.name} [{process.pid}] did not end after {text}: sending SIGKILL")
            scope = Scope.TREE if self.spec.stop_tree else Scope.PROCESS
            self._signal(process, SIGKILL, scope, announce=True)

    def _signal(self, process: Process, signum: int, scope: Scope, announce: bool) -> None:
        """Through the before_signal hook, which may hold back anything but SIGKILL."""
        if names.BEFORE_SIGNAL in self.spec.hooks:
            arguments = {"pid": process.pid, "signum": signum}
            if signum != SIGKILL:
                ticket = self._run_hook(names.BEFORE_SIGNAL, arguments, ticketed=True)
                self._held_signals[ticket] = (process.serial, signum, scope)
                return
            self._run_hook(names.BEFORE_SIGNAL, arguments)
        self._send(process, signum, scope, announce)

    def _release_signal(self, ticket: int, ok: bool) -> None:
        serial, signum, scope = self._held_signals.pop(ticket)
        process = self.roster.get(serial)
        if process is None or not process.is_live:
            return
        announce = process.state is State.ENDING and signum == process.stop_signal
        if ok:
            self._send(process, signum, scope, announce)
        elif announce:
            self._out.append(self._signal_action(process, signum, scope, announce=True)._replace(sent=False))

    def _send(self, process: Process, signum: int, scope: Scope, announce: bool) -> None:
        self._out.append(self._signal_action(process, signum, scope, announce=announce))
        if names.AFTER_SIGNAL in self.spec.hooks and scope is not Scope.REMAINS:
            self._run_hook(names.AFTER_SIGNAL, {"pid": process.pid, "signum": signum})

    def _signal_action(self, process: Process, signum: int, scope: Scope, announce: bool) -> Signal:
        return Signal(self.key, process.serial, process.pid, process.wid, signum, scope, announce)

    def _reap_told(self, process: Process) -> None:
        told = {"process_pid": process.pid}
        if names.BEFORE_REAP in self.spec.hooks:
            self._run_hook(names.BEFORE_REAP, told)
        payload = {**told, "process_id": process.wid, "exit_code": process.exit_code}
        self._out.append(Publish(self.key, names.REAP, payload))
        if names.AFTER_REAP in self.spec.hooks:
            status = None if process.requested else 1  # 1: dead or zombie, the constant of circus.process
            self._run_hook(names.AFTER_REAP, {**told, "exit_code": process.exit_code, "process_status": status})

    def _sweep(self, process: Process, now: float, count: int) -> None:
        """Dead, but descendants live on: end them too before its place is filled."""
        if process.state is not State.ENDING:
            self._log(
                "warning",
                f"{self.name} [{process.pid}] ended ({exit_text(process.exit_code)}) but left {count} descendant(s): "
                "ending them (let the program stay in the foreground, or set stop_tree = false)",
            )
        self._deadlines.set(("expire", process.serial), None)
        if self._deadlines.get(("kill", process.serial)) is None:
            self._deadlines.set(("kill", process.serial), now + self.spec.graceful_timeout)
        self.roster.move(process, State.LEFTOVERS)
        if process.killed:
            self._send(process, SIGKILL, Scope.REMAINS, announce=True)
            self._deadlines.set(("kill", process.serial), None)
        else:
            self._send(process, process.stop_signal or self.spec.stop_signal, Scope.REMAINS, announce=True)
            if self._hurried:
                self._deadlines.set(("kill", process.serial), now)
        process.inspections = 0
        self._inspect_later(process, now)

    def _inspect_later(self, process: Process, now: float) -> None:
        delay = min(FIRST_INSPECT_DELAY * 2.0 ** min(process.inspections, 16), LAST_INSPECT_DELAY)
        self._deadlines.set(("inspect", process.serial), now + delay)

    def _gone(self, process: Process) -> None:
        for kind in ("kill", "inspect", "expire"):
            self._deadlines.set((kind, process.serial), None)
        self.roster.remove(process)
        if self._deadlines.get(("slot", process.wid)) is not None:
            self._waiting.add(process.wid)

    def _died(self, process: Process, now: float) -> None:
        """Nobody asked for this death: pause, or give up, if it happens again and again."""
        text = f"{self.name} [{process.pid}] ended: {exit_text(process.exit_code)}"
        self._log("info", text)
        if not self.spec.respawn:
            self.trouble = f"ended: {exit_text(process.exit_code)}" if process.exit_code else ""
            return
        if self.phase not in _RUNNING or process.generation != self.generation:
            return
        slot = self.slots.setdefault(process.wid, pacing.Slot())
        slot.exit_code = process.exit_code
        verdict = pacing.judge_death(slot, self.spec, now, now - process.born_at, self._chance())
        if verdict.given_up:
            self._give_up(now, slot, verdict.attempt)
        elif verdict.delay > 0:
            self._pause(process.wid, slot, now, verdict, held=process.state is State.LEFTOVERS)

    def _pause(self, wid: int, slot: pacing.Slot, now: float, verdict: pacing.Verdict, held: bool) -> None:
        slot.retry_at = now + verdict.delay
        self._deadlines.set(("slot", wid), slot.retry_at)
        if not held:  # descendants of the dead hold the number until they are gone; the pause counts from then
            self._waiting.add(wid)
        if verdict.attempt:
            text = f"flapping detected: retry in {verdict.delay:.1f}s (attempt number {verdict.attempt})"
            self._log("warning", f"{self.name}: {text}")
            self._publish_flapping(wid, slot, verdict.attempt, round(verdict.delay, 3))

    def _give_up(self, now: float, slot: pacing.Slot, attempts: int) -> None:
        self._log("error", f"{self.name}: flapping detected: reached max retry limit")
        self._publish_flapping(0, slot, attempts, None)
        self._halt(f"given up after {attempts} retries, last {exit_text(slot.exit_code)}")

    def _publish_flapping(self, wid: int, slot: pacing.Slot, attempt: int, retry_in: float | None) -> None:
        payload = {
            "process_id": wid or None,
            "attempt": attempt,
            "retry_in": retry_in,
            "max_retry": self.spec.flapping_max_retry,
            "exit_code": slot.exit_code,
            "given_up": retry_in is None,
        }
        self._out.append(Publish(self.key, names.FLAPPING, payload))

    def _forgive(self) -> None:
        for wid in self.slots:
            self._deadlines.set(("slot", wid), None)
        self._waiting.clear()
        self.slots.clear()

    # ---- deadlines, hooks, words -------------------------------------------------------------------------------

    def _deadline_passed(self, key: object, now: float) -> None:
        if isinstance(key, tuple):
            kind, number = key
            if kind == "slot":
                self._waiting.discard(number)
                return
            process = self.roster.get(number)
            if process is None:
                return
            if kind == "kill":
                self._kill(process, now)
            elif kind == "inspect":
                self._out.append(Inspect(self.key, number))
            elif kind == "expire" and self.phase is Phase.ACTIVE:
                self._log("info", f"{self.name} [{process.pid}] reached its max_age")
                self._end(process, now)
        elif key == "gate" and self._gate and self.phase is Phase.STOPPING:
            self._log("error", f"{self.name}: a hook still runs; going on without it")
            self._gate_ok = True
        elif key == "streams":
            self._log("error", f"{self.name}: its output could not be written in time; some may be lost")
            self._streams_open = False

    def _open_gate(self, hook: str) -> None:
        """The phase goes on when the hook has answered, or at once if there is none."""
        self._gate, self._gate_ok = 0, True
        if hook in self.spec.hooks and not self._hurried:
            self._gate = self._run_hook(hook, {}, ticketed=True)
            self._gate_ok = None
            self._deadlines.set("gate", self._hooks_until)

    def _gate_answered(self) -> bool:
        return self._gate_ok is not None

    def _pass_gate(self) -> bool:
        ok = bool(self._gate_ok)
        self._drop_gate()
        return ok

    def _drop_gate(self) -> None:
        self._gate, self._gate_ok = 0, None

    def _run_hook(self, hook: str, arguments: Mapping[str, object], ticketed: bool = False) -> int:
        ticket = next(self._serials) if ticketed else 0
        self._out.append(RunHook(self.key, ticket, hook, arguments))
        return ticket

    def _expect(self, serial: int, state: State) -> Process:
        process = self.roster.get(serial)
        if process is None or process.state is not state:
            raise ValueError(f"{self.name}: a fact about process {serial}, which is not {state.name}")
        return process

    def _publish(self, event: str) -> None:
        self._out.append(Publish(self.key, event, {}))

    def _log(self, level: str, text: str) -> None:
        self._out.append(Log(level, text))
