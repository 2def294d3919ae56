"""Ending processes: the stop signal, SIGKILL when time is up, descendants, and what does not even die then.

A process that was asked to end always has a time at which it is killed. When it is dead its descendants are ended
too, before anything takes its place.
"""

from __future__ import annotations

from typing import NamedTuple

from circus.common import names
from circus.common.convert import exit_text, signal_name
from circus.machine.actions import Inspect, Publish, Scope, Signal
from circus.machine.context import Context
from circus.machine.deadlines import Timer
from circus.machine.process import Process, State

SIGKILL = 9

# Descendants are looked at again soon after a signal, then less and less often: most die within milliseconds,
# and one that hangs in the kernel is not worth a wake-up every second.
FIRST_INSPECT_DELAY = 0.01
LAST_INSPECT_DELAY = 5.0

# SIGKILL works within milliseconds, except on what hangs in the kernel (a dead disk, a debugger).
STUCK_TIMEOUT = 5.0


class _Held(NamedTuple):
    """A signal its before_signal hook has yet to let pass."""

    process: Process
    signum: int
    scope: Scope
    announce: bool


class Termination:
    """Knows of each process that has to end how far that is."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table
        self._deadlines = context.deadlines
        self._held: dict[int, _Held] = {}  # by the ticket of the hook
        self._stuck: dict[int, Process] = {}
        self._refused: dict[int, Process] = {}
        self._abandoned: frozenset[int] = frozenset()

    # ---- stop signal and SIGKILL -------------------------------------------------------------------------------

    def end(self, process: Process, now: float, signum: int | None = None, timeout: float | None = None) -> None:
        """Ask one process to end. One that is already ending is not signalled twice, only sooner killed."""
        spec = self._context.spec
        grace = spec.graceful_timeout if timeout is None else timeout
        kill_at = now if self._context.is_hurried else now + grace
        process.end_requested = True
        if process.state in (State.FORKING, State.DOOMED):
            self._table.move(process, State.DOOMED)
        elif process.state in (State.ENDING, State.LEFTOVERS):
            self._kill_sooner(process, now if signum == SIGKILL else kill_at)
        else:
            self._deadlines.set((Timer.EXPIRE, process.serial), None)
            self._deadlines.set((Timer.KILL, process.serial), kill_at)
            self._table.move(process, State.ENDING)
            process.stop_signal = spec.stop_signal if signum is None else signum
            scope = Scope.CHILDREN if spec.stop_children else Scope.PROCESS
            self.signal(process, process.stop_signal, scope, announce=True)

    def _kill_sooner(self, process: Process, kill_at: float) -> None:
        before = self._deadlines.get((Timer.KILL, process.serial))
        if before is not None and kill_at < before:
            self._deadlines.set((Timer.KILL, process.serial), kill_at)

    def inspect(self, process: Process) -> None:
        """Are its descendants still there?"""
        self._context.out.append(Inspect(self._context.key, process.serial))

    def kill(self, process: Process, now: float) -> None:
        """Its graceful timeout has passed."""
        name = self._context.name
        process.kill_sent = True
        self._deadlines.set((Timer.STUCK, process.serial), now + STUCK_TIMEOUT)
        if process.state is State.LEFTOVERS:
            self._context.log("warning", f"{name}: descendants of [{process.pid}] outlived the graceful timeout")
            self._kill_remains(process, now)
        else:
            text = signal_name(process.stop_signal)
            self._context.log("warning", f"{name} [{process.pid}] did not end after {text}: sending SIGKILL")
            scope = Scope.TREE if self._context.spec.stop_tree else Scope.PROCESS
            self.signal(process, SIGKILL, scope, announce=True)

    def hurry(self, now: float) -> None:
        """No more time for any process; what SIGKILL did not end is left behind."""
        for process in self._table.in_state(State.ENDING, State.LEFTOVERS):
            if process.serial in self._stuck:
                self._abandon(process)
            elif not process.kill_sent:
                self._deadlines.set((Timer.KILL, process.serial), now)

    # ---- signals -----------------------------------------------------------------------------------------------

    def signal(self, process: Process, signum: int, scope: Scope, announce: bool) -> None:
        """Through the before_signal hook, which may hold back anything but SIGKILL."""
        arguments = {"pid": process.pid, "signum": signum}
        if signum == SIGKILL:
            self._context.tell_hook(names.BEFORE_SIGNAL, arguments)
        elif ticket := self._context.ask_hook(names.BEFORE_SIGNAL, arguments):
            self._held[ticket] = _Held(process, signum, scope, announce)
            return
        self._send(process, signum, scope, announce)

    def release(self, ticket: int, ok: bool) -> bool:
        """The before_signal hook has answered. True if it was one of ours."""
        held = self._held.pop(ticket, None)
        if held is None:
            return False
        process, signum, scope, announce = held
        if not process.is_live or process.kill_sent:
            return True  # too late to matter
        if ok:
            self._send(process, signum, scope, announce)
        elif announce:
            self._context.out.append(self._action(process, signum, scope, announce)._replace(sent=False))
        return True

    def _send(self, process: Process, signum: int, scope: Scope, announce: bool) -> None:
        self._context.out.append(self._action(process, signum, scope, announce))
        if scope is not Scope.REMAINS:
            self._context.tell_hook(names.AFTER_SIGNAL, {"pid": process.pid, "signum": signum})

    def _action(self, process: Process, signum: int, scope: Scope, announce: bool) -> Signal:
        return Signal(self._context.key, process.serial, process.pid, process.wid, signum, scope, announce)

    # ---- death and what it leaves ------------------------------------------------------------------------------

    def tell_reaped(self, process: Process) -> None:
        told = {"process_pid": process.pid}
        self._context.tell_hook(names.BEFORE_REAP, told)
        payload = {**told, "process_id": process.wid, "exit_code": process.exit_code}
        self._context.out.append(Publish(self._context.key, names.REAP, payload))
        status = None if process.end_requested else 1  # 1: dead or zombie, the constant of circus.process
        self._context.tell_hook(
            names.AFTER_REAP, {**told, "exit_code": process.exit_code, "process_status": status}
        )

    def sweep(self, process: Process, now: float, count: int) -> None:
        """It is dead, but descendants live on: end them too before its place is filled."""
        if not process.end_requested:
            self._context.log(
                "warning",
                f"{self._context.name} [{process.pid}] ended ({exit_text(process.exit_code)}) but left {count} "
                "descendant(s): ending them (let the program stay in the foreground, or set stop_tree = false)",
            )
        if process.kill_sent:
            self._deadlines.set((Timer.STUCK, process.serial), now + STUCK_TIMEOUT)
            self._kill_remains(process, now)
            return
        grace = 0.0 if self._context.is_hurried else self._context.spec.graceful_timeout
        if self._deadlines.get((Timer.KILL, process.serial)) is None:
            self._deadlines.set((Timer.KILL, process.serial), now + grace)
        self._send(process, process.stop_signal or self._context.spec.stop_signal, Scope.REMAINS, announce=True)
        self._inspect_later(process, now)

    def _kill_remains(self, process: Process, now: float) -> None:
        self._send(process, SIGKILL, Scope.REMAINS, announce=True)
        process.inspections = 0
        self._inspect_later(process, now)

    def still_there(self, process: Process, now: float, text: str) -> None:
        """Descendants of a reaped process that have not ended; new ones among them are signalled too."""
        process.remains = text
        process.inspections += 1
        if process.kill_sent:
            self._send(process, SIGKILL, Scope.REMAINS, announce=False)
        self._inspect_later(process, now)

    def _inspect_later(self, process: Process, now: float) -> None:
        delay = min(FIRST_INSPECT_DELAY * 2.0 ** min(process.inspections, 16), LAST_INSPECT_DELAY)
        self._deadlines.set((Timer.INSPECT, process.serial), now + delay)

    def clear(self) -> None:
        """Every process is gone; what hooks still hold back is void."""
        self._held.clear()

    def forget(self, process: Process) -> None:
        """It is gone with all its descendants."""
        for timer in (Timer.KILL, Timer.STUCK, Timer.INSPECT, Timer.EXPIRE):
            self._deadlines.set((timer, process.serial), None)
        self._stuck.pop(process.serial, None)
        self._refused.pop(process.serial, None)

    # ---- processes we may not signal ---------------------------------------------------------------------------

    def refused(self, process: Process, text: str) -> None:
        """It ends by itself or not at all. At a shutdown it is left behind."""
        if not process.refusal:
            self._context.log("error", f"{self._context.name}: {text}")
        process.refusal = text
        self._refused[process.serial] = process

    def leave_refused(self) -> None:
        for process in list(self._refused.values()):
            if process.state in (State.ENDING, State.LEFTOVERS):
                self._abandon(process)

    @property
    def refusal(self) -> str:
        return "; ".join(process.refusal for process in self._refused.values())

    # ---- processes that survive SIGKILL ------------------------------------------------------------------------

    def report_stuck(self, process: Process) -> None:
        """SIGKILL has not worked."""
        if process.refusal:
            return  # said before, and not the kernel's fault
        what = process.remains or f"[{process.pid}]"
        self._context.log("error", f"{self._context.name}: SIGKILL has not ended {what}; it hangs in the kernel")
        self._stuck[process.serial] = process
        if self._context.is_hurried:
            self._abandon(process)

    def _abandon(self, process: Process) -> None:
        level = "warning" if process.refusal else "error"
        self._context.log(level, f"{self._context.name}: leaving {process.remains or [process.pid]} behind")
        self._abandoned |= {process.serial}
        self.forget(process)
        self._table.remove(process)
        self._table.free_wid(process.wid)

    def is_abandoned(self, serial: int) -> bool:
        return serial in self._abandoned

    @property
    def is_stuck(self) -> bool:
        """Something does not end, whatever is sent to it."""
        return bool(self._stuck or self._refused)

    def kill_text(self, now: float) -> str:
        """For people: when the first of those that do not end is killed."""
        serials = [process.serial for process in self._table.in_state(State.ENDING)]
        times = [at for serial in serials if (at := self._deadlines.get((Timer.KILL, serial))) is not None]
        return f"SIGKILL in {min(times) - now:.0f} s" if times else ""

    def reason(self) -> str:
        """For people; empty if nothing is stuck."""
        if self._refused:
            return self.refusal
        pids = ", ".join(process.remains or str(process.pid) for process in self._stuck.values())
        return f"SIGKILL does not end {pids}" if pids else ""
