"""Our processes, from fork to reap, and what descends from them until that is gone, too."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Container, Mapping
from contextlib import AbstractContextManager

from circus.exc import SpawnError
from circus.loop import Loop, Timer
from circus.machine import actions, events
from circus.machine.termination import SIGKILL
from circus.options.socket_use import SocketUse
from circus.posix.launch import Lent
from circus.posix.processes import ProcessEntry
from circus.posix.tree import Orphans
from circus.runtime.launching import launch
from circus.runtime.live_watcher import LiveWatcher, MakePump
from circus.runtime.offspring import Worker
from circus.runtime.system import System

logger = logging.getLogger("circus")

Lend = Callable[[SocketUse], AbstractContextManager[Lent]]
"""What a process is given of the managed sockets, while it is being started. Raises SpawnError."""

Tell = Callable[[events.Event, float], object]
"""A fact for the machine, and the monotonic time of it."""


class Workers:
    """`watchers` are those there are, by key, looked at whenever one is needed; `tell` takes the facts.

    `is_guest`: the arbiter runs in another program, see `circus.runtime.offspring`.
    """

    def __init__(
        self, loop: Loop, watchers: Mapping[int, LiveWatcher], tell: Tell, system: System, is_guest: bool
    ) -> None:
        self.by_pid: dict[int, Worker] = {}  # until reaped
        self.reaped: dict[int, Worker] = {}  # by serial: descendants may live on
        self.children = system.children(loop.add_reader, loop.remove_reader, self._child_exited)
        self.offspring = system.offspring(self.by_pid, is_guest)
        self.adopts = False  # orphaned descendants come to us, and dead ones are ours to reap
        self.hear_signals: Callable[[], object] | None = None  # have those delivered that came so far
        self.orphans = Orphans()
        self._loop = loop
        self._watchers = watchers
        self._tell = tell
        self._system = system
        self._parting: dict[int, LiveWatcher] = {}  # forgotten, but their processes live on and write
        self._exits: list[tuple[int, int | None]] = []
        self._is_signalled = False
        self._next_check_at = 0.0
        self._orphan_timer: Timer | None = None
        self._spared: frozenset[tuple[int, float]] = frozenset()

    # ---- birth -------------------------------------------------------------------------------------------------

    def spawn(self, action: actions.Spawn, umask: int | None, lend: Lend, make_pump: MakePump) -> None:
        """Answered by `Spawned` or `SpawnFailed`, whatever happens."""
        watcher = self._watchers[action.key]
        mark = self.offspring.mark()
        try:
            with lend(watcher.socket_use) as lent:
                plan = launch(watcher.spec, action.wid, dict(watcher.env), watcher, umask, mark, lent)
                child = self._system.spawn(plan)
        except SpawnError as exc:
            self._now(events.SpawnFailed(action.key, action.serial, exc.text))
            return
        except Exception as exc:
            logger.exception("cannot start a process of %s", watcher.name)
            self._now(events.SpawnFailed(action.key, action.serial, f"internal error: {exc!r}"))
            return
        self.by_pid[child.pid] = Worker(child.pid, action.key, action.serial, mark)
        self.children.watch(child.pid)
        pipes = {name: fd for name, fd in (("stdout", child.stdout), ("stderr", child.stderr)) if fd is not None}
        try:
            watcher.pump_output(child.pid, pipes, make_pump)
        except Exception:  # no thread or descriptor left: the program runs all the same, and must be known
            logger.exception("the output of %s [%d] is lost", watcher.name, child.pid)
            for fd in pipes.values():
                os.close(fd)
        self._now(events.Spawned(action.key, action.serial, child.pid, self._system.wall()))

    def _now(self, event: events.Event) -> None:
        self._tell(event, self._system.monotonic())

    # ---- death -------------------------------------------------------------------------------------------------

    def _child_exited(self, pid: int, exit_code: int | None) -> None:
        self._exits.append((pid, exit_code))

    def child_signalled(self) -> None:
        """SIGCHLD: our own children tell by themselves where they can; an adopted one may be waiting."""
        if self.children.needs_polling:
            self.children.reap_all()
        self._is_signalled = True

    def wake_at(self, now: float, wake_at: float | None, check_delay: float) -> float | None:
        """When to look around next, if not before `wake_at`. Where the kernel does not tell of each death: look now
        and then, every `check_delay` seconds; 0 or less: never."""
        if self._exits:
            return now
        if not self.children.needs_polling or check_delay <= 0:
            return wake_at
        if now >= self._next_check_at:
            self.children.reap_all()
            self._next_check_at = now + check_delay
        return now if self._exits else min(self._next_check_at, wake_at or self._next_check_at)

    def look_around(self, now: float) -> None:
        """Any number of deaths, and of SIGCHLDs, costs one look at what was left behind."""
        if self._exits:
            if self.hear_signals is not None:
                self.hear_signals()  # each death came with a SIGCHLD, which asks for nothing more than this look
        elif not self._is_signalled:
            return
        exits, self._exits, self._is_signalled = self._exits, [], False
        strangers = self.offspring.strangers()
        dead: set[int] = set()
        for pid, exit_code in exits:
            worker = self.by_pid.pop(pid, None)
            if worker is not None:
                left = self.offspring.left_by(worker, strangers)
                dead.update(entry.pid for entry in left if entry.is_zombie)
                self._exited(worker, exit_code, tuple(entry.pid for entry in left if not entry.is_zombie), now)
        for worker in list(self.reaped.values()):
            if all(entry.is_zombie for entry in self.offspring.left_by(worker, strangers)):
                self._tell_remains(worker, [])
        self._reap_orphans(strangers, now, dead)

    def _exited(self, worker: Worker, exit_code: int | None, remains: tuple[int, ...], now: float) -> None:
        if remains:
            self.reaped[worker.serial] = worker
        watcher = self._watchers.get(worker.key) or self._parting.get(worker.key)
        if watcher is not None:
            watcher.process_ended(worker.pid, exit_code)
        if worker.key in self._parting and not self._has_any(worker.key):
            self._parting.pop(worker.key).close_streams()
        self._tell(events.Exited(worker.key, worker.serial, exit_code, remains), now)

    # ---- what a dead worker has left ---------------------------------------------------------------------------

    def inspect(self, action: actions.Inspect) -> None:
        """Answered by `Remains`."""
        worker = self.reaped.get(action.serial)
        if worker is None:
            self._now(events.Remains(action.key, action.serial, ()))
        else:
            self._tell_remains(worker, self.left_by(worker))

    def _tell_remains(self, worker: Worker, entries: list[ProcessEntry]) -> None:
        if not entries:
            self.reaped.pop(worker.serial, None)
        text = ", ".join(f"{entry} (state {entry.state})" for entry in entries)
        self._now(events.Remains(worker.key, worker.serial, tuple(entry.pid for entry in entries), text))

    def left_by(self, worker: Worker) -> list[ProcessEntry]:
        """Descendants of a reaped worker that still run; its dead ones are reaped on the way."""
        strangers = self.offspring.strangers()
        entries = self.offspring.left_by(worker, strangers)
        dead = {entry.pid for entry in entries if entry.is_zombie}
        if dead:
            self._reap_orphans(strangers, self._system.monotonic(), dead)
        return [entry for entry in entries if not entry.is_zombie]

    # ---- orphans -----------------------------------------------------------------------------------------------

    def spare_children(self) -> None:
        """Those there are now belong to the program around us, which may wait for them one day."""
        self._spared = frozenset((entry.pid, entry.birth) for entry in self.offspring.strangers())

    def _reap_orphans(self, strangers: list[ProcessEntry], now: float, attributed: Container[int] = ()) -> None:
        """Dead processes we adopted: at once if they were a worker's, later if a hook may be waiting for them."""
        if self.adopts and strangers:
            ours = [entry for entry in strangers if (entry.pid, entry.birth) not in self._spared]
            self.orphans.reap(ours, now, attributed)
            next_at = self.orphans.next_at
            if next_at is not None and (self._orphan_timer is None or self._orphan_timer.at <= now):
                self._orphan_timer = self._loop.call_at(next_at, self.child_signalled)

    # ---- the end -----------------------------------------------------------------------------------------------

    def _has_any(self, key: int) -> bool:
        return any(worker.key == key for worker in self.by_pid.values())

    def part(self, watcher: LiveWatcher, keep: bool) -> None:
        """A watcher was forgotten. With `keep` its processes live on: their output is carried until they end."""
        if keep and self._has_any(watcher.key):
            self._parting[watcher.key] = watcher
        else:
            watcher.close_streams()

    def kill_everything(self) -> None:
        """The last resort: SIGKILL to every worker and its descendants, waiting for nothing."""
        for worker in list(self.by_pid.values()):
            family = self.offspring.below(worker)
            try:
                self.children.signal(worker.pid, SIGKILL)
            except PermissionError as exc:
                logger.error("leaving [%d] behind: %s", worker.pid, exc)
            self._system.kill_tree(family, SIGKILL)

    def close(self) -> None:
        self.children.close()
        for watcher in self._parting.values():
            watcher.close_streams()
