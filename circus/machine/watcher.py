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

Who decides what: this module the phases of life; `crew` how many processes there are, and of which generation;
`ending` how one of them ends; `pauses` which worker numbers wait after a death; `gate` when a phase's hook has
answered. They share a `Context`; none of them knows the watcher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum

from circus import names
from circus.convert import exit_text
from circus.machine import pacing
from circus.machine.actions import Action, CloseStreams, OpenStreams, Scope
from circus.machine.context import Context
from circus.machine.crew import Crew
from circus.machine.ending import Ending
from circus.machine.gate import Gate
from circus.machine.pauses import Pauses
from circus.machine.process import Process, State
from circus.machine.roster import Roster
from circus.spec import WatcherSpec

SIGHUP = 1

# A stream that blocks (dead disk, full terminal) must not keep its watcher from being stopped. In a hurry the last
# words still get a moment: they often are why somebody is in a hurry, and a healthy stream takes milliseconds.
CLOSE_STREAMS_TIMEOUT = 5.0
HURRIED_CLOSE_STREAMS_TIMEOUT = 0.5

# Watchers of a lower priority wait for this one. When it makes no progress for so long, because a hook does not
# return for instance, they begin without it.
START_PATIENCE = 90.0


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
_BEGINNING = (Phase.PREPARING, Phase.STARTING, Phase.FINISHING)
_RUNNING = (Phase.STARTING, Phase.FINISHING, Phase.ACTIVE)


