"""What the parts of one watcher share: its spec, its processes, its deadlines, and what it wants done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from circus.machine.actions import Action, Log, Publish, RunHook, Scope, Signal
from circus.machine.deadlines import Deadlines, Timer
from circus.machine.process import Process, State
from circus.machine.process_table import ProcessTable
from circus.options.table import WatcherSpec


class Context:
    """Plain data and the words for what is to be done; decides nothing."""

    def __init__(self, key: int, spec: WatcherSpec, serials: Iterator[int], chance: Callable[[], float]) -> None:
        self.key = key
        self.spec = spec
        self.serials = serials
        self.chance = chance
        self.table = ProcessTable()
        self.deadlines: Deadlines[tuple[Timer, int]] = Deadlines()  # and the serial or number meant, 0 if none is
        self.out: list[Action] = []
        self.trouble = ""  # why it is down although not asked to be, or what keeps it from being complete
        self.is_hurried = False  # shutdown waits for nothing any more
        self.limits_hooks = False  # shutdown does not wait for a hook for ever

    def take_actions(self) -> list[Action]:
        """What is still to be done. A process may have died since a signal for it was decided on."""
        out, self.out = self.out, []
        return [action for action in out if not isinstance(action, Signal) or self._is_meant(action)]

    def _is_meant(self, action: Signal) -> bool:
        process = self.table.get(action.serial)
        if process is None:
            return False
        return process.state is State.LEFTOVERS if action.scope is Scope.REMAINS else process.is_live

    def expect(self, serial: int, *states: State) -> Process:
        """The process a fact is about. ValueError if the fact cannot be."""
        process = self.table.get(serial)
        if process is None or process.state not in states:
            what = f"which {process.state.value}" if process is not None else "which is not there"
            raise ValueError(f"{self.name}: a fact about process {serial}, {what}")
        return process

    @property
    def name(self) -> str:
        return self.spec.name

    def log(self, level: str, text: str) -> None:
        self.out.append(Log(level, text))

    def publish(self, event: str, payload: Mapping[str, object] | None = None) -> None:
        self.out.append(Publish(self.key, event, payload or {}))

    def has_hook(self, hook: str) -> bool:
        return hook in self.spec.hooks

    def tell_hook(self, hook: str, arguments: Mapping[str, object]) -> None:
        """Run the hook, if there is one, without waiting for what it says."""
        if self.has_hook(hook):
            self.out.append(RunHook(self.key, 0, hook, arguments))

    def ask_hook(self, hook: str, arguments: Mapping[str, object]) -> int:
        """Run the hook; its answer comes with the ticket returned. 0 if there is no such hook."""
        if not self.has_hook(hook):
            return 0
        ticket = next(self.serials)
        self.out.append(RunHook(self.key, ticket, hook, arguments))
        return ticket
