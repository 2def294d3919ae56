"""A simulated system for the machine: a clock, pids, scripted children, hooks and streams.

It performs what the machine asks for and feeds the facts back, all in simulated time. An action that makes no
sense (a signal to a reaped pid, two processes with one worker number, a second answer to a request, ...) raises
`Unexpected` at once. At the end of every instant the invariants that always hold are checked.

    sim = Sim()
    web = sim.add("web", numprocesses=2)
    sim.start(web)
    assert sim.told() == ["open web", "spawn web.1", ...]
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from circus.common.convert import signal_name
from circus.machine import actions, events
from circus.machine.actions import Scope
from circus.machine.arbiter import Arbiter
from circus.machine.phase import Phase
from circus.machine.process import State
from circus.machine.watcher import Watcher
from circus.options.table import WatcherSpec

HUP, KILL, USR1, TERM = 1, 9, 10, 15

# Rounds of facts and actions within one instant, or instants in a row, before it is called an endless loop.
PATIENCE = 5_000

NEVER = float("inf")


class Unexpected(AssertionError):
    """The machine asked for something that makes no sense."""


class Program(NamedTuple):
    """What a child does. Times are in seconds; NEVER waits for the test."""

    lives: float = NEVER  # then it ends by itself, with `code`
    code: int = 0
    ignores: tuple[int, ...] = (HUP, USR1)
    takes: float = 0.0  # from a signal it heeds to its end
    stuck: bool = False  # not even SIGKILL ends it
    foreign: bool = False  # we may not signal it
    fails: str = ""  # why it cannot be executed
    forks_in: float = 0.0  # how long executing it takes
    leaves: int = 0  # descendants that outlive it
    serves: bool = True  # it takes the connections that wait, as long as it runs
    below: str = "tame"  # or "stubborn" (SIGKILL only), "stuck" (not at all), "growing" (one more, once), "foreign"


class Hook(NamedTuple):
    ok: bool = True
    takes: float = 0.0


class Child:
    def __init__(self, action: actions.Spawn, program: Program) -> None:
        self.key, self.serial, self.wid = action
        self.program = program
        self.pid = 0
        self.alive = True
        self.reaped = False
        self.kept = False  # its watcher was forgotten, it lives on
        self.grown = False
        self.refused = False
        self.descendants: list[int] = []
        self.signals: list[int] = []

    @property
    def outlives(self) -> bool:
        """It may outlive the arbiter."""
        return self.program.stuck or self.program.foreign


class Sim:
    """One arbiter in a simulated world. `checks=False` leaves out what costs time with many processes.

    Without `early_exit_delay` requests are answered at once, which is easier to tell of.
    """

    def __init__(
        self,
        warmup_delay: float = 0.0,
        chance: Callable[[], float] = lambda: 0.5,
        checks: bool = True,
        early_exit_delay: float = 0.0,
    ) -> None:
        self.now = 1000.0
        self.arbiter = Arbiter(chance, warmup_delay, early_exit_delay)
        self.replies: dict[int, actions.Reply] = {}
        self.exit: actions.Exit | None = None
        self.logs: list[str] = []
        self.published: list[tuple[str, str, dict[str, Any]]] = []
        self.hook_runs: list[actions.RunHook] = []
        self.children: dict[int, Child] = {}
        self.stream_delay = 0.0  # how long streams take to close
        self.waiting: set[int] = set()  # tickets of requests that are not answered
        self.is_broken = False  # what comes after a failure means nothing
        self._checks = checks
        self._names: dict[int, str] = {}
        self._forgotten: set[int] = set()
        self._programs: dict[str, list[Program]] = {}
        self._hooks: dict[tuple[str, str], list[Hook]] = {}
        self._hook_queues: dict[int, list[actions.RunHook]] = {}  # per watcher: the first one runs
        self._hook_tickets: set[int] = set()
        self._hanging: set[int] = set()  # watchers whose first hook never returns
        self._open: set[int] = set()  # watchers with open streams
        self._listening: set[int] = set()  # watchers whose sockets are watched
        self._backlog: set[int] = set()  # watchers at whose sockets a connection waits
        self.used: dict[int, float] = {}  # processor time by watcher key, and how long ago there was a connection
        self.connected: dict[int, float] = {}
        self._begun: set[int] = set()  # watchers between their `start` and `stop` events
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._serials: set[int] = set()
        self._told: list[str] = []
        self._held = False
        self._to_stop: dict[int, int] = {}  # priorities of watchers that a shutdown has to stop in order
        self._in_order: set[int] = set()  # tickets of other requests that stop watchers in order

    # ---- setting the scene -------------------------------------------------------------------------------------

    def add(self, name: str, announce: bool = False, **options: Any) -> Watcher:
        """A watcher whose children run until they are told to end, unless `program` says otherwise."""
        watcher = self.arbiter.add(WatcherSpec(name, {"graceful_timeout": 10.0, **options}), announce)
        self._names[watcher.key] = name
        return watcher

    def program(self, name: str, *programs: Program) -> None:
        """What the next children of this watcher do, one after the other; the last goes for all that follow."""
        self._programs[name] = list(programs)

    def hook(self, name: str, hook: str, *scripts: Hook) -> None:
        """The same for a hook."""
        self._hooks[name, hook] = list(scripts)

    # ---- requests: each returns its ticket -----------------------------------------------------------------------

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Several requests or facts before the machine settles."""
        self._held = True
        yield
        self._held = False
        self.settle()

    def start(self, *watchers: Watcher, single: bool = True) -> int:
        return self._request(self.arbiter.start, _keys(watchers), single and len(watchers) == 1)

    def stop(self, *watchers: Watcher, single: bool = True) -> int:
        self._stop_out_of_order(*watchers)
        return self._request_of_many(self.arbiter.stop, watchers, single)

    def restart(self, *watchers: Watcher, single: bool = True) -> int:
        return self._request_of_many(self.arbiter.restart, watchers, single)

    def _request_of_many(self, method: Callable[..., object], watchers: tuple[Watcher, ...], single: bool) -> int:
        is_one = single and len(watchers) == 1
        ticket = self._request(method, _keys(watchers), is_one)
        if not is_one:
            self._in_order.add(ticket)
        return ticket

    def reload(
        self, *watchers: Watcher, single: bool = True, sequential: bool = False, graceful: bool = True
    ) -> int:
        is_one = single and len(watchers) == 1
        return self._request(self.arbiter.reload, _keys(watchers), is_one, sequential, graceful)

    def remove(self, watcher: Watcher, nostop: bool = False) -> int:
        self._stop_out_of_order(watcher)
        return self._request(self.arbiter.remove, watcher.key, nostop)

    def add_and_start(self, watcher: Watcher) -> int:
        return self._request(self.arbiter.add_and_start, watcher)

    def change(self, watcher: Watcher, replace: bool = False, updates: int = 0, **options: Any) -> int:
        return self._request(self.arbiter.change, watcher.key, watcher.spec.replace(**options), replace, updates)

    def kill(self, watcher: Watcher, *wids: int, signum: int | None = None, timeout: float | None = None) -> int:
        serials = [child.serial for child in self.alive(watcher) if child.wid in wids or not wids]
        return self._request(self.arbiter.kill, watcher.key, serials, signum, timeout)

    def quit(self, restart: bool = False, **more: bool) -> int:
        # What an earlier request still stops, in the order of its own, is none of this one's business.
        is_first = not self.arbiter.quitting and not self._in_order & self.waiting
        running = [watcher for watcher in self.arbiter.watchers.values() if watcher.is_running]
        self._to_stop = {watcher.key: watcher.spec.priority for watcher in running} if is_first else {}
        return self._request(lambda now, ticket: self.arbiter.quit(now, ticket, restart, **more))

    def _stop_out_of_order(self, *watchers: Watcher) -> None:
        for watcher in watchers:
            self._to_stop.pop(watcher.key, None)

    def signal(self, watcher: Watcher, wid: int, signum: int, recursive: bool = False) -> None:
        self.arbiter.signal(watcher.key, self.child(watcher, wid).serial, signum, recursive)
        self.settle()

    def _request(self, method: Callable[..., object], *arguments: object) -> int:
        self._count += 1
        ticket = self._count
        self.waiting.add(ticket)
        method(self.now, ticket, *arguments)
        self.settle()
        return ticket

    # ---- facts a test brings about -----------------------------------------------------------------------------

    def die(self, watcher: Watcher, *wids: int, code: int = 1) -> None:
        """Children end although nobody asked them to; all of them if no number is given."""
        for child in self.alive(watcher):
            if child.wid in wids or not wids:
                self._end(child, code)
        self.settle()

    def answer(self, watcher: Watcher, ok: bool) -> None:
        """The hook that runs returns at last."""
        self._hook_returns(watcher.key, ok)
        self.settle()

    def connect(self, watcher: Watcher) -> None:
        """A connection to the socket of this watcher; it waits until a program takes it."""
        self._backlog.add(watcher.key)
        if not self.arbiter.quitting:
            self._call(watcher.key)
        if any(child.program.serves for child in self.alive(watcher)):
            self._backlog.discard(watcher.key)
        self.settle()

    def waits(self, watcher: Watcher) -> bool:
        """A connection waits."""
        return watcher.key in self._backlog

    def listens(self, watcher: Watcher) -> bool:
        return watcher.key in self._listening

    def _call(self, key: int) -> None:
        if key in self._listening:
            self._listening.discard(key)
            self._fact(events.Connection(key))

    def executed(self, watcher: Watcher, failed: str = "") -> None:
        """The first program with `forks_in=NEVER` was executed, or could not be."""
        self._fork(next(c for c in self._of(watcher) if not c.pid and c.alive), failed)
        self.settle()

    def unstick(self) -> None:
        """What hung in the kernel ends at last, and so does what could not be signalled."""
        for child in self.children.values():
            if child.outlives or child.program.below in ("stuck", "foreign"):
                child.program = child.program._replace(stuck=False, foreign=False, below="tame")
                child.descendants = []
                if KILL in child.signals or child.refused:
                    self._end(child, -KILL)
        self.settle()

    def streams_closed(self, watcher: Watcher) -> None:
        self.arbiter.on(events.StreamsClosed(watcher.key), self.now)
        self.settle()

    # ---- what can be asked -------------------------------------------------------------------------------------

    def told(self) -> list[str]:
        """What was asked of the system since the last call, one line each and in order. Log lines are kept apart."""
        told, self._told = self._told, []
        return told

    def payloads(self, name: str, event: str) -> list[dict[str, Any]]:
        return [payload for who, what, payload in self.published if (who, what) == (name, event)]

    def logged(self, text: str) -> bool:
        return any(text in line for line in self.logs)

    def alive(self, watcher: Watcher) -> list[Child]:
        return [child for child in self._of(watcher) if child.pid and child.alive]

    def wids(self, watcher: Watcher) -> list[int]:
        return [child.wid for child in self.alive(watcher)]

    def pids(self, watcher: Watcher) -> list[int]:
        return [process.pid for process in watcher.table.live()]

    def child(self, watcher: Watcher, wid: int) -> Child:
        return next(child for child in self.alive(watcher) if child.wid == wid)

    def hanging_hooks(self) -> list[Watcher]:
        """Watchers whose hook thread runs a hook that never returns by itself."""
        found = [self.arbiter.find(key) for key in self._hanging]
        return [watcher for watcher in found if watcher is not None]

    def _of(self, watcher: Watcher) -> list[Child]:
        return [child for child in self.children.values() if child.key == watcher.key]

    # ---- time --------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass; everything happens at its own instant."""
        until = self.now + seconds
        self._run(until)
        self.now = until

    def rest(self, limit: float = 3600.0) -> None:
        """Let time pass until nothing is on its way any more, for `limit` seconds at most."""
        self._run(self.now + limit)

    def _run(self, until: float) -> None:
        for _ in range(PATIENCE):
            at = self.next_at()
            if at > until:
                return
            self.now = max(self.now, at)
            self.settle()
        raise Unexpected(f"it comes to no rest: {self._told[-8:]}")

    def next_at(self) -> float:
        """When something happens if nobody does anything; NEVER if nothing will."""
        wake_at = self.arbiter.wake_at(self.now)
        return min(NEVER if wake_at is None else wake_at, self._queue[0][0] if self._queue else NEVER)

    def settle(self) -> None:
        """Let the machine decide, and the system act, until neither has anything to do at this instant."""
        if not self._held:
            self.is_broken = True
            self._settle()
            self.is_broken = False

    def _settle(self) -> None:
        for _ in range(PATIENCE):
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
            actions = self.arbiter.settle(self.now)
            again = self.arbiter.settle(self.now) if self._checks else []
            if again:
                raise Unexpected(f"settled, then wanted {again} without a new fact")
            for action in actions:
                getattr(self, "_on_" + type(action).__name__.lower())(action)
            if self.next_at() > self.now:
                self._check()
                return
        raise Unexpected("an endless loop in one instant")

    def _later(self, delay: float, happen: Callable[[], None]) -> None:
        if delay != NEVER:
            self._count += 1
            heapq.heappush(self._queue, (self.now + delay, self._count, happen))

    def _fact(self, event: events.Event) -> None:
        self.arbiter.on(event, self.now)

    # ---- performing: processes ---------------------------------------------------------------------------------

    def _on_spawn(self, action: actions.Spawn) -> None:
        self._expect(action.key not in self._forgotten, action, "for a watcher that is gone")
        self._expect(action.serial not in self._serials, action, "twice with one serial")
        self._serials.add(action.serial)
        self._expect(action.key in self._open, action, "without streams")
        same = [c for c in self.children.values() if (c.key, c.wid) == (action.key, action.wid)] if self._checks else ()
        self._expect(all(c.reaped and not c.descendants for c in same), action, "while its number is taken")
        self._told.append(f"spawn {self._names[action.key]}.{action.wid}")
        programs = self._programs.get(self._names[action.key]) or [Program()]
        program = programs.pop(0) if len(programs) > 1 else programs[0]
        child = self.children[action.serial] = Child(action, program)
        self._later(program.forks_in, lambda: self._fork(child, program.fails))

    def _fork(self, child: Child, failed: str) -> None:
        if failed:
            child.alive, child.reaped = False, True
            self._fact(events.SpawnFailed(child.key, child.serial, failed))
            return
        child.pid = 10_000 + child.serial
        child.descendants = [child.pid + 100_000 * (n + 1) for n in range(child.program.leaves)]
        self._fact(events.Spawned(child.key, child.serial, child.pid, 1e9 + self.now))
        if child.program.serves:
            self._backlog.discard(child.key)
        self._later(child.program.lives, lambda: self._end(child, child.program.code))

    def _end(self, child: Child, code: int) -> None:
        if not child.alive:
            return
        child.alive = False

        def reap() -> None:
            child.reaped = True
            remains = tuple(child.descendants)
            watcher = self.arbiter.find(child.key)
            if watcher is None or not watcher.spec.stop_tree:
                child.descendants = []  # they may live on
            self._fact(events.Exited(child.key, child.serial, code, remains))

        self._later(0.0, reap)

    def _child(self, action: actions.Signal | actions.Inspect) -> Child:
        self._expect(action.serial in self.children, action, "which is gone with all it had")
        return self.children[action.serial]

    def _on_signal(self, action: actions.Signal) -> None:
        child = self._child(action)
        remains = action.scope is Scope.REMAINS
        self._expect((child.pid, child.wid) == (action.pid, action.wid), action, "with a wrong pid or number")
        self._expect(child.reaped == remains, action, "to a pid that is reaped, or to the remains of a live one")
        self._expect(not child.kept, action, "to a process of a forgotten watcher")
        self._told.append(_signal_text(action, self._names[action.key]))
        if not action.sent:
            return
        if child.program.foreign if not remains else child.program.below == "foreign":
            child.refused = True
            refused = events.Refused(action.key, action.serial, f"may not signal {child.pid}")
            self._later(0.0, lambda: self._fact(refused))
            return
        if action.scope is not Scope.PROCESS:
            self._signal_descendants(child, action.signum)
        if not remains:
            child.signals.append(action.signum)
            is_heeded = action.signum == KILL or action.signum not in child.program.ignores
            if is_heeded and not child.program.stuck:
                delay = 0.0 if action.signum == KILL else child.program.takes
                self._later(delay, lambda: self._end(child, -action.signum))

    def _signal_descendants(self, child: Child, signum: int) -> None:
        below = child.program.below
        if below == "stuck" or (below == "stubborn" and signum != KILL) or not child.descendants:
            return
        child.descendants = [child.pid + 1_000_000] if below == "growing" and not child.grown else []
        child.grown = True

    def _on_inspect(self, action: actions.Inspect) -> None:
        child = self._child(action)
        self._expect(child.reaped, action, "before the process was reaped")
        self._told.append(f"inspect {self._names[action.key]}.{child.wid}")
        pids = tuple(child.descendants)
        self._later(0.0, lambda: self._fact(events.Remains(action.key, action.serial, pids, f"pids {pids}")))

    # ---- performing: hooks, streams ----------------------------------------------------------------------------

    def _on_runhook(self, action: actions.RunHook) -> None:
        watcher = self.arbiter.find(action.key)
        self._expect(watcher is not None and action.hook in watcher.spec.hooks, action, "which is not configured")
        self._expect(action.ticket not in self._hook_tickets, action, "with a used ticket")
        if action.ticket:
            self._hook_tickets.add(action.ticket)
        self._told.append(f"hook {self._names[action.key]} {action.hook}")
        self.hook_runs.append(action)
        queue = self._hook_queues.setdefault(action.key, [])
        queue.append(action)
        if len(queue) == 1:
            self._begin_hook(action)

    def _begin_hook(self, action: actions.RunHook) -> None:
        scripts = self._hooks.get((self._names[action.key], action.hook)) or [Hook()]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        self._later(script.takes, lambda: self._hook_returns(action.key, script.ok))
        if script.takes == NEVER:
            self._hanging.add(action.key)

    def _hook_returns(self, key: int, ok: bool) -> None:
        queue = self._hook_queues[key]
        done = queue.pop(0)
        self._hanging.discard(key)
        if done.ticket:
            self._fact(events.HookDone(key, done.ticket, ok))
        if queue:
            self._begin_hook(queue[0])

    def _on_openstreams(self, action: actions.OpenStreams) -> None:
        self._expect(action.key not in self._open, action, "which are open")
        self._open.add(action.key)
        self._told.append(f"open {self._names[action.key]}")

    def _on_closestreams(self, action: actions.CloseStreams) -> None:
        self._expect(action.key in self._open, action, "which are closed")
        self._open.discard(action.key)
        self._told.append(f"close {self._names[action.key]}")
        self._later(self.stream_delay, lambda: self._fact(events.StreamsClosed(action.key)))

    # ---- performing: sockets ---------------------------------------------------------------------------------------

    def _on_listen(self, action: actions.Listen) -> None:
        self._expect(action.key not in self._forgotten, action, "for a watcher that is gone")
        self._expect(action.wanted != (action.key in self._listening), action, "twice")
        self._told.append(f"{'listen' if action.wanted else 'hush'} {self._names[action.key]}")
        if not action.wanted:
            self._listening.discard(action.key)
            return
        self._listening.add(action.key)
        if action.key in self._backlog:
            self._later(0.0, lambda: self._call(action.key))

    def _on_look(self, action: actions.Look) -> None:
        self._expect(action.key not in self._forgotten, action, "for a watcher that is gone")
        self._told.append(f"look {self._names[action.key]}")
        looked = events.Looked(action.key, self.used.get(action.key, 0.0), self.connected.get(action.key))
        self._later(0.0, lambda: self._fact(looked))

    # ---- performing: words -------------------------------------------------------------------------------------

    def _on_publish(self, action: actions.Publish) -> None:
        payload = dict(action.payload)
        if action.event == "start":
            self._expect(action.key not in self._begun, action, "twice without a stop")
            self._begun.add(action.key)
        elif action.event == "stop":
            self._begun.discard(action.key)
        self.published.append((self._names[action.key], action.event, payload))
        wid = f" {payload['process_id']}" if payload.get("process_id") else ""
        code = f" ({payload['exit_code']})" if action.event == "reap" else ""
        self._told.append(f"event {self._names[action.key]} {action.event}{wid}{code}")

    def _on_log(self, action: actions.Log) -> None:
        self.logs.append(f"{action.level}: {action.text}")

    def _on_forget(self, action: actions.Forget) -> None:
        self._expect(action.key not in self._forgotten, action, "twice")
        self._expect(action.keep or action.key not in self._open, action, "with open streams")
        self._forgotten.add(action.key)
        self._listening.discard(action.key)
        self._told.append(f"forget {self._names[action.key]}{' but keep it' if action.keep else ''}")
        for child in self.children.values():
            if child.key == action.key:
                child.kept = action.keep
                self._expect(_may_be_left(child), action, f"while {child.pid} lives")

    def _on_reply(self, action: actions.Reply) -> None:
        self._expect(action.ticket in self.waiting, action, "which nobody waits for")
        self.waiting.discard(action.ticket)
        self.replies[action.ticket] = action

    def _on_exit(self, action: actions.Exit) -> None:
        self._expect(self.exit is None, action, "twice")
        self._expect(not self.waiting, action, f"although {self.waiting} are not answered")
        self._expect(all(map(_may_be_left, self.children.values())), action, "although processes live")
        self._expect(self._open <= self._forgotten, action, "with open streams")
        self._expect(not self._listening, action, "while sockets are watched")
        self.exit = action
        self._told.append("exit to restart" if action.restart else "exit")

    def _expect(self, right: bool, action: object, why: str) -> None:
        if not right:
            raise Unexpected(f"{action} {why}")

    # ---- what always holds -------------------------------------------------------------------------------------

    def _check(self) -> None:
        wake_at = self.arbiter.wake_at(self.now)
        assert wake_at is None or wake_at > self.now, "wakes up for nothing"
        for watcher in self.arbiter.everyone() if self._checks else ():
            self._check_processes(watcher)
            self._check_sleep(watcher)
            _check_counts(watcher)
            if watcher.phase is Phase.STOPPED:
                assert watcher.key not in self._open, f"{watcher.name}: stopped with open streams"
                assert not len(watcher.table), f"{watcher.name}: stopped with processes"
        self._check_order()
        self._bury()

    def _check_order(self) -> None:
        """A shutdown stops nothing before all of a lower priority are down. One may go down by itself, though."""
        watchers = [(rank, watcher) for key, rank in self._to_stop.items() if (watcher := self.arbiter.find(key))]
        self._stop_out_of_order(*(watcher for _, watcher in watchers if watcher.stop_hangs))  # from here on for good
        not_down = [rank for rank, watcher in watchers if not watcher.is_stopped and watcher.key in self._to_stop]
        last = min(not_down, default=NEVER)
        for rank, watcher in watchers:
            by_itself = watcher.trouble or not watcher.spec.respawn or watcher.spec.on_demand
            assert watcher.is_running or by_itself or rank <= last, f"{watcher.name}: stopped too early"

    def _check_sleep(self, watcher: Watcher) -> None:
        listens = watcher.key in self._listening
        if watcher.is_sleeping and watcher.pool.target:
            assert listens or watcher.wake_at(), f"{watcher.name}: it sleeps and nothing will ever wake it"
            assert not (listens and self.waits(watcher)), f"{watcher.name}: it sleeps although a connection waits"
        elif listens:
            may_idle = watcher.phase is Phase.ACTIVE and watcher.spec.idle_timeout
            assert may_idle, f"{watcher.name}: its sockets are watched in phase {watcher.phase}"

    def _bury(self) -> None:
        """Forget the dead of whom the machine knows nothing any more."""
        for child in [c for c in self.children.values() if c.reaped]:
            watcher = self.arbiter.find(child.key)
            if watcher is None or watcher.table.get(child.serial) is None:
                del self.children[child.serial]

    def _check_processes(self, watcher: Watcher) -> None:
        seen = {c.serial: c.pid for c in self._of(watcher) if c.pid and not c.reaped and not c.outlives}
        known = {p.serial: p.pid for p in watcher.table.live() if not self.children[p.serial].outlives}
        assert known == seen, f"{watcher.name}: it takes {known} for running, but it is {seen}"
        for process in watcher.table.in_state(State.ENDING, State.LEFTOVERS):
            has_end = watcher.kill_at(process.serial) is not None or process.kill_sent
            assert has_end, f"{watcher.name}: {process.pid} was asked to end but will never be killed"


