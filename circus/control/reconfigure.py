"""`reloadconfig`: read the file again and make the watchers be as it says, touching only what differs.

Everything is read and prepared before anything is changed: a file with a problem changes nothing, and the reply
names every problem.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from circus.common.convert import error_text
from circus.common.future import Future, gather
from circus.config import fatal_texts, read
from circus.control.operations import Operations, Reply, reasons
from circus.control.registry import Registry
from circus.exc import MessageError
from circus.machine.changes import Change, StepKind, needs_restart, plan
from circus.options.own_programs import plugin_dict
from circus.options.table import ConfigSpec, WatcherSpec
from circus.runtime.live_watcher import LiveWatcher, Prepared, discard

__all__ = ["Reconfiguration", "needs_restart", "plugin_dicts", "prepare", "read_config"]

logger = logging.getLogger("circus")

NOT_USED = "the configuration is not used: "


def read_config(path: str) -> ConfigSpec:
    """What the file says now. Raises MessageError with every problem that must be mended; the others are logged."""
    config, problems = read(path, os.environ)
    fatal = fatal_texts(problems)
    if fatal:
        raise MessageError(NOT_USED + "; ".join(fatal))
    for problem in problems:
        logger.warning("%s", problem)
    return config


def plugin_dicts(config: ConfigSpec) -> list[Mapping[str, Any]]:
    return [plugin_dict(plugin) for plugin in config.plugins]


def prepare(
    wanted: Iterable[WatcherSpec], registry: Registry, build: Callable[[WatcherSpec], LiveWatcher]
) -> Reconfiguration:
    """All that can fail, while nothing has changed yet. MessageError with every fault."""
    made = Reconfiguration(registry, plan([watcher.spec for watcher in registry.all()], wanted))
    faults = []
    for step in made.steps:
        try:
            made.prepare(step, build)
        except Exception as exc:  # a user's module may raise anything when it is imported
            faults.append(f"watcher {step.name}: {error_text(exc)}")
    if faults:
        made.discard()
        raise MessageError(NOT_USED + "; ".join(faults))
    return made


class Reconfiguration:
    """Steps from what runs to what is wanted, with what each needs."""

    def __init__(self, registry: Registry, steps: list[Change]) -> None:
        self.steps = steps
        self._registry = registry
        self._new: dict[str, LiveWatcher] = {}
        self._changed: dict[str, Prepared] = {}

    def prepare(self, step: Change, build: Callable[[WatcherSpec], LiveWatcher]) -> None:
        if step.spec is None:
            return
        if step.kind is StepKind.ADD:
            self._new[step.name] = build(step.spec)
        else:
            self._changed[step.name] = self._registry.get(step.name).prepare(step.spec)

    def discard(self) -> None:
        """It is not carried out: close what was opened for it."""
        for watcher in self._new.values():
            watcher.discard()
        for prepared in self._changed.values():
            discard(prepared)

    def carry_out(self, operations: Operations) -> Reply:
        """Future of everything being as it is wanted."""
        steps = [step for step in self.steps if step.kind is not StepKind.ADD]
        futures: list[Future[Any]] = [self._take(step, operations) for step in steps]
        for watcher in self._new.values():
            logger.info("reloadconfig: %s is new", watcher.name)
            self._registry.admit(watcher)
        if self._new:
            futures.append(operations.start([watcher.key for watcher in self._new.values()]))
        return gather(futures).then(reasons)

    def _take(self, step: Change, operations: Operations) -> Reply:
        logger.info("reloadconfig: %s", step)
        watcher = self._registry.get(step.name)
        if step.kind is StepKind.REMOVE:
            return operations.remove(watcher.key)
        is_missed = watcher.decided.is_missed  # before the change, which may take the reason away
        future = operations.change(watcher.key, self._changed[step.name])
        if step.kind is StepKind.RECREATE and is_missed:  # one that was stopped by hand stays so
            return operations.restart([watcher.key], single=True)
        return future
