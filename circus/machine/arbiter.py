"""All watchers together: order of start, jobs, shutdown.

Starting and stopping many goes by priority, see `sequence`. A later request that wants the opposite of a watcher takes
it out of a sequence that has not reached it. A watcher that takes the name of one which is still being
removed begins when that one has stopped: there is never a second set of its processes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from circus.common.names import ADD, REMOVE, UPDATED, res_name
from circus.machine import jobs
from circus.machine.actions import Action, Exit, Forget, Publish, Reply, Spawn
from circus.machine.deadlines import Deadlines
from circus.machine.events import (
    Connection,
    Event,
    Exited,
    HookDone,
    Looked,
    Refused,
    Remains,
    Spawned,
    SpawnFailed,
)
from circus.machine.jobs import Goal, Job, Jobs
from circus.machine.sequence import Sequence, Turn
from circus.machine.watcher import Watcher
from circus.options.table import WatcherSpec

# Programs executed per pass, so that requests are answered in between: 8 take about 5 ms.
SPAWNS_PER_PASS = 8

# A request that waits for processes is answered when they have lived so long: most that cannot run, for want of a
# module or a file, end within it, and people hardly notice.
EARLY_EXIT_DELAY = 0.1

CLOSING = "circusd is shutting down"


class Arbiter:
    """Pure. `chance` gives random numbers in [0, 1); `warmup_delay` is the pause between watchers in seconds.

    `early_exit_delay`: seconds a process must have lived before a request that waits for it is answered.
    """

    def __init__(
        self, chance: Callable[[], float], warmup_delay: float = 0.0, early_exit_delay: float = EARLY_EXIT_DELAY
    ) -> None:
        self._early_exit_delay = early_exit_delay
        self.watchers: dict[int, Watcher] = {}
        self.warmup_delay = warmup_delay
        self.quitting = False
        self.restarting = False
        self._chance = chance
        self._serials = itertools.count(1)
        self._leaving: dict[int, Watcher] = {}  # removed by name, still stopping
        self._jobs = Jobs()
        self._sequences: list[Sequence] = []
        self._deadlines: Deadlines[int] = Deadlines()  # by watcher key; 0: the sequences
        self._dirty: dict[int, None] = {}  # to be settled
        self._wanting_turn: dict[int, None] = {}  # want programs executed, in this order
        self._forking = 0
        self._is_asked = False  # a request came since the last settle
        self._exited = False
        self._out: list[Action] = []

    # ---- state -------------------------------------------------------------------------------------------------

    def in_order(self) -> list[Watcher]:
        """By priority, bigger first; equal ones in the order they came."""
        return sorted(self.watchers.values(), key=lambda w: -w.spec.priority)

    def everyone(self) -> list[Watcher]:
        """Also those that were removed and are still stopping."""
        return [*self.watchers.values(), *self._leaving.values()]

    def find(self, key: int) -> Watcher | None:
        return self.watchers.get(key) or self._leaving.get(key)

    def _known(self, key: int) -> Watcher:
        return self.watchers.get(key) or self._leaving[key]

    def wake_at(self, now: float) -> float | None:
        """When `settle` has something to do without a new fact; `now` if at once, None if never."""
        if self._dirty or self._is_asked or self._may_serve():
            return now
        return self._deadlines.earliest()

    # ---- requests -----------------------------------------------------------------------------------------------

    def add(self, spec: WatcherSpec, announce: bool = False) -> Watcher:
        key = next(self._serials)
        watcher = self.watchers[key] = Watcher(key, spec, self._serials, self._chance)
        watcher.waits_for_namesake = self._is_leaving(watcher.name)
        if announce:
            self._out.append(Publish(key, ADD, {}))
            self._is_asked = True
        return watcher

    def remove(self, now: float, ticket: int, key: int, nostop: bool = False) -> None:
        watcher = self.watchers.pop(key)
        self._out.append(Publish(key, REMOVE, {}))
        job = self._job(ticket, jobs.nothing)
        if nostop:
            self._forget(watcher, now, keep=True)
            return
        self._leaving[key] = watcher
        watcher.stop(now)
        self._take_out(watcher, f"'{watcher.name}' was removed", stops=False)
        for sequence in self._sequences:
            sequence.forget(key, now)
            if sequence.take_out(key):  # it was to be stopped, and so it is
                self._jobs.expect(sequence.job, watcher, jobs.stopped(watcher))
        self._jobs.expect(job, watcher, jobs.stopped(watcher))
        self._touch(watcher)

    def start(self, now: float, ticket: int, keys: list[int], single: bool = False) -> None:
        if self._refuse(ticket):
            return
        job = self._job(ticket, jobs.info_of_start if single else jobs.nothing)
        if single:
            self._begin_up(job, self.watchers[keys[0]], now, Watcher.start)
        else:
            self._start_in_order(job, keys)

    def add_and_start(self, now: float, ticket: int, watcher: Watcher) -> None:
        """The `add` command with `start`: answered with the process ids at top level."""
        if not self._refuse(ticket):
            self._begin_up(self._job(ticket, jobs.started_and_kept), watcher, now, Watcher.start)

    def stop(self, now: float, ticket: int, keys: list[int], single: bool = False) -> None:
        """Of those that were removed the end is awaited."""
        job = self._job(ticket, jobs.info_of_stop if single else jobs.nothing)
        leaving = [watcher for key in keys if (watcher := self._leaving.get(key)) is not None]
        self._stop_in_order(job, [*(self.watchers[key] for key in self._ordered(keys)), *leaving], now)

    def restart(self, now: float, ticket: int, keys: list[int], single: bool = False) -> None:
        if self._refuse(ticket):
            return
        job = self._job(ticket, jobs.info_of_restart if single else jobs.nothing)
        if single:
            self._supersede(self.watchers[keys[0]], stops=False)
            self._begin_up(job, self.watchers[keys[0]], now, Watcher.restart)
        else:
            stopping = self._stop_in_order(job, [self.watchers[key] for key in self._ordered(keys)], now)
            self._start_in_order(job, keys, stopping)

    def reload(
        self,
        now: float,
        ticket: int,
        keys: list[int],
        single: bool = False,
        sequential: bool = False,
        graceful: bool = True,
    ) -> None:
        """A single one is started if it is stopped. Of many only those are touched that are wanted active.

        `graceful` false: the old processes end first.
        """
        if self._refuse(ticket):
            return
        job = self._job(ticket, jobs.info_of_restart if single else jobs.nothing)

        def begin(watcher: Watcher, now: float, turn: Turn | None = None) -> Goal:
            if not graceful:
                watcher.restart(now)
                return jobs.up(watcher, watcher.stops)
            watcher.reload(now, sequential)
            return jobs.replaced(watcher, watcher.stops)

        def begin_if_wanted(watcher: Watcher, now: float, turn: Turn) -> Goal:
            return begin(watcher, now) if watcher.wanted else jobs.settled(watcher)

        if single:
            watcher = self.watchers[keys[0]]
            self._supersede(watcher, stops=True)
            self._jobs.expect(job, watcher, None)
            self._jobs.expect(job, watcher, begin(watcher, now))
            self._touch(watcher)
        else:
            wanted = [watcher for key in self._ordered(keys) if (watcher := self.watchers[key]).wanted]
            self._queue(Sequence(wanted, begin_if_wanted, job, pause=self.warmup_delay))

    def change(self, now: float, ticket: int, key: int, spec: WatcherSpec, replace: bool, updates: int = 0) -> None:
        """Give a watcher another spec. `updates` is how many options that were: each is published."""
        watcher = self.watchers[key]
        job = self._job(ticket, lambda _: {"numprocesses": spec.numprocesses})
        self._jobs.expect(job, watcher, None)
        watcher.change(now, spec, replace)
        goal = jobs.replaced(watcher, watcher.stops) if watcher.pool.reloading else jobs.settled(watcher)
        self._jobs.expect(job, watcher, goal)
        self._out += [Publish(key, UPDATED, {}) for _ in range(updates)]
        self._touch(watcher)

    def kill(
        self, now: float, ticket: int, key: int, serials: list[int], signum: int | None, timeout: float | None
    ) -> None:
        watcher = self._known(key)
        watcher.end(now, serials, signum, timeout)
        self._jobs.expect(self._job(ticket, jobs.nothing), watcher, jobs.gone(serials))
        self._touch(watcher)

    def signal(self, key: int, serial: int, signum: int, recursive: bool) -> None:
        watcher = self.find(key)
        if watcher is not None:
            watcher.signal(serial, signum, recursive)
            self._touch(watcher)

    def quit(self, now: float, ticket: int, restart: bool = False, patient: bool = False) -> None:
        """Stop everything in order, then `Exit`. Asked again it waits for nothing any more, unless it is `patient`.

        Asking to quit what was about to restart changes only that it does not come back.
        """
        job = self._job(ticket, jobs.nothing)
        is_repeated = self.quitting and not self.restarting and not restart
        self.restarting = restart and (self.restarting or not self.quitting)
        self.quitting = True
        for watcher in self.everyone():
            watcher.limit_hooks(now)
        self._stop_in_order(job, self.everyone(), now)
        if is_repeated and not patient:
            for watcher in self.everyone():
                watcher.stop(now)
                watcher.hurry(now)
                self._touch(watcher)

    # ---- facts -------------------------------------------------------------------------------------------------

    def on(self, event: Event, now: float) -> None:
        """Take note of a fact; what follows from it comes with the next `settle`."""
        if isinstance(event, (Spawned, SpawnFailed)):
            self._forking -= 1
        watcher = self.find(event.key)
        if watcher is None:
            return  # forgotten since
        match event:
            case Spawned(key, serial, pid, started):
                watcher.spawned(now, serial, pid, started)
                if self._jobs.spawned(key, serial, pid) and self._early_exit_delay > 0:
                    watcher.await_early_exit(now + self._early_exit_delay)
            case SpawnFailed(_, serial, text):
                watcher.spawn_failed(now, serial, text)
            case Exited(key, serial, exit_code, remains):
                watcher.exited(now, serial, exit_code, remains)
                self._jobs.ended(key, serial)
            case Remains(_, serial, pids, text):
                watcher.remaining(now, serial, pids, text)
            case Refused(_, serial, text):
                watcher.refused(serial, text)
            case HookDone(_, ticket, ok):
                watcher.hook_done(now, ticket, ok)
            case Connection(_):
                watcher.connection(now)
            case Looked(_, used, connected):
                watcher.looked(now, used, connected)
            case _:  # StreamsClosed
                watcher.streams_closed()
        self._touch(watcher)

    # ---- decisions ---------------------------------------------------------------------------------------------

    def settle(self, now: float) -> list[Action]:
        """Every watcher something happened to first does what costs no spawn: its allowance is 0.

        One that would spawn says so, `pool.wants_turn`, and queues; then one after the other is settled once more with
        what is left of the spawns of this pass.
        """
        self._is_asked = False
        for key in self._deadlines.due(now):
            self._dirty[key] = None
        self._advance_sequences(now)
        while self._dirty or self._may_serve():
            while self._dirty:  # one by one: should one of them raise, the others are still to come
                key = next(iter(self._dirty))
                del self._dirty[key]
                self._settle_watcher(key, now, 0)
            if self._may_serve():
                self._serve_next(now)
            self._advance_sequences(now)
        self._check_exit()
        out, self._out = self._out, []
        return out

    def _may_serve(self) -> bool:
        return bool(self._wanting_turn) and self._forking < SPAWNS_PER_PASS

    def _serve_next(self, now: float) -> None:
        """A watcher that has had its turn and wants more queues again: hundreds of one do not hold up others."""
        key = next(iter(self._wanting_turn))
        del self._wanting_turn[key]
        self._settle_watcher(key, now, SPAWNS_PER_PASS - self._forking)

    def _settle_watcher(self, key: int, now: float, allowance: int) -> None:
        watcher = self.find(key)
        if watcher is None:
            self._wanting_turn.pop(key, None)
            return
        actions = watcher.settle(now, allowance)
        self._forking += sum(isinstance(action, Spawn) for action in actions)
        self._out += actions
        if watcher.pool.wants_turn:
            self._wanting_turn[key] = None
        else:
            self._wanting_turn.pop(key, None)
        self._deadlines.set(key, watcher.wake_at())
        self._jobs.check(watcher)
        for sequence in self._sequences:
            sequence.saw(watcher, now)
        if key in self._leaving and watcher.is_stopped:
            self._forget(watcher, now, keep=False)

    def _check_exit(self) -> None:
        self._out += self._jobs.replies()
        if self.quitting and not self._exited and all(w.is_stopped for w in self.everyone()):
            self._exited = True
            self._out.append(Exit(self.restarting))

    # ---- sequences ---------------------------------------------------------------------------------------------

    def _start_in_order(self, job: Job, keys: list[int], after: Sequence | None = None) -> None:
        watchers = [watcher for key in self._ordered(keys) if (watcher := self.watchers[key]).spec.autostart]
        for watcher in watchers:
            self._supersede(watcher, stops=True, unless=after)
        self._queue(Sequence(watchers, _start, job, pause=self.warmup_delay, after=after))

    def _stop_in_order(self, job: Job, watchers: list[Watcher], now: float) -> Sequence:
        """Of what does not run, or stops already, there is nothing to be put in order: it is stopped at once."""
        sequence = Sequence(watchers, _stop, job, stops=True)
        for watcher in watchers:
            self._supersede(watcher, stops=False)
        self._queue(sequence)
        for watcher in watchers:
            if not watcher.is_running and (turn := sequence.take_out(watcher.key)):
                self._begin(sequence, turn, watcher, now)
        while sequence.queue and self._advance(sequence, now):
            pass
        return sequence

    def _queue(self, sequence: Sequence) -> None:
        for turn in sequence.queue:
            watcher = self._known(turn.key)
            if turn.key not in sequence.job.goals:
                self._jobs.expect(sequence.job, watcher, None)
        sequence.job.held += 1
        self._sequences.append(sequence)

    def _advance_sequences(self, now: float) -> None:
        for sequence in list(self._sequences):
            while sequence.queue and self._advance(sequence, now):
                pass
            if sequence.is_over:
                self._sequences.remove(sequence)
                sequence.job.held -= 1
        pauses = [at for sequence in self._sequences if (at := sequence.wake_at(now)) is not None]
        self._deadlines.set(0, min(pauses, default=None))

    def _advance(self, sequence: Sequence, now: float) -> bool:
        """Begin the next in the queue; False if it has to wait."""
        if not sequence.may_begin(now):
            return False
        turn = sequence.queue.popleft()
        self._begin(sequence, turn, self._known(turn.key), now)
        return True

    def _begin(self, sequence: Sequence, turn: Turn, watcher: Watcher, now: float) -> None:
        goal = sequence.begin(watcher, now, turn)
        sequence.began(turn, goal)
        self._jobs.expect(sequence.job, watcher, goal)
        self._touch(watcher)

    def _supersede(self, watcher: Watcher, stops: bool, unless: Sequence | None = None) -> None:
        error = CLOSING if self.quitting else f"superseded by a later request for '{watcher.name}'"
        self._take_out(watcher, error, stops, unless)

    def _take_out(self, watcher: Watcher, error: str, stops: bool, unless: Sequence | None = None) -> None:
        """Out of every sequence that stops watchers, or does not, and has not reached it."""
        for sequence in self._sequences:
            is_meant = sequence.stops is stops and sequence is not unless
            if is_meant and sequence.take_out(watcher.key):
                self._jobs.drop(sequence.job, watcher.key, error)

    # ---- jobs and registration ---------------------------------------------------------------------------------

    def _begin_up(self, job: Job, watcher: Watcher, now: float, request: Callable[[Watcher, float], None]) -> None:
        self._supersede(watcher, stops=True)
        self._jobs.expect(job, watcher, None)
        request(watcher, now)
        self._jobs.expect(job, watcher, jobs.up(watcher, watcher.stops))
        self._touch(watcher)

    def _job(self, ticket: int, shape: Callable[[Job], dict[str, object]]) -> Job:
        self._is_asked = True
        return self._jobs.open(ticket, shape)

    def _refuse(self, ticket: int) -> bool:
        if self.quitting and ticket:
            self._is_asked = True
            self._out.append(Reply(ticket, {}, CLOSING))
        return self.quitting

    def _ordered(self, keys: Iterable[int]) -> list[int]:
        wanted = set(keys)
        return [watcher.key for watcher in self.in_order() if watcher.key in wanted]

    def _touch(self, watcher: Watcher) -> None:
        self._dirty[watcher.key] = None

    def _is_leaving(self, name: str) -> bool:
        return any(res_name(watcher.name) == res_name(name) for watcher in self._leaving.values())

    def _forget(self, watcher: Watcher, now: float, keep: bool) -> None:
        for sequence in self._sequences:
            sequence.forget(watcher.key, now)
            sequence.take_out(watcher.key)
        self._leaving.pop(watcher.key, None)
        self._deadlines.set(watcher.key, None)
        self._jobs.drop_all(watcher, f"'{watcher.name}' was removed")
        self._out.append(Forget(watcher.key, keep))
        for other in self.watchers.values():
            if other.waits_for_namesake and not self._is_leaving(other.name):
                other.waits_for_namesake = False
                self._touch(other)


def _start(watcher: Watcher, now: float, turn: Turn) -> Goal:
    """Its turn in a sequence; another request may have started it meanwhile."""
    if watcher.starts == turn.starts:
        watcher.start(now)
    return jobs.up(watcher, watcher.stops)


def _stop(watcher: Watcher, now: float, turn: Turn) -> Goal:
    watcher.stop(now)
    return jobs.stopped(watcher)
