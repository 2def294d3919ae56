"""The arbiter as circusd, hooks and programs hold it: builds the parts, runs the loop, and is the door for requests.

Nothing is bound, forked or started before `start`. Methods that take time return a future and may be called from
any thread; inside the loop's thread they act at once.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from circus.common.future import Future, failed, finished
from circus.common.names import DEFAULT_ENDPOINT_STATS
from circus.control.operations import Requests
from circus.control.session import Doors, Session
from circus.controller import Controller
from circus.exc import AlreadyExist
from circus.loop import Loop
from circus.machine.arbiter import Arbiter as Machine
from circus.management import Management
from circus.options.own_programs import Daemon, flapping_defaults, own_programs, plugin_dict
from circus.options.table import CircusSpec, ConfigSpec, WatcherSpec
from circus.watcher import Watcher

logger = logging.getLogger("circus")


class Arbiter(Management):
    """Manages watchers. Arguments are those of the `[circus]` section; see the reference of options.

    A `loop` of the caller's, a `circus.loop.Loop`, is run by the caller.
    """

    def __init__(
        self,
        watchers: Iterable[Watcher],
        endpoint: str,
        pubsub_endpoint: str,
        check_delay: float = 1.0,
        prereload_fn: Callable[[Any], object] | None = None,
        context: Any = None,
        loop: Loop | None = None,
        statsd: bool | str = False,
        stats_endpoint: str | None = None,
        statsd_close_outputs: bool = False,
        multicast_endpoint: str | None = None,
        plugins: Sequence[Mapping[str, Any]] | None = None,
        sockets: Sequence[Any] | None = None,
        warmup_delay: float = 0,
        httpd: bool = False,
        httpd_host: str = "localhost",
        httpd_port: int = 8080,
        httpd_close_outputs: bool = False,
        debug: bool = False,
        debug_gc: bool = False,
        ssh_server: str | None = None,
        proc_name: str = "circusd",
        pidfile: str | None = None,
        loglevel: str | None = None,
        logoutput: str | None = None,
        loggerconfig: str | None = None,
        fqdn_prefix: str | None = None,
        umask: int | None = None,
        endpoint_owner: str | int | None = None,
    ) -> None:
        if isinstance(statsd, str):  # early versions had the endpoint in this place, and the plugins after it
            stats_endpoint, plugins, statsd = statsd, plugins or _list(stats_endpoint), True
        _refuse_what_is_missing(sockets, httpd)
        self.endpoint = endpoint
        self.pubsub_endpoint = pubsub_endpoint
        self.check_delay = check_delay
        self.prereload_fn = prereload_fn
        self.context = context
        self.statsd = statsd
        self.statsd_close_outputs = statsd_close_outputs
        self.plugins = list(plugins or ())
        self.stats_endpoint = stats_endpoint
        self.multicast_endpoint = multicast_endpoint
        self.warmup_delay = warmup_delay
        self.debug = debug
        self.ssh_server = ssh_server
        self.proc_name = proc_name
        self.pidfile = pidfile
        self.loglevel = loglevel
        self.logoutput = logoutput
        self.loggerconfig = loggerconfig
        self.umask = umask
        self.endpoint_owner = endpoint_owner
        self._fqdn_prefix = fqdn_prefix
        self._set_up(watchers, loop)

    def _set_up(self, watchers: Iterable[Watcher], loop: Loop | None) -> None:
        self.pid = os.getpid()
        self.sockets = {}
        self.socket_event = False
        self.evpub_socket: Any = None
        self.config_file: str | None = None
        self.circus_spec = CircusSpec()
        self.loop = loop
        self.ctrl = Controller(self.endpoint, self.multicast_endpoint, self.context, loop, self, self.check_delay)
        self.runtime = None
        self._session: Session | None = None
        self.doors: Doors | None = None
        self.is_daemon = False  # else somebody's program, which goes on when we end
        self._restarting = False
        own = filter(None, map(_build, self.own_programs(self.plugins)))
        self._populate([*own, *_with_defaults(watchers, flapping_defaults(self.plugins))])

    def own_programs(self, plugins: Iterable[Mapping[str, Any]]) -> list[WatcherSpec]:
        """Watchers of circusd-stats, if it is wanted, and of these plugins."""
        daemon = Daemon(
            self.endpoint,
            self.pubsub_endpoint,
            self.stats_endpoint or DEFAULT_ENDPOINT_STATS,
            self.check_delay,
            self.ssh_server,
            self.loglevel,
            self.debug,
            bool(self.statsd),
            self.statsd_close_outputs,
        )
        return own_programs(daemon, plugins)

    def _tell_own_programs(self) -> None:
        """What they must know is certain only when the sockets are open: a port may be left to the system."""
        for spec in self.own_programs(self.plugins):
            watcher = self._names.get(spec.name.lower())
            if watcher is not None and watcher.machine is not None and watcher.spec.args != spec.args:
                watcher.take_spec(spec)
                watcher.machine.change(time.monotonic(), spec, replace=False)

    def _populate(self, watchers: Iterable[Watcher]) -> None:
        """Begin with a machine that knows of nothing but these watchers."""
        self.machine = Machine(random.random, self.warmup_delay)
        self._requests = Requests(self, self.machine)
        self._watchers = {}
        self._names = {}
        for watcher in watchers:
            self.admit(watcher)

    @classmethod
    def from_spec(cls, spec: ConfigSpec, config_file: str | None = None) -> Arbiter:
        """From a configuration. A watcher that cannot be built is logged and left out."""
        options = spec.circus
        watchers = [w for w in map(_build, spec.watchers) if w is not None]
        known = {o.attribute: getattr(options, o.attribute) for o in CircusSpec.options()}
        for only_for_circusd in ("include", "include_dir", "stream_backend"):
            known.pop(only_for_circusd)
        known["proc_name"] = known["proc_name"] or "circusd"
        known["plugins"] = [plugin_dict(plugin) for plugin in spec.plugins]
        arbiter = cls(watchers, known.pop("endpoint"), known.pop("pubsub_endpoint"), **known)
        arbiter.config_file = config_file
        arbiter.circus_spec = options
        return arbiter

    @classmethod
    def load_from_config(cls, config_file: str, loop: Loop | None = None) -> Arbiter:
        """From a configuration file. Raises `circus.exc.ConfigError` with every problem there is."""
        from circus.config import load

        arbiter = cls.from_spec(load(config_file), config_file)
        arbiter.loop = loop
        return arbiter

    @property
    def _cfg(self) -> dict[str, Any] | None:
        """Kept for programs that look: the configuration file as dictionaries, as it is now."""
        from circus.config.compat import get_config

        return get_config(self.config_file) if self.config_file else None

    # ---- its loop ----------------------------------------------------------------------------------------------

    @property
    def loop(self) -> Any:
        """The caller's loop, or one of our own, made when it is first asked for."""
        self._ensure_ioloop()
        return self._loop

    @loop.setter
    def loop(self, loop: Loop | None) -> None:
        if loop is not None and not isinstance(loop, Loop):
            raise TypeError(f"an arbiter runs in a circus.loop.Loop, not in {loop!r}; leave `loop` out")
        self._loop, self._own_loop = loop, loop is None

    def _ensure_ioloop(self) -> None:
        if self._loop is None:
            self._loop, self._own_loop = Loop(), True

    # ---- life --------------------------------------------------------------------------------------------------

    def start(self, cb: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Start all watchers and, without a loop of the caller's, run until everything has stopped.

        Returns a settled future: its result says whether a restart is wanted, its exception what kept the arbiter
        from starting. With a loop of the caller's: a pending one, settled when the watchers are up. `cb` is called
        with the latter in any case. An arbiter that has ended may be started again.
        """
        try:
            up = self._open(cb)
        except Exception as exc:  # reported through the future, as programs expect
            return failed(exc)
        return self._run() if self._own_loop else up

    def run(self) -> bool:
        """`start` for circusd: True if everything is to be started anew. Raises OSError if an endpoint is in use.

        Then `doors` are the open sockets, to be given to the next arbiter.
        """
        self.is_daemon = True
        return bool(self.start().result())

    def initialize(self) -> None:
        """Open the sockets and take over children and signals: the first part of `start`.

        Raises OSError if an endpoint is in use.
        """
        if self._session is not None:
            return
        if self.machine.quitting:
            self._populate(self.watchers)
        self.pid = os.getpid()
        session = Session(self, self.loop, self._leave)
        session.open()
        self._session, self.runtime = session, session.runtime
        self._tell_own_programs()

    def _open(self, cb: Callable[[Future[Any]], object] | None) -> Future[Any]:
        if self.running:
            raise RuntimeError("this arbiter runs already")
        self.initialize()
        logger.info("Starting master on pid %s", self.pid)
        up = self.start_watchers()
        logger.info("Arbiter now waiting for commands")
        if cb is not None:
            up.add_done_callback(cb)
        return up

    def _run(self) -> Future[Any]:
        try:
            self.loop.run()
        except BaseException:  # somebody ends the program from within: it must not leave its children behind
            if self.runtime is not None:
                self.runtime.kill_everything()
            raise
        finally:
            self._end()
        return finished(self._restarting)

    def _leave(self) -> None:
        """Everything is down."""
        if self.is_daemon and self.machine.restarting:
            self.ctrl.pause()  # from now on the next arbiter is asked
        if self._own_loop:
            self.loop.stop()
        else:
            self.loop.post(self._end)

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        session.hear_signals()
        self.runtime = None
        session.close(keep_doors=self.machine.restarting and self.is_daemon)
        # Read last: the latest request wins, even one that comes when all is down.
        self._restarting = session.runtime.restart_wanted and self.machine.restarting
        if self._own_loop:
            session.loop.close()
            self._loop = None
        logger.info("Arbiter restarting" if self._restarting else "Arbiter exiting")

    def stop(self) -> Future[Any]:
        """Stop everything; `start` returns when all is down."""
        return self.ask("quit") if self.running else finished(None)

    def _emergency_stop(self) -> Future[Any]:
        """Stop with a graceful timeout of 0."""
        return self.ask("quit", hurry=True) if self.running else finished(None)

    @property
    def running(self) -> bool:
        return self._session is not None

    @property
    def _stopping(self) -> bool:
        return self.machine.quitting

    @property
    def _exclusive_running_command(self) -> None:
        """Kept for programs that look: no command ever excludes another."""

    @property
    def fqdn(self) -> str:
        import socket

        name = socket.getfqdn()  # may ask a name server and take its time
        return f"{self._fqdn_prefix}@{name}" if self._fqdn_prefix else name

    # ---- watchers come and go ----------------------------------------------------------------------------------

    def admit(self, watcher: Watcher, announce: bool = False) -> None:
        """Take in a watcher that was built elsewhere; it is not started."""
        machine = self.machine.add(watcher.spec, announce)
        watcher.machine = machine
        watcher.initialize(None, self.sockets, self)
        self._watchers[machine.key] = self._names[watcher.name.lower()] = watcher
        if self.runtime is not None:
            self.runtime.attach(watcher)

    def forget(self, key: int) -> None:
        """A watcher that was removed has come to its end."""
        watcher = self._watchers.pop(key, None)
        if watcher is not None and self._names.get(watcher.name.lower()) is watcher:
            del self._names[watcher.name.lower()]

    def add_watcher(self, name: str, cmd: str, **options: Any) -> Watcher:
        """A new watcher, not started. AlreadyExist if there is one of that name, ignoring case."""
        if not name:
            raise ValueError("a watcher needs a name")
        watcher = Watcher(name, cmd, **options)
        self.within(lambda: self._add(watcher))
        return watcher

    def _add(self, watcher: Watcher) -> None:
        if watcher.name.lower() in self._watchers_names:
            raise AlreadyExist(f"{watcher.name!r} already exist")
        self.admit(watcher, announce=True)


def __getattr__(name: str) -> Any:
    """`ThreadedArbiter` lives in `circus.library`, which imports this module."""
    if name == "ThreadedArbiter":
        from circus.library import ThreadedArbiter

        return ThreadedArbiter
    raise AttributeError(f"module 'circus.arbiter' has no attribute {name!r}")


def _build(spec: Any) -> Watcher | None:
    try:
        return Watcher.from_spec(spec)
    except Exception as exc:  # whatever a hook module or stream class raises: the other watchers must run
        logger.error("Failed to create watcher %s: %s", spec.name, exc)
        return None


def _list(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else None


def _refuse_what_is_missing(sockets: Any, httpd: Any) -> None:
    for what, wanted in (("managed sockets", sockets), ("the web console", httpd)):
        if wanted:
            raise NotImplementedError(f"{what} are not available in this version; leave them out")


def _with_defaults(watchers: Iterable[Watcher], defaults: Mapping[str, Any]) -> list[Watcher]:
    """The same watchers, with these values where they say nothing themselves."""
    found = list(watchers)
    for watcher in found if defaults else ():
        watcher.take_spec(watcher.spec.replace(**{**defaults, **watcher.spec.values}))
    return found
