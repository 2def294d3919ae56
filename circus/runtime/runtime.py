"""Where pure and impure meet: performs the machine's actions and turns what happened into facts.

Everything here runs in the main loop's thread. One method per action, and no decisions.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any

from circus.common import names
from circus.common.convert import signal_name
from circus.common.future import Future
from circus.common.messages import event_frames
from circus.exc import ConflictError, SpawnError
from circus.loop import Loop, Timer
from circus.machine import actions, events
from circus.machine.actions import Action, Scope
from circus.machine.arbiter import Arbiter as Machine
from circus.posix import tree
from circus.posix.children import Children
from circus.posix.processes import ProcessEntry, look
from circus.posix.spawn import spawn
from circus.runtime.hooks import Hook, HookRunner, Outcome, Run
from circus.runtime.launching import launch
from circus.runtime.offspring import Adopted, Remembered, Worker

if TYPE_CHECKING:
    from circus.arbiter import Arbiter
    from circus.watcher import Watcher
    from circus.wire.publisher import Publisher

logger = logging.getLogger("circus")

SIGKILL = 9

STOPPED = "circusd has stopped"


class Runtime:
    """Owns the children, the pumps and the hook threads of one arbiter.

    `leave` is called when everything is down. A guest lives in somebody's program: see `circus.runtime.offspring`.
    """

    def __init__(
        self, arbiter: Arbiter, machine: Machine, loop: Loop, leave: Callable[[], object], guest: bool = False
    ) -> None:
        self.machine = machine
        self.loop = loop
        self.publisher: Publisher | None = None
        self.umask: int | None = None
        self.check_delay = 0.0
        self._next_check_at = 0.0
        self.restart_wanted = False
        self.leave = leave
        self.children = Children(loop.add_reader, loop.remove_reader, self._child_exited)
        self._arbiter = arbiter
        self._watchers: dict[int, Watcher] = {}
        self._parting: dict[int, Watcher] = {}  # forgotten, but their processes live on and write
        self._workers: dict[int, Worker] = {}  # by pid, until reaped
        self._relics: dict[int, Worker] = {}  # by serial: reaped, but descendants may live on
        self._runners: dict[int, HookRunner] = {}
        self._exits: list[tuple[int, int | None]] = []
        self._is_signalled = False
        self.hear_signals: Callable[[], object] = _nothing  # have those delivered that came so far
        self._tickets: dict[int, Future[Mapping[str, Any]]] = {}
        self._last_ticket = 0
        self._closed = False
        self._offspring = Remembered(self._workers) if guest else Adopted(self._workers)
        self._orphans = tree.Orphans()
        self._orphan_timer: Timer | None = None
        self.adopts = False  # orphaned descendants come to us, and dead ones are ours to reap
        self._spared: frozenset[tuple[int, float]] = frozenset()
        self._perform: dict[type, Callable[[Any], None]] = {
            actions.Spawn: self._spawn,
            actions.Signal: self._signal,
            actions.Inspect: self._inspect,
            actions.RunHook: self._run_hook,
            actions.OpenStreams: self._open_streams,
            actions.CloseStreams: self._close_streams,
            actions.Publish: self._publish,
            actions.Log: self._log,
            actions.Forget: self._forget,
            actions.Reply: self._reply,
            actions.Exit: self._exit,
        }

    # ---- the pass ----------------------------------------------------------------------------------------------

    def turn(self, now: float) -> float | None:
        """Do what is due; the time of the next turn if nothing happens before. Called by the loop on every pass."""
        self._look_around(now)
        for action in self.machine.settle(now):
            self.perform(action)
        wake_at = now if self._exits else self.machine.wake_at(now)
        if self.children.needs_polling and self.check_delay > 0:
            wake_at = self._poll(now, wake_at)
        return wake_at

    def _poll(self, now: float, wake_at: float | None) -> float:
        """Where the kernel does not tell of each death, look every `check_delay`."""
        if now >= self._next_check_at:
            self.children.reap_all()
            self._next_check_at = now + self.check_delay
        return now if self._exits else min(self._next_check_at, wake_at or self._next_check_at)

    def perform(self, action: Action) -> None:
        try:
            self._perform[type(action)](action)
        except Exception:  # one action that fails must not take the others of the pass with it
            logger.exception("cannot perform %r", action)

    def ticket(self) -> tuple[int, Future[Mapping[str, Any]]]:
        """A number for a request, and where its reply will appear."""
        self._last_ticket += 1
        future: Future[Mapping[str, Any]] = Future()
        if self._closed:
            future.set_exception(ConflictError(STOPPED))
        else:
            self._tickets[self._last_ticket] = future
        return self._last_ticket, future

    def attach(self, watcher: Watcher) -> None:
        assert watcher.machine is not None
        self._watchers[watcher.machine.key] = watcher

    def tell(self, event: events.Event) -> None:
        """A fact from outside the pass: the loop comes around by itself."""
        self.machine.on(event, time.monotonic())

    # ---- processes ---------------------------------------------------------------------------------------------

    def _spawn(self, action: actions.Spawn) -> None:
        watcher = self._watchers[action.key]
        mark = self._offspring.mark()
        try:
            plan = launch(watcher.spec, action.wid, watcher.spawn_environment(), watcher, self.umask, mark)
            child = spawn(plan)
        except SpawnError as exc:
            self.tell(events.SpawnFailed(action.key, action.serial, exc.text))
            return
        except Exception as exc:
            logger.exception("cannot start a process of %s", watcher.name)
            self.tell(events.SpawnFailed(action.key, action.serial, f"internal error: {exc!r}"))
            return
        self._workers[child.pid] = Worker(child.pid, action.key, action.serial, mark)
        self.children.watch(child.pid)
        pipes = {name: fd for name, fd in (("stdout", child.stdout), ("stderr", child.stderr)) if fd is not None}
        try:
            watcher.pump_output(child.pid, pipes)
        except Exception:  # no thread or descriptor left: the program runs all the same, and must be known
            logger.exception("the output of %s [%d] is lost", watcher.name, child.pid)
            for fd in pipes.values():
                os.close(fd)
        self.tell(events.Spawned(action.key, action.serial, child.pid, time.time()))

    def _child_exited(self, pid: int, exit_code: int | None) -> None:
        self._exits.append((pid, exit_code))

    def _look_around(self, now: float) -> None:
        """Any number of deaths, and of SIGCHLDs, costs one look at who was left behind."""
        if self._exits:
            self.hear_signals()  # each death came with a SIGCHLD, which asks for nothing more than this look
        elif not self._is_signalled:
            return
        exits, self._exits, self._is_signalled = self._exits, [], False
        strangers = self._offspring.strangers()
        dead: set[int] = set()
        for pid, exit_code in exits:
            worker = self._workers.pop(pid, None)
            if worker is not None:
                dead.update(self._tell_exit(worker, exit_code, strangers, now))
        for worker in list(self._relics.values()):
            if all(entry.is_zombie for entry in self._offspring.left_by(worker, strangers)):
                self._tell_remains(worker, [])
        self._reap_orphans(strangers, now, dead)

    def _tell_exit(self, worker: Worker, exit_code: int | None, strangers: list[ProcessEntry], now: float) -> list[int]:
        """Returns who of its descendants is dead, too."""
        entries = self._offspring.left_by(worker, strangers)
        alive = tuple(entry.pid for entry in entries if not entry.is_zombie)
        if alive:
            self._relics[worker.serial] = worker
        self._tell_watcher(worker, exit_code)
        self.machine.on(events.Exited(worker.key, worker.serial, exit_code, alive), now)
        return [entry.pid for entry in entries if entry.is_zombie]

    def _tell_watcher(self, worker: Worker, exit_code: int | None) -> None:
        watcher = self._watchers.get(worker.key) or self._parting.get(worker.key)
        if watcher is not None:
            watcher.process_ended(worker.pid, exit_code)
        if worker.key in self._parting and not any(other.key == worker.key for other in self._workers.values()):
            self._parting.pop(worker.key).close_streams(_nothing)

    def spare_children(self) -> None:
        """Those there are now belong to the program around us, which may wait for them one day."""
        self._spared = frozenset((entry.pid, entry.birth) for entry in self._offspring.strangers())

    def _reap_orphans(self, strangers: list[ProcessEntry], now: float, attributed: Container[int] = ()) -> None:
        """Dead processes we adopted: at once if they were a worker's, later if a hook may be waiting for them."""
        if self.adopts and strangers:
            ours = [entry for entry in strangers if (entry.pid, entry.birth) not in self._spared]
            self._orphans.reap(ours, now, attributed)
            next_at = self._orphans.next_at
            if next_at is not None and (self._orphan_timer is None or self._orphan_timer.at <= now):
                self._orphan_timer = self.loop.call_at(next_at, self.child_signalled)

    def child_signalled(self) -> None:
        """SIGCHLD: our own children tell by themselves where they can; an adopted one may be waiting."""
        if self.children.needs_polling:
            self.children.reap_all()
        self._is_signalled = True

    def _inspect(self, action: actions.Inspect) -> None:
        worker = self._relics.get(action.serial)
        if worker is None:
            self.tell(events.Remains(action.key, action.serial, ()))
        else:
            self._tell_remains(worker, self._left_by(worker))

    def _tell_remains(self, worker: Worker, entries: list[ProcessEntry]) -> None:
        if not entries:
            self._relics.pop(worker.serial, None)
        text = ", ".join(f"{entry} (state {entry.state})" for entry in entries)
        self.tell(events.Remains(worker.key, worker.serial, tuple(entry.pid for entry in entries), text))

    def _left_by(self, worker: Worker) -> list[ProcessEntry]:
        """Descendants of a reaped worker that still run; its dead ones are reaped on the way."""
        strangers = self._offspring.strangers()
        entries = self._offspring.left_by(worker, strangers)
        dead = {entry.pid for entry in entries if entry.is_zombie}
        if dead:
            self._reap_orphans(strangers, time.monotonic(), dead)
        return [entry for entry in entries if not entry.is_zombie]

    # ---- signals -----------------------------------------------------------------------------------------------

    def _signal(self, action: actions.Signal) -> None:
        if not action.sent:
            self._publish_kill(action, action.pid)
            return
        if action.scope is Scope.REMAINS:
            self._signal_remains(action)
            return
        # Whom it concerns is looked up before the first signal: afterwards the family may have fallen apart.
        if (worker := self._workers.get(action.pid)) is not None:
            self._offspring.before_signal(worker)
        others = self._family(action)
        if self.children.signal(action.pid, action.signum) and action.announce:
            self._publish_kill(action, action.pid)
        if action.scope is Scope.TREE and action.signum == SIGKILL:
            hit = tree.kill_tree(others, SIGKILL) + tree.kill_all(lambda: self._family(action))
        else:
            hit = tree.kill_tree(others, action.signum)
        self._tell_hit(action, hit)

    def _family(self, action: actions.Signal) -> list[ProcessEntry]:
        if action.scope is Scope.CHILDREN:
            return [entry for entry in map(look, tree.direct_children(action.pid)) if entry is not None]
        if action.scope is Scope.TREE:
            worker = self._workers.get(action.pid)
            return self._offspring.below(worker) if worker is not None else []
        return []

    def _signal_remains(self, action: actions.Signal) -> None:
        worker = self._relics.get(action.serial)
        if worker is None:
            return
        if action.signum == SIGKILL:
            hit = tree.kill_all(lambda: self._left_by(worker))
        else:
            hit = tree.kill_tree(self._left_by(worker), action.signum)
        self._tell_hit(action, hit)

    def _tell_hit(self, action: actions.Signal, hit: list[ProcessEntry]) -> None:
        if not hit or not action.announce:
            return
        told = {entry.pid: str(entry) for entry in hit}  # some may have been found twice
        for pid in told:
            self._publish_kill(action, pid)
        level = logging.WARNING if action.signum == SIGKILL else logging.INFO
        name = self._watchers[action.key].name
        logger.log(level, "%s: %s sent to %s", name, signal_name(action.signum), ", ".join(told.values()))

    def _publish_kill(self, action: actions.Signal, pid: int) -> None:
        self._publish(actions.Publish(action.key, names.KILL, {"process_pid": pid, "process_id": action.wid}))

    # ---- hooks -------------------------------------------------------------------------------------------------

    def _run_hook(self, action: actions.RunHook) -> None:
        watcher = self._watchers[action.key]
        hook = watcher.resolved_hooks.get(action.hook)
        if hook is None:
            self._hook_done(action, Outcome(True))
            return
        arguments = {"watcher": watcher, "arbiter": self._arbiter, "hook_name": action.hook, **action.arguments}
        if action.hook in (names.BEFORE_REAP, names.AFTER_REAP):
            arguments["time"] = time.time()

        def done(outcome: Outcome) -> None:
            self._publish_hook(action, outcome)
            self._hook_done(action, outcome)

        self.submit_hook(watcher, hook, (), arguments, done)

    def submit_hook(
        self,
        watcher: Watcher,
        hook: Hook,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        done: Callable[[Outcome], None],
    ) -> None:
        """Run a hook in its watcher's thread, no longer than `hooks_timeout`; `done` is called in the loop."""
        runner = self._runner(watcher)
        timeout = watcher.spec.hooks_timeout

        def begun(run: Run) -> None:
            self.loop.call_later(timeout, runner.abandon, run, f"did not return within {timeout} s")

        runner.submit(hook, args, kwargs, done, begun if timeout > 0 else None)

    def _runner(self, watcher: Watcher) -> HookRunner:
        assert watcher.machine is not None
        key = watcher.machine.key
        if key not in self._runners:
            self._runners[key] = HookRunner(watcher.name, self.loop.post, watcher)
        return self._runners[key]

    def _hook_done(self, action: actions.RunHook, outcome: Outcome) -> None:
        if action.ticket:
            self.tell(events.HookDone(action.key, action.ticket, outcome.result))

    def _publish_hook(self, action: actions.RunHook, outcome: Outcome) -> None:
        event = names.HOOK_FAILURE if outcome.error else names.HOOK_SUCCESS
        payload = {"name": action.hook, **({"error": outcome.error} if outcome.error else {})}
        self._publish(actions.Publish(action.key, event, payload))

    # ---- streams -----------------------------------------------------------------------------------------------

    def _open_streams(self, action: actions.OpenStreams) -> None:
        self._watchers[action.key].open_streams(self.loop.post)

    def _close_streams(self, action: actions.CloseStreams) -> None:
        self._watchers[action.key].close_streams(lambda: self.tell(events.StreamsClosed(action.key)))

    # ---- words -------------------------------------------------------------------------------------------------

    def _publish(self, action: actions.Publish) -> None:
        watcher = self._watchers[action.key]
        payload = {"time": time.time(), **action.payload}
        if self.publisher is not None:
            self.publisher.send(event_frames(names.topic(watcher.name, action.event), payload))

    def _log(self, action: actions.Log) -> None:
        logger.log(logging.getLevelName(action.level.upper()), "%s", action.text)

    def _forget(self, action: actions.Forget) -> None:
        watcher = self._watchers.pop(action.key)
        self._arbiter.forget(action.key)
        runner = self._runners.pop(action.key, None)
        if runner is not None:
            runner.close()
        if action.keep and any(worker.key == action.key for worker in self._workers.values()):
            self._parting[action.key] = watcher
        else:
            watcher.close_streams(_nothing)

    def _reply(self, action: actions.Reply) -> None:
        future = self._tickets.pop(action.ticket, None)
        if future is None:
            return
        if action.error:
            future.set_exception(ConflictError(action.error))
        else:
            future.set_result(action.result)

    def _exit(self, action: actions.Exit) -> None:
        self.restart_wanted = action.restart
        self.leave()

    # ---- the end -----------------------------------------------------------------------------------------------

    def kill_everything(self) -> None:
        """The last resort: SIGKILL to every worker and its descendants, waiting for nothing."""
        for worker in list(self._workers.values()):
            family = self._offspring.below(worker)
            self.children.signal(worker.pid, SIGKILL)
            tree.kill_tree(family, SIGKILL)

    def close(self) -> None:
        self._closed = True
        self.children.close()
        for runner in self._runners.values():
            runner.close()
        for watcher in (*self._watchers.values(), *self._parting.values()):
            watcher.close_streams(_nothing)
        for future in self._tickets.values():
            future.set_exception(ConflictError(STOPPED))
        self._tickets.clear()

    @property
    def worker_pids(self) -> list[int]:
        return list(self._workers)


def _nothing() -> None:
    pass