def _check_counts(watcher: Watcher) -> None:
    """Never more current processes than wanted; during a graceful reload as many again of older generations."""
    if watcher.phase not in (Phase.STARTING, Phase.FINISHING, Phase.ACTIVE):
        return
    current = [p for p in watcher.table if p.is_current]
    young = [p for p in current if p.generation == watcher.pool.generation]
    limit = 2 * watcher.pool.target if watcher.pool.reloading and not watcher.pool.sequential else watcher.pool.target
    assert len(current) <= limit, f"{watcher.name}: {len(current)} run instead of {limit}"
    assert len(young) <= watcher.pool.target, f"{watcher.name}: {len(young)} run instead of {watcher.pool.target}"


def _may_be_left(child: Child) -> bool:
    return not child.alive or child.kept or child.outlives


def _keys(watchers: tuple[Watcher, ...]) -> list[int]:
    return [watcher.key for watcher in watchers]


def _signal_text(action: actions.Signal, name: str) -> str:
    word = signal_name(action.signum).removeprefix("SIG")
    scope = {Scope.CHILDREN: " and children", Scope.TREE: " and all below", Scope.REMAINS: " remains"}
    quiet = "" if action.announce else " quietly"
    held = "" if action.sent else " held back"
    return f"{word} {name}.{action.wid}{scope.get(action.scope, '')}{quiet}{held}"
