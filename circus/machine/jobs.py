"""Requests that wait. A job is a goal for each of its watchers; it is answered once, when all are settled.

A goal is reached, becomes impossible (a later request contradicts it), or goes on waiting. What the reply says
was started, kept or stopped is what happened between the request and its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from circus.machine.actions import Reply
from circus.machine.phase import Phase
from circus.machine.watcher import Watcher


class Outcome(NamedTuple):
    """How a goal ended; `error` says what came in between."""

    error: str = ""
    note: str = ""


Goal = Callable[[Watcher], "Outcome | None"]

REACHED = Outcome()


def stopped(watcher: Watcher) -> Goal:
    """It comes to a full stop at least once from now; a later start only begins after that."""
    rounds = watcher.rounds
    at_rest = watcher.phase is Phase.STOPPED

    def check(watcher: Watcher) -> Outcome | None:
        return REACHED if at_rest or watcher.rounds > rounds else _refused(watcher)

    return check


def up(watcher: Watcher, stops: int) -> Goal:
    """It is active and complete, or sleeps, or its start failed, which is an answer too."""
    early_exits = watcher.early_exits

    def check(watcher: Watcher) -> Outcome | None:
        if not watcher.wanted:
            return _down(watcher, stops)
        if watcher.is_sleeping:
            return REACHED
        if watcher.phase is Phase.ACTIVE and watcher.pool.is_complete:
            return _unless_early(watcher, early_exits)
        return _refused(watcher) or _failing(watcher)

    return check


def replaced(watcher: Watcher, stops: int) -> Goal:
    """No process of an older generation is left."""
    generation, aborted = watcher.pool.generation, watcher.pool.aborted_reloads
    early_exits = watcher.early_exits

    def check(watcher: Watcher) -> Outcome | None:
        if watcher.pool.aborted_reloads > aborted:
            return Outcome(f"{watcher.name}: {watcher.trouble or 'not reloaded, the old processes stay'}")
        if not watcher.wanted:
            return _down(watcher, stops)
        if watcher.is_sleeping:
            return REACHED
        is_done = watcher.phase is Phase.ACTIVE and not watcher.pool.reloading
        if is_done and not watcher.table.has_older(generation):
            return _unless_early(watcher, early_exits)
        return _refused(watcher) or _failing(watcher)

    return check


def settled(watcher: Watcher) -> Goal:
    """As many processes as wanted and none on its way; a stopped watcher has nothing to do."""
    is_wanted, stops, early_exits = watcher.wanted, watcher.stops, watcher.early_exits

    def check(watcher: Watcher) -> Outcome | None:
        if watcher.is_stopped:
            return _down(watcher, stops) if is_wanted and watcher.stops == stops else REACHED
        if watcher.is_sleeping:
            return REACHED
        if watcher.is_settled:
            return _unless_early(watcher, early_exits)
        return _refused(watcher) or _failing(watcher)

    return check


def gone(serials: Iterable[int]) -> Goal:
    """These processes are reaped and their descendants with them."""
    waiting = set(serials)

    def check(watcher: Watcher) -> Outcome | None:
        return _refused(watcher) if any(watcher.table.get(serial) for serial in waiting) else REACHED

    return check


def _refused(watcher: Watcher) -> Outcome | None:
    """It cannot be ended by us, so that it cannot be said when it will end."""
    return Outcome(f"'{watcher.name}': {watcher.refusal}") if watcher.refusal else None


def _down(watcher: Watcher, stops: int) -> Outcome | None:
    if watcher.stops > stops:
        return Outcome(f"superseded by a later stop of '{watcher.name}'")
    if watcher.phase is not Phase.STOPPED:
        return None
    return Outcome(note=f"{watcher.name}: not started: {watcher.trouble}") if watcher.trouble else REACHED


def _unless_early(watcher: Watcher, before: int) -> Outcome | None:
    """Reached, as far as can be said at once: a program that ends in its first moment does not run.

    `before`: the early exits when it was asked for. An older one is not its doing.
    """
    if watcher.awaits_early_exit:
        return None
    setback = watcher.pool.setback() or (watcher.early_exit if watcher.early_exits > before else "")
    return Outcome(note=f"{watcher.name}: {setback}") if setback else REACHED


def _failing(watcher: Watcher) -> Outcome | None:
    """It was told to try for ever: a request does not wait that long to say what is wrong."""
    if not watcher.keeps_failing:
        return None
    return Outcome(note=f"{watcher.name}: not started: {watcher.trouble}; it goes on trying")


class Job:
    """One waiting request. `shape` makes the reply's keys from what happened."""

    def __init__(self, ticket: int, shape: Callable[[Job], dict[str, Any]]) -> None:
        self.ticket = ticket
        self.shape = shape
        self.held = 0  # sequences that are not over
        self.goals: dict[int, Goal | None] = {}  # None: not begun, its turn in a sequence is still to come
        self.before: dict[int, int] = {}  # pids by serial
        self.started: dict[int, int] = {}
        self.ended: set[int] = set()  # serials
        self.notes: list[str] = []
        self.errors: list[str] = []

    @property
    def is_done(self) -> bool:
        return not self.goals and not self.held

    def fail(self, error: str) -> None:
        self.errors.append(error)

    def reply(self) -> Reply:
        result = self.shape(self)
        if self.notes:
            result["reason"] = "; ".join(self.notes)
        return Reply(self.ticket, result, "; ".join(self.errors))

    def pids(self, serials: dict[int, int], ended: bool) -> list[int]:
        return [pid for serial, pid in serials.items() if (serial in self.ended) == ended]


