"""One running program: a worker of a watcher as hooks see it, or a process of its own.

    >>> process = Process("Top", 1, "top", shell=True)
    >>> process.info()["cmdline"]
    'sh'
    >>> process.stop()

A process of a watcher is signalled and reaped by the arbiter, in whose thread no pid can change hands between the
two; one of its own is reaped by `poll`, `wait` and `stop`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from circus.common.names import NO_SUCH_PROCESS
from circus.machine.process import Process as Decided
from circus.options import settings
from circus.options.option import Option
from circus.options.table import WatcherSpec
from circus.posix import tree
from circus.posix.launch import Lent
from circus.posix.processes import ProcessEntry, look
from circus.runtime.launching import command_line, launch, variables_of
from circus.runtime.live_watcher import LiveWatcher

if TYPE_CHECKING:
    from circus.runtime.own_process import OwnProcess

RUNNING = 0
DEAD_OR_ZOMBIE = 1
UNEXISTING = 2
OTHER = 3

# How often a process is asked whether it has ended, while a caller waits, in seconds.
POLL_DELAY = 0.01


class Process:
    """`Process(name, wid, cmd, ...)`; the early form without a name, `Process(wid, cmd, ...)`, is understood too.

    Raises `circus.exc.SpawnError` if the program cannot be started.
    """

    def __init__(
        self,
        name: str | int,
        wid: int | str,
        cmd: Any = None,
        args: Any = None,
        working_dir: str | None = None,
        shell: bool = False,
        uid: int | str | None = None,
        gid: int | str | None = None,
        env: Mapping[str, str] | None = None,
        rlimits: Mapping[str, int | None] | None = None,
        executable: str | None = None,
        use_fds: bool = False,
        watcher: Any = None,
        spawn: bool = True,
        pipe_stdout: bool = True,
        pipe_stderr: bool = True,
        close_child_stdin: bool = True,
        close_child_stdout: bool = False,
        close_child_stderr: bool = False,
        **options: Any,
    ) -> None:
        if isinstance(wid, str):  # the early form: wid, cmd, args
            args = args if cmd is None else cmd
            wid, cmd = name if isinstance(name, int) else 1, wid
        options.update(args=args, working_dir=working_dir, shell=shell, uid=uid, gid=gid, rlimits=dict(rlimits or {}))
        options.update(executable=executable, close_child_stdin=close_child_stdin)
        options.update(close_child_stdout=close_child_stdout, close_child_stderr=close_child_stderr)
        options.update(use_sockets=use_fds)
        self.spec = settings.watcher_spec(str(name), cmd, **options)
        self.has_stdout, self.has_stderr = pipe_stdout, pipe_stderr
        self.env = dict(env) if env is not None else None
        self._start_with(str(name), int(wid), watcher)
        if spawn:
            self.spawn()

    @classmethod
    def of_worker(cls, watcher: object, live: LiveWatcher, process: Decided, send: Callable[[int], object]) -> Process:
        """The face of a worker that the arbiter has spawned and will reap; `send` signals it."""
        face = cls.__new__(cls)
        face.spec = live.spec
        face.has_stdout, face.has_stderr = live.has_stdout, live.has_stderr
        face.env = live.env
        face._start_with(live.name, process.wid, watcher)
        face._pid, face.started, face._send = process.pid, process.started, send
        return face

    def _start_with(self, name: str, wid: int, watcher: object) -> None:
        self.name = name
        self.wid = wid
        self.watcher = watcher
        self.started = 0.0
        self.stopping = False
        self.redirected = False
        self.stdout: BinaryIO | None = None
        self.stderr: BinaryIO | None = None
        self._pid = 0
        self._own: OwnProcess | None = None  # started by ourselves
        self._send: Callable[[int], object] | None = None  # to a worker of an arbiter
        self._exit_code: int | None = None
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        """What it was started with, under the names of the options: cmd, args, shell, ..."""
        if isinstance(getattr(WatcherSpec, name, None), Option) and "spec" in self.__dict__:
            return getattr(self.spec, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def spawn(self) -> None:
        from circus.runtime.own_process import OwnProcess  # not for those of an arbiter

        environment = dict(os.environ) if self.env is None else self.env
        self._own = own = OwnProcess(launch(self.spec, self.wid, environment, self, None, None, self._lent()))
        self._pid, self.started = own.pid, time.time()
        self.stdout = None if own.child.stdout is None else os.fdopen(own.child.stdout, "rb")
        self.stderr = None if own.child.stderr is None else os.fdopen(own.child.stderr, "rb")

    def _lent(self) -> Lent:
        """`use_fds`: the sockets of its watcher, each under its own number."""
        sockets = getattr(self.watcher, "sockets", None) or {}
        numbers = {name: sock.fileno() for name, sock in sockets.items()}
        return Lent(numbers, tuple(numbers.values()) if self.spec.use_sockets else ())

    def format_args(self, sockets_fds: Mapping[str, int] | None = None) -> list[str]:
        """The argument vector, variables replaced."""
        known = self.env or {}
        return list(command_line(self.spec, self.wid, lambda: variables_of(self.spec, known, sockets_fds or {})))

    # ---- life --------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self._pid

    def poll(self) -> int | None:
        """Exit code (-N for signal N) if it has ended, else None."""
        if self._own is not None:
            self._exit_code = self._own.poll()
            self._ended = self._own.ended
        return self._exit_code

    def returncode(self) -> int | None:
        return self._exit_code

    def is_alive(self) -> bool:
        return self.status not in (DEAD_OR_ZOMBIE, UNEXISTING)

    def wait(self, timeout: float | None = None) -> int | None:
        """Exit code once it has ended. TimeoutError after `timeout` seconds."""
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None and self.status != UNEXISTING:
            if give_up_at is not None and time.monotonic() >= give_up_at:
                raise TimeoutError(f"{self.name} [{self._pid}] still runs after {timeout} s")
            time.sleep(POLL_DELAY)
        return self._exit_code

    def stop(self) -> None:
        """Terminate it if it is alive, with what it has started, and close its pipes."""
        try:
            if self.is_alive():
                if self._own is not None:
                    self._own.end(self.spec.graceful_timeout)
                else:
                    self.send_signal(signal.SIGTERM)
            self.poll()
        finally:
            self.close_output_channels()

    def close_output_channels(self) -> None:
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()

    def ended(self, exit_code: int | None) -> None:
        """The arbiter has reaped it: from now on its pid may be another's."""
        self._exit_code, self._ended = exit_code, True

    @property
    def status(self) -> int:
        """RUNNING, DEAD_OR_ZOMBIE, UNEXISTING or OTHER. Reaps nothing."""
        entry = look(self._pid) if self._pid and not self._ended else None
        if entry is None:
            return UNEXISTING
        if entry.is_zombie:
            return DEAD_OR_ZOMBIE
        return RUNNING if entry.state in ("R", "S", "D", "I") else OTHER

    def age(self) -> float:
        """Seconds since it was started."""
        return time.time() - self.started

    # ---- signals and family ------------------------------------------------------------------------------------

    def send_signal(self, sig: int) -> None:
        """Nothing happens if it has ended in the meantime, which is what a signal usually asks for."""
        if self._own is not None:
            self._own.send_signal(sig)
        elif self._send is not None:
            self._send(sig)

    def send_signal_child(self, pid: int, sig: int) -> None:
        """Raises psutil.NoSuchProcess if `pid` is not a direct child."""
        for entry in self._family(recursive=False):
            if entry.pid == int(pid):
                tree.kill_tree([entry], sig)
                return
        from circus.posix.portable import no_such_process  # here, because it loads psutil

        raise no_such_process(int(pid))

    def send_signal_children(self, sig: int, recursive: bool = False) -> None:
        tree.kill_tree(self._family(recursive), sig)

    def children(self, recursive: bool = False) -> list[int]:
        return [entry.pid for entry in self._family(recursive)]

    def is_child(self, pid: int) -> bool:
        return int(pid) in self.children()

    def _family(self, recursive: bool) -> list[ProcessEntry]:
        if self._ended or not self._pid:
            return []
        if recursive:
            return tree.descendants(self._pid)
        return tree.children(self._pid)

    # ---- figures -----------------------------------------------------------------------------------------------

    def info(self) -> dict[str, Any] | str:
        """Figures, or the text `No such process (stopped?)`."""
        if self._ended or not self._pid:
            return NO_SUCH_PROCESS
        from circus.control.sampling import Asked, worker_figures  # not loaded before it is asked for

        return worker_figures(Asked(self._pid, self.wid, self.started))

    @property
    def username(self) -> str:
        info = self.info()
        return str(info["username"]) if isinstance(info, dict) else "N/A"

    def __lt__(self, other: Process) -> bool:
        return self.started < other.started

    def __repr__(self) -> str:
        return f"<circus.Process {self.name} pid={self._pid} wid={self.wid}>"