class Watcher:
    """Pure. `serials` numbers processes and hook runs, `chance` gives random numbers in [0, 1)."""

    def __init__(self, key: int, spec: WatcherSpec, serials: Iterator[int], chance: Callable[[], float]) -> None:
        self._context = context = Context(key, spec, serials, chance)
        self._deadlines = context.deadlines
        self._pauses = Pauses(context)
        self._ending = Ending(context)
        self._crew = Crew(context, self._ending, self._pauses)
        self._gate = Gate(context)
        self.key = key
        self.wanted = False
        self.phase = Phase.STOPPED
        self.roster: Roster = context.roster
        self.rounds = 0  # times it came to a full stop
        self.stops = 0  # times a stop was asked for
        self.starts = 0  # times a start was asked for
        self.waits_for_namesake = False  # a removed watcher of the same name has yet to stop
        self._is_overdue = False
        self._stage = StopStage.HOOK
        self._streams_open = False
        self._closings = 0  # streams that were told to close and have not said that they are
        self._awaits_streams = False

    # ---- what can be asked -------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._context.spec.name

    @property
    def spec(self) -> WatcherSpec:
        return self._context.spec

    @property
    def generation(self) -> int:
        return self._crew.generation

    @property
    def target(self) -> int:
        return self._crew.target

    @property
    def reloading(self) -> bool:
        return self._crew.reloading

    @property
    def sequential(self) -> bool:
        return self._crew.sequential

    @property
    def aborted_reloads(self) -> int:
        return self._crew.aborted_reloads

    @property
    def failures(self) -> int:
        """How often in a row the program could not be executed."""
        return self._crew.failures

    @property
    def starved(self) -> bool:
        """It could spawn more, but the arbiter's allowance was used up."""
        return self._crew.starved

    @property
    def slots(self) -> Mapping[int, pacing.Slot]:
        return self._pauses.slots

    @property
    def trouble(self) -> str:
        """Why it is down although nobody asked, or what keeps it from being complete."""
        return self._context.trouble

    @property
    def status(self) -> str:
        return _STATUS.get(self.phase, self.phase.value)

    @property
    def is_stopped(self) -> bool:
        return self.phase is Phase.STOPPED and not self.wanted

    @property
    def is_complete(self) -> bool:
        """Every process that can run does: those in a pause after a crash are not waited for."""
        return self._crew.is_complete

    @property
    def is_settled(self) -> bool:
        """As many processes as wanted, none older, none beyond that still ending."""
        is_at_work = self.phase is Phase.ACTIVE and not self.reloading
        return is_at_work and self.is_complete and len(self.roster) <= self.target

    @property
    def is_attempted(self) -> bool:
        """Its start went as far as it can by itself: up, in trouble, or down again."""
        if self.phase in _BEGINNING and self.failures:
            return True
        return self._is_overdue or self.phase is Phase.ACTIVE or not self.wanted

    @property
    def keeps_failing(self) -> bool:
        """Its program cannot be executed, and it was told to go on trying for ever."""
        return self.failures > 0 and self.spec.max_retry < 0

    def pids(self) -> list[int]:
        return [process.pid for process in self.roster.live()]

    def wake_at(self) -> float | None:
        return self._deadlines.earliest()

    def kill_at(self, serial: int) -> float | None:
        """When a process that was asked to end is sent SIGKILL; None: that is out, or it was not asked."""
        return self._deadlines.get(("kill", serial))

    def reason(self, now: float) -> str:
        """What is wrong, for people; empty if all is well."""
        if self.waits_for_namesake and self.wanted:
            return f"waits until the former '{self.name}' has stopped"
        return self._ending.reason() or self._reason_of_phase(now) or self.trouble

    def _reason_of_phase(self, now: float) -> str:
        if self.phase in _RUNNING and self.failures:
            retry_at = self._deadlines.get(("retry", 0))
            wait = f"; next try in {max(0.0, retry_at - now):.0f} s" if retry_at is not None else ""
            return f"{self.trouble}{wait}, failure {self.failures}"
        if self.phase in _RUNNING and len(self._pauses):
            return f"{self.roster.count(State.UP)} of {self.target} up, {self._pauses.reason(now)}"
        return self._gate.reason(now)

    # ---- wishes ------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Active and complete. On an active watcher it fires again what ended or waits after a crash."""
        self.wanted = True
        self.starts += 1
        self._context.trouble = ""
        if self.phase in _RUNNING:
            self._crew.fire_again()
        self._made_progress(now)

    def stop(self, now: float) -> None:
        self.stops += 1
        self._halt(now, "")

    def restart(self, now: float) -> None:
        self.stop(now)
        self.start(now)

    def reload(self, now: float, sequential: bool = False) -> None:
        """Replace every process without a gap; a stopped watcher is started."""
        if self.phase not in _RUNNING:
            self.start(now)
        elif self.spec.send_hup:
            for process in self.roster.in_state(State.BORN, State.UP):
                self._ending.signal(process, SIGHUP, Scope.PROCESS, announce=False)
            if not self.reloading:  # one that is underway says so itself when it is done
                self._crew.tell_reloaded()
        else:
            self.replace(now, sequential)

    def replace(self, now: float, sequential: bool = False) -> None:
        """Replace every process, whatever `send_hup` says; nothing if none runs."""
        if self.phase in _RUNNING:
            self._context.trouble = ""
            self._crew.replace(sequential)

    def change(self, now: float, spec: WatcherSpec, replace: bool) -> None:
        """Another spec for the same watcher; `replace` if running processes were started with what changed."""
        self._crew.change(spec, now)
        if replace:
            self.replace(now)

    def end(self, now: float, serials: list[int], signum: int | None, timeout: float | None) -> None:
        """The `kill` command: stop signal, then SIGKILL after `timeout`; replaced like any other that ended."""
        for process in filter(None, map(self.roster.get, serials)):
            self._ending.end(process, now, signum, timeout)

    def signal(self, serial: int, signum: int, recursive: bool) -> None:
        """The `signal` command, for the process itself; its hooks are asked."""
        process = self.roster.get(serial)
        if process is not None and process.is_live:
            self._ending.signal(process, signum, Scope.TREE if recursive else Scope.PROCESS, announce=False)

    def hurry(self, now: float) -> None:
        """Wait for nothing any more: SIGKILL now, hooks are not waited for. Used by shutdown only."""
        self._context.is_hurried = True
        if self.phase is Phase.STOPPING:
            self._gate.drop()
        if self._awaits_streams:
            self._deadlines.set(("streams", 0), now + HURRIED_CLOSE_STREAMS_TIMEOUT)
        self._ending.hurry(now)

    def limit_hooks(self, now: float) -> None:
        """From now on a hook may hold up the stop no longer than the graceful timeout. Used by shutdown only."""
        self._context.limits_hooks = True
        self._gate.limit(now)

    # ---- facts -------------------------------------------------------------------------------------------------

    def spawned(self, now: float, serial: int, pid: int, started: float) -> None:
        process = self._expect(serial, State.FORKING, State.DOOMED)
        process.pid, process.started, process.born_at = pid, started, now
        if process.state is State.DOOMED:
            self.roster.move(process, State.BORN)
            self._ending.end(process, now)
            return
        if self.phase in _RUNNING:
            self._context.trouble = ""
        self._made_progress(now)
        self._crew.spawned(process, now)

    def spawn_failed(self, now: float, serial: int, text: str) -> None:
        process = self._expect(serial, State.FORKING, State.DOOMED)
        if process.state is State.DOOMED or self.phase not in _RUNNING:
            self._crew.cancel(process)
        else:
            self._go_on(now, self._crew.spawn_failed(process, now, text))

    def exited(self, now: float, serial: int, exit_code: int | None, remains: tuple[int, ...]) -> None:
        if self._ending.is_abandoned(serial):
            return
        process = self._expect(serial, State.BORN, State.UP, State.ENDING)
        process.exit_code = exit_code
        self.roster.move(process, State.LEFTOVERS)
        self._deadlines.set(("expire", serial), None)
        self._ending.tell_reaped(process)
        trouble = "" if process.requested else self._died(process, now)
        if remains and self.spec.stop_tree:
            self._ending.sweep(process, now, len(remains))
        else:
            self._crew.gone(process)
        self._go_on(now, trouble)

    def _died(self, process: Process, now: float) -> str:
        self._context.log("info", f"{self.name} [{process.pid}] ended: {exit_text(process.exit_code)}")
        return self._crew.died(process, now) if self.phase in _RUNNING else ""

    def remaining(self, now: float, serial: int, pids: tuple[int, ...], text: str) -> None:
        process = self.roster.get(serial)
        if process is None or process.state is not State.LEFTOVERS:
            return  # an answer that came late
        if pids:
            self._ending.still_there(process, now, text)
        else:
            self._crew.gone(process)

    def hook_done(self, now: float, ticket: int, ok: bool) -> None:
        if not self._gate.answer(ticket, ok) and not self._ending.release(ticket, ok):
            self._go_on(now, self._crew.hook_done(now, ticket, ok))

    def streams_closed(self) -> None:
        self._closings = max(0, self._closings - 1)
        if not self._closings:
            self._go_on_without_streams()

    def _expect(self, serial: int, *states: State) -> Process:
        process = self.roster.get(serial)
        if process is None or process.state not in states:
            what = f"which {process.state.value}" if process is not None else "which is not there"
            raise ValueError(f"{self.name}: a fact about process {serial}, {what}")
        return process

    # ---- the one place that decides ----------------------------------------------------------------------------

    def settle(self, now: float, allowance: int) -> list[Action]:
        """What to do next; at most `allowance` programs are executed."""
        self._crew.allow(allowance)
        while self._meet_deadlines(now) or self._step(now) or self._tend(now):
            pass
        return self._context.take_actions()

    def _tend(self, now: float) -> bool:
        return self.phase in _RUNNING and self._crew.tend(now) > 0

    def _step(self, now: float) -> bool:
        """One step of the phase; True if another may follow at once."""
        if self.phase is Phase.STOPPED:
            return self.wanted and not self.waits_for_namesake and self._prepare(now)
        if self.phase is Phase.PREPARING:
            return self._gate.is_answered and self._prepared(now)
        if self.phase is Phase.STARTING:
            return self.is_complete and self._finish_start(now)
        if self.phase is Phase.FINISHING:
            return self._gate.is_answered and self._started(now)
        if self.phase is Phase.ACTIVE:
            return self._crew.finish_reload() or (self._is_finished() and self._wind_down(now))
        return self._step_stop(now)

    # ---- starting ----------------------------------------------------------------------------------------------

    def _prepare(self, now: float) -> bool:
        if self.target == 0 and not self.spec.singleton:
            self._context.log("warning", f"{self.name} is not started: numprocesses is 0")
            self._rest()
            self._context.publish(names.STOP)
            return False
        self.phase = Phase.PREPARING
        self._gate.open(now, names.BEFORE_START)
        return True

    def _prepared(self, now: float) -> bool:
        if not self._gate.take():
            self._rest()
            self._context.trouble = "start aborted by its before_start hook"
            self._context.log("warning", f"{self.name} is not started: its before_start hook said no")
            return False
        self.phase = Phase.STARTING
        self._made_progress(now)
        self._crew.begin(now)
        self._streams_open = True
        self._context.out.append(OpenStreams(self.key))
        return True

    def _finish_start(self, now: float) -> bool:
        self.phase = Phase.FINISHING
        self._made_progress(now)
        self._gate.open(now, names.AFTER_START)
        return True

    def _started(self, now: float) -> bool:
        if not self._gate.take():
            self._fail(now, "stopped by its after_start hook")
            return True
        self.phase = Phase.ACTIVE
        self._wait_no_more()
        self._context.publish(names.START)
        self._context.log("info", f"{self.name} started")
        return True

    def _rest(self) -> None:
        """Nothing of it runs, and nothing is wanted."""
        self.wanted = False
        self.phase = Phase.STOPPED
        self._gate.drop()
        self._wait_no_more()

    def _made_progress(self, now: float) -> None:
        self._is_overdue = False
        if self.wanted and self.phase is not Phase.ACTIVE:
            self._deadlines.set(("patience", 0), now + START_PATIENCE + self.spec.warmup_delay)

    def _wait_no_more(self) -> None:
        self._is_overdue = False
        self._deadlines.set(("patience", 0), None)

    # ---- stopping ----------------------------------------------------------------------------------------------

    def _halt(self, now: float, trouble: str) -> None:
        self._context.trouble = trouble
        if self.phase in _RUNNING:
            self.wanted = False
            self._begin_stop(now)
        elif self.phase is Phase.STOPPING:
            self.wanted = False
            self._wait_no_more()
        else:
            self._rest()

    def _go_on(self, now: float, trouble: str) -> None:
        """Unless something said why that is impossible. In a stop it does not matter any more."""
        if trouble and self.phase in _RUNNING:
            self._fail(now, trouble)

    def _fail(self, now: float, trouble: str) -> None:
        """It cannot go on by itself: down, and `status` says why."""
        self._context.log("error", f"{self.name}: {trouble}")
        self._halt(now, trouble)

    def _is_finished(self) -> bool:
        """What does not respawn has come to its end."""
        spec = self.spec
        return not spec.respawn and not spec.on_demand and not len(self.roster) and self._crew.missing() <= 0

    def _wind_down(self, now: float) -> bool:
        self._halt(now, self.trouble)
        return True

    def _begin_stop(self, now: float) -> None:
        self.phase = Phase.STOPPING
        self._stage = StopStage.HOOK
        self._wait_no_more()
        self._crew.halt()
        self._gate.open(now, names.BEFORE_STOP)

    def _step_stop(self, now: float) -> bool:
        if self._stage is StopStage.HOOK:
            return self._gate.is_answered and self._end_all(now)
        if self._stage is StopStage.PROCESSES:
            return not len(self.roster) and self._close_streams(now)
        if self._stage is StopStage.STREAMS:
            return not self._awaits_streams and self._told_stop(now)
        return self._gate.is_answered and self._stopped(now)

    def _end_all(self, now: float) -> bool:
        self._stage = StopStage.PROCESSES
        for process in self.roster:
            self._ending.end(process, now)
        return True

    def _close_streams(self, now: float) -> bool:
        self._stage = StopStage.STREAMS
        if self._streams_open:
            self._streams_open = False
            self._closings += 1
            self._awaits_streams = True
            hurried = self._context.is_hurried
            timeout = HURRIED_CLOSE_STREAMS_TIMEOUT if hurried else CLOSE_STREAMS_TIMEOUT
            self._deadlines.set(("streams", 0), now + timeout)
            self._context.out.append(CloseStreams(self.key))
        return True

    def _go_on_without_streams(self) -> None:
        self._awaits_streams = False
        self._deadlines.set(("streams", 0), None)

    def _told_stop(self, now: float) -> bool:
        self._context.publish(names.STOP)
        self._stage = StopStage.AFTER
        self._gate.open(now, names.AFTER_STOP)
        return True

    def _stopped(self, now: float) -> bool:
        self._deadlines.clear()
        self._ending.clear()
        self.phase = Phase.STOPPED
        self.rounds += 1
        self._context.log("info", f"{self.name} stopped")
        self._made_progress(now)
        return True

    # ---- deadlines ---------------------------------------------------------------------------------------------

    def _meet_deadlines(self, now: float) -> bool:
        met = False
        for kind, number in self._deadlines.due(now):
            met = True
            process = self.roster.get(number)
            if process is not None and kind != "slot":
                self._process_is_due(kind, process, now)
            else:
                self._is_due(kind, number)
        return met

    def _process_is_due(self, kind: str, process: Process, now: float) -> None:
        if kind == "kill":
            self._ending.kill(process, now)
        elif kind == "inspect":
            self._ending.inspect(process)
        elif kind == "stuck":
            self._ending.is_stuck(process)
        elif self.phase in _RUNNING:  # "expire"
            self._context.log("info", f"{self.name} [{process.pid}] reached its max_age")
            self._ending.end(process, now)

    def _is_due(self, kind: str, number: int) -> None:
        if kind == "slot":
            self._pauses.over(number)
        elif kind == "gate":
            self._gate.overran()
        elif kind == "streams":
            self._context.log("error", f"{self.name}: its output could not be written in time; some may be lost")
            self._go_on_without_streams()
        elif kind == "patience":
            self._context.log("warning", f"{self.name}: its start makes no progress; others no longer wait for it")
            self._is_overdue = True
