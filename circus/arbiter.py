"""The arbiter as circusd, hooks and programs hold it: builds the parts, runs the loop, and is the door for wishes.

Nothing is bound, forked or started before `start`. Methods that take time return a future and may be called from
any thread; inside the loop's thread they act at once.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import random
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from circus.controller import Controller
from circus.exc import AlreadyExist, ConfigError, MessageError
from circus.future import Future, failed, finished
from circus.loop import Loop
from circus.machine.arbiter import Arbiter as Machine
from circus.options import Effect
from circus.runtime import Runtime
from circus.spec import CircusSpec, ConfigSpec
from circus.watcher import Watcher
from circus.wishes import Wishes

logger = logging.getLogger("circus")

MATCH_METHODS = ("simple", "glob", "regex")

GLOBAL_OPTIONS = ("endpoint", "stats_endpoint", "pubsub_endpoint", "check_delay", "multicast_endpoint")


class Arbiter:
    """Manages watchers. Arguments are those of the `[circus]` section; see the reference of options."""

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
        umask: int | None = None,
        endpoint_owner: str | int | None = None,
        fqdn_prefix: str | None = None,
        proc_name: str = "circusd",
        **kept: Any,
    ) -> None:
        if isinstance(statsd, str):  # early versions had the endpoint in this place
            stats_endpoint, statsd = statsd, True
        _refuse_what_is_missing(plugins, sockets, statsd, kept.get("httpd"))
        self.endpoint = endpoint
        self.pubsub_endpoint = pubsub_endpoint
        self.stats_endpoint = stats_endpoint
        self.multicast_endpoint = multicast_endpoint
        self.check_delay = check_delay
        self.prereload_fn = prereload_fn
        self.endpoint_owner = endpoint_owner
        self.umask = umask
        self.proc_name = proc_name
        self.pidfile = kept.get("pidfile")
        self.loglevel = kept.get("loglevel")
        self.logoutput = kept.get("logoutput")
        self.loggerconfig = kept.get("loggerconfig")
        self.pid = os.getpid()
        self.fqdn = f"{fqdn_prefix}@{socket.getfqdn()}" if fqdn_prefix else socket.getfqdn()
        self.sockets: Mapping[str, Any] = {}
        self.socket_event = False
        self.config_file: str | None = None
        self.circus_spec = CircusSpec()
        self.context = context
        self.loop: Any = loop
        self.ctrl = Controller(endpoint, multicast_endpoint, context, loop, self, check_delay)
        self.machine = Machine(random.random, warmup_delay)
        self._own_loop = loop is None
        self._own_context = context is None
        self.runtime: Runtime | None = None
        self._wishes = Wishes(self, self.machine)
        self._signals: Any = None
        self._background = False
        self._ended: Future[bool] | None = None
        self._restarting = False
        self._watchers: dict[int, Watcher] = {}
        for watcher in watchers:
            self.admit(watcher)

    @classmethod
    def from_spec(cls, spec: ConfigSpec, config_file: str | None = None) -> Arbiter:
        """From a configuration. A watcher that cannot be built is logged and left out."""
        options = spec.circus
        watchers = [w for w in map(_build, spec.watchers) if w is not None]
        known = {o.attribute: getattr(options, o.attribute) for o in CircusSpec.options()}
        for only_for_circusd in ("include", "include_dir", "stream_backend", "ssh_server", "debug_gc"):
            known.pop(only_for_circusd)
        known["proc_name"] = known["proc_name"] or "circusd"
        arbiter = cls(watchers, known.pop("endpoint"), known.pop("pubsub_endpoint"), **known)
        arbiter.config_file = config_file
        arbiter.circus_spec = options
        return arbiter

    @classmethod
    def load_from_config(cls, config_file: str, loop: Loop | None = None) -> Arbiter:
        """From a configuration file. Raises `circus.exc.ConfigError` with every problem there is."""
        from circus.config import read

        spec, problems = read(config_file, os.environ)
        fatal = [str(problem) for problem in problems if problem.fatal]
        if fatal:
            raise ConfigError(fatal)
        arbiter = cls.from_spec(spec, config_file)
        if loop is not None:
            arbiter.loop, arbiter._own_loop = loop, False
        return arbiter

    # ---- life --------------------------------------------------------------------------------------------------

    def _ensure_ioloop(self) -> None:
        if self.loop is None:
            self.loop = Loop()

    def initialize(self) -> None:
        """Open the sockets and take over children and signals. Raises OSError if an endpoint is in use."""
        import zmq

        from circus.posix import limits, tree
        from circus.server import Publisher

        self._ensure_ioloop()
        self.context = self.context or zmq.Context()
        self.ctrl.loop, self.ctrl.context, self.ctrl.endpoint = self.loop, self.context, self.endpoint
        self.ctrl.multicast_endpoint = self.multicast_endpoint
        self.ctrl.endpoint_owner = self._owner()
        publisher = Publisher(self.context, self.pubsub_endpoint)
        try:
            self.ctrl.start()
            publisher.start()
        except OSError:
            self.ctrl.stop()
            self._close_context()
            raise
        self.endpoint, self.pubsub_endpoint = self.ctrl.endpoint, publisher.endpoint
        self.runtime = Runtime(self, self.machine, self.loop)
        if not self._background:
            limits.raise_nofile()
            self.runtime.adopts = tree.become_subreaper()
        self.runtime.check_delay = self.check_delay
        self.runtime.publisher = publisher
        self.runtime.umask = self.umask
        for key, watcher in self._watchers.items():
            self.runtime.attach(key, watcher)
            watcher.evpub_socket = publisher.socket
        self.loop.before_sleep = self.runtime.turn
        self._install_signals()

    def _owner(self) -> int | None:
        if self.endpoint_owner is None:
            return None
        from circus.posix.users import user_info

        return user_info(self.endpoint_owner)[0]

    def _install_signals(self) -> None:
        if self._background:
            return
        from circus.sighandler import SysHandler

        self._signals = SysHandler(self.ctrl)

    def start(self, cb: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Start all watchers and, without a loop of the caller's, run until everything has stopped.

        Returns a settled future: its result says whether a restart is wanted, its exception what kept the arbiter
        from starting. With a loop of the caller's: a pending one, settled when the watchers are up.
        """
        try:
            self.initialize()
        except Exception as exc:  # reported through the future, as programs expect
            return failed(exc)
        logger.info("Starting master on pid %s", self.pid)
        up = self.start_watchers()
        logger.info("Arbiter now waiting for commands")
        if cb is not None:
            up.add_done_callback(cb)
        if not self._own_loop:
            self._ended = Future()
            return up
        return self._run()

    def _run(self) -> Future[Any]:
        try:
            self.loop.run()
        finally:
            restart = self._shut()
        return finished(restart)

    def run(self) -> bool:
        """`start` for circusd: True if everything is to be started anew. Raises OSError if an endpoint is in use."""
        return bool(self.start().result())

    def _shut(self) -> bool:
        assert self.runtime is not None
        runtime, self.runtime = self.runtime, None
        self._restarting = runtime.restart_wanted
        runtime.close()
        self.ctrl.stop()
        if runtime.publisher is not None:
            runtime.publisher.close()
        if self._signals is not None:
            self._signals.stop()
            self._signals = None
        self.loop.before_sleep = None
        self._close_context()
        if self._own_loop:
            self.loop.close()
            self.loop = None
        logger.info("Arbiter exiting")
        if self._ended is not None:
            self._ended.set_result(self._restarting)
        return self._restarting

    def _close_context(self) -> None:
        if self._own_context and self.context is not None:
            self.context.term()
            self.context = None

    @property
    def running(self) -> bool:
        return self.runtime is not None

    @property
    def _stopping(self) -> bool:
        return self.machine.quitting

    # ---- watchers ----------------------------------------------------------------------------------------------

    def admit(self, watcher: Watcher, announce: bool = False) -> None:
        """Take in a watcher that was built elsewhere; it is not started."""
        machine = self.machine.add(watcher.spec, announce)
        watcher.machine = machine
        watcher.initialize(None, self.sockets, self)
        self._watchers[machine.key] = watcher
        if self.runtime is not None:
            self.runtime.attach(machine.key, watcher)

    @property
    def watchers(self) -> list[Watcher]:
        return [self._watchers[key] for key in list(self.machine.watchers)]

    @property
    def _watchers_names(self) -> dict[str, Watcher]:
        return {watcher.name.lower(): watcher for watcher in self.watchers}

    def iter_watchers(self, reverse: bool = True) -> list[Watcher]:
        """By priority, bigger first unless `reverse` is false."""
        ordered = [self._watchers[machine.key] for machine in self.machine.in_order()]
        return ordered if reverse else ordered[::-1]

    def get_watcher(self, name: str) -> Watcher:
        """By name, ignoring case, or res name. KeyError if unknown."""
        by_name = self._watchers_names
        found = by_name.get(name.lower())
        if found is None:
            found = {watcher.res_name: watcher for watcher in by_name.values()}.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def find(self, name: str) -> Watcher:
        try:
            return self.get_watcher(name)
        except KeyError:
            raise MessageError(f"program {name} not found") from None

    def match(self, pattern: str, method: str = "glob") -> list[Watcher]:
        """Watchers whose name matches, by priority. MessageError if none does or the method is unknown."""
        if method not in MATCH_METHODS:
            raise MessageError(f"unknown match method {method}")
        try:
            found = [watcher for watcher in self.iter_watchers() if _matches(watcher, pattern, method)]
        except re.error as exc:
            raise MessageError(f"{pattern!r} is not a regular expression: {exc}") from None
        if not found:
            raise MessageError(f"program {pattern} not found")
        return found

    def add_watcher(self, name: str, cmd: str, **options: Any) -> Watcher:
        """A new watcher, not started. AlreadyExist if there is one of that name, ignoring case."""
        if name.lower() in self._watchers_names:
            raise AlreadyExist(f"{name!r} already exist")
        if not name:
            raise ValueError("a watcher needs a name")
        watcher = Watcher(name, cmd, **options)
        self._within(lambda: self.admit(watcher, announce=True))
        return watcher

    def rm_watcher(self, name: str, nostop: bool = False) -> Future[Any]:
        return self.ask("rm", [name], nostop=nostop)

    def start_watcher(self, watcher: Watcher) -> Future[Any]:
        return self.ask("start", [watcher.name], single=True)

    def start_watchers(self, watcher_iter_func: Callable[..., Iterable[Watcher]] | None = None) -> Future[Any]:
        return self.ask("start", _chosen(watcher_iter_func))

    def stop_watchers(self, watcher_iter_func: Callable[..., Iterable[Watcher]] | None = None) -> Future[Any]:
        return self.ask("stop", _chosen(watcher_iter_func))

    # ---- what it looks like ------------------------------------------------------------------------------------

    def statuses(self) -> dict[str, str]:
        return {watcher.name: watcher.status() for watcher in self.watchers}

    def reasons(self) -> dict[str, str]:
        """Watchers in trouble, and what it is."""
        now = time.monotonic()
        told = {machine.name: machine.reason(now) for machine in self.machine.in_order()}
        return {name: reason for name, reason in told.items() if reason}

    def numprocesses(self) -> int:
        return sum(len(watcher) for watcher in self.watchers)

    def numwatchers(self) -> int:
        return len(self.machine.watchers)

    def global_options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in GLOBAL_OPTIONS}

    def sockets_info(self) -> list[dict[str, Any]]:
        return []

    def get_socket(self, name: str) -> Any:
        return self.sockets[name]

    def dstats(self) -> Future[dict[str, Any]]:
        """Figures of this process."""
        from circus.sampling import daemon_figures, in_thread

        return in_thread(lambda: daemon_figures(self.pid))

    def stats(self, names: Sequence[str] | None, pid: int | None, extended: bool) -> Future[Any]:
        """{watcher: {pid: figures}}; taken in another thread, because asking the system takes its time."""
        from circus.sampling import figures, in_thread

        watchers = self.watchers if names is None else [self.find(name) for name in names]
        wanted = [(watcher, watcher.processes) for watcher in watchers]
        if pid is not None:
            wanted = [(watcher, {pid: found[pid]} if pid in found else {}) for watcher, found in wanted]
        return in_thread(lambda: figures(wanted, extended))

    # ---- wishes ------------------------------------------------------------------------------------------------

    def ask(self, verb: str, names: Sequence[str] | None = None, **arguments: Any) -> Future[Any]:
        """Wish something for watchers by name (None: all). The future holds the keys of a waiting reply.

        Raises MessageError for unknown names or bad values. Verbs: start, stop, restart, reload, incr, decr, set,
        kill, rm, add, quit, reloadconfig.
        """
        future: Future[Any] = self._within(lambda: self._wish(verb, names, arguments))
        return future

    def _within(self, call: Callable[[], Any]) -> Any:
        """Do it in the loop's thread: here and now if this is it or nothing runs."""
        loop = self.loop
        if loop is None or not loop.is_running or loop.is_own_thread:
            return call()
        done: Future[Any] = Future()

        def work() -> None:
            try:
                done.set_result(call())
            except Exception as exc:  # belongs to the calling thread
                done.set_exception(exc)

        loop.post(work)
        return done.result()

    def _wish(self, verb: str, names: Sequence[str] | None, arguments: dict[str, Any]) -> Future[Any]:
        watchers = self.watchers if names is None else [self.find(name) for name in names]
        future = self._wishes.carry_out(verb, watchers, arguments)
        if self.loop is not None:
            self.loop.post(lambda: None)  # the loop comes around and settles
        return future

    def change_spec(self, watcher: Watcher, options: Mapping[str, Any]) -> dict[str, Effect]:
        """Change options without replacing processes; what each change would cost."""
        effects: dict[str, Effect] = self._within(lambda: self._wishes.change_quietly(watcher, options))
        return effects

    def stop(self) -> Future[Any]:
        """Stop everything; `start` returns when all is down."""
        if self.runtime is None:
            return finished(None)
        return self.ask("quit")

    def restart(self, inside_circusd: bool = False, watcher_iter_func: Any = None) -> Future[Any]:
        """Stop everything and have `start` return with a restart wanted."""
        return self.ask("restart_arbiter")

    def reload(self, graceful: bool = True, sequential: bool = False) -> Future[Any]:
        if self.prereload_fn is not None:
            self.prereload_fn(self)
        return self.ask("reload", None, graceful=graceful, sequential=sequential)

    def reload_from_config(self, config_file: str | None = None, inside_circusd: bool = False) -> Future[Any]:
        """Make the watchers be as a file says, touching only what differs. MessageError with all its problems."""
        return self.ask("reloadconfig", path=config_file)

    def _emergency_stop(self) -> Future[Any]:
        """Stop with a graceful timeout of 0."""
        if self.runtime is None:
            return finished(None)
        self.ask("quit")
        return self.ask("quit")

    def reap_processes(self) -> None:
        """Kept for programs that call it; dead processes are reaped the moment they die."""

    def manage_watchers(self) -> Future[None]:
        """Kept for programs that call it; watchers are managed the moment something happens."""
        return finished(None)

    # ---- signals and events ------------------------------------------------------------------------------------

    def send_signal(self, watcher: Watcher, signum: int, pid: int | None = None, **whom: Any) -> None:
        """The `signal` command. MessageError if a child is named without a way to find its parent."""
        from circus.signalling import send

        self._within(lambda: send(self.machine, watcher, signum, pid, **whom))
        if self.loop is not None:
            self.loop.post(lambda: None)

    def publish(self, watcher: Watcher, event: str, payload: Mapping[str, Any]) -> None:
        from circus.machine.actions import Publish

        runtime = self.runtime
        if runtime is not None:
            self._within(lambda: runtime.perform(Publish(_key(watcher), event, payload)))


