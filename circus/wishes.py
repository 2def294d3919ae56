"""What can be wished for, verb by verb: resolved against the watchers, handed to the machine, answered by a future.

Runs in the loop's thread only. A future resolves to the keys of a waiting reply.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from circus import settings
from circus.exc import MessageError
from circus.future import Future, finished
from circus.machine.arbiter import Arbiter as Machine
from circus.options import Effect
from circus.reconfigure import reload_config
from circus.watcher import Watcher

if TYPE_CHECKING:
    from circus.arbiter import Arbiter

logger = logging.getLogger("circus")


class Wishes:
    """One method per verb of `Arbiter.ask`."""

    def __init__(self, arbiter: Arbiter, machine: Machine) -> None:
        self._arbiter = arbiter
        self._machine = machine
        self._quits = 0

    def carry_out(self, verb: str, watchers: list[Watcher], arguments: Mapping[str, Any]) -> Future[Any]:
        """Raises MessageError for a verb that is not there."""
        method = getattr(self, verb, None)
        if method is None or verb.startswith("_"):
            raise MessageError(f"unknown wish {verb!r}")
        future: Future[Any] = method(watchers, **arguments)
        return future

    def _ticket(self) -> tuple[int, Future[Any]]:
        if self._arbiter.runtime is None:  # before the start nothing answers, and nothing has to be waited for
            return 0, finished({"info": {"started": [], "kept": [], "stopped": []}})
        return self._arbiter.runtime.ticket()

    def start(self, watchers: list[Watcher], single: bool = False) -> Future[Any]:
        ticket, future = self._ticket()
        self._machine.start(time.monotonic(), ticket, _keys(watchers), single)
        return future

    def stop(self, watchers: list[Watcher], single: bool = False) -> Future[Any]:
        ticket, future = self._ticket()
        self._machine.stop(time.monotonic(), ticket, _keys(watchers), single)
        return future

    def restart(self, watchers: list[Watcher], single: bool = False) -> Future[Any]:
        ticket, future = self._ticket()
        self._machine.restart(time.monotonic(), ticket, _keys(watchers), single)
        return future

    def restart_arbiter(self, watchers: list[Watcher]) -> Future[Any]:
        ticket, future = self._ticket()
        self._machine.quit(time.monotonic(), ticket, restart=True)
        return future

    def reload(
        self, watchers: list[Watcher], graceful: bool = True, sequential: bool = False, single: bool = False
    ) -> Future[Any]:
        if not graceful:
            return self.restart(watchers, single)
        for watcher in watchers:
            if watcher.prereload_fn is not None:
                watcher.prereload_fn(watcher)
        ticket, future = self._ticket()
        self._machine.reload(time.monotonic(), ticket, _keys(watchers), single, sequential)
        return future

    def incr(self, watchers: list[Watcher], nb: int = 1) -> Future[Any]:
        watcher = watchers[0]
        if watcher.spec.singleton:
            return finished({"numprocesses": watcher.spec.numprocesses, "singleton": True})
        return self._change(watcher, {"numprocesses": max(0, watcher.spec.numprocesses + nb)}, updates=0)

    def decr(self, watchers: list[Watcher], nb: int = 1) -> Future[Any]:
        return self.incr(watchers, -nb)

    def set(self, watchers: list[Watcher], options: Mapping[str, Any]) -> Future[Any]:
        return self._change(watchers[0], options, updates=len(options)).then(lambda _: {})

    def _change(self, watcher: Watcher, options: Mapping[str, Any], updates: int) -> Future[Any]:
        effects = self._take_options(watcher, options)
        ticket, future = self._ticket()
        replace = Effect.RELOAD in effects.values()
        self._machine.change(time.monotonic(), ticket, _key(watcher), watcher.spec, replace, updates)
        return future

    def change_quietly(self, watcher: Watcher, options: Mapping[str, Any]) -> dict[str, Effect]:
        """Change options without replacing processes; returns what each change would cost."""
        effects = self._take_options(watcher, options)
        self._machine.change(time.monotonic(), 0, _key(watcher), watcher.spec, False, len(options))
        return effects

    def _take_options(self, watcher: Watcher, options: Mapping[str, Any]) -> dict[str, Effect]:
        spec, effects = settings.apply_options(watcher.spec, options)
        streamed = watcher.has_stdout, watcher.has_stderr
        watcher.take_spec(spec)
        if (watcher.has_stdout, watcher.has_stderr) != streamed:
            # Running processes write elsewhere until they are replaced.
            effects = {key: Effect.RELOAD if e is Effect.STREAM else e for key, e in effects.items()}
        return dict(effects)

    def kill(
        self,
        watchers: list[Watcher],
        pid: int | None = None,
        signum: int | None = None,
        graceful_timeout: float | None = None,
    ) -> Future[Any]:
        watcher = watchers[0]
        serials = [process.serial for process in watcher.live() if pid in (None, process.pid)]
        ticket, future = self._ticket()
        self._machine.kill(time.monotonic(), ticket, _key(watcher), serials, signum, graceful_timeout)
        return future

    def rm(self, watchers: list[Watcher], nostop: bool = False) -> Future[Any]:
        ticket, future = self._ticket()
        self._machine.remove(time.monotonic(), ticket, _key(watchers[0]), nostop)
        return future

    def add(
        self,
        watchers: list[Watcher],
        name: str,
        cmd: str,
        args: Any = None,
        options: Mapping[str, Any] | None = None,
        start: bool = False,
    ) -> Future[Any]:
        watcher = self._arbiter.add_watcher(name, cmd, args=args, **(options or {}))
        if not start:
            return finished({})
        assert watcher.machine is not None
        ticket, future = self._ticket()
        self._machine.add_and_start(time.monotonic(), ticket, watcher.machine)
        return future

    def quit(self, watchers: list[Watcher]) -> Future[Any]:
        """Once: stop everything. Twice: SIGKILL what is left. A third time: leave at once."""
        self._quits += 1
        runtime = self._arbiter.runtime
        if self._quits > 2 and runtime is not None:
            logger.error("asked a third time: killing everything and leaving")
            runtime.kill_everything()
            self._arbiter.loop.stop()
            return finished({})
        ticket, future = self._ticket()
        self._machine.quit(time.monotonic(), ticket)
        return future

    def reloadconfig(self, watchers: list[Watcher], path: str | None = None) -> Future[Any]:
        path = path or self._arbiter.config_file
        if path is None:
            raise MessageError("this arbiter was not started from a configuration file")
        return reload_config(self._arbiter, path)


def _key(watcher: Watcher) -> int:
    assert watcher.machine is not None
    return watcher.machine.key


def _keys(watchers: Iterable[Watcher]) -> list[int]:
    return [_key(watcher) for watcher in watchers]
