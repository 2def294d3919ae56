"""A whole house over a simulated system: machine, registry, operations and runtime; sockets are only counted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from circus.control import reconfigure
from circus.control.operations import Operations, Reply
from circus.control.registry import Registry
from circus.machine.arbiter import Arbiter as Decided
from circus.machine.plan import Plan, Price, Standing, State, What, plan
from circus.options.table import CircusSpec, SocketSpec, WatcherSpec
from circus.runtime.backend import Backend
from circus.runtime.live_watcher import LiveWatcher
from circus.runtime.runtime import Runtime, Surroundings
from tests.unit.runtime.simulated import SimulatedLoop, SimulatedPublisher, SimulatedSystem


class SimulatedSocket:
    """`bound` counts how often any socket was bound: the number tells one descriptor from another."""

    numbers = itertools.count(100)
    is_inherited = False
    is_open = True
    loss = ""

    def __init__(self, spec: SocketSpec) -> None:
        self.spec = spec
        self.port = spec.port
        self.so_reuseport = spec.so_reuseport
        self.number = next(self.numbers)

    def fileno(self) -> int:
        return self.number

    def fresh(self) -> SimulatedSocket:
        return SimulatedSocket(self.spec)

    def bind_and_listen(self) -> None:
        pass

    def close(self) -> None:
        pass


def collide(one: SocketSpec, other: SocketSpec) -> bool:
    """Whether the kernel would refuse one while the other is open. All addresses here are literal."""
    if one.path or other.path:
        return one.path == other.path
    hosts = {one.host, other.host}
    return (one.port, one.type) == (other.port, other.type) and (len(hosts) == 1 or "0.0.0.0" in hosts)


class SimulatedExchange:
    """As `circus.sockets.exchange.Exchange`. `fault` is raised at the step it names; `held` are descriptors that
    processes have."""

    def __init__(
        self,
        sockets: dict[str, SimulatedSocket],
        plan: Plan,
        fault: tuple[str, OSError] | None,
        held: Callable[[], set[int]],
    ) -> None:
        self._sockets = sockets
        self._plan = plan
        self._fault = fault
        self._held = held

    def _step(self, name: str) -> None:
        if self._fault is not None and self._fault[0] == name:
            raise self._fault[1]

    def _bind(self, is_blocked: bool, taken: list[SocketSpec]) -> None:
        for step in self._plan.of("socket"):
            is_bound = step.price in (Price.BIND, Price.REBIND) and (step.name in self._plan.blocked) is is_blocked
            if is_bound and any(collide(step.spec, spec) for spec in taken):
                raise OSError(98, f"Address already in use: {step}")

    def prepare(self) -> None:
        self._step("prepare")
        self._bind(False, [sock.spec for sock in self._sockets.values()])

    def unblock(self) -> None:
        self._step("unblock")
        held = self._held()
        blocked = self._plan.blocked
        taken = [s.spec for name, s in self._sockets.items() if name not in blocked or s.number in held]
        gone = {step.name for step in self._plan.of("socket") if step.what is What.REMOVE}
        self._bind(True, [spec for spec in taken if spec.name not in gone - blocked])

    def discard(self) -> None:
        pass

    def take(self) -> None:
        for step in self._plan.of("socket"):
            if step.what is What.REMOVE:
                del self._sockets[step.name]
            elif step.price in (Price.BIND, Price.REBIND):
                self._sockets[step.name] = SimulatedSocket(step.spec)
            elif step.price is Price.IN_PLACE:
                self._sockets[step.name].spec = step.spec


class SimulatedHouse:
    """Every child ends when it is asked to, and none by itself."""

    def __init__(self) -> None:
        self.system = SimulatedSystem()
        self.loop: Any = SimulatedLoop()
        self.decided = Decided(lambda: 0.5)
        self.registry = Registry(self.decided)
        self.sockets: dict[str, Any] = {}
        self.fault: tuple[str, OSError] | None = None  # of an exchange of sockets
        around = Surroundings(
            self.registry.by_key,
            CircusSpec,
            lambda: self.sockets,
            "the arbiter",
            self.registry.forget,
            lambda _: None,
        )
        backend = Backend(lambda: self.loop, self._no_pump)
        self.runtime = Runtime(self.decided, self.loop, around, backend, system=self.system.door())
        publisher: Any = SimulatedPublisher()
        self.runtime.publisher = publisher
        self.operations = Operations(
            self.decided,
            self.registry,
            lambda: self.runtime,
            self.build,
            lambda: None,
            lambda: None,
            lambda: self.system.now,
        )
        self._signals_seen = 0

    @staticmethod
    def _no_pump(name: str, streams: Mapping[str, Any], post: Any) -> Any:
        raise AssertionError("nothing here has streams")

    @staticmethod
    def build(spec: WatcherSpec) -> LiveWatcher:
        watcher = LiveWatcher(spec, face=spec.name)
        watcher.build()
        return watcher

    def run(self) -> None:
        """Until nothing happens any more within a minute."""
        until = self.system.now + 60
        while self.system.now < until:
            wake_at = self.runtime.turn(self.system.now)
            signals = self.system.signals[self._signals_seen :]
            self._signals_seen += len(signals)
            for pid, _ in signals:
                if pid in self.system.live:
                    self.system.die(pid, 0)
            if not signals and (wake_at is None or wake_at > self.system.now):
                self.system.now = until if wake_at is None else min(wake_at, until)

    def become(self, sockets: Iterable[SocketSpec], watchers: Iterable[WatcherSpec]) -> Reply:
        """What `reloadconfig` does, to its end. MessageError as there."""
        reply = self.begin(sockets, watchers)
        self.run()
        return reply

    def begin(self, sockets: Iterable[SocketSpec], watchers: Iterable[WatcherSpec]) -> Reply:
        wanted = State(CircusSpec(), {spec.name: spec for spec in sockets}, [Standing(spec) for spec in watchers])
        made = plan(reconfigure.state_now(CircusSpec(), self.sockets, self.registry), wanted)
        exchange: Any = SimulatedExchange(self.sockets, made, self.fault, self._held)
        reconfiguration = reconfigure.Reconfiguration(made, self.registry, self.build, exchange)
        reconfiguration.prepare()
        return reconfiguration.carry_out(self.operations, lambda: None)

    def _held(self) -> set[int]:
        """Descriptors of sockets that live processes were given."""
        launches = [self.system.launched[pid - 10] for pid in self.system.live]
        return {fd for launch in launches for fd in (*launch.pass_fds, launch.stdin) if fd is not None}

    def seen(self) -> dict[str, Any]:
        """All that can be told from outside, without what differs by chance: pids, and numbers of descriptors."""
        names = {str(sock.number): f"<{name}>" for name, sock in self.sockets.items()}
        return {
            "sockets": {name: sock.spec for name, sock in self.sockets.items()},
            "watchers": {watcher.name.lower(): self._seen_of(watcher, names) for watcher in self.registry.all()},
        }

    def _seen_of(self, watcher: LiveWatcher, names: Mapping[str, str]) -> Any:
        return watcher.spec, watcher.decided.spec, watcher.status, self._programs(watcher, names)

    def _programs(self, watcher: LiveWatcher, names: Mapping[str, str]) -> list[Any]:
        """What each process was executed with; a descriptor that is no socket's any more stays a number."""

        def shown(words: Iterable[Any]) -> list[str]:
            return [names.get(str(word), str(word)) for word in words]

        found = []
        for pid in sorted(process.pid for process in watcher.live()):
            launch = self.system.launched[pid - 10]
            env = sorted((key, names.get(value, value)) for key, value in launch.env.items())
            found.append((shown(launch.argv), env, launch.cwd, sorted(shown(launch.pass_fds)), shown([launch.stdin])))
        return found
