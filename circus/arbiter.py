"""The arbiter as circusd, hooks and programs hold it: the names and habits of earlier versions over a `Supervisor`.

Nothing is bound, forked or started before `start`. Methods that take time return a future and may be called from
any thread; inside the loop's thread they act at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from circus import config
from circus.common import names
from circus.common.future import Future, finished
from circus.control.operations import Operations
from circus.control.session import Listeners
from circus.control.supervisor import Face, Supervisor
from circus.loop import Loop
from circus.options.option import Option
from circus.options.own_programs import flapping_defaults, plugin_dict
from circus.options.table import CircusSpec, ConfigSpec, SocketSpec, WatcherSpec
from circus.runtime import hooks
from circus.runtime.backend import THREADS, Backend, backend
from circus.runtime.live_watcher import LiveWatcher
from circus.runtime.runtime import Runtime
from circus.watcher import Watcher

if TYPE_CHECKING:
    from circus.machine.plan import Plan
    from circus.sockets import CircusSocket, CircusSockets

GLOBAL_OPTIONS = ("endpoint", "stats_endpoint", "pubsub_endpoint", "check_delay", "multicast_endpoint")

ChooseWatchers = Callable[..., Iterable[Watcher]]
"""Called with `reverse=True`; the watchers meant, in order."""


class Arbiter:
    """Manages watchers. Arguments are those of the `[circus]` section; see the reference of options.

    All of them can be read as attributes. A `loop` of the caller's, a `circus.loop.Loop`, is run by the caller.
    """

    backend: Backend = THREADS

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
        sockets: Sequence[CircusSocket] | None = None,
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
        _refuse_what_is_missing(httpd)
        settings = CircusSpec("", {name: value for name, value in locals().items() if _is_setting(name)})
        self.prereload_fn = prereload_fn
        face = Face(self, self._build, self._ensure_ioloop, self._prereload)
        self.supervisor = supervisor = Supervisor(face, settings, self.backend)
        supervisor.context = context
        supervisor.ssh_server = ssh_server
        supervisor.plugins = list(plugins or ())
        supervisor.sockets = _managed(sockets)
        self.loop = loop
        own = [_from_spec(spec) for spec in supervisor.own_programs(settings, supervisor.plugins)]
        everyone = [*own, *_with_defaults(watchers, flapping_defaults(supervisor.plugins))]
        supervisor.populate(watcher.live for watcher in everyone)
        for watcher in everyone:
            watcher.initialize(None, None, self)

    @classmethod
    def from_spec(
        cls, spec: ConfigSpec, config_file: str | None = None, inherited: Mapping[str, CircusSocket] | None = None
    ) -> Arbiter:
        """From a configuration. A watcher that cannot be built stays stopped, and `status` says why.

        `inherited` are sockets that this program was started with. OSError for one of a kind that is not to be had.
        """
        options = spec.circus
        known = {option.attribute: getattr(options, option.attribute) for option in CircusSpec.options()}
        for no_argument in ("include", "include_dir", "stream_backend", "ssh_server"):
            known.pop(no_argument)
        known["proc_name"] = known["proc_name"] or "circusd"
        known["plugins"] = [plugin_dict(plugin) for plugin in spec.plugins]
        watchers = [_from_spec(watcher) for watcher in spec.watchers]
        arbiter = cls(watchers, known.pop("endpoint"), known.pop("pubsub_endpoint"), **known)
        arbiter.supervisor.sockets = _sockets_of(spec.sockets, inherited or {})
        arbiter.supervisor.config_file = config_file
        arbiter.supervisor.configure(options)
        arbiter.supervisor.backend = backend(options.stream_backend)
        return arbiter

    @classmethod
    def load_from_config(cls, config_file: str, loop: Loop | None = None) -> Arbiter:
        """From a configuration file. Raises `circus.exc.ConfigError` with every problem there is."""
        arbiter = cls.from_spec(config.load(config_file), config_file)
        arbiter.loop = loop
        return arbiter

    # ---- settings ----------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """Settings by name; called only for what is no attribute."""
        if _is_setting(name) and "supervisor" in self.__dict__:
            return getattr(self.supervisor.settings(), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if _is_setting(name):
            self.supervisor.put_over(**{name: value})
        else:
            object.__setattr__(self, name, value)

    @property
    def config_file(self) -> str | None:
        return self.supervisor.config_file

    @property
    def _cfg(self) -> dict[str, Any] | None:
        """Kept for programs that look: the configuration file as dictionaries, as it is now."""
        from circus.config.compat import get_config

        return get_config(self.config_file) if self.config_file else None

    @property
    def plugins(self) -> list[Mapping[str, Any]]:
        return self.supervisor.plugins

    @property
    def fqdn(self) -> str:
        import socket

        name = socket.getfqdn()  # may ask a name server and take its time
        prefix = self.supervisor.settings().fqdn_prefix
        return f"{prefix}@{name}" if prefix else name

    def global_options(self) -> dict[str, Any]:
        """A program that says nothing of discovery has none, and is told the usual address, as of statistics."""
        options = {name: getattr(self, name) for name in GLOBAL_OPTIONS}
        if options["multicast_endpoint"] is None:
            options["multicast_endpoint"] = names.DEFAULT_ENDPOINT_MULTICAST
        return options

    # ---- parts -------------------------------------------------------------------------------------------------

    @property
    def loop(self) -> Any:
        """The caller's loop, or one of our own, made when it is first asked for."""
        return self.supervisor.ensure_loop()

    @loop.setter
    def loop(self, loop: Loop | None) -> None:
        if loop is not None and not isinstance(loop, Loop):
            raise TypeError(f"an arbiter runs in a circus.loop.Loop, not in {loop!r}; leave `loop` out")
        self.supervisor.use_loop(loop)

    def _ensure_ioloop(self) -> None:
        self.supervisor.make_loop()

    @property
    def ctrl(self) -> Any:
        return self.supervisor.controller

    @property
    def runtime(self) -> Runtime | None:
        """What performs; None unless it runs."""
        return self.supervisor.runtime

    @property
    def context(self) -> Any:
        return self.supervisor.context

    @context.setter
    def context(self, context: Any) -> None:
        self.supervisor.context = context

    @property
    def evpub_socket(self) -> Any:
        session = self.supervisor.session
        return session.publisher.socket if session is not None and session.publisher is not None else None

    @property
    def pid(self) -> int:
        return self.supervisor.pid

    @property
    def operations(self) -> Operations:
        """What commands ask for; to be called in the loop's thread."""
        return self.supervisor.operations

    # ---- life --------------------------------------------------------------------------------------------------

    def start(self, cb: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Start all watchers and, without a loop of the caller's, run until everything has stopped.

        Returns a settled future: its result says whether a restart is wanted, its exception what kept the arbiter
        from starting. With a loop of the caller's: a pending one, settled when the watchers are up. `cb` is called
        with the latter in any case. An arbiter that has ended may be started again.
        """
        return self.supervisor.start(cb)

    def run(
        self, listeners: Listeners | None = None, listening: Callable[[], object] | None = None
    ) -> tuple[bool, Listeners | None]:
        """`start` for circusd. True if everything is to be started anew, and the sockets that are open until then.

        `listening` is called as soon as requests are taken. Raises OSError if an endpoint is in use.
        """
        supervisor = self.supervisor
        supervisor.is_daemon, supervisor.listeners = True, listeners
        self.initialize()
        if listening is not None:
            listening()
        return bool(self.start().result()), supervisor.listeners

    def initialize(self) -> None:
        """Open the sockets and take over children and signals: the first part of `start`.

        Raises OSError if an endpoint is in use.
        """
        self.supervisor.initialize()

    def stop(self) -> Future[Any]:
        """Stop everything; `start` returns when all is down."""
        return self._quit(hurry=False)

    def _emergency_stop(self) -> Future[Any]:
        """Stop with a graceful timeout of 0."""
        return self._quit(hurry=True)

    def _quit(self, hurry: bool) -> Future[Any]:
        if not self.running:
            return finished(None)
        return self.supervisor.request(lambda operations: operations.quit(hurry=hurry), "quit", None)

    def restart(self, inside_circusd: bool = False, watcher_iter_func: Any = None) -> Future[Any]:
        """Stop everything and have `start` return with a restart wanted."""
        return self.supervisor.request(lambda operations: operations.restart_daemon(), "restart", None)

    def reload(self, graceful: bool = True, sequential: bool = False) -> Future[Any]:
        return self.supervisor.request(
            lambda operations: operations.reload(None, graceful=graceful, sequential=sequential), "reload", None
        )

    def _prereload(self) -> None:
        if self.prereload_fn is not None:
            self.prereload_fn(self)

    def reload_from_config(
        self, config_file: str | None = None, inside_circusd: bool = False, restart: bool = False
    ) -> Future[Any]:
        """Make everything be as a file says, touching only what differs. MessageError with all its problems.

        What a running arbiter cannot change is an error, too, unless `restart` is allowed.
        """
        supervisor = self.supervisor
        return supervisor.request(lambda _: supervisor.reload_config(config_file, restart), "reloadconfig", None)

    def plan_config(self, config_file: str | None = None) -> Plan:
        """What `reload_from_config` would do."""
        return self.supervisor.within(lambda: self.supervisor.plan_config(config_file))

    @property
    def running(self) -> bool:
        return self.supervisor.is_running

    @property
    def _restarting(self) -> bool:
        return self.supervisor.restart_wanted

    @property
    def _stopping(self) -> bool:
        return self.supervisor.decided.quitting

    # Kept for programs that look: no command ever excludes another, and nothing waits for sockets.
    _exclusive_running_command = None
    socket_event = False

    # ---- watchers ----------------------------------------------------------------------------------------------

    @property
    def watchers(self) -> list[Watcher]:
        return [_face(live) for live in self.supervisor.registry.all()]

    @property
    def _watchers_names(self) -> dict[str, Watcher]:
        return {watcher.name.lower(): watcher for watcher in self.watchers}

    def iter_watchers(self, reverse: bool = True) -> list[Watcher]:
        """By priority, bigger first unless `reverse` is false."""
        ordered = [_face(live) for live in self.supervisor.registry.in_order()]
        return ordered if reverse else ordered[::-1]

    def get_watcher(self, name: str) -> Watcher:
        """By name, ignoring case, or res name. KeyError if unknown."""
        return _face(self.supervisor.registry.get(name))

    def find(self, name: str) -> Watcher:
        """As `get_watcher`, with the MessageError of a command."""
        return _face(self.supervisor.registry.find(name))

    def match(self, pattern: str, method: str = "glob") -> list[Watcher]:
        """Watchers whose name matches, by priority. MessageError if none does or the method is unknown."""
        return [_face(live) for live in self.supervisor.registry.matching(pattern, method)]

    def add_watcher(self, name: str, cmd: str, **options: Any) -> Watcher:
        """A new watcher, not started. AlreadyExist if there is one of that name, ignoring case."""
        if not name:
            raise ValueError("a watcher needs a name")
        watcher = Watcher(name, cmd, **options)
        watcher.initialize(None, None, self)
        self.supervisor.within(lambda: self.operations.admit(watcher.live))
        return watcher

    def _build(self, spec: WatcherSpec) -> LiveWatcher:
        watcher = Watcher.from_spec(spec)
        watcher.initialize(None, None, self)
        return watcher.live

    def rm_watcher(self, name: str, nostop: bool = False) -> Future[Any]:
        key = self.find(name).key
        return self.supervisor.request(lambda operations: operations.remove(key, nostop=nostop), "rm", [key])

    def forget(self, key: int) -> None:
        """A watcher that was removed has come to its end."""
        self.supervisor.registry.forget(key)

    def start_watcher(self, watcher: Watcher) -> Future[Any]:
        return watcher._request(lambda operations, keys: operations.start(keys, single=True), "start")

    def start_watchers(self, watcher_iter_func: ChooseWatchers | None = None) -> Future[Any]:
        keys = _chosen(watcher_iter_func)
        return self.supervisor.request(lambda operations: operations.start(keys), "start", keys)

    def stop_watchers(self, watcher_iter_func: ChooseWatchers | None = None) -> Future[Any]:
        keys = _chosen(watcher_iter_func)
        return self.supervisor.request(lambda operations: operations.stop(keys), "stop", keys)

    def reap_processes(self) -> None:
        """Kept for programs that call it; dead processes are reaped the moment they die."""

    def manage_watchers(self) -> Future[None]:
        """Kept for programs that call it; watchers are managed the moment something happens."""
        return finished(None)

    # ---- questions ---------------------------------------------------------------------------------------------

    def statuses(self) -> dict[str, str]:
        return {live.name: live.status for live in self.supervisor.registry.all()}

    def reasons(self) -> dict[str, str]:
        """Watchers in trouble, and what it is."""
        return self.supervisor.reasons(time.monotonic())

    def numprocesses(self) -> int:
        return sum(len(live.live()) for live in self.supervisor.registry.all())

    def numwatchers(self) -> int:
        return len(self.supervisor.registry.all())

    @property
    def sockets(self) -> CircusSockets:
        """The managed sockets, by name. Those that are added before a start are opened by it."""
        if self.supervisor.sockets is None:
            from circus.sockets import CircusSockets  # a daemon without sockets does without

            self.supervisor.sockets = CircusSockets()
        return self.supervisor.sockets

    def sockets_info(self) -> list[dict[str, Any]]:
        return [sock.info() for sock in (self.supervisor.sockets or {}).values()]

    def get_socket(self, name: str) -> CircusSocket:
        """By name, ignoring case. KeyError if unknown."""
        return self.sockets[name]

    def dstats(self) -> Future[dict[str, Any]]:
        """Figures of this process."""
        return self.supervisor.dstats()

    def event_counts(self) -> dict[str, int]:
        """Events published, and how many of them subscribers missed because they were slow."""
        return self.supervisor.event_counts()

    def stats(self, wanted: Sequence[str] | None, pid: int | None, extended: bool) -> Future[Any]:
        """{watcher: {pid: figures}}, of the watchers wanted or of all; of one process if `pid` is given."""
        registry = self.supervisor.registry
        watchers = registry.all() if wanted is None else [registry.find(name) for name in wanted]
        return self.supervisor.stats(watchers, pid, extended)


class ThreadedArbiter(Arbiter):
    """An arbiter in a thread of its own, which leaves the program's children, signals and limits alone.

    `start` returns when requests are answered, `stop` when all is down. What the program forgets to stop is stopped
    when it ends.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        from circus.control.background import Background  # circusd needs none

        self._background = Background(self.supervisor, self.stop)

    def start(self, cb: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Future of the watchers being up. What keeps the arbiter from starting is raised here."""
        return self._background.start(cb)

    def stop(self) -> Future[Any]:
        """Stop everything and wait for that, except where the end itself would have to wait: in the loop, in a hook."""
        future = super().stop()
        if hooks.current()[1] is None:
            self.join()
        return future

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end; at once in the arbiter's own thread."""
        self._background.join(timeout)

    def is_alive(self) -> bool:
        return self._background.is_alive()


def _is_setting(name: str) -> bool:
    return isinstance(getattr(CircusSpec, name, None), Option)


def _from_spec(spec: WatcherSpec) -> Watcher:
    """Also if it cannot be built, which is said when it is to start: the other watchers must run."""
    watcher = Watcher.from_spec(spec, build=False)
    watcher.live.try_to_build()
    return watcher


def _face(live: LiveWatcher) -> Watcher:
    face = live.face
    assert isinstance(face, Watcher)
    return face


def _chosen(watcher_iter_func: ChooseWatchers | None) -> list[int] | None:
    return None if watcher_iter_func is None else [watcher.key for watcher in watcher_iter_func(reverse=True)]


def _list(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else None


def _refuse_what_is_missing(httpd: Any) -> None:
    if httpd:
        raise NotImplementedError("the web console is not available in this version; leave it out")


def _managed(sockets: Iterable[CircusSocket] | None) -> CircusSockets | None:
    if not sockets:
        return None
    from circus.sockets import CircusSockets  # as above

    return CircusSockets(sockets)


def _sockets_of(specs: Sequence[SocketSpec], inherited: Mapping[str, CircusSocket]) -> CircusSockets | None:
    if not specs and not inherited:
        return None
    from circus.sockets import CircusSockets  # as above

    sockets = CircusSockets.from_specs(specs)
    sockets.inherit(inherited)
    return sockets


def _with_defaults(watchers: Iterable[Watcher], defaults: Mapping[str, Any]) -> list[Watcher]:
    """The same watchers, with these values where they say nothing themselves."""
    found = list(watchers)
    for live in [watcher.live for watcher in found] if defaults else ():
        live.take(live.prepare(live.spec.replace(**{**defaults, **live.spec.values})))
    return found
