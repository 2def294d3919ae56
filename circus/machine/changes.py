"""What to do so that the watchers are as a file says: old specs and new specs to an ordered plan. Pure.

What runs is compared, not what an older file said: options changed since by `set` or `incr` go back to the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from circus.options.option import Effect
from circus.options.table import CircusSpec, WatcherSpec


class StepKind(Enum):
    REMOVE = "is not wanted any more"
    ADJUST = "goes on with other settings"
    RECREATE = "is stopped and started with other settings"
    ADD = "is new"


class Change(NamedTuple):
    """One step. `options` are the names, as written in files, that differ."""

    kind: StepKind
    name: str
    spec: WatcherSpec | None
    options: frozenset[str] = frozenset()

    def __str__(self) -> str:
        what = f" ({', '.join(sorted(self.options))})" if self.options else ""
        return f"{self.name} {self.kind.value}{what}"


_NEW_PROCESSES = (Effect.RELOAD, Effect.STREAM, Effect.FIXED)


def plan(current: Iterable[WatcherSpec], wanted: Iterable[WatcherSpec]) -> list[Change]:
    """Steps in the order to take them: what goes, what changes, what comes, each by priority, bigger first.

    Watchers are the same if their names are, ignoring case. A watcher that does not differ is not in the plan.
    """
    old = {spec.name.lower(): spec for spec in current}
    new = {spec.name.lower(): spec for spec in wanted}
    gone = [Change(StepKind.REMOVE, spec.name, None) for key, spec in _by_priority(old) if key not in new]
    kept = [_change(old[key], spec) for key, spec in _by_priority(new) if key in old]
    come = [Change(StepKind.ADD, spec.name, spec) for key, spec in _by_priority(new) if key not in old]
    return gone + [change for change in kept if change is not None] + come


def _by_priority(specs: dict[str, WatcherSpec]) -> list[tuple[str, WatcherSpec]]:
    return sorted(specs.items(), key=lambda item: -item[1].priority)


def _change(old: WatcherSpec, new: WatcherSpec) -> Change | None:
    options = old.diff(new)
    if not options:
        return None
    costly = any(o.name in options and o.effect in _NEW_PROCESSES for o in WatcherSpec.options())
    return Change(StepKind.RECREATE if costly else StepKind.ADJUST, old.name, new, frozenset(options))


def needs_restart(old: CircusSpec, new: CircusSpec) -> set[str]:
    """Names of `[circus]` options that differ and cannot change while running."""
    return old.diff(new) & {option.name for option in CircusSpec.options() if option.effect is Effect.FIXED}
