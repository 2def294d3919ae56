"""Requests that wait. A job is a goal for each of its watchers; it is answered once, when all are settled.

A goal is reached, becomes impossible (a later wish contradicts it), or goes on waiting. What the reply says
was started, kept or stopped is what happened between the request and its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from circus.machine.actions import Reply
from circus.machine.process import State
from circus.machine.watcher import Phase, Watcher


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
        return REACHED if at_rest or watcher.rounds > rounds else None

    return check


def up(watcher: Watcher, stops: int) -> Goal:
    """It is active and complete, or its start failed, which is an answer too."""

    def check(watcher: Watcher) -> Outcome | None:
        if not watcher.wanted:
            return _down(watcher, stops)
        return REACHED if watcher.phase is Phase.ACTIVE and watcher.is_complete else None

    return check


def replaced(watcher: Watcher, stops: int) -> Goal:
    """No process of an older generation is left."""
    generation, aborted = watcher.generation, watcher.aborted_reloads

    def check(watcher: Watcher) -> Outcome | None:
        if watcher.aborted_reloads > aborted:
            return Outcome(f"'{watcher.name}' was not reloaded, the old processes stay")
        if not watcher.wanted:
            return _down(watcher, stops)
        done = watcher.phase is Phase.ACTIVE and not watcher.reloading and watcher.generation >= generation
        return REACHED if done and not watcher.roster.count(State.ENDING, State.LEFTOVERS) else None

    return check


def settled(watcher: Watcher) -> Outcome | None:
    """As many processes as wanted and none on its way; a stopped watcher has nothing to do."""
    return REACHED if watcher.is_settled or watcher.is_stopped else None


def gone(serials: Iterable[int]) -> Goal:
    """These processes are reaped and their descendants with them."""
    waiting = set(serials)

    def check(watcher: Watcher) -> Outcome | None:
        return None if any(watcher.roster.get(serial) for serial in waiting) else REACHED

    return check


def _down(watcher: Watcher, stops: int) -> Outcome | None:
    if watcher.stops > stops:
        return Outcome(f"superseded by a later stop of '{watcher.name}'")
    return Outcome(note=watcher.trouble) if watcher.phase is Phase.STOPPED else None


class Job:
    """One waiting request. `shape` makes the reply's keys from what happened."""

    def __init__(self, ticket: int, shape: Callable[[Job], dict[str, Any]]) -> None:
        self.ticket = ticket
        self.shape = shape
        self.held = False  # a sequence has yet to begin something for it
        self.goals: dict[int, Goal | None] = {}  # None: not begun, its turn in a sequence is still to come
        self.before: list[int] = []
        self.started: list[int] = []
        self.ended: set[int] = set()
        self.notes: list[str] = []
        self.errors: list[str] = []

    def expect(self, watcher: Watcher, goal: Goal | None) -> None:
        if watcher.key not in self.goals:
            self.before += watcher.pids()
        self.goals[watcher.key] = goal

    def check(self, watcher: Watcher) -> None:
        goal = self.goals.get(watcher.key)
        outcome = goal(watcher) if goal is not None else None
        if outcome is not None:
            del self.goals[watcher.key]
            self.errors += [outcome.error] if outcome.error else []
            self.notes += [outcome.note] if outcome.note else []

    def drop(self, key: int, error: str = "") -> None:
        if key in self.goals:
            del self.goals[key]
            self.errors += [error] if error else []

    @property
    def is_done(self) -> bool:
        return not self.goals and not self.held

    def reply(self) -> Reply:
        result = self.shape(self)
        if self.notes:
            result["reason"] = "; ".join(self.notes)
        return Reply(self.ticket, result, "; ".join(self.errors))


def started_and_kept(job: Job) -> dict[str, Any]:
    return {"started": list(job.started), "kept": [pid for pid in job.before if pid not in job.ended]}


def info_of_start(job: Job) -> dict[str, Any]:
    return {"info": started_and_kept(job)}


def info_of_restart(job: Job) -> dict[str, Any]:
    stopped = [pid for pid in job.before if pid in job.ended]
    return {"info": {"stopped": stopped, **started_and_kept(job)}}


def info_of_stop(job: Job) -> dict[str, Any]:
    return {"info": None}


def nothing(job: Job) -> dict[str, Any]:
    return {}
