"""`reloadconfig`: read the file again and make everything be as it says, touching only what differs.

Everything is read, planned (`circus.machine.plan`) and prepared before anything is changed: what can fail has failed
by then, and the reply names every problem.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from circus.common.convert import error_text
from circus.common.future import Future, failed, finished, gather
from circus.config import fatal_texts, read
from circus.control.operations import Operations, Reply, reasons
from circus.control.registry import Registry
from circus.exc import MessageError
from circus.machine.plan import Plan, Price, Standing, State, Step, What, plan
from circus.options.own_programs import plugin_dict
from circus.options.socket_use import socket_use
from circus.options.table import CircusSpec, ConfigSpec, WatcherSpec
from circus.posix import logs
from circus.posix.process_name import DAEMON, set_process_name
from circus.runtime.live_watcher import LiveWatcher, Prepared, discard

if TYPE_CHECKING:
    from circus.sockets.collection import CircusSockets
    from circus.sockets.exchange import Exchange
    from circus.sockets.managed import CircusSocket

logger = logging.getLogger("circus")

NOT_USED = "the configuration is not used: "


def read_config(path: str) -> ConfigSpec:
    """What the file says now. Raises MessageError with every problem that must be mended; the others are logged."""
    config, problems = read(path, os.environ)
    fatal = fatal_texts(problems)
    if fatal:
        raise MessageError(NOT_USED + "; ".join(fatal))
    for problem in problems:
        logger.warning("%s", problem)
    return config


class House(Protocol):
    """What is asked of the Supervisor."""

    configured: CircusSpec
    sockets: CircusSockets | None
    plugins: list[Mapping[str, Any]]
    is_daemon: bool
    reconfiguration: Reconfiguration | None
    """The latest that was carried out."""

    @property
    def is_running(self) -> bool: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def operations(self) -> Operations: ...
    def build(self, spec: WatcherSpec, /) -> LiveWatcher: ...
    def own_programs(self, settings: CircusSpec, plugins: Iterable[Mapping[str, Any]], /) -> list[WatcherSpec]: ...
    def settings_with(self, circus: CircusSpec, /) -> CircusSpec: ...
    def configure(self, circus: CircusSpec, /) -> None: ...


def plan_for(house: House, config: ConfigSpec) -> Plan:
    own = house.own_programs(house.settings_with(config.circus), _plugins(config))
    now = state_now(house.configured, house.sockets or {}, house.registry, house.is_running)
    return plan(now, state_wanted(config, own))


def follow(house: House, config: ConfigSpec, restart: bool) -> Reply:
    """Make everything be as the configuration says. MessageError: nothing has changed."""
    made = plan_for(house, config)
    if not restart:
        require_no_restart(made)
    sockets, exchange = exchange_for(made, house.sockets)
    reconfiguration = Reconfiguration(made, house.registry, house.build, exchange)
    try:
        reconfiguration.prepare(lambda: _log_as(house, config.circus))
    except MessageError as exc:
        raise MessageError(f"{exc}{_in_the_way(house.reconfiguration, exchange)}") from exc
    if made.needs_restart:
        reconfiguration.discard()
        return house.operations.restart_daemon()

    def taken() -> None:
        house.plugins, house.sockets = _plugins(config), sockets
        house.configure(config.circus)
        if house.is_daemon:
            set_process_name(config.circus.proc_name or DAEMON)

    house.reconfiguration = reconfiguration
    reconfiguration.reply = reconfiguration.carry_out(house.operations, taken)
    return reconfiguration.reply


def _in_the_way(before: Reconfiguration | None, exchange: Exchange | None) -> str:
    """What may keep sockets from being opened beside the reason that the system gives."""
    if exchange is None or before is None or before.reply is None or before.reply.done():
        return ""
    return "; the last reloadconfig is under way, its old processes may hold the address: ask again when they are gone"


def _log_as(house: House, circus: CircusSpec) -> None:
    """A daemon's log is its own; that of a library is the program's."""
    if house.is_daemon and circus.diff(house.configured) & {"loglevel", "logoutput", "loggerconfig"}:
        logs.configure_logger(logger, circus.loglevel or "info", circus.logoutput or "-", circus.loggerconfig)


def _plugins(config: ConfigSpec) -> list[Mapping[str, Any]]:
    return [plugin_dict(plugin) for plugin in config.plugins]


def state_now(
    circus: CircusSpec, sockets: Mapping[str, CircusSocket], registry: Registry, is_running: bool = True
) -> State:
    """Before the start no socket is open, and none is lost."""
    ours = {name: sock for name, sock in sockets.items() if not sock.is_inherited}
    return State(
        circus,
        {name: sock.spec for name, sock in ours.items()},
        [Standing(watcher.spec, watcher.is_added) for watcher in registry.all()],
        {name for name, sock in sockets.items() if sock.is_inherited},
        {name: sock.port for name, sock in ours.items() if sock.is_open and sock.port},
        {name: sock.loss for name, sock in ours.items() if is_running and sock.loss},
    )


def state_wanted(config: ConfigSpec, own: Iterable[WatcherSpec]) -> State:
    watchers = [Standing(spec) for spec in (*own, *config.watchers)]
    return State(config.circus, {spec.name: spec for spec in config.sockets}, watchers)


def exchange_for(plan: Plan, sockets: CircusSockets | None) -> tuple[CircusSockets | None, Exchange | None]:
    """The managed sockets, and how they change; None where there are none and nothing changes."""
    steps = plan.of("socket")
    if all(step.what is What.KEEP for step in steps):
        return sockets, None
    from circus.sockets.collection import CircusSockets  # a daemon without sockets does without
    from circus.sockets.exchange import Exchange

    sockets = CircusSockets() if sockets is None else sockets
    opens = [step.spec for step in steps if step.price in (Price.BIND, Price.REBIND)]
    adjusts = [step.spec for step in steps if step.price is Price.IN_PLACE]
    closes = [step.name for step in steps if step.what is What.REMOVE]
    return sockets, Exchange(sockets, opens, adjusts, closes, plan.blocked)


def require_no_restart(plan: Plan) -> None:
    """MessageError for what a running daemon cannot change."""
    if plan.needs_restart:
        options = ", ".join(plan.needs_restart)
        raise MessageError(
            f"[circus] {options}: needs a restart of circusd, so nothing of the configuration is applied; "
            "ask with `reloadconfig --restart` to have circusd stop everything and start anew"
        )


class Reconfiguration:
    """A plan, with what each of its steps needs. `exchange` is that of sockets, None if no socket changes."""

    def __init__(
        self,
        plan: Plan,
        registry: Registry,
        build: Callable[[WatcherSpec], LiveWatcher],
        exchange: Exchange | None,
    ) -> None:
        self.plan = plan
        self._registry = registry
        self._build = build
        self._exchange = exchange
        self._steps = plan.of("watcher")
        self._new: dict[str, LiveWatcher] = {}
        self._changed: dict[str, Prepared] = {}
        self.waits_for: list[str] = []
        """Watchers that hold an address and are being stopped: until then nothing is changed."""
        self.reply: Reply | None = None
        """Of everything being as it is wanted; None before it is carried out."""

    # ---- what can fail -----------------------------------------------------------------------------------------

    def prepare(self, *more: Callable[[], object]) -> None:
        """All that can fail, while nothing has changed yet, and `more` last. MessageError with every fault."""
        faults = []
        if self._exchange is not None:
            faults += _fault("", self._exchange.prepare)
        for step in self._steps:
            faults += _fault(f"watcher {step.name}: ", partial(self._prepare, step))
        for work in more if not faults else ():
            faults += _fault("", work)
        if faults:
            self.discard()
            raise MessageError(NOT_USED + "; ".join(faults))

    def _prepare(self, step: Step) -> None:
        if step.what is What.ADD:
            self._new[step.name] = self._build(step.spec)
        elif step.what is not What.REMOVE:
            self._changed[step.name] = self._registry.get(step.name).prepare(step.spec)

    def discard(self) -> None:
        """It is not carried out: close what was opened for it."""
        if self._exchange is not None:
            self._exchange.discard()
        for watcher in self._new.values():
            watcher.discard()
        for prepared in self._changed.values():
            discard(prepared)

    # ---- and what cannot ---------------------------------------------------------------------------------------

    def carry_out(self, operations: Operations, taken: Callable[[], object]) -> Reply:
        """Future of everything being as it is wanted. `taken` is called when nothing can keep it from that."""
        held = self._holders()
        if not held:
            return self._exchange_and_take(operations, taken)
        result: Future[Any] = Future()
        again = [watcher for watcher in held if watcher.decided.wanted]
        self.waits_for = [watcher.name for watcher in held]
        logger.info("reloadconfig: %s must stop first", ", ".join(self.waits_for))

        def go_on(_: Reply) -> None:
            self.waits_for = []
            try:
                changed = self._exchange_and_take(operations, taken)
            except Exception as exc:
                self.discard()
                changed = failed(exc)
            left = [watcher for watcher in self._registry.all() if watcher in again]
            gather([changed, _start_again(left, operations)]).then(reasons).pass_on(result)

        operations.stop([watcher.key for watcher in held]).add_done_callback(go_on)
        return result

    def _holders(self) -> list[LiveWatcher]:
        """Watchers whose processes hold an address that is wanted for another socket, those that were removed too."""
        blocked = self.plan.blocked
        watchers = list(self._registry.by_key.values()) if blocked else []
        return [w for w in watchers if not w.decided.is_stopped and socket_use(w.spec).among(blocked)]

    def _exchange_and_take(self, operations: Operations, taken: Callable[[], object]) -> Reply:
        with operations.sockets_change():
            self._unblock()
            return self._take_all(operations, taken)

    def _unblock(self) -> None:
        try:
            if self._exchange is not None:
                self._exchange.unblock()
        except OSError as exc:
            raise MessageError(NOT_USED + error_text(exc)) from exc

    def _take_all(self, operations: Operations, taken: Callable[[], object]) -> Reply:
        if self._exchange is not None:
            self._exchange.take()
        for step in self.plan.steps:
            logger.info("reloadconfig: %s", step)
        taken()
        futures: list[Future[Any]] = [self._take(step, operations) for step in self._steps if step.what is not What.ADD]
        new = [watcher for watcher in self._new.values() if self._admit(watcher)]
        if new:
            futures.append(operations.start([watcher.key for watcher in new]))
        return gather(futures).then(reasons)

    def _admit(self, watcher: LiveWatcher) -> bool:
        if self._find(watcher.name) is not None:  # added by command while others were being stopped
            logger.error("reloadconfig: there is a watcher %s already, which stays as it is", watcher.name)
            watcher.discard()
            return False
        self._registry.admit(watcher)
        return True

    def _find(self, name: str) -> LiveWatcher | None:
        try:
            return self._registry.get(name)
        except KeyError:
            return None

    def _take(self, step: Step, operations: Operations) -> Reply:
        watcher = self._find(step.name)
        if watcher is None:  # removed by command while others were being stopped
            if step.name in self._changed:
                discard(self._changed[step.name])
            return finished({})
        if step.what is What.REMOVE:
            return operations.remove(watcher.key)
        replaces = step.price in (Price.RELOAD, Price.RESTART)
        watcher.is_added = step.what is What.KEEP
        # Asked before the reason may go away. One that is to have no process is down because that is wanted.
        is_down = watcher.decided.is_missed and not watcher.decided.is_running and step.spec.numprocesses > 0
        future = operations.change(watcher.key, self._changed[step.name], replace=replaces)
        return operations.start([watcher.key], single=True) if is_down else future


def _start_again(watchers: Iterable[LiveWatcher], operations: Operations) -> Reply:
    return gather([operations.start([watcher.key], single=True) for watcher in watchers]).then(reasons)


def _fault(place: str, work: Callable[[], object]) -> list[str]:
    try:
        work()
    except Exception as exc:  # a user's module may raise anything when it is imported
        return [place + error_text(exc)]
    return []
