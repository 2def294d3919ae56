"""All watchers together: order of start, jobs, shutdown.

Stopping is always in parallel. Starting goes by priority, bigger first: a watcher begins when all of a higher
priority have gone as far as they can; those of equal priority begin together, unless a warm-up between watchers
is asked for, which makes it one at a time. A later wish for a single watcher takes it out of its sequence.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from circus.machine import jobs
from circus.machine.actions import Action, Exit, Forget, Publish, Reply, Spawn
from circus.machine.deadlines import Deadlines
from circus.machine.events import (
    Event,
    Exited,
    HookDone,
    Remains,
    Spawned,
    SpawnFailed,
    StreamsClosed,
)
from circus.machine.jobs import Goal, Job
from circus.machine.watcher import Phase, Watcher
from circus.names import ADD, REMOVE, UPDATED
from circus.spec import WatcherSpec

# Programs executed per pass, so that requests are answered in between: 8 take about 5 ms.
SPAWNS_PER_PASS = 8

CLOSING = "circusd is shutting down"


class Sequence:
    """Watchers to begin in order. `begin` is what to do with each; `job` waits for all of them."""

    def __init__(self, keys: Iterable[int], begin: Callable[[Watcher, float], Goal], job: Job) -> None:
        self.queue = list(keys)
        self.begin = begin
        self.job = job
        self.begun: list[int] = []
        self.stops: dict[int, int] = {}
        self.first_stop: list[int] = []  # these come to rest before anything begins
        self.last_begun_at: float | None = None


class Arbiter:
    """Pure. `chance` gives random numbers in [0, 1); `warmup_delay` is the pause between watchers in seconds."""

    def __init__(self, chance: Callable[[], float], warmup_delay: float = 0.0) -> None:
        self.watchers: dict[int, Watcher] = {}
        self.warmup_delay = warmup_delay
        self.quitting = False
        self.restarting = False
        self._chance = chance
        self._serials = itertools.count(1)
        self._leaving: dict[int, Watcher] = {}  # removed by name, still stopping
        self._jobs: list[Job] = []
        self._sequences: list[Sequence] = []
        self._deadlines = Deadlines()
        self._dirty: dict[int, None] = {}
        self._starved: list[int] = []
        self._forking = 0
        self._exited = False
        self._out: list[Action] = []

    # ---- what can be asked -------------------------------------------------------------------------------------

    def in_order(self) -> list[Watcher]:
        """By priority, bigger first; equal ones in the order they came."""
        return sorted(self.watchers.values(), key=lambda w: -w.spec.priority)

    def find(self, key: int) -> Watcher | None:
        return self.watchers.get(key) or self._leaving.get(key)

    def wake_at(self, now: float) -> float | None:
        """When `settle` has something to do without a new fact; `now` if at once, None if never."""
        if self._dirty or (self._starved and self._forking < SPAWNS_PER_PASS):
            return now
        return self._deadlines.earliest()

    # ---- wishes ------------------------------------------------------------------------------------------------

    def add(self, spec: WatcherSpec, announce: bool = False) -> Watcher:
        key = next(self._serials)
        watcher = self.watchers[key] = Watcher(key, spec, self._serials, self._chance)
        if announce:
            self._out.append(Publish(key, ADD, {}))
        return watcher

    def remove(self, now: float, ticket: int, key: int, nostop: bool = False) -> None:
        watcher = self.watchers.pop(key)
        self._out.append(Publish(key, REMOVE, {}))
        job = self._job(ticket, jobs.nothing)
        if nostop:
            self._forget(watcher, keep=True)
        else:
            self._leaving[key] = watcher
            watcher.stop(now)
            job.expect(watcher, jobs.stopped(watcher))
            self._touch(watcher)

    def start(self, now: float, ticket: int, keys: list[int], single: bool = False) -> None:
        if self._refuse(ticket):
            return
        job = self._job(ticket, jobs.info_of_start if single else jobs.nothing)
        if single:
            self._begin_up(job, self.watchers[keys[0]], now, Watcher.start)
        else:
            self._sequence(job, self._autostarted(keys), Watcher.start)

    def add_and_start(self, now: float, ticket: int, watcher: Watcher) -> None:
        """The `add` command with `start`: answered with the process ids at top level."""
        if not self._refuse(ticket):
            self._begin_up(self._job(ticket, jobs.started_and_kept), watcher, now, Watcher.start)

    def stop(self, now: float, ticket: int, keys: list[int], single: bool = False) -> None:
        job = self._job(ticket, jobs.info_of_stop if single else jobs.nothing)
        self._stop_all(job, keys, now)

    def restart(self, now: float, ticket: int, keys: list[int], single: bool = False) -> None:
        if self._refuse(ticket):
            return
        job = self._job(ticket, jobs.info_of_restart if single else jobs.nothing)
        if single:
            self._begin_up(job, self.watchers[keys[0]], now, Watcher.restart)
            return
        self._stop_all(job, keys, now)
        sequence = self._sequence(job, self._autostarted(keys), Watcher.start)
        sequence.first_stop = list(keys)

    def reload(
        self, now: float, ticket: int, keys: list[int], single: bool = False, sequential: bool = False
    ) -> None:
        if self._refuse(ticket):
            return
        job = self._job(ticket, jobs.info_of_restart if single else jobs.nothing)

        def begin(watcher: Watcher, now: float) -> Goal:
            watcher.reload(now, sequential)
            return jobs.replaced(watcher, watcher.stops)

        if single:
            watcher = self.watchers[keys[0]]
            job.expect(watcher, None)
            job.expect(watcher, begin(watcher, now))
            self._touch(watcher)
        else:
            self._enqueue(Sequence(self._ordered(keys), begin, job))

    def change(self, now: float, ticket: int, key: int, spec: WatcherSpec, replace: bool, updates: int = 0) -> None:
        """Give a watcher another spec. `updates` is how many options that were: each is published."""
        watcher = self.watchers[key]
        job = self._job(ticket, lambda _: {"numprocesses": spec.numprocesses})
        job.expect(watcher, None)
        watcher.change(now, spec, replace)
        job.expect(watcher, jobs.replaced(watcher, watcher.stops) if watcher.reloading else jobs.settled)
        self._out += [Publish(key, UPDATED, {}) for _ in range(updates)]
        self._touch(watcher)

    def kill(
        self, now: float, ticket: int, key: int, serials: list[int], signum: int | None, timeout: float | None
    ) -> None:
        watcher = self.watchers[key]
        job = self._job(ticket, jobs.nothing)
        watcher.end(now, serials, signum, timeout)
        job.expect(watcher, jobs.gone(serials))
        self._touch(watcher)

    def signal(self, key: int, serial: int, signum: int, recursive: bool) -> None:
        watcher = self.find(key)
        if watcher is not None:
            watcher.signal(serial, signum, recursive)
            self._touch(watcher)

    def quit(self, now: float, ticket: int, restart: bool = False) -> None:
        """Stop everything, then `Exit`. Asked again it waits for nothing any more."""
        job = self._job(ticket, jobs.nothing)
        if self.quitting:
            for watcher in self._everyone():
                watcher.hurry(now)
                self._touch(watcher)
        self.restarting = restart and (self.restarting or not self.quitting)
        self.quitting = True
        for watcher in self._everyone():
            watcher.limit_hooks(now)
        self._stop_all(job, list(self.watchers), now)
        for watcher in self._leaving.values():
            job.expect(watcher, jobs.stopped(watcher))

    # ---- facts -------------------------------------------------------------------------------------------------

    def on(self, event: Event, now: float) -> None:
        """Take note of a fact; what follows from it comes with the next `settle`."""
        if isinstance(event, (Spawned, SpawnFailed)):
            self._forking -= 1
        watcher = self.find(event.key)
        if watcher is None:
            return  # forgotten since
        match event:
            case Spawned(_, serial, pid, started):
                watcher.spawned(now, serial, pid, started)
                for job in self._jobs_of(watcher):
                    job.started.append(pid)
            case SpawnFailed(_, serial, text):
                watcher.spawn_failed(now, serial, text)
            case Exited(_, serial, exit_code, remains):
                process = watcher.roster.get(serial)
                for job in self._jobs_of(watcher) if process else ():
                    assert process is not None
                    job.ended.add(process.pid)
                watcher.exited(now, serial, exit_code, remains)
            case Remains(_, serial, pids, text):
                watcher.remaining(now, serial, pids, text)
            case HookDone(_, ticket, ok):
                watcher.hook_done(now, ticket, ok)
            case StreamsClosed():
                watcher.streams_closed()
        self._touch(watcher)

    # ---- the one place that decides ----------------------------------------------------------------------------

    def settle(self, now: float) -> list[Action]:
        for key in self._deadlines.due(now):
            if isinstance(key, int):
                self._dirty[key] = None
        self._starved, starved = [], self._starved
        self._dirty.update(dict.fromkeys(starved))
        self._advance_sequences(now)
        while self._dirty:
            keys, self._dirty = list(self._dirty), {}
            for key in keys:
                self._settle_watcher(key, now)
            self._advance_sequences(now)
        self._check_exit()
        out, self._out = self._out, []
        return out

    def _settle_watcher(self, key: int, now: float) -> None:
        watcher = self.find(key)
        if watcher is None:
            return
        actions = watcher.settle(now, SPAWNS_PER_PASS - self._forking)
        self._forking += sum(isinstance(action, Spawn) for action in actions)
        self._out += actions
        if watcher.starved:
            self._starved.append(key)
        self._deadlines.set(key, watcher.wake_at())
        for job in self._jobs_of(watcher):
            job.check(watcher)
        self._answer()
        if key in self._leaving and watcher.is_stopped:
            self._forget(watcher, keep=False)

    def _answer(self) -> None:
        for job in [job for job in self._jobs if job.is_done]:
            self._jobs.remove(job)
            if job.ticket:
                self._out.append(job.reply())

    def _check_exit(self) -> None:
        self._answer()
        if self.quitting and not self._exited and all(w.is_stopped for w in self._everyone()):
            self._exited = True
            self._out.append(Exit(self.restarting))

    # ---- sequences ---------------------------------------------------------------------------------------------

    def _sequence(self, job: Job, keys: list[int], wish: Callable[[Watcher, float], None]) -> Sequence:
        def begin(watcher: Watcher, now: float) -> Goal:
            wish(watcher, now)
            return jobs.up(watcher, watcher.stops)

        return self._enqueue(Sequence(keys, begin, job))

    def _enqueue(self, sequence: Sequence) -> Sequence:
        for key in sequence.queue:
            watcher = self.watchers[key]
            sequence.stops[key] = watcher.stops
            if key not in sequence.job.goals:
                sequence.job.expect(watcher, None)
        sequence.job.held = True
        self._sequences.append(sequence)
        return sequence

    def _advance_sequences(self, now: float) -> None:
        for sequence in list(self._sequences):
            while sequence.queue and self._advance(sequence, now):
                pass
            if not sequence.queue:
                self._sequences.remove(sequence)
                sequence.job.held = False

    def _advance(self, sequence: Sequence, now: float) -> bool:
        key = sequence.queue[0]
        watcher = self.watchers.get(key)
        if watcher is None or watcher.stops != sequence.stops[key] or self.quitting:
            sequence.queue.pop(0)
            if sequence.job.goals.get(key, True) is None:
                sequence.job.drop(key, CLOSING if self.quitting else "superseded by a later wish")
            return True
        if not self._may_begin(sequence, watcher, now):
            return False
        sequence.queue.pop(0)
        sequence.begun.append(key)
        sequence.last_begun_at = None
        sequence.job.expect(watcher, sequence.begin(watcher, now))
        self._touch(watcher)
        return not self.warmup_delay

    def _may_begin(self, sequence: Sequence, watcher: Watcher, now: float) -> bool:
        if any(not self._is_at_rest(key) for key in sequence.first_stop):
            return False
        sequence.first_stop = []
        begun = [w for key in sequence.begun if (w := self.watchers.get(key)) is not None]
        if self.warmup_delay <= 0:
            return all(w.is_attempted for w in begun if w.spec.priority > watcher.spec.priority)
        if not all(w.is_attempted for w in begun):
            return False
        if begun and sequence.last_begun_at is None:
            sequence.last_begun_at = now
        ready_at = now if sequence.last_begun_at is None else sequence.last_begun_at + self.warmup_delay
        self._deadlines.set("warmup", ready_at if ready_at > now else None)
        return ready_at <= now

    def _is_at_rest(self, key: int) -> bool:
        watcher = self.watchers.get(key)
        return watcher is None or watcher.phase is Phase.STOPPED

    # ---- helpers -----------------------------------------------------------------------------------------------

    def _begin_up(self, job: Job, watcher: Watcher, now: float, wish: Callable[[Watcher, float], None]) -> None:
        job.expect(watcher, None)
        wish(watcher, now)
        job.expect(watcher, jobs.up(watcher, watcher.stops))
        self._touch(watcher)

    def _stop_all(self, job: Job, keys: list[int], now: float) -> None:
        for watcher in map(self.watchers.__getitem__, keys):
            job.expect(watcher, None)
            watcher.stop(now)
            job.expect(watcher, jobs.stopped(watcher))
            self._touch(watcher)

    def _job(self, ticket: int, shape: Callable[[Job], dict[str, object]]) -> Job:
        job = Job(ticket, shape)
        self._jobs.append(job)
        return job

    def _jobs_of(self, watcher: Watcher) -> list[Job]:
        return [job for job in self._jobs if watcher.key in job.goals]

    def _refuse(self, ticket: int) -> bool:
        if self.quitting and ticket:
            self._out.append(Reply(ticket, {}, CLOSING))
        return self.quitting

    def _ordered(self, keys: list[int]) -> list[int]:
        wanted = set(keys)
        return [watcher.key for watcher in self.in_order() if watcher.key in wanted]

    def _autostarted(self, keys: list[int]) -> list[int]:
        return [key for key in self._ordered(keys) if self.watchers[key].spec.autostart]

    def _everyone(self) -> list[Watcher]:
        return [*self.watchers.values(), *self._leaving.values()]

    def _touch(self, watcher: Watcher) -> None:
        self._dirty[watcher.key] = None

    def _forget(self, watcher: Watcher, keep: bool) -> None:
        self._leaving.pop(watcher.key, None)
        self._deadlines.set(watcher.key, None)
        for job in self._jobs_of(watcher):
            job.drop(watcher.key, f"'{watcher.name}' was removed")
        self._out.append(Forget(watcher.key, keep))