class Jobs:
    """Every job that is not answered, and which watchers it waits for. A request that is not waited for is none."""

    def __init__(self) -> None:
        self._open: dict[Job, None] = {}
        self._by_key: dict[int, dict[Job, None]] = {}

    def open(self, ticket: int, shape: Callable[[Job], dict[str, Any]]) -> Job:
        """Ticket 0 is for a request that is not waited for: what happens to its job is not looked at."""
        job = Job(ticket, shape)
        if ticket:
            self._open[job] = None
        return job

    def expect(self, job: Job, watcher: Watcher, goal: Goal | None) -> None:
        """The job waits for this goal of the watcher; None: it has not begun."""
        if not job.ticket:
            return
        if watcher.key not in job.goals:
            job.before.update({process.serial: process.pid for process in watcher.table.live()})
            self._by_key.setdefault(watcher.key, {})[job] = None
        job.goals[watcher.key] = goal

    def drop(self, job: Job, key: int, error: str) -> None:
        """The goal was never begun and never will be. One that was begun goes its way."""
        job.fail(error)
        if job.goals.get(key, True) is None:
            self._reached(job, key)

    def drop_all(self, watcher: Watcher, error: str) -> None:
        """The watcher is gone."""
        for job in list(self._by_key.get(watcher.key, ())):
            job.fail(error)
            self._reached(job, watcher.key)

    def spawned(self, key: int, serial: int, pid: int) -> bool:
        """Whether a job waits for this watcher."""
        waiting = self._by_key.get(key, {})
        for job in waiting:
            job.started[serial] = pid
        return bool(waiting)

    def ended(self, key: int, serial: int) -> None:
        for job in self._by_key.get(key, ()):
            job.ended.add(serial)

    def check(self, watcher: Watcher) -> None:
        """See which goals of this watcher are settled."""
        for job in list(self._by_key.get(watcher.key, ())):
            goal = job.goals[watcher.key]
            outcome = goal(watcher) if goal is not None else None
            if outcome is not None:
                job.errors += filter(None, [outcome.error])
                job.notes += filter(None, [outcome.note])
                self._reached(job, watcher.key)

    def _reached(self, job: Job, key: int) -> None:
        del job.goals[key]
        waiting = self._by_key[key]
        del waiting[job]
        if not waiting:
            del self._by_key[key]

    def replies(self) -> list[Reply]:
        """Each once."""
        done = [job for job in self._open if job.is_done]
        for job in done:
            del self._open[job]
        return [job.reply() for job in done]


def started_and_kept(job: Job) -> dict[str, Any]:
    return {"started": job.pids(job.started, ended=False), "kept": job.pids(job.before, ended=False)}


def info_of_start(job: Job) -> dict[str, Any]:
    return {"info": started_and_kept(job)}


def info_of_restart(job: Job) -> dict[str, Any]:
    return {"info": {"stopped": job.pids(job.before, ended=True), **started_and_kept(job)}}


def info_of_stop(job: Job) -> dict[str, Any]:
    return {"info": None}


def nothing(job: Job) -> dict[str, Any]:
    return {}
