"""`reloadconfig`: read the file again and make the watchers be as it says, touching only what differs.

Everything is read and built before anything is changed: a file with a problem changes nothing, and the reply
names every problem.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from circus.common.future import Future, gather
from circus.exc import MessageError
from circus.machine.changes import Change, Kind, needs_restart, plan
from circus.options.own_programs import plugin_dict
from circus.options.table import ConfigSpec, WatcherSpec
from circus.watcher import Watcher

if TYPE_CHECKING:
    from circus.arbiter import Arbiter

logger = logging.getLogger("circus")


def reload_config(arbiter: Arbiter, path: str) -> Future[Any]:
    """Future of everything being as the file says. Raises MessageError with every problem of the file."""
    from circus.config import fatal_texts, read

    config, problems = read(path, os.environ)
    fatal = fatal_texts(problems)
    if fatal:
        raise MessageError("the configuration is not used: " + "; ".join(fatal))
    for problem in problems:
        logger.warning("%s", problem)
    restart = needs_restart(arbiter.circus_spec, config.circus)
    if restart:
        logger.warning("[circus] differs (%s): everything is started anew", ", ".join(sorted(restart)))
        return arbiter.ask("restart_arbiter")
    return _Reconfiguration(arbiter).carry_out(config)


class _Reconfiguration:
    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._built: dict[str, Watcher] = {}

    def carry_out(self, config: ConfigSpec) -> Future[Any]:
        plugins: list[Mapping[str, Any]] = [plugin_dict(plugin) for plugin in config.plugins]
        wanted = [*self._arbiter.own_programs(plugins), *config.watchers]
        steps = plan([watcher.spec for watcher in self._arbiter.watchers], wanted)
        self._build(steps)
        self._arbiter.plugins = plugins
        self._arbiter.circus_spec = config.circus
        self._arbiter.check_delay = config.circus.check_delay
        self._arbiter.machine.warmup_delay = config.circus.warmup_delay
        futures = [self._take(step) for step in steps]
        new = [step.name for step in steps if step.kind is Kind.ADD]
        if new:
            futures.append(self._arbiter.ask("start", new))
        return gather(futures).then(lambda _: {})

    def _build(self, steps: list[Change]) -> None:
        """Hooks and stream classes that cannot be found are found out here, while nothing has changed yet."""
        faults = []
        for step in steps:
            if step.spec is None:
                continue
            try:
                self._built[step.name] = Watcher.from_spec(step.spec)
            except Exception as exc:  # a user's module may raise anything when it is imported
                faults.append(f"watcher {step.name}: {exc}")
        if faults:
            raise MessageError("the configuration is not used: " + "; ".join(faults))

    def _take(self, step: Change) -> Future[Any]:
        logger.info("reloadconfig: %s", step)
        if step.kind is Kind.REMOVE:
            return self._arbiter.ask("rm", [step.name])
        assert step.spec is not None
        if step.kind is Kind.ADD:
            return self._admit(self._built[step.name])
        watcher = self._arbiter.find(step.name)
        assert watcher.machine is not None
        was_wanted = watcher.machine.wanted
        future = self._change(watcher, step.spec)
        if step.kind is Kind.RECREATE and was_wanted:  # one that was stopped by hand stays so
            return self._arbiter.ask("restart", [watcher.name], single=True)
        return future

    def _admit(self, watcher: Watcher) -> Future[Any]:
        done: Future[Any] = Future()
        self._arbiter.admit(watcher)
        done.set_result({})
        return done

    def _change(self, watcher: Watcher, spec: WatcherSpec) -> Future[Any]:
        assert self._arbiter.runtime is not None and watcher.machine is not None
        watcher.take_spec(spec)
        ticket, future = self._arbiter.runtime.ticket()
        self._arbiter.machine.change(time.monotonic(), ticket, watcher.machine.key, spec, replace=False)
        return future
