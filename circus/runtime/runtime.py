"""Where pure and impure meet: performs the machine's actions and turns what happened into facts.

Everything here runs in the main loop's thread. One method per action, and no decisions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from circus.common import names
from circus.common.future import Future
from circus.common.messages import event_frames
from circus.exc import ConflictError
from circus.loop import Loop
from circus.machine import actions, events
from circus.machine.actions import Action
from circus.machine.arbiter import Arbiter as Decided
from circus.options.socket_use import SocketUse
from circus.options.table import CircusSpec
from circus.posix.launch import Lent
from circus.runtime.backend import Backend
from circus.runtime.hooks import Outcome
from circus.runtime.live_watcher import LiveWatcher
from circus.runtime.signalling import Signalling
from circus.runtime.system import REAL, System
from circus.runtime.workers import Workers
from circus.wire.publisher import Publisher

if TYPE_CHECKING:
    from circus.runtime.backend import Pump
    from circus.runtime.demand import Demand
    from circus.runtime.idle_looks import IdleLooks
    from circus.sockets.managed import CircusSocket

logger = logging.getLogger("circus")

STOPPED = "circusd has stopped"

_NOTHING_LENT = nullcontext(Lent())

Ticket = tuple[int, Future[Mapping[str, Any]]]


class Surroundings:
    """What a runtime is put into, and what it tells.

    - `watchers`: the live watchers by key, looked at whenever one is needed.
    - `settings`: the options of `[circus]` as they are now.
    - `sockets`: the managed sockets by name, as they are now.
    - `subject`: what hooks are handed as `arbiter`.
    - `on_forgotten`: a watcher, by key, has come to its end and is not asked for any more.
    - `on_down`: everything is down; told whether a restart is wanted.
    """

    def __init__(
        self,
        watchers: Mapping[int, LiveWatcher],
        settings: Callable[[], CircusSpec],
        sockets: Callable[[], Mapping[str, CircusSocket]],
        subject: object,
        on_forgotten: Callable[[int], object],
        on_down: Callable[[bool], object],
    ) -> None:
        self.watchers = watchers
        self.settings = settings
        self.sockets = sockets
        self.subject = subject
        self.on_forgotten = on_forgotten
        self.on_down = on_down


class Runtime:
    """One turn after the other: look around, settle, perform, answer, and say when to come again."""

    def __init__(
        self,
        machine: Decided,
        loop: Loop,
        around: Surroundings,
        backend: Backend,
        is_guest: bool = False,
        system: System = REAL,
    ) -> None:
        self.machine = machine
        self.loop = loop
        self.publisher: Publisher | None = None
        self.workers = Workers(loop, around.watchers, machine.on, system, is_guest)
        self._around = around
        self._watchers = around.watchers
        self._backend = backend
        self._system = system
        self._signalling = Signalling(self.workers, around.watchers, machine.on, self.publish, system)
        self._tickets: dict[int, Future[Mapping[str, Any]]] = {}
        self._last_ticket = 0
        self._closed = False
        self._demand: Demand | None = None  # until a watcher listens
        self._idle_looks: IdleLooks | None = None
        self._perform: dict[type, Callable[[Any], object]] = {
            actions.Spawn: self._spawn,
            actions.Signal: self._signalling.perform,
            actions.Inspect: self.workers.inspect,
            actions.RunHook: self._run_hook,
            actions.OpenStreams: self._open_streams,
            actions.CloseStreams: self._close_streams,
            actions.Listen: self._listen,
            actions.Look: self._look,
            actions.Publish: self._publish,
            actions.Log: self._log,
            actions.Forget: self._forget,
            actions.Reply: self._reply,
            actions.Exit: self._exit,
        }

    # ---- the turn ----------------------------------------------------------------------------------------------

    def turn(self, now: float) -> float | None:
        """Do what is due; the time of the next turn if nothing happens before. Called by the loop on every pass."""
        self.workers.look_around(now)
        for action in self.machine.settle(now):
            self.perform(action)
        return self.workers.wake_at(now, self.machine.wake_at(now), self._around.settings().check_delay)

    def perform(self, action: Action) -> None:
        try:
            self._perform[type(action)](action)
        except Exception as exc:  # one action that fails must not take the others of the turn with it
            logger.exception("cannot perform %r", action)
            self._guarded_answer(action, exc)

    def _guarded_answer(self, action: Action, error: Exception) -> None:
        try:
            self._answer_for(action, error)
        except Exception:
            logger.exception("cannot answer for %r", action)

    def _answer_for(self, action: Action, error: Exception) -> None:
        """The machine waits for an answer to these, also if they could not be performed."""
        match action:
            case actions.Spawn(key, serial):
                self.tell(events.SpawnFailed(key, serial, f"internal error: {error!r}"))
            case actions.RunHook(ticket=ticket) if ticket:
                self._hook_done(action, Outcome(self._ignores_failure(action), f"could not be called: {error}"))
            case actions.CloseStreams(key):
                self.tell(events.StreamsClosed(key))
            case actions.Look(key):  # not known
                self.tell(events.Looked(key, 0.0, 0.0))
            case actions.Inspect(key, serial):  # not known: to be asked again
                self.tell(events.Remains(key, serial, (0,), "descendants that could not be looked for"))

    def _ignores_failure(self, action: actions.RunHook) -> bool:
        watcher = self._watchers.get(action.key)
        hook = watcher.hooks.get(action.hook) if watcher is not None else None
        return hook is not None and hook.ignore_failure

    def tell(self, event: events.Event) -> None:
        """A fact from outside the turn: the loop comes around by itself."""
        self.machine.on(event, self._system.monotonic())

    def ticket(self) -> Ticket:
        """A number for a request, and where its reply will appear."""
        self._last_ticket += 1
        future: Future[Mapping[str, Any]] = Future()
        if self._closed:
            future.set_exception(ConflictError(STOPPED))
        else:
            self._tickets[self._last_ticket] = future
        return self._last_ticket, future

    # ---- processes ---------------------------------------------------------------------------------------------

    def _spawn(self, action: actions.Spawn) -> None:
        self.workers.spawn(action, self._around.settings().umask, self._lend, self._make_pump)

    def _lend(self, use: SocketUse) -> AbstractContextManager[Lent]:
        sockets = self._around.sockets()
        if not sockets and not use.required():
            return _NOTHING_LENT
        from circus.sockets.lending import Lending  # a daemon without sockets does without

        return Lending(sockets, use)

    # ---- on demand ---------------------------------------------------------------------------------------------

    def _listen(self, action: actions.Listen) -> None:
        if self._demand is None:
            from circus.runtime.demand import Demand  # a daemon without `on_demand` does without

            self._demand = Demand(self.loop, self._watchers, self._around.sockets, self._connection)
        if action.wanted:
            self._demand.listen(action.key)
        else:
            self._demand.forget(action.key)

    def _connection(self, key: int) -> None:
        self.tell(events.Connection(key))

    def _look(self, action: actions.Look) -> None:
        if self._idle_looks is None:
            from circus.runtime.idle_looks import IdleLooks  # as above

            self._idle_looks = IdleLooks(self._system.usages, self.loop.post, self.tell)
        self._idle_looks.ask(self._watchers[action.key], self._around.sockets())

    def sockets_change(self) -> AbstractContextManager[None]:
        """While managed sockets are closed and others opened: nobody waits at them meanwhile."""
        return nullcontext() if self._demand is None else self._demand.paused()

    # ---- hooks -------------------------------------------------------------------------------------------------

    def _run_hook(self, action: actions.RunHook) -> None:
        watcher = self._watchers[action.key]
        hook = watcher.hooks.get(action.hook)
        if hook is None:
            self._hook_done(action, Outcome(True))
            return
        arguments = {
            "watcher": watcher.face,
            "arbiter": self._around.subject,
            "hook_name": action.hook,
            **action.arguments,
        }
        if action.hook in (names.BEFORE_REAP, names.AFTER_REAP):
            arguments["time"] = self._system.wall()

        def done(outcome: Outcome) -> None:
            self.publish_as(watcher.name, *outcome.event(action.hook))  # it may have been forgotten since
            self._hook_done(action, outcome)

        watcher.submit_hook(self.loop, hook, (), arguments, done)

    def _hook_done(self, action: actions.RunHook, outcome: Outcome) -> None:
        if action.ticket:
            self.tell(events.HookDone(action.key, action.ticket, outcome.result))

    # ---- streams -----------------------------------------------------------------------------------------------

    def _make_pump(self, name: str, streams: Mapping[str, Any]) -> Pump:
        return self._backend.make_pump(name, streams, self.loop.post)

    def _open_streams(self, action: actions.OpenStreams) -> None:
        self._watchers[action.key].open_streams(self._make_pump)

    def _close_streams(self, action: actions.CloseStreams) -> None:
        self._watchers[action.key].close_streams(lambda: self.tell(events.StreamsClosed(action.key)))

    # ---- events and the log ------------------------------------------------------------------------------------

    def _publish(self, action: actions.Publish) -> None:
        self.publish(action.key, action.event, action.payload)

    def publish(self, key: int, event: str, payload: Mapping[str, Any]) -> None:
        """An event of a watcher that is not forgotten yet; `time` is added unless it is there."""
        self.publish_as(self._watchers[key].name, event, payload)

    def publish_as(self, name: str, event: str, payload: Mapping[str, Any]) -> None:
        """An event of the watcher of this name, which may be gone."""
        if self.publisher is not None:
            topic = names.topic(name, event)
            self.publisher.send(event_frames(topic, {"time": self._system.wall(), **payload}))

    def _log(self, action: actions.Log) -> None:
        logger.log(logging.getLevelName(action.level.upper()), "%s", action.text)

    # ---- answers -----------------------------------------------------------------------------------------------

    def _reply(self, action: actions.Reply) -> None:
        future = self._tickets.pop(action.ticket, None)
        if future is None:
            return
        if action.error:
            future.set_exception(ConflictError(action.error))
        else:
            future.set_result(action.result)

    # ---- the end -----------------------------------------------------------------------------------------------

    def _forget(self, action: actions.Forget) -> None:
        watcher = self._watchers[action.key]
        if self._demand is not None:
            self._demand.forget(action.key)
        self._around.on_forgotten(action.key)
        watcher.retire()
        self.workers.part(watcher, action.keep)

    def _exit(self, action: actions.Exit) -> None:
        self._around.on_down(action.restart)

    def give_up(self) -> None:
        """Kill everything and leave, waiting for nothing."""
        self.workers.kill_everything()
        self._around.on_down(False)

    def close(self) -> None:
        self._closed = True
        if self._demand is not None:
            self._demand.close()
        for watcher in self._watchers.values():
            watcher.close_hooks()
            watcher.close_streams()
        self.workers.close()
        for future in self._tickets.values():
            future.set_exception(ConflictError(STOPPED))
        self._tickets.clear()
