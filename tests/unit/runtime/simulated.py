"""A simulated system below the runtime: children that die when told, and a clock that stands still."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from circus.exc import SpawnError
from circus.loop import Timer
from circus.machine.arbiter import Arbiter as Decided
from circus.options.settings import watcher_spec
from circus.options.table import CircusSpec
from circus.posix.launch import Child, Launch
from circus.posix.processes import ProcessEntry
from circus.posix.usage import Usage
from circus.runtime.backend import Backend
from circus.runtime.live_watcher import LiveWatcher
from circus.runtime.offspring import Worker
from circus.runtime.runtime import Runtime, Surroundings
from circus.runtime.system import System


def entry(pid: int, name: str = "child", state: str = "S") -> ProcessEntry:
    return ProcessEntry(pid, name, state, 1, pid, pid, float(pid))


class SimulatedSystem:
    """`kin` are the descendants of each worker by its pid; `refused` are pids that may not be signalled."""

    def __init__(self) -> None:
        self.now = 100.0
        self.launched: list[Launch] = []
        self.signals: list[tuple[int, int]] = []
        self.kin: dict[int, list[ProcessEntry]] = {}
        self.live: set[int] = set()
        self.refused: set[int] = set()
        self.spawn_error: Exception | None = None
        self.needs_polling = False
        self.usage = Usage(0.0, None)
        self.polls = 0
        self._on_exit: Callable[[int, int | None], None] = lambda pid, code: None
        self._pids = iter(range(10, 10_000))

    def door(self) -> System:
        return System(
            children=self._children,
            spawn=self._spawn,
            offspring=lambda own, is_guest: self,
            kill_tree=self._kill_tree,
            kill_all=self._kill_all,
            direct_children=lambda pid: self.kin.get(pid, []),
            refusal=lambda pid: f"not permitted to signal pid {pid}, it runs as root" if pid in self.refused else "",
            usages=lambda asked: [self.usage for _ in asked],
            monotonic=lambda: self.now,
            wall=lambda: 1_000_000.0 + self.now,
        )

    # children

    def _children(self, add: Any, remove: Any, on_exit: Callable[[int, int | None], None]) -> SimulatedSystem:
        self._on_exit = on_exit
        return self

    def watch(self, pid: int) -> None:
        self.live.add(pid)

    def signal(self, pid: int, signum: int) -> bool:
        if pid in self.refused:
            raise PermissionError(1, "Operation not permitted")
        if pid not in self.live:
            return False
        self.signals.append((pid, signum))
        return True

    def reap_all(self) -> None:
        self.polls += 1

    def close(self) -> None:
        self.live.clear()

    def die(self, pid: int, exit_code: int | None = 0) -> None:
        self.live.discard(pid)
        self._on_exit(pid, exit_code)

    def _spawn(self, launch: Launch) -> Child:
        if self.spawn_error is not None:
            raise self.spawn_error
        self.launched.append(launch)
        return Child(next(self._pids), None, None)

    # offspring

    def mark(self) -> int | None:
        return None

    def strangers(self) -> list[ProcessEntry]:
        return [found for kin in self.kin.values() for found in kin]

    def left_by(self, worker: Worker, strangers: list[ProcessEntry]) -> list[ProcessEntry]:
        return self.kin.get(worker.pid, [])

    def below(self, worker: Worker) -> list[ProcessEntry]:
        return self.kin.get(worker.pid, [])

    def before_signal(self, worker: Worker) -> None:
        pass

    def _kill_tree(self, entries: Iterable[ProcessEntry], signum: int) -> list[ProcessEntry]:
        found = [e for e in entries if not e.is_zombie and e.pid not in self.refused]
        self.signals += [(e.pid, signum) for e in found]
        return found

    def _kill_all(self, find: Callable[[], Iterable[ProcessEntry]]) -> list[ProcessEntry]:
        return self._kill_tree(find(), 9)


class SimulatedLoop:
    """Notes what is asked of it. `post`ed callables run with `run_posted`, timers when the test says so."""

    is_shared = False
    is_own_thread = False

    def __init__(self) -> None:
        self.posted: list[Callable[[], object]] = []
        self.readers: dict[int, Callable[[], object]] = {}
        self.timers: list[Timer] = []

    def add_reader(self, fd: int, call: Callable[[], object]) -> None:
        assert fd >= 0 and fd not in self.readers, f"descriptor {fd} cannot be watched"
        self.readers[fd] = call

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]

    def post(self, call: Callable[[], object]) -> None:
        self.posted.append(call)

    def call(self, work: Callable[[], Any]) -> Any:
        return work()

    def call_at(self, at: float, call: Callable[[], object]) -> Timer:
        self.timers.append(Timer(at, call))
        return self.timers[-1]

    def run_posted(self) -> None:
        while self.posted:
            self.posted.pop(0)()


class SimulatedSocket:
    """An open one; its descriptor is chosen by the test."""

    socktype = socket.SOCK_STREAM
    so_reuseport = False

    def __init__(self, fd: int, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.family = family
        self.is_open = True
        self._fd = fd

    def fileno(self) -> int:
        return self._fd if self.is_open else -1

    def setblocking(self, flag: bool) -> None:
        pass

    def getsockname(self) -> Any:
        return ("127.0.0.1", 8000 + self._fd) if self.family == socket.AF_INET else f"/run/{self._fd}"


class SimulatedPublisher:
    sent = dropped = 0

    def __init__(self) -> None:
        self.events: list[bytes] = []

    def send(self, frames: list[bytes]) -> None:
        self.events.append(frames[0])


class Simulation:
    """A runtime over a simulated system, with watchers that are started by the real machine."""

    def __init__(self, **settings: Any) -> None:
        self.system = SimulatedSystem()
        self.loop: Any = SimulatedLoop()
        self.decided = Decided(lambda: 0.5)
        self.watchers: dict[int, LiveWatcher] = {}
        self.forgotten: list[int] = []
        self.downs: list[bool] = []
        self.sockets: dict[str, Any] = {}
        self.settings = CircusSpec("", settings)
        around = Surroundings(
            self.watchers, lambda: self.settings, lambda: self.sockets, "the arbiter", self._forget, self.downs.append
        )
        backend = Backend(lambda: self.loop, self._no_pump)
        self.runtime = Runtime(self.decided, self.loop, around, backend, system=self.system.door())
        self.publisher: Any = SimulatedPublisher()
        self.runtime.publisher = self.publisher

    def _forget(self, key: int) -> None:
        self.forgotten.append(key)
        del self.watchers[key]

    @staticmethod
    def _no_pump(name: str, streams: Mapping[str, Any], post: Any) -> Any:
        raise AssertionError("nothing here has streams")

    def add(self, name: str = "web", hooks: Collection[str] = (), **options: Any) -> LiveWatcher:
        functions = {hook: (lambda **_: True, False) for hook in hooks}
        watcher = LiveWatcher(watcher_spec(name, "/bin/true", hooks=functions, **options), face=f"face of {name}")
        watcher.build()
        watcher.belong(self.decided.add(watcher.spec))
        self.watchers[watcher.key] = watcher
        return watcher

    def start(self, *watchers: LiveWatcher) -> None:
        self.decided.start(self.system.now, 0, [watcher.key for watcher in watchers])
        self.turn()

    def turn(self, seconds: float = 0.0) -> float | None:
        self.system.now += seconds
        wake_at = self.runtime.turn(self.system.now)
        while wake_at is not None and wake_at <= self.system.now:
            wake_at = self.runtime.turn(self.system.now)
        return wake_at

    def connect(self, fd: int) -> None:
        """A connection waits at the socket of this descriptor."""
        if call := self.loop.readers.get(fd):
            call()
        self.turn()

    def pids(self, watcher: LiveWatcher) -> list[int]:
        return [process.pid for process in watcher.live()]




__all__ = ["SimulatedSystem", "Simulation", "SpawnError", "entry"]
