"""One watcher: what is wanted, what was seen, and the one place that closes the gap.

Wanted                      Seen
  `wanted`   active or not    `phase`    where its life stands
  `target`   how many         `table`    its processes and their states
  `generation` how new        `slots`    worker numbers that are waiting after a death

A request changes what is wanted and returns. `settle` compares both columns and hands out actions; called again
without a new fact or a passed deadline it hands out nothing. Stop wins over everything at once; a start during a
stop lets the stop come to its end and then starts, so that hooks and events always come in whole rounds.

What is decided where: here the phases of life; `pool` how many processes there are, and of which generation;
`termination` how one of them ends; `backoff` which worker numbers wait after a death; `stopping` the steps of a stop;
`awaited_hook` when the hook of a phase has answered; `progress_timeout` how long others wait for a start or a stop;
`on_demand` when one that sleeps is woken, and `idle_timeout` when it may sleep again.
They share a `Context`; none of them knows the watcher.
"""

from __future__ import annotations

from circus.common import names
from circus.common.convert import exit_text
from circus.machine.actions import Action, Scope
from circus.machine.deadlines import Timer
from circus.machine.phase import Phase
from circus.machine.process import Process, State
from circus.machine.progress_timeout import START_TIMEOUT, STOP_TIMEOUT
from circus.machine.watcher_state import WatcherState
from circus.options.table import WatcherSpec


