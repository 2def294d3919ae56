"""Everything below the faces, under one owner: machine, watchers, requests, settings, and the run there may be.

Any thread may call: what concerns the loop is handed over to it.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from circus.common.future import Future, failed, finished
from circus.common.names import DEFAULT_ENDPOINT_STATS
from circus.control.controller import Controller
from circus.control.daemon_signals import Meanings
from circus.control.operations import Operations, Reply
from circus.control.registry import Registry
from circus.control.session import Listeners, Session
from circus.exc import ConflictError, MessageError
from circus.loop import Loop
from circus.machine.arbiter import Arbiter as Decided
from circus.options.own_programs import Daemon, own_programs
from circus.options.table import CircusSpec, WatcherSpec
from circus.runtime import hooks
from circus.runtime.backend import Backend
from circus.runtime.live_watcher import LiveWatcher
from circus.runtime.runtime import Runtime, Surroundings

if TYPE_CHECKING:
    from circus.control.reconfigure import Reconfiguration
    from circus.control.sampling import Figures
    from circus.machine.plan import Plan
    from circus.sockets.collection import CircusSockets

logger = logging.getLogger("circus")

T = TypeVar("T")


class Face(NamedTuple):
    """What the public face lends: `subject` is handed to hooks and commands, and nothing here looks into it."""

    subject: object
    build: Callable[[WatcherSpec], LiveWatcher]
    """A watcher with its public face. Raises what is wrong with its hooks or streams."""
    ensure_loop: Callable[[], object]
    """Give `Supervisor.loop` a loop; existing programs override it."""
    prereload: Callable[[], object]


class Supervisor:
    """`backend` says which loop and pumps are used; `listeners` are taken over from an earlier run by `open`."""

    def __init__(self, face: Face, settings: CircusSpec, backend: Backend) -> None:
        self.face = face
        self.backend = backend
        self.configured = settings  # as the file or the program says
        self.plugins: list[Mapping[str, Any]] = []
        self.ssh_server: str | None = None  # for plugins of a program; what a file says of it never had an effect
        self.sockets: CircusSockets | None = None  # the managed ones, None while there are none
        self.config_file: str | None = None
        self.context: Any = None
        self.loop: Loop | None = None
        self.owns_loop = True
        self.pid = os.getpid()
        self.is_daemon = False  # else another program, which goes on when we end
        self.restart_wanted = False  # when the last run ended
        self._exits_to_restart = False
        self.reconfiguration: Reconfiguration | None = None
        self._is_open = False
        self.listeners: Listeners | None = None
        self.session: Session | None = None
        self.runtime: Runtime | None = None
        self._over: dict[str, Any] = {}  # settings that lie over the configured ones: command line, ports chosen
        self._settings = settings
        self.controller = Controller(settings.endpoint, settings.multicast_endpoint, None, None, face.subject)
        self.populate([])

    # ---- settings: the only copy -------------------------------------------------------------------------------

    def settings(self) -> CircusSpec:
        return self._settings

    def put_over(self, **values: Any) -> None:
        """Settings that count more than the configuration."""
        self._over.update(values)
        self._merge()

    def configure(self, settings: CircusSpec) -> None:
        """The configuration says something else now; what it changes counts more than what lay over it."""
        changed = settings.diff(self.configured)
        self._over = {name: value for name, value in self._over.items() if name not in changed}
        self.configured = settings
        self._merge()

    def _merge(self) -> None:
        self._settings = self.settings_with(self.configured)
        self.decided.warmup_delay = self._settings.warmup_delay

    # ---- watchers ----------------------------------------------------------------------------------------------

    def populate(self, watchers: Iterable[LiveWatcher]) -> None:
        """Begin with a machine that knows of nothing but these watchers."""
        self.decided = Decided(random.random, self._settings.warmup_delay)
        self.registry = Registry(self.decided)
        self.operations = Operations(
            self.decided,
            self.registry,
            lambda: self.runtime,
            self.build,
            self._prereload,
            self._wake,
            sockets=lambda: self.sockets or {},
        )
        for watcher in watchers:
            self.registry.admit(watcher)

    def build(self, spec: WatcherSpec) -> LiveWatcher:
        return self.face.build(spec)

    def _prereload(self) -> None:
        self.face.prereload()
        self.reopen_logs()

    def own_programs(self, settings: CircusSpec, plugins: Iterable[Mapping[str, Any]]) -> list[WatcherSpec]:
        """Watchers of circusd-stats, if it is wanted, and of these plugins."""
        daemon = Daemon(
            settings.endpoint,
            settings.pubsub_endpoint,
            settings.stats_endpoint or DEFAULT_ENDPOINT_STATS,
            settings.check_delay,
            self.ssh_server,
            settings.loglevel,
            settings.debug,
            bool(settings.statsd),
            settings.statsd_close_outputs,
        )
        return own_programs(daemon, plugins)

    def _tell_own_programs(self) -> None:
        """What they must know is certain only when the sockets are open: a port may be left to the system."""
        for spec in self.own_programs(self._settings, self.plugins):
            try:
                watcher = self.registry.get(spec.name)
            except KeyError:
                continue
            if watcher.spec.args != spec.args:
                self.operations.change(watcher.key, watcher.prepare(spec))

    def reasons(self, now: float) -> dict[str, str]:
        """Watchers in trouble, and what it is."""
        told = self.within(lambda: {decided.name: decided.reason(now) for decided in self.decided.in_order()})
        complaints = {watcher.name: watcher.complaint for watcher in self.registry.all()}
        return {name: ": ".join(filter(None, (text, complaints.get(name)))) for name, text in told.items() if text}

    # ---- requests, from any thread -----------------------------------------------------------------------------

    def within(self, work: Callable[[], T]) -> T:
        """Do it in the loop's thread: here and now if this is it or nothing runs."""
        return work() if self.loop is None else self.loop.call(work)

    def request(
        self, call: Callable[[Operations], Reply], verb: str, keys: Sequence[int] | None, waits: bool = True
    ) -> Reply:
        """Have an operation on these watchers carried out; `waits`: it is not done before their awaited hooks are.

        The future raises RuntimeError in a thread that would wait for itself.
        """
        future = self.within(lambda: call(self.operations))
        return future.guarded_by(lambda: self._may_wait(verb, keys, waits))

    def _may_wait(self, verb: str, keys: Sequence[int] | None, waits: bool) -> None:
        self.not_in_loop()
        hook, watcher = hooks.current()
        if not waits or hook not in hooks.AWAITED or not isinstance(watcher, LiveWatcher):
            return
        if keys is None or watcher.key in keys:
            raise RuntimeError(f"the {hook} hook would wait for {verb!r} of its own watcher, which waits for the hook")

    def not_in_loop(self) -> None:
        if self.loop is not None and self.loop.is_own_thread:
            raise RuntimeError("the loop's own thread would wait for itself: use add_done_callback")

    def plan_config(self, path: str | None = None) -> Plan:
        """What `reload_config` would do, without doing any of it. MessageError with all problems of the file."""
        from circus.control import reconfigure  # a daemon that is not asked does without

        return reconfigure.plan_for(self, reconfigure.read_config(self._config_path(path)))

    def reload_config(self, path: str | None = None, restart: bool = False) -> Reply:
        """Make everything be as a file says. MessageError with all its problems.

        What needs a restart of circusd is an error, too; with `restart` it is done.
        """
        from circus.control import reconfigure  # as above

        held = self.reconfiguration.waits_for if self.reconfiguration is not None else []
        if held:
            raise ConflictError(f"a reloadconfig is under way: it waits for the end of {', '.join(held)}")
        return reconfigure.follow(self, reconfigure.read_config(self._config_path(path)), restart)

    def _config_path(self, path: str | None) -> str:
        path = path or self.config_file
        if path is None:
            raise MessageError("this arbiter was not started from a configuration file")
        return path

    def settings_with(self, circus: CircusSpec) -> CircusSpec:
        """What they would be if the configuration said so."""
        merged: CircusSpec = circus.replace(**self._over)
        return merged

    def publish(self, watcher: LiveWatcher, event: str, payload: Mapping[str, Any]) -> None:
        runtime = self.runtime
        if runtime is not None:
            self.within(lambda: runtime.publish_as(watcher.name, event, payload))

    def signal_worker(self, watcher: LiveWatcher, serial: int, signum: int) -> None:
        """Without asking hooks, as `Process.send_signal` does. Nothing happens if it is not ours any more."""

        def send() -> None:
            process = watcher.decided.table.get(serial)
            if self.runtime is not None and process is not None and process.is_live:
                self.runtime.workers.children.signal(process.pid, signum)

        self.within(send)

    def _wake(self) -> None:
        if self.loop is not None:
            self.loop.post(lambda: None)

    # ---- figures -----------------------------------------------------------------------------------------------

    def dstats(self) -> Future[dict[str, Any]]:
        """Figures of this process."""
        from circus.control import sampling  # as above

        return sampling.in_thread(lambda: sampling.daemon_figures(self.pid), self.not_in_loop)

    def event_counts(self) -> dict[str, int]:
        """Events published, and how many of them subscribers missed because they were slow."""
        publisher = self.runtime.publisher if self.runtime is not None else None
        if publisher is None:
            return {"sent": 0, "dropped": 0}
        return {"sent": publisher.sent, "dropped": publisher.dropped}

    def stats(self, watchers: Sequence[LiveWatcher], pid: int | None, extended: bool) -> Future[Figures]:
        """{watcher: {pid: figures}}; taken in another thread, because asking the system takes its time."""
        from circus.control import sampling  # as above

        taken = sampling.figures(watchers, pid, self.not_in_loop)
        return self._extended(watchers, taken) if extended else taken

    def _extended(self, watchers: Sequence[LiveWatcher], taken: Future[Figures]) -> Future[Figures]:
        from circus.control import sampling  # as above

        extended: Future[Figures] = Future(self.not_in_loop)

        def begin() -> None:
            if self.loop is None or self.runtime is None or taken.exception() is not None:
                taken.pass_on(extended)
            else:
                sampling.extend(watchers, taken.result(), self.loop, self.face.subject).pass_on(extended)

        taken.add_done_callback(lambda _: self.within(begin))
        return extended

    # ---- life --------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self.session is not None

    def use_loop(self, loop: Loop | None) -> None:
        """One of the caller's, which runs it; None: one of our own, when it is needed."""
        self.loop, self.owns_loop = loop, loop is None

    def ensure_loop(self) -> Loop:
        if self.loop is None:
            self.face.ensure_loop()
        assert self.loop is not None, "ensure_loop has made none"
        return self.loop

    def make_loop(self) -> None:
        if self.loop is None:
            self.loop, self.owns_loop = self.backend.make_loop(), True

    def initialize(self) -> None:
        """Open the sockets and take over children and signals. Raises OSError if an endpoint is in use."""
        if self.session is not None:
            return
        if self.decided.quitting:
            self.populate(self.registry.all())
        self.pid = os.getpid()
        loop = self.ensure_loop()
        session = Session(loop, self._settings, self.controller, self.context, self.is_daemon, lambda: self.sockets)
        around = Surroundings(
            self.registry.by_key,
            self.settings,
            lambda: self.sockets or {},
            self.face.subject,
            self.registry.forget,
            self._down,
        )
        runtime = Runtime(self.decided, loop, around, self.backend, session.is_guest)
        kept, self.listeners = self.listeners, None
        session.open(runtime, self._meanings(runtime), kept)
        self.session, self.runtime, self.context = session, runtime, session.context
        assert session.publisher is not None
        self.put_over(endpoint=self.controller.endpoint, pubsub_endpoint=session.publisher.endpoint)
        self._tell_own_programs()

    def _meanings(self, runtime: Runtime) -> Meanings:
        return Meanings(
            on_quit=lambda again: self.operations.quit(hurry=again),
            on_reload=lambda: self.operations.reload(None),
            on_reopen=self.reopen_logs,
            on_child=runtime.workers.child_signalled,
        )

    def reopen_logs(self) -> None:
        """Open every log file anew, after they were moved away. Our own log follows its path by itself."""
        for watcher in self.registry.by_key.values():
            watcher.reopen_streams()
        logger.info("Log files are opened anew")

    def open(self, when_up: Callable[[Future[Any]], object] | None) -> Future[Any]:
        """Start everything; the future is settled when all watchers are up."""
        if self._is_open:
            raise RuntimeError("this arbiter runs already")
        self.initialize()
        self._is_open = True
        logger.info("Starting master on pid %s", self.pid)
        up = self.request(lambda operations: operations.start(None), "start", None)
        logger.info("Arbiter now waiting for commands")
        if when_up is not None:
            up.add_done_callback(when_up)
        return up

    def start(self, when_up: Callable[[Future[Any]], object] | None) -> Future[Any]:
        """`open`, and with a loop of our own `run`."""
        try:
            up = self.open(when_up)
        except Exception as exc:  # reported through the future, as programs expect
            return failed(exc)
        return self.run() if self.owns_loop else up

    def run(self) -> Future[Any]:
        """Until everything is down; the future tells whether a restart is wanted."""
        try:
            self.ensure_loop().run()
        except BaseException:  # other code ends the program from within: it must not leave its children behind
            if self.runtime is not None:
                self.runtime.workers.kill_everything()
            raise
        finally:
            self._end()
        return finished(self.restart_wanted)

    def _down(self, restart: bool) -> None:
        """Everything is down."""
        self._exits_to_restart = restart
        if self.is_daemon and self.decided.restarting:
            self.controller.pause()  # from now on the next run is asked
        loop = self.ensure_loop()
        if self.owns_loop:
            loop.stop()
        else:
            loop.post(self._end)

    def _end(self) -> None:
        self._is_open = False
        session, self.session = self.session, None
        if session is None:
            return
        session.hear_signals()
        self.runtime = None
        self.listeners = session.close(keep=self.decided.restarting and self.is_daemon)
        self.context = session.context
        # Read last: the latest request wins, even one that comes when all is down.
        self.restart_wanted = self._exits_to_restart and self.decided.restarting
        if self.owns_loop:
            session.loop.close()
            self.loop = None
        logger.info("Arbiter restarting" if self.restart_wanted else "Arbiter exiting")
