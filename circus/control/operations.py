"""What can be asked, verb by verb: resolved against the watchers, handed to the machine, answered by a future.

Runs in the loop's thread only. A future resolves to the keys of a waiting reply.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from circus.common.future import Future, finished
from circus.control.reconfigure import reload_config
from circus.exc import MessageError
from circus.machine.arbiter import Arbiter as Machine
from circus.options import settings
from circus.options.option import Effect
from circus.watcher import Watcher

if TYPE_CHECKING:
    from circus.arbiter import Arbiter

logger = logging.getLogger("circus")


class Requests:
    """One method per verb of `Arbiter.ask`. `names` are of watchers; None means all, or circusd itself."""

    def __init__(self, arbiter: Arbiter, machine: Machine) -> None:
        self._arbiter = arbiter
        self._machine = machine
        self._hurries = 0

    def carry_out(self, verb: str, names: Sequence[str] | None, arguments: Mapping[str, Any]) -> Future[Any]:
        """Raises MessageError for a verb or a watcher that is not there."""
        method = getattr(self, verb, None)
        if method is None or verb.startswith("_"):
            raise MessageError(f"unknown request {verb!r}")
        future: Future[Any] = method(names, **arguments)
        self._arbiter.settle_soon()
        return future

    def _ticket(self) -> tuple[int, Future[Any]]:
        if self._arbiter.runtime is None:  # before the start nothing answers, and nothing has to be waited for
            return 0, finished({"info": {"started": [], "kept": [], "stopped": []}})
        return self._arbiter.runtime.ticket()

    def _named(self, names: Sequence[str] | None) -> list[Watcher]:
        return self._arbiter.watchers if names is None else [self._arbiter.find(name) for name in names]

    def start(self, names: Sequence[str] | None, single: bool = False) -> Future[Any]:
        keys = _keys(self._named(names))
        ticket, future = self._ticket()
        self._machine.start(time.monotonic(), ticket, keys, single)
        return future

    def stop(self, names: Sequence[str] | None, single: bool = False) -> Future[Any]:
        keys = _keys(self._named(names))
        ticket, future = self._ticket()
        self._machine.stop(time.monotonic(), ticket, keys, single)
        return future

    def restart(self, names: Sequence[str] | None, single: bool = False) -> Future[Any]:
        if names is None:
            return self.restart_arbiter(names)
        return self._restart_watchers(self._named(names), single)

    def _restart_watchers(self, watchers: list[Watcher], single: bool) -> Future[Any]:
        ticket, future = self._ticket()
        self._machine.restart(time.monotonic(), ticket, _keys(watchers), single)
        return future

    def reload(
        self, names: Sequence[str] | None, graceful: bool = True, sequential: bool = False, single: bool = False
    ) -> Future[Any]:
        watchers = self._named(names)
        if names is None and self._arbiter.prereload_fn is not None:
            self._arbiter.prereload_fn(self._arbiter)
        single = single or (names is not None and len(watchers) == 1)
        if not graceful:
            return self._restart_watchers(watchers, single)
        for watcher in watchers:
            if watcher.prereload_fn is not None:
                watcher.prereload_fn(watcher)
        ticket, future = self._ticket()
        self._machine.reload(time.monotonic(), ticket, _keys(watchers), single, sequential)
        return future

    def incr(self, names: Sequence[str], nb: int = 1) -> Future[Any]:
        watcher = self._arbiter.find(names[0])
        if watcher.spec.singleton:
            return finished({"numprocesses": watcher.spec.numprocesses, "singleton": True})
        return self._change(watcher, {"numprocesses": max(0, watcher.spec.numprocesses + nb)}, updates=0)

    def decr(self, names: Sequence[str], nb: int = 1) -> Future[Any]:
        return self.incr(names, -nb)

    def set(self, names: Sequence[str], options: Mapping[str, Any]) -> Future[Any]:
        watcher = self._arbiter.find(names[0])
        return self._change(watcher, options, updates=len(options)).then(lambda _: {})

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
        names: Sequence[str],
        pid: int | None = None,
        signum: int | None = None,
        graceful_timeout: float | None = None,
    ) -> Future[Any]:
        watcher = self._arbiter.find(names[0])
        serials = [process.serial for process in watcher.live() if pid in (None, process.pid)]
        ticket, future = self._ticket()
        self._machine.kill(time.monotonic(), ticket, _key(watcher), serials, signum, graceful_timeout)
        return future

    def rm(self, names: Sequence[str], nostop: bool = False) -> Future[Any]:
        key = _key(self._arbiter.find(names[0]))
        ticket, future = self._ticket()
        self._machine.remove(time.monotonic(), ticket, key, nostop)
        return future

    def add(
        self,
        names: Sequence[str],
        cmd: str,
        args: Any = None,
        options: Mapping[str, Any] | None = None,
        start: bool = False,
    ) -> Future[Any]:
        """A new watcher of that name. AlreadyExist; MessageError for a uid that the endpoint's owner may not use."""
        options = dict(options or {})
        owner = self._arbiter.endpoint_owner
        if owner is not None and str(options.get("uid")) != str(owner):
            raise MessageError("uid does not match endpoint_owner")
        if args is not None:
            options["args"] = args
        watcher = self._arbiter.add_watcher(names[0], cmd, **options)
        if not start:
            return finished({})
        assert watcher.machine is not None
        ticket, future = self._ticket()
        self._machine.add_and_start(time.monotonic(), ticket, watcher.machine)
        return future

    def quit(self, names: Sequence[str] | None, hurry: bool = False) -> Future[Any]:
        """Stop everything. `hurry`: wait for nothing and SIGKILL what is left; asked for again, leave at once."""
        ticket, future = self._ticket()
        self._machine.quit(time.monotonic(), ticket, patient=True)
        if hurry:
            self._hurry()
        return future

    def _hurry(self) -> None:
        self._hurries += 1
        runtime = self._arbiter.runtime
        if self._hurries == 1 or runtime is None:
            self._machine.quit(time.monotonic(), 0)
            return
        logger.error("asked again to hurry: killing everything and leaving")
        runtime.kill_everything()
        runtime.leave()

    def restart_arbiter(self, names: Sequence[str] | None) -> Future[Any]:
        """Stop everything, then leave with a restart wanted. An end that is under way already wins."""
        ticket, future = self._ticket()
        self._machine.quit(time.monotonic(), ticket, restart=True)
        return future

    def reloadconfig(self, names: Sequence[str] | None, path: str | None = None) -> Future[Any]:
        path = path or self._arbiter.config_file
        if path is None:
            raise MessageError("this arbiter was not started from a configuration file")
        return reload_config(self._arbiter, path)


def _key(watcher: Watcher) -> int:
    assert watcher.machine is not None
    return watcher.machine.key


def _keys(watchers: Iterable[Watcher]) -> list[int]:
    return [_key(watcher) for watcher in watchers]