class Watcher(WatcherState):
    """Pure. Its parts, and what is seen of them, are in `WatcherState`; here is what follows."""

    # ---- requests -----------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Active and complete. On an active watcher it fires again what ended or waits after a crash."""
        self.wanted = True
        self.starts += 1
        self._waits_for_number = False
        self._context.trouble = ""
        if self.phase.is_running:
            self.pool.start_again()
        else:
            self._backoff.forgive()
        self._made_progress(now)

    def stop(self, now: float) -> None:
        self.stops += 1
        self._halt(now, "")

    def restart(self, now: float) -> None:
        self.stop(now)
        self.start(now)

    def reload(self, now: float, sequential: bool = False) -> None:
        """Replace every process without a gap; a stopped watcher is started."""
        if not self.phase.is_running:
            self.start(now)
        elif self.spec.send_hup:
            self.pool.hang_up()
        else:
            self.replace(now, sequential)

    def replace(self, now: float, sequential: bool = False) -> None:
        """Replace every process, whatever `send_hup` says; nothing if none runs."""
        if self.phase.is_running:
            self._context.trouble = ""
            self.pool.replace(sequential)

    def change(self, now: float, spec: WatcherSpec, replace: bool) -> None:
        """Another spec for the same watcher; `replace` if running processes were started with what changed."""
        before = self.spec
        self.pool.change(spec, now)
        self._demand.change(before, now)
        if self.phase is Phase.ACTIVE:
            self._idle.change(before, now)
        if replace:
            self.replace(now)
        if self._waits_for_number and self.pool.target > 0:
            self.start(now)

    def end(self, now: float, serials: list[int], signum: int | None, timeout: float | None) -> None:
        """The `kill` command: stop signal, then SIGKILL after `timeout`; replaced like any other that ended."""
        for process in filter(None, map(self.table.get, serials)):
            self._termination.end(process, now, signum, timeout)

    def signal(self, serial: int, signum: int, recursive: bool) -> None:
        """The `signal` command, for the process itself; its hooks are asked."""
        process = self.table.get(serial)
        if process is not None and process.is_live:
            self._termination.signal(process, signum, Scope.TREE if recursive else Scope.PROCESS, announce=False)

    def hurry(self, now: float) -> None:
        """Wait for nothing any more: SIGKILL now, hooks are not waited for. Used by shutdown only."""
        self._context.is_hurried = True
        if self.phase is Phase.STOPPING:
            self._stopping.hurry(now)
        self._termination.hurry(now)

    def limit_hooks(self, now: float) -> None:
        """From now on a hook may hold up the stop no longer than the graceful timeout. Used by shutdown only."""
        self._context.limits_hooks = True
        self._leave_refused()
        self._awaited.limit(now)

    # ---- facts -------------------------------------------------------------------------------------------------

    def spawned(self, now: float, serial: int, pid: int, started: float) -> None:
        process = self._context.expect(serial, State.FORKING, State.DOOMED)
        process.pid, process.started, process.born_at = pid, started, now
        if process.state is State.DOOMED:
            self.table.move(process, State.BORN)
            self._termination.end(process, now)
            return
        if self.phase.is_running:
            self._context.trouble = ""
        self._made_progress(now)
        self.pool.spawned(process, now)

    def await_early_exit(self, until: float) -> None:
        """Note whether processes end before `until`. One time for all of them, so that it does come."""
        if not self.awaits_early_exit:
            self.early_exit = ""
            self._deadlines.set((Timer.EARLY_EXIT, 0), until)

    def spawn_failed(self, now: float, serial: int, text: str) -> None:
        process = self._context.expect(serial, State.FORKING, State.DOOMED)
        if process.state is State.DOOMED or not self.phase.is_running:
            self.pool.cancel(process)
        else:
            self._go_on(now, self.pool.spawn_failed(process, now, text))

    def exited(self, now: float, serial: int, exit_code: int | None, remains: tuple[int, ...]) -> None:
        if self._termination.is_abandoned(serial):
            return
        process = self._context.expect(serial, State.BORN, State.UP, State.ENDING)
        process.exit_code = exit_code
        self.table.move(process, State.LEFTOVERS)
        self._deadlines.set((Timer.EXPIRE, serial), None)
        self._termination.tell_reaped(process)
        trouble = "" if process.end_requested else self._died(process, now)
        if remains and self.spec.stop_tree:
            self._termination.sweep(process, now, len(remains))
        else:
            self.pool.gone(process)
        self._go_on(now, trouble)

    def _died(self, process: Process, now: float) -> str:
        text = f"ended: {exit_text(process.exit_code)}"
        self._context.log("info", f"{self.name} [{process.pid}] {text}")
        is_to_live = self.spec.respawn and not self.spec.on_demand
        if self.awaits_early_exit and (is_to_live or process.exit_code):
            self.early_exits += 1
            self.early_exit = f"a process {text}"
        if process.exit_code != 0:
            self._demand.crashed()
        return self.pool.died(process, now) if self.phase.is_running else ""

    def remaining(self, now: float, serial: int, pids: tuple[int, ...], text: str) -> None:
        process = self.table.get(serial)
        if process is None or process.state is not State.LEFTOVERS:
            return  # an answer that came late
        if pids:
            self._termination.still_there(process, now, text)
        else:
            self.pool.gone(process)

    def refused(self, serial: int, text: str) -> None:
        process = self.table.get(serial)
        if process is not None:
            self._termination.refused(process, text)
            self._leave_refused()

    def _leave_refused(self) -> None:
        """A shutdown does not wait for what we may not signal; what has yet to stop still does."""
        if self._context.limits_hooks and not self.is_running:
            self._termination.leave_refused()

    def hook_done(self, now: float, ticket: int, ok: bool) -> None:
        if not self._awaited.answer(ticket, ok) and not self._termination.release(ticket, ok):
            self._go_on(now, self.pool.hook_done(now, ticket, ok))

    def streams_closed(self) -> None:
        self._stopping.streams_closed()

    def connection(self, now: float) -> None:
        if self.phase is Phase.STOPPED:
            self._demand.is_called = self._demand.heard()
        else:
            self._idle.heard(now)

    def looked(self, now: float, used: float, connected: float | None) -> None:
        if self._idle.looked(now, used, connected) and not self.pool.reloading:
            self._context.log("info", f"{self.name} was idle for {self.spec.idle_timeout} s")
            self._doze(now)

    # ---- decisions ---------------------------------------------------------------------------------------------

    def settle(self, now: float, allowance: int) -> list[Action]:
        """What to do next; at most `allowance` programs are executed."""
        self.pool.allow(allowance)
        while self._meet_deadlines(now) or self._step(now) or self._tend(now):
            pass
        return self._context.take_actions()

    def _tend(self, now: float) -> bool:
        return self.phase.is_running and self.pool.tend(now) > 0

    def _step(self, now: float) -> bool:
        """One step of the phase; True if another may follow at once."""
        if self.phase is Phase.STOPPED:
            return self.wanted and not self.waits_for_namesake and self._rise(now)
        if self.phase is Phase.PREPARING:
            return self._awaited.is_answered and self._prepared(now)
        if self.phase is Phase.STARTING:
            return self.pool.is_complete and self._finish_start(now)
        if self.phase is Phase.FINISHING:
            return self._awaited.is_answered and self._started(now)
        if self.phase is Phase.ACTIVE:
            return self.pool.finish_reload() or (self.pool.is_finished and self._wind_down(now))
        return self._step_down(now) or (self._stopping.is_over and self._stopped(now))

    # ---- starting ----------------------------------------------------------------------------------------------

    def _rise(self, now: float) -> bool:
        """Begin, unless it cannot or sleeps."""
        if not self._can_start():
            return False
        if self._demand.sleeps(now, may_wake=len(self._backoff) < self.pool.target):
            self._start_timeout.drop()
            return False
        self._made_progress(now)
        self.phase = Phase.PREPARING
        self._awaited.ask(now, names.BEFORE_START)
        return True

    def _can_start(self) -> bool:
        if self.obstacle:
            self._rest()
            self._context.trouble = self.obstacle
            self._context.log("error", f"{self.name} is not started: {self.obstacle}")
            return False
        if self.pool.target == 0 and not self.spec.singleton:
            self._context.log("warning", f"{self.name} is not started: numprocesses is 0")
            self._context.trouble = "it starts when numprocesses is above 0"
            self._waits_for_number = True
            self._rest()
            self._context.publish(names.STOP)
            return False
        return True

    def _prepared(self, now: float) -> bool:
        if not self._awaited.said_yes:
            self._rest()
            self._context.trouble = "start aborted by its before_start hook"
            self._context.log("warning", f"{self.name} is not started: its before_start hook said no")
            return False
        self.phase = Phase.STARTING
        self._made_progress(now)
        self.pool.begin(now)
        self._stopping.open_streams()
        return True

    def _finish_start(self, now: float) -> bool:
        self.phase = Phase.FINISHING
        self._made_progress(now)
        self._awaited.ask(now, names.AFTER_START)
        return True

    def _started(self, now: float) -> bool:
        if not self._awaited.said_yes:
            self._fail(now, "stopped by its after_start hook")
            return True
        self.phase = Phase.ACTIVE
        self._start_timeout.drop()
        self._idle.begin(now)
        self._context.publish(names.START)
        self._context.log("info", f"{self.name} started")
        return True

    def _rest(self) -> None:
        """Nothing of it runs, and nothing is wanted."""
        self.wanted = False
        self.phase = Phase.STOPPED
        self._awaited.drop()
        self._start_timeout.drop()
        self._demand.rest()

    def _made_progress(self, now: float) -> None:
        if self.wanted and self.phase is not Phase.ACTIVE:
            self._start_timeout.renew(now, START_TIMEOUT + self.spec.warmup_delay)

    # ---- stopping ----------------------------------------------------------------------------------------------

    def _halt(self, now: float, trouble: str) -> None:
        self._context.trouble = trouble
        self.wanted = self._waits_for_number = False
        self._start_timeout.drop()
        self._backoff.forgive()
        self._demand.rest()
        if self.phase.is_running:
            self._go_down(now)
        elif self.phase is Phase.PREPARING:
            self._rest()

    def _go_down(self, now: float) -> None:
        self.phase = Phase.STOPPING
        self._idle.drop()
        self.pool.halt()
        self._stopping.begin(now)
        self._renew_stop_timeout(now)

    def _doze(self, now: float) -> None:
        """Down until the next connection. What was seen of crashes is kept."""
        self._context.trouble = ""
        self._start_timeout.drop()
        self._go_down(now)

    def _go_on(self, now: float, trouble: str) -> None:
        """Unless something said why that is impossible. In a stop it does not matter any more."""
        if trouble and self.phase.is_running:
            self._fail(now, trouble)

    def _fail(self, now: float, trouble: str) -> None:
        """It cannot go on by itself: down, and `status` says why."""
        self._context.log("error", f"{self.name}: {trouble}")
        self._halt(now, trouble)

    def _wind_down(self, now: float) -> bool:
        """What does not respawn has come to its end; what starts on demand sleeps."""
        if self.spec.on_demand:
            self._doze(now)
        else:
            self._halt(now, self.trouble)
        return True

    def _step_down(self, now: float) -> bool:
        if not self._stopping.step(now):
            return False
        self._leave_refused()
        self._renew_stop_timeout(now)
        return True

    def _renew_stop_timeout(self, now: float) -> None:
        self._stop_timeout.renew(now, STOP_TIMEOUT + self.spec.graceful_timeout)

    def _stopped(self, now: float) -> bool:
        self._deadlines.clear()
        self._backoff.go_on()
        self._stop_timeout.drop()
        self._termination.clear()
        self.phase = Phase.STOPPED
        self.rounds += 1
        self._context.log("info", f"{self.name} stopped")
        self._made_progress(now)
        return True

    # ---- deadlines ---------------------------------------------------------------------------------------------

    def _meet_deadlines(self, now: float) -> bool:
        met = False
        for timer, number in self._deadlines.due(now):
            met = True
            self._deadline_passed(timer, number, now)
        return met

    def _deadline_passed(self, timer: Timer, number: int, now: float) -> None:
        """`number` is the serial of the process or the worker number that is meant."""
        match timer:
            case Timer.KILL:
                self._termination.kill(self.table[number], now)
            case Timer.STUCK:
                self._termination.report_stuck(self.table[number])
            case Timer.INSPECT:
                self._termination.inspect(self.table[number])
            case Timer.EXPIRE:
                self._expire(self.table[number], now)
            case Timer.SLOT:
                self._backoff.over(number)
            case Timer.IDLE:
                self._idle.look(now)
            case Timer.HOOK:
                self._awaited.timed_out()
            case Timer.STREAMS:
                self._stopping.streams_timed_out()
            case Timer.START_TIMEOUT:
                self._start_timeout.timed_out()
            case Timer.STOP_TIMEOUT:
                self._stop_timeout.timed_out()
            case _:  # RETRY, WARMUP, EARLY_EXIT, WAKE: what waited for it looks again now
                pass

    def _expire(self, process: Process, now: float) -> None:
        if self.phase.is_running:
            self._context.log("info", f"{self.name} [{process.pid}] reached its max_age")
            self._termination.end(process, now)
