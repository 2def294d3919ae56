"""A watcher as hooks, plugins and programs hold it: a thin face over its spec and its place in the arbiter.

Reading an option (`watcher.numprocesses`) reads the spec; assigning one changes it the way `set` does. Methods
that take time return a future. Any thread may call.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from circus.common import names
from circus.common.convert import expand_dollars
from circus.common.future import Future, finished
from circus.control.operations import Operations, Reply
from circus.control.supervisor import Supervisor
from circus.exc import MessageError
from circus.machine.process import Process as Decided
from circus.options import settings
from circus.options.option import Effect, Option
from circus.options.table import WatcherSpec
from circus.runtime.launching import working_dir
from circus.runtime.live_watcher import LiveWatcher

if TYPE_CHECKING:
    from circus.process import Process

logger = logging.getLogger("circus")

# The order in which existing programs may pass what follows name and cmd; all else about these is in the option
# table. `prereload_fn` and `loop` are the two that are no options.
POSITIONAL = (
    "args", "numprocesses", "warmup_delay", "working_dir", "shell", "shell_args", "uid", "max_retry", "gid",
    "send_hup", "stop_signal", "stop_children", "env", "graceful_timeout", "prereload_fn", "rlimits", "executable",
    "stdout_stream", "stderr_stream", "priority", "loop", "singleton", "use_sockets", "copy_env", "copy_path",
    "max_age", "max_age_variance", "hooks", "respawn", "autostart", "on_demand", "virtualenv", "stdin_socket",
    "close_child_stdin", "close_child_stdout", "close_child_stderr", "virtualenv_py_ver",
)  # fmt: skip


class Watcher:
    """`Watcher(name, cmd, **options)`: any option of a `[watcher:NAME]` section; others are kept as data.

    `prereload_fn` is called with the watcher before each graceful reload. Raises ValueError for contradictions,
    ImportError for a hook or stream class that is not there.
    """

    def __init__(self, name: str, cmd: str, *args: Any, **options: Any) -> None:
        if len(args) > len(POSITIONAL):
            raise TypeError(f"Watcher takes at most {len(POSITIONAL) + 2} positional arguments")
        for key, value in zip(POSITIONAL, args, strict=False):
            if key in options:
                raise TypeError(f"Watcher got {key!r} twice, by position and by name")
            options[key] = value
        prereload_fn = options.pop("prereload_fn", None)
        for handed_over in ("loop", "sockets", "arbiter"):
            options.pop(handed_over, None)
        self._set_up(settings.watcher_spec(name, cmd, **options), prereload_fn)
        self.live.build()

    @classmethod
    def from_spec(cls, spec: WatcherSpec, build: bool = True) -> Watcher:
        """Without `build` its hooks and streams are not made yet, and nothing can go wrong."""
        watcher = cls.__new__(cls)
        watcher._set_up(spec, None)
        if build:
            watcher.live.build()
        return watcher

    @classmethod
    def load_from_config(cls, config: Mapping[str, Any]) -> Watcher:
        """From a dict as `circus.config.get_config` gives it, or any other. ValueError without name and cmd.

        Without a `cmd` it is a watcher, but nothing can be started. `$NAME` in its `env` stands for a variable of this
        process' own environment.
        """
        options = dict(config)
        cmd = options.pop("cmd", None) or ""
        if isinstance(options.get("env"), Mapping):
            options["env"] = {key: _expanded(key, value) for key, value in options["env"].items()}
        name = options.pop("name", None) or os.path.basename(str(cmd).partition(" ")[0])
        if not name:
            raise ValueError(f"a watcher needs a cmd: {dict(config)!r} has none")
        return cls(name, cmd, **options)

    def _set_up(self, spec: WatcherSpec, prereload_fn: Callable[[Watcher], object] | None) -> None:
        self.live = LiveWatcher(spec, self)
        self.live.on_exit = self._process_ended
        self.arbiter: Any = None
        self._sockets: Mapping[str, Any] | None = None
        self.evpub_socket: Any = None
        self._supervisor: Supervisor | None = None
        self._faces: dict[int, Process] = {}
        self.prereload_fn = prereload_fn

    # ---- the arbiter it belongs to -----------------------------------------------------------------------------

    def initialize(self, evpub_socket: Any, sockets: Mapping[str, Any] | None, arbiter: Any) -> None:
        """It belongs to this arbiter now, whose sockets are those it knows if `sockets` is None."""
        self.evpub_socket, self._sockets, self.arbiter = evpub_socket, sockets, arbiter
        self._supervisor = arbiter.supervisor

    @property
    def sockets(self) -> Mapping[str, Any]:
        """The managed sockets, by name."""
        if self._sockets is None and self.arbiter is not None:
            found: Mapping[str, Any] = self.arbiter.sockets  # asked each time: they may have been opened anew
            return found
        return self._sockets or {}

    def _owner(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError(f"watcher {self.name!r} belongs to no arbiter yet: add it to one")
        return self._supervisor

    def _request(
        self, call: Callable[[Operations, Sequence[int]], Reply], verb: str, waits: bool = True
    ) -> Future[Any]:
        keys = [self.key]
        return self._owner().request(lambda operations: call(operations, keys), verb, keys, waits)

    @property
    def key(self) -> int:
        """What operations call it by."""
        self._owner()
        return self.live.key

    @property
    def machine(self) -> Any:
        """The deciding half; None while it belongs to no arbiter."""
        return self.live.decided if self.live.is_admitted else None

    # ---- options -----------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """Options by name; called only for what is no attribute."""
        if name.startswith("__") or "live" not in self.__dict__:
            raise AttributeError(name)
        if isinstance(getattr(WatcherSpec, name, None), Option):
            return getattr(self.live.spec, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OBJECTS or not isinstance(getattr(WatcherSpec, name, None), Option):
            object.__setattr__(self, name, value)
        elif self._supervisor is None:
            self.live.spec = self.live.spec.replace(**{name: value})
        else:
            change = {name: value}
            future = self._request(lambda operations, keys: operations.set(keys[0], change), "set")
            future.add_done_callback(lambda done: _log_failure(done, f"{self.name}.{name} = {value!r}"))

    @property
    def spec(self) -> WatcherSpec:
        return self.live.spec

    @property
    def env(self) -> dict[str, str]:
        """What its next processes start with; may be changed in place."""
        return self.live.env

    @env.setter
    def env(self, env: Mapping[str, str]) -> None:
        self.live.env = dict(env)

    @property
    def prereload_fn(self) -> Callable[[Watcher], object] | None:
        return self._prereload_fn

    @prereload_fn.setter
    def prereload_fn(self, function: Callable[[Watcher], object] | None) -> None:
        self._prereload_fn = function
        self.live.prereload = None if function is None else lambda: function(self)

    @property
    def name(self) -> str:
        return self.live.name

    @property
    def res_name(self) -> str:
        return self.live.res_name

    @property
    def working_dir(self) -> str:
        return self.spec.working_dir or working_dir()

    @property
    def loop(self) -> Any:
        return self._owner().ensure_loop()

    @property
    def _options(self) -> Mapping[str, Any]:
        return self.spec.extras

    @property
    def optnames(self) -> list[str]:
        return [key for key, _ in self.options()]

    @property
    def hooks(self) -> dict[str, Callable[..., Any]]:
        return {name: hook.function for name, hook in self.live.hooks.items()}

    @property
    def ignore_hook_failure(self) -> list[str]:
        return [name for name, hook in self.live.hooks.items() if hook.ignore_failure]

    @property
    def stdout_stream(self) -> Any:
        return self.live.streams["stdout"]

    @stdout_stream.setter
    def stdout_stream(self, stream: Any) -> None:
        self.live.streams["stdout"] = stream

    @property
    def stderr_stream(self) -> Any:
        return self.live.streams["stderr"]

    @stderr_stream.setter
    def stderr_stream(self, stream: Any) -> None:
        self.live.streams["stderr"] = stream

    @property
    def stream_redirector(self) -> Any:
        """What carries its output; None while nothing does."""
        return self.live.pump

    @property
    def stdout_stream_conf(self) -> dict[str, Any]:
        return {key: value for key, value in self.spec.stdout_stream.items() if key != "class"}

    @property
    def stderr_stream_conf(self) -> dict[str, Any]:
        return {key: value for key, value in self.spec.stderr_stream.items() if key != "class"}

    def options(self) -> list[tuple[str, Any]]:
        return settings.option_values(self.spec, working_dir())

    def option(self, key: str) -> Any:
        """One option's value, free-form ones included. KeyError if there is none of that name."""
        return settings.lookup_value(self.spec, key, working_dir())

    def set_opt(self, key: str, value: Any) -> int:
        """Change an option without its consequences: 1 if processes must be replaced, 0 if recounted, -1 if neither."""
        supervisor = self._owner()
        effects = supervisor.within(lambda: supervisor.operations.set_quietly(self.key, {key: value}))
        if Effect.RELOAD in effects.values():
            return 1
        return 0 if Effect.MANAGE in effects.values() else -1

    def do_action(self, num: int) -> Future[Any]:
        if num == 1 and not self.is_stopped():
            return self.reload()
        return finished(None)

    # ---- requests ----------------------------------------------------------------------------------------------

    def start(self) -> Future[dict[str, Any]]:
        """Future of {"started": [pid], "kept": [pid]}."""
        return self._info(lambda operations, keys: operations.start(keys, single=True), "start")

    def stop(self) -> Future[None]:
        if self._supervisor is None:
            return finished(None)  # nothing of it runs
        future = self._request(lambda operations, keys: operations.stop(keys, single=True), "stop")
        return future.then(lambda reply: None)

    def restart(self) -> Future[dict[str, Any]]:
        return self._info(lambda operations, keys: operations.restart(keys, single=True), "restart")

    def reload(self, graceful: bool = True, sequential: bool = False) -> Future[dict[str, Any]]:
        return self._info(
            lambda operations, keys: operations.reload(keys, graceful=graceful, sequential=sequential, single=True),
            "reload",
        )

    def _info(self, call: Callable[[Operations, Sequence[int]], Reply], verb: str) -> Future[dict[str, Any]]:
        return self._request(call, verb).then(lambda reply: reply["info"])

    def incr(self, nb: int = 1) -> Future[int]:
        future = self._request(lambda operations, keys: operations.incr(keys[0], nb), "incr")
        return future.then(lambda reply: reply["numprocesses"])

    def decr(self, nb: int = 1) -> Future[int]:
        return self.incr(-nb)

    def set_numprocesses(self, numprocesses: int) -> Future[int]:
        change = {"numprocesses": numprocesses}
        future = self._request(lambda operations, keys: operations.set(keys[0], change), "set")
        return future.then(lambda _: self.live.spec.numprocesses)

    def kill_process(
        self, process: Process, stop_signal: int | None = None, graceful_timeout: float | None = None
    ) -> Future[bool]:
        """Future of True, or False if it is dead or already being ended."""
        found = self.live.find(process.pid)
        if found is None or found.end_requested:
            return finished(False)
        return self._kill(process.pid, stop_signal, graceful_timeout).then(lambda _: True)

    def kill_processes(self, stop_signal: int | None = None, graceful_timeout: float | None = None) -> Future[None]:
        return self._kill(None, stop_signal, graceful_timeout).then(lambda _: None)

    def _kill(self, pid: int | None, signum: int | None, graceful_timeout: float | None) -> Future[Any]:
        if self._supervisor is None:
            return finished(None)  # as in `stop`
        # A hook may wait for it: what it ends need not be complete first.
        return self._request(
            lambda operations, keys: operations.kill(keys[0], pid, signum, graceful_timeout), "kill", waits=False
        )

    def manage_processes(self) -> Future[None]:
        """Kept for programs that call it; processes are managed the moment something happens."""
        return finished(None)

    spawn_processes = reap_and_manage_processes = manage_processes

    def spawn_process(self) -> bool:
        self.start()
        return True

    def reap_process(self, pid: int, status: int | None = None) -> None:
        """Kept for programs that call it; a dead process is reaped the moment it dies."""

    def reap_processes(self) -> None:
        """Kept for programs that call it; dead processes are reaped the moment they die."""

    # ---- signals -----------------------------------------------------------------------------------------------

    def send_signal(self, pid: int, signum: int) -> None:
        self._signal(signum, pid)

    def send_signal_process(self, process: Process, signum: int, recursive: bool = False) -> None:
        self._signal(signum, process.pid, recursive=recursive)

    def send_signal_child(self, pid: int, child: int, signum: int) -> None:
        self._signal(signum, pid, childpid=child)

    def send_signal_children(self, pid: int, signum: int, recursive: bool = False) -> None:
        self._signal(signum, pid, children=True, recursive=recursive)

    def _signal(self, signum: int, pid: int | None, **which: Any) -> None:
        """As the `signal` command: all live processes if `pid` is None."""
        supervisor = self._supervisor
        if supervisor is not None:
            supervisor.within(lambda: supervisor.operations.signal(self.key, signum, pid, **which))

    # ---- questions ---------------------------------------------------------------------------------------------

    def status(self) -> str:
        return self.live.status

    def is_active(self) -> bool:
        return self.status() == names.ACTIVE

    def is_stopped(self) -> bool:
        return self.status() == names.STOPPED

    def is_stopping(self) -> bool:
        return self.status() == names.STOPPING

    @property
    def _status(self) -> str:
        return self.status()

    @property
    def processes(self) -> dict[int, Process]:
        return {process.pid: self._face(process) for process in self.live.live()}

    def _face(self, process: Decided) -> Process:
        face = self._faces.get(process.pid)
        if face is None:
            from circus.process import Process  # made when it is looked at

            serial = process.serial
            face = Process.of_worker(
                self, self.live, process, lambda signum: self._owner().signal_worker(self.live, serial, signum)
            )
            self._faces[process.pid] = face
        face.stopping = process.end_requested
        return face

    def _process_ended(self, pid: int, exit_code: int | None) -> None:
        face = self._faces.pop(pid, None)
        if face is not None:
            face.ended(exit_code)

    def get_active_processes(self) -> list[Process]:
        return list(self.processes.values())

    def get_active_pids(self) -> list[int]:
        return [process.pid for process in self.live.live()]

    pids = property(get_active_pids)

    def __len__(self) -> int:
        return len(self.live.live())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<circus.Watcher name={self.name} numprocesses={self.live.spec.numprocesses}>"

    def info(self, extended: bool = False) -> dict[int, Any]:
        """Figures of every live process by pid; asks the system, so not for the main loop."""
        return {pid: self.process_info(pid, extended) for pid in self.get_active_pids()}

    def process_info(self, pid: int, extended: bool = False) -> Any:
        process = self.processes.get(pid)
        if process is None:
            raise MessageError(f"process {pid!r} not found in '{self.name}'")
        result = process.info()
        hook = self.live.hooks.get(names.EXTENDED_STATS) if extended else None
        if hook is not None and isinstance(result, dict):
            hook.function(self, self.arbiter, names.EXTENDED_STATS, pid=pid, stats=result)
        return result

    def call_hook(self, hook_name: str, **kwargs: Any) -> bool:
        """Call a hook here and now and publish what came of it; True if there is none."""
        hook = self.live.hooks.get(hook_name)
        if hook is None:
            return True
        outcome = hook.call(watcher=self, arbiter=self.arbiter, hook_name=hook_name, **kwargs)
        self.notify_event(*outcome.event(hook_name))
        return outcome.result

    def notify_event(self, event: str, payload: Mapping[str, Any]) -> None:
        if self._supervisor is not None:
            self._supervisor.publish(self.live, event, payload)

    send_msg = notify_event


# Objects here, settings in the spec.
_OBJECTS = ("env", "hooks", "stdout_stream", "stderr_stream")


def _log_failure(future: Future[Any], what: str) -> None:
    """Of an assignment, which does not wait."""
    error = future.exception()
    if error is not None:
        logger.warning("%s: %s", what, error)


def _expanded(key: str, value: Any) -> Any:
    """With `copy_env` all of our own environment is among them, and a dollar there is just a dollar."""
    if not isinstance(value, str) or os.environ.get(key) == value:
        return value
    return expand_dollars(value, os.environ)
