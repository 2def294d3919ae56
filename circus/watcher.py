"""A watcher as hooks, plugins and programs hold it: a thin face over its spec and its place in the arbiter.

Reading an option (`watcher.numprocesses`) reads the spec; assigning one changes it the way `set` does. Methods
that take time return a future. Any thread may call.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from circus.common import names
from circus.common.convert import expand_dollars
from circus.common.future import Future, finished
from circus.exc import MessageError
from circus.machine.process import Process as MachineProcess
from circus.machine.watcher import Watcher as Machine
from circus.options import settings
from circus.options.option import Effect, Option
from circus.options.table import WatcherSpec
from circus.process import Process
from circus.runtime.environment import python_paths, watcher_env
from circus.runtime.hooks import Hook, resolve_hook
from circus.runtime.launching import working_dir

if TYPE_CHECKING:
    from circus.arbiter import Arbiter
    from circus.stream.pump import Pump

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
        self.prereload_fn: Callable[[Watcher], object] | None = options.pop("prereload_fn", None)
        for handed_over in ("loop", "sockets", "arbiter"):
            options.pop(handed_over, None)
        self._set_up(settings.watcher_spec(name, cmd, **options))

    @classmethod
    def from_spec(cls, spec: WatcherSpec) -> Watcher:
        watcher = cls.__new__(cls)
        watcher.prereload_fn = None
        watcher._set_up(spec)
        return watcher

    @classmethod
    def load_from_config(cls, config: Mapping[str, Any]) -> Watcher:
        """From a dict as `circus.config.get_config` gives it, or anybody else's: `cmd` is required.

        `$NAME` in its `env` stands for a variable of this process' own environment.
        """
        options = dict(config)
        cmd = options.pop("cmd", None)
        if not cmd:
            raise ValueError(f"a watcher needs a cmd: {dict(config)!r} has none")
        if isinstance(options.get("env"), Mapping):
            options["env"] = {key: _expanded(value) for key, value in options["env"].items()}
        name = options.pop("name", None) or os.path.basename(str(cmd).split()[0])
        return cls(name, cmd, **options)

    def _set_up(self, spec: WatcherSpec) -> None:
        self.spec = spec
        self.arbiter: Arbiter | None = None
        self.sockets: Mapping[str, Any] = {}
        self.evpub_socket: Any = None
        self.machine: Machine | None = None
        self.env: dict[str, str] = watcher_env(spec, os.environ)
        self._find_modules()
        self.resolved_hooks = {key: resolve_hook(key, value) for key, value in spec.hooks.items()}
        self.stdout_stream = _stream(spec.stdout_stream)
        self.stderr_stream = _stream(spec.stderr_stream)
        self.stream_redirector: Pump | None = None
        self.pump_class: type[Pump] | None = None  # None: the one with a thread
        self._faces: dict[int, Process] = {}

    def _find_modules(self) -> None:
        """Hooks and streams may stand where the programs of the watcher find their modules."""
        if self.spec.hooks or self.spec.stdout_stream or self.spec.stderr_stream:
            sys.path += [path for path in python_paths(self.env) if path not in sys.path]

    # ---- its place ---------------------------------------------------------------------------------------------

    def initialize(self, evpub_socket: Any, sockets: Mapping[str, Any], arbiter: Arbiter) -> None:
        self.evpub_socket, self.sockets, self.arbiter = evpub_socket, sockets, arbiter

    def _arbiter(self) -> Arbiter:
        if self.arbiter is None:
            raise RuntimeError(f"watcher {self.name!r} belongs to no arbiter yet: add it to one")
        return self.arbiter

    def _ask(self, verb: str, **arguments: Any) -> Future[Any]:
        return self._arbiter().ask(verb, [self.name], **arguments)

    # ---- options -----------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """Options by name; called only for what is no attribute."""
        if name.startswith("__") or "spec" not in self.__dict__:
            raise AttributeError(name)
        option = getattr(WatcherSpec, name, None)
        if isinstance(option, Option):
            return getattr(self.spec, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        own = ("env", "hooks", "stdout_stream", "stderr_stream")  # objects here, settings in the spec
        if name not in own and isinstance(getattr(WatcherSpec, name, None), Option):
            self._arbiter_or_spec(name, value)
        else:
            object.__setattr__(self, name, value)

    def _arbiter_or_spec(self, name: str, value: Any) -> None:
        if self.arbiter is not None:
            self._ask("set", options={name: value})
        else:
            self.spec = self.spec.replace(**{name: value})

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def res_name(self) -> str:
        return names.res_name(self.spec.name)

    @property
    def working_dir(self) -> str:
        return self.spec.working_dir or working_dir()

    @property
    def loop(self) -> Any:
        return self._arbiter().loop

    @property
    def _options(self) -> Mapping[str, Any]:
        return self.spec.extras

    @property
    def optnames(self) -> list[str]:
        return [key for key, _ in self.options()]

    @property
    def hooks(self) -> dict[str, Callable[..., Any]]:
        return {name: hook.function for name, hook in self.resolved_hooks.items()}

    @property
    def ignore_hook_failure(self) -> list[str]:
        return [name for name, hook in self.resolved_hooks.items() if hook.ignore_failure]

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
        effects = self._arbiter().change_spec(self, {key: value})
        if Effect.RELOAD in effects.values():
            return 1
        return 0 if Effect.MANAGE in effects.values() else -1

    def do_action(self, num: int) -> Future[Any]:
        if num == 1 and not self.is_stopped():
            return self.reload()
        return finished(None)

    # ---- what the arbiter needs --------------------------------------------------------------------------------

    def take_spec(self, spec: WatcherSpec) -> None:
        """Another spec for the same watcher; raises, and changes nothing, if hooks or streams cannot be made."""
        hooks = self.resolved_hooks
        if dict(spec.hooks) != dict(self.spec.hooks):
            hooks = {key: self._hook(key, value) for key, value in spec.hooks.items()}
        swaps = {
            name: _stream(getattr(spec, f"{name}_stream"))
            for name in ("stdout", "stderr")
            if dict(getattr(spec, f"{name}_stream")) != dict(getattr(self.spec, f"{name}_stream"))
        }
        if spec.diff(self.spec) & {"env", "copy_env", "copy_path", "virtualenv", "virtualenv_py_ver"}:
            self.env = watcher_env(spec, os.environ)
        object.__setattr__(self, "spec", spec)
        self.resolved_hooks = hooks
        for name, stream in swaps.items():
            object.__setattr__(self, f"{name}_stream", stream)
            if self.stream_redirector is not None:
                self.stream_redirector.swap(name, stream)

    def _hook(self, key: str, value: Any) -> Hook:
        if self.spec.hooks.get(key) == value:
            return self.resolved_hooks[key]
        return resolve_hook(key, value, reload=True)

    @property
    def has_stdout(self) -> bool:
        return self.stdout_stream is not None

    @property
    def has_stderr(self) -> bool:
        return self.stderr_stream is not None

    def spawn_environment(self) -> dict[str, str]:
        return dict(self.env)

    def open_streams(self, post: Callable[[Callable[[], object]], None]) -> None:
        if self.has_stdout or self.has_stderr:
            self._pump(post)

    def _pump(self, post: Callable[[Callable[[], object]], None]) -> Pump:
        from circus.stream.pump import Pump

        make = self.pump_class or Pump
        pump = make(self.name, {"stdout": self.stdout_stream, "stderr": self.stderr_stream}, post)
        pump.start()
        self.stream_redirector = pump
        return pump

    def pump_output(self, pid: int, pipes: dict[str, int]) -> None:
        if pipes:
            pump = self.stream_redirector or self._pump(self._arbiter().loop.post)
            pump.add(pid, pipes)

    def process_ended(self, pid: int, exit_code: int | None) -> None:
        face = self._faces.pop(pid, None)
        if face is not None:
            face.ended(exit_code)
        if self.stream_redirector is not None:
            self.stream_redirector.finish(pid)

    def close_streams(self, done: Callable[[], object]) -> None:
        pump, self.stream_redirector = self.stream_redirector, None
        if pump is None:
            done()
        else:
            pump.close(done)

    # ---- requests ------------------------------------------------------------------------------------------------

    def start(self) -> Future[dict[str, Any]]:
        """Future of {"started": [pid], "kept": [pid]}."""
        return self._ask("start", single=True).then(lambda reply: reply["info"])

    def stop(self) -> Future[None]:
        return self._ask("stop", single=True).then(lambda reply: None)

    def restart(self) -> Future[dict[str, Any]]:
        return self._ask("restart", single=True).then(lambda reply: reply["info"])

    def reload(self, graceful: bool = True, sequential: bool = False) -> Future[dict[str, Any]]:
        future = self._ask("reload", graceful=graceful, sequential=sequential, single=True)
        return future.then(lambda reply: reply["info"])

    def incr(self, nb: int = 1) -> Future[int]:
        return self._ask("incr", nb=nb).then(lambda reply: reply["numprocesses"])

    def decr(self, nb: int = 1) -> Future[int]:
        return self._ask("decr", nb=nb).then(lambda reply: reply["numprocesses"])

    def set_numprocesses(self, numprocesses: int) -> Future[int]:
        return self._ask("set", options={"numprocesses": numprocesses}).then(lambda _: self.spec.numprocesses)

    def kill_process(
        self, process: Process, stop_signal: int | None = None, graceful_timeout: float | None = None
    ) -> Future[bool]:
        """Future of True, or False if it is dead or already being ended."""
        found = self._find(process.pid)
        if found is None or found.end_requested:
            return finished(False)
        future = self._ask("kill", pid=process.pid, signum=stop_signal, graceful_timeout=graceful_timeout)
        return future.then(lambda _: True)

    def kill_processes(self, stop_signal: int | None = None, graceful_timeout: float | None = None) -> Future[None]:
        future = self._ask("kill", pid=None, signum=stop_signal, graceful_timeout=graceful_timeout)
        return future.then(lambda _: None)

    def manage_processes(self) -> Future[None]:
        """Kept for programs that call it; processes are managed the moment something happens."""
        return finished(None)

    spawn_processes = reap_and_manage_processes = manage_processes

    def spawn_process(self) -> bool:
        self._ask("start", single=True)
        return True

    def reap_process(self, pid: int, status: int | None = None) -> None:
        """Kept for programs that call it; a dead process is reaped the moment it dies."""

    def reap_processes(self) -> None:
        """Kept for programs that call it; dead processes are reaped the moment they die."""

    # ---- signals -----------------------------------------------------------------------------------------------

    def send_signal(self, pid: int, signum: int) -> None:
        self._arbiter().send_signal(self, signum, pid=pid)

    def send_signal_process(self, process: Process, signum: int, recursive: bool = False) -> None:
        self._arbiter().send_signal(self, signum, pid=process.pid, recursive=recursive)

    def send_signal_child(self, pid: int, child: int, signum: int) -> None:
        self._arbiter().send_signal(self, signum, pid=pid, childpid=child)

    def send_signal_children(self, pid: int, signum: int, recursive: bool = False) -> None:
        self._arbiter().send_signal(self, signum, pid=pid, children=True, recursive=recursive)

    def send_signal_to(self, pid: int | None, signum: int, **whom: Any) -> None:
        """As the `signal` command: all live processes if `pid` is None."""
        self._arbiter().send_signal(self, signum, pid=pid, **whom)

    # ---- what it looks like ------------------------------------------------------------------------------------

    def status(self) -> str:
        return self.machine.status if self.machine is not None else names.STOPPED

    def is_active(self) -> bool:
        return self.status() == names.ACTIVE

    def is_stopped(self) -> bool:
        return self.status() == names.STOPPED

    def is_stopping(self) -> bool:
        return self.status() == names.STOPPING

    @property
    def _status(self) -> str:
        return self.status()

    def live(self) -> list[MachineProcess]:
        """Oldest first; those that are ending included."""
        # Over a copy: the loop may be changing the table while another thread looks.
        return [process for process in self.machine.table if process.is_live] if self.machine is not None else []

    def _find(self, pid: int) -> MachineProcess | None:
        return next((process for process in self.live() if process.pid == pid), None)

    @property
    def processes(self) -> dict[int, Process]:
        return {process.pid: self._face(process) for process in self.live()}

    def _face(self, process: MachineProcess) -> Process:
        face = self._faces.get(process.pid)
        if face is None:
            face = Process.of_watcher(self, process.pid, process.wid, process.started)
            self._faces[process.pid] = face
        face.stopping = process.end_requested
        return face

    def get_active_processes(self) -> list[Process]:
        return list(self.processes.values())

    def get_active_pids(self) -> list[int]:
        return [process.pid for process in self.live()]

    pids = property(get_active_pids)

    def __len__(self) -> int:
        return len(self.live())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<circus.Watcher name={self.name} numprocesses={self.spec.numprocesses}>"

    def info(self, extended: bool = False) -> dict[int, Any]:
        """Figures of every live process by pid; asks the system, so not for the main loop."""
        return {pid: self.process_info(pid, extended) for pid in self.get_active_pids()}

    def process_info(self, pid: int, extended: bool = False) -> Any:
        process = self.processes.get(pid)
        if process is None:
            raise MessageError(f"process {pid!r} not found in '{self.name}'")
        result = process.info()
        hook = self.resolved_hooks.get(names.EXTENDED_STATS) if extended else None
        if hook is not None and isinstance(result, dict):
            hook.function(self, self.arbiter, names.EXTENDED_STATS, pid=pid, stats=result)
        return result

    def call_hook(self, hook_name: str, **kwargs: Any) -> bool:
        """Call a hook here and now and publish what came of it; True if there is none."""
        hook = self.resolved_hooks.get(hook_name)
        if hook is None:
            return True
        outcome = hook.call(watcher=self, arbiter=self.arbiter, hook_name=hook_name, **kwargs)
        event = names.HOOK_FAILURE if outcome.error else names.HOOK_SUCCESS
        self.notify_event(event, {"name": hook_name, **({"error": outcome.error} if outcome.error else {})})
        return outcome.result

    def notify_event(self, event: str, payload: Mapping[str, Any]) -> None:
        self._arbiter().publish(self, event, payload)

    send_msg = notify_event


def _stream(conf: Mapping[str, Any]) -> Any:
    if not conf:
        return None
    from circus.stream import get_stream

    return get_stream(dict(conf))


def _expanded(value: Any) -> Any:
    return expand_dollars(value, os.environ) if isinstance(value, str) else value