def _key(watcher: Watcher) -> int:
    assert watcher.machine is not None
    return watcher.machine.key


def _matches(watcher: Watcher, pattern: str, method: str) -> bool:
    name = watcher.name.lower()
    if method == "regex":
        return re.match(pattern, name, re.IGNORECASE) is not None
    if method == "simple":
        return pattern.lower() in (name, watcher.res_name)
    return fnmatch.fnmatchcase(name, pattern.lower()) or fnmatch.fnmatchcase(watcher.res_name, pattern.lower())


def _chosen(watcher_iter_func: Callable[..., Iterable[Watcher]] | None) -> list[str] | None:
    if watcher_iter_func is None:
        return None
    return [watcher.name for watcher in watcher_iter_func(reverse=True)]


def _build(spec: Any) -> Watcher | None:
    try:
        return Watcher.from_spec(spec)
    except Exception as exc:  # whatever a hook module or stream class raises: the other watchers must run
        logger.error("Failed to create watcher %s: %s", spec.name, exc)
        return None


def _refuse_what_is_missing(plugins: Any, sockets: Any, statsd: Any, httpd: Any) -> None:
    for what, wanted in (("plugins", plugins), ("managed sockets", sockets), ("the web console", httpd)):
        if wanted:
            raise NotImplementedError(f"{what} are not available in this version; leave them out")
    if statsd:
        logger.warning("statistics are not available in this version: circusd-stats is not started")
