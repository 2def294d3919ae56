"""What can be asked: one typed method for each request, over keys of watchers.

Called in the loop's thread only. Each hands the request to the machine and returns a future of the keys of a waiting
reply.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from circus.common.future import Future, finished
from circus.control.registry import Registry
from circus.exc import AlreadyExist, MessageError
from circus.machine.arbiter import Arbiter as Decided
from circus.options import settings
from circus.options.option import Effect
from circus.options.socket_use import faults, socket_use
from circus.options.table import WatcherSpec
from circus.posix.users import user_info
from circus.runtime import signalling
from circus.runtime.live_watcher import LiveWatcher, Prepared
from circus.runtime.runtime import Runtime

if TYPE_CHECKING:
    from circus.sockets.managed import CircusSocket

logger = logging.getLogger("circus")

Reply = Future[Mapping[str, Any]]

Keys = Sequence[int]


def reasons(replies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Of several replies only why something did not come about."""
    told = dict.fromkeys(reply["reason"] for reply in replies if reply.get("reason"))
    return {"reason": "; ".join(told)} if told else {}


class Operations:
    """`keys` of None means all watchers. `single`: the reply tells of one watcher's processes.

    A watcher that was removed can only be ended: asked for anything else it raises ConflictError.

    - `runtime`: what performs, None while nothing runs.
    - `build`: a watcher with its public face. Raises what is wrong with its hooks or streams.
    - `prereload`: called before a graceful reload of all.
    - `wake`: have the loop come around, because something is wanted now that was not before.
    - `sockets`: the managed ones, by name.
    """

    def __init__(
        self,
        decided: Decided,
        registry: Registry,
        runtime: Callable[[], Runtime | None],
        build: Callable[[WatcherSpec], LiveWatcher],
        prereload: Callable[[], object],
        wake: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        sockets: Callable[[], Mapping[str, CircusSocket]] = dict,
    ) -> None:
        self._decided = decided
        self._registry = registry
        self._runtime = runtime
        self._build = build
        self._prereload = prereload
        self._wake = wake
        self._clock = clock
        self._sockets = sockets
        self._hurries = 0

    def _request(self, hand_over: Callable[[float, int], object]) -> Reply:
        """`hand_over` is called with the time and the ticket under which the reply will appear."""
        runtime = self._runtime()
        if runtime is None:  # before the start nothing answers, and nothing has to be waited for
            nothing: Mapping[str, Any] = {"info": {"started": [], "kept": [], "stopped": []}}
            ticket, future = 0, finished(nothing)
        else:
            ticket, future = runtime.ticket()
        hand_over(self._clock(), ticket)
        self._wake()
        return future

    def _watchers(self, keys: Keys | None) -> list[LiveWatcher]:
        return self._registry.all() if keys is None else [self._registry.present(key) for key in keys]

    def _to_start(self, keys: Keys | None) -> list[int]:
        """One that could not be built is tried again whenever it is to start."""
        watchers = self._watchers(keys)
        for watcher in watchers:
            watcher.try_to_build()
        return [watcher.key for watcher in watchers]

    # ---- start and stop ----------------------------------------------------------------------------------------

    def start(self, keys: Keys | None, *, single: bool = False) -> Reply:
        chosen = self._to_start(keys)
        return self._request(lambda now, ticket: self._decided.start(now, ticket, chosen, single))

    def stop(self, keys: Keys | None, *, single: bool = False) -> Reply:
        chosen = list(self._decided.watchers if keys is None else keys)
        return self._request(lambda now, ticket: self._decided.stop(now, ticket, chosen, single))

    def restart(self, keys: Keys | None, *, single: bool = False) -> Reply:
        chosen = self._to_start(keys)
        return self._request(lambda now, ticket: self._decided.restart(now, ticket, chosen, single))

    def reload(
        self, keys: Keys | None, *, graceful: bool = True, sequential: bool = False, single: bool = False
    ) -> Reply:
        """Of all only those that are wanted active: what is stopped stays so. A named one is started."""
        if keys is None:
            self._prereload()
            keys = [watcher.key for watcher in self._registry.all() if watcher.decided.wanted]
        chosen = self._to_start(keys)
        for watcher in self._watchers(chosen) if graceful else ():
            if watcher.prereload is not None:
                watcher.prereload()
        return self._request(
            lambda now, ticket: self._decided.reload(now, ticket, chosen, single, sequential, graceful)
        )

    # ---- options -----------------------------------------------------------------------------------------------

    def set(self, key: int, options: Mapping[str, Any]) -> Reply:
        """Change options by name, and replace processes where a change asks for that.

        Raises MessageError or ValueError, and whatever a hook or stream class raises when it is made.
        """
        return self._set(key, options, updates=len(options)).then(lambda reply: reasons([reply]))

    def incr(self, key: int, number: int) -> Reply:
        """So many processes more, or fewer."""
        spec = self._registry.present(key).spec
        if spec.singleton:
            return finished({"numprocesses": spec.numprocesses, "singleton": True})
        return self._set(key, {"numprocesses": max(0, spec.numprocesses + number)}, updates=0)

    def _set(self, key: int, options: Mapping[str, Any], updates: int) -> Reply:
        prepared, effects = self._prepare(key, options)
        return self.change(key, prepared, replace=Effect.RELOAD in effects.values(), updates=updates)

    def set_quietly(self, key: int, options: Mapping[str, Any]) -> dict[str, Effect]:
        """As `set`, but no process is replaced; what each change would cost."""
        prepared, effects = self._prepare(key, options)
        self.change(key, prepared, updates=len(options))
        return effects

    def _prepare(self, key: int, options: Mapping[str, Any]) -> tuple[Prepared, dict[str, Effect]]:
        watcher = self._registry.present(key)
        spec, effects = settings.apply_options(watcher.spec, options)
        if (socket_use(spec), spec.on_demand) != (socket_use(watcher.spec), watcher.spec.on_demand):
            self._require_sockets(spec)
        if (spec.uid, spec.gid) != (watcher.spec.uid, watcher.spec.gid):
            user_info(spec.uid, spec.gid)  # raises for one that is not there, rather than at every spawn from now on
        return watcher.prepare(spec), effects

    def _require_sockets(self, spec: WatcherSpec) -> None:
        sockets = self._sockets()
        scattered = {name for name, sock in sockets.items() if sock.so_reuseport}
        told = [f"{option}: {text}" if option else text for option, text in faults(spec, sockets, scattered)]
        if told:
            raise MessageError("; ".join(told))

    def change(self, key: int, prepared: Prepared, *, replace: bool = False, updates: int = 0) -> Reply:
        """Another spec for a watcher, the one place where both its halves take it. Cannot fail."""
        self._registry.by_key[key].take(prepared)
        return self._request(
            lambda now, ticket: self._decided.change(now, ticket, key, prepared.spec, replace, updates)
        )

    # ---- adding and removing -----------------------------------------------------------------------------------

    def add(self, spec: WatcherSpec, *, start: bool = False) -> Reply:
        """A watcher of this spec. AlreadyExist if there is one of that name; else raises what is wrong with it.

        MessageError if it cannot use its sockets, such as one that is not there.
        """
        self._refuse_twin(spec.name)
        self._require_sockets(spec)
        return self.admit(self._build(spec), start=start)

    def _refuse_twin(self, name: str) -> None:
        if any(other.name.lower() == name.lower() for other in self._registry.all()):
            raise AlreadyExist(f"{name!r} already exist")

    def admit(self, watcher: LiveWatcher, *, start: bool = False) -> Reply:
        """A new watcher. AlreadyExist if there is one of that name."""
        self._refuse_twin(watcher.name)
        self._registry.admit(watcher, announce=True)
        watcher.is_added = True
        if start:
            return self._request(lambda now, ticket: self._decided.add_and_start(now, ticket, watcher.decided))
        self._wake()
        return finished({})

    def remove(self, key: int, *, nostop: bool = False) -> Reply:
        self._registry.present(key)
        return self._request(lambda now, ticket: self._decided.remove(now, ticket, key, nostop))

    # ---- processes ---------------------------------------------------------------------------------------------

    def kill(
        self,
        key: int,
        pid: int | None = None,
        signum: int | None = None,
        graceful_timeout: float | None = None,
    ) -> Reply:
        """End one process, or all if `pid` is None; each is replaced like any other that ended."""
        watcher = self._registry.by_key.get(key)
        if watcher is None:
            return finished({})  # it was removed, and all its processes have ended
        live = watcher.live()
        serials = [process.serial for process in live if pid in (None, process.pid)]
        return self._request(
            lambda now, ticket: self._decided.kill(now, ticket, key, serials, signum, graceful_timeout)
        )

    def signal(
        self,
        key: int,
        signum: int,
        pid: int | None = None,
        *,
        wid: int | None = None,
        childpid: int | None = None,
        children: bool = False,
        recursive: bool = False,
    ) -> None:
        """A plain signal goes through the hooks of the watcher; one for descendants goes straight to them.

        For a plain signal an unknown pid is silently left out; it is a MessageError where a family is asked for.
        PermissionError for a process of another user, if we are not root.
        """
        watcher = self._registry.by_key.get(key)
        if watcher is None:
            return  # as in `kill`
        found = signalling.targets(watcher, pid, wid)
        if childpid is not None:
            signalling.signal_child(found, childpid, signum)
        elif children:
            if not found and pid is not None:
                raise MessageError(f"process {pid!r} not found in '{watcher.name}'")
            signalling.signal_children(found, signum, recursive)
        else:
            signalling.require_permission(process.pid for process in found)
            for process in found:
                self._decided.signal(key, process.serial, signum, recursive)
            self._wake()

    # ---- sockets -----------------------------------------------------------------------------------------------

    def sockets_change(self) -> AbstractContextManager[None]:
        """While managed sockets are exchanged: nobody waits at them meanwhile."""
        runtime = self._runtime()
        return nullcontext() if runtime is None else runtime.sockets_change()

    # ---- the daemon --------------------------------------------------------------------------------------------

    def quit(self, *, hurry: bool = False) -> Reply:
        """Stop everything. `hurry`: wait for nothing and SIGKILL what is left; asked for again, leave at once."""
        future = self._request(lambda now, ticket: self._decided.quit(now, ticket, patient=True))
        if hurry:
            self._hurry()
        return future

    def _hurry(self) -> None:
        self._hurries += 1
        runtime = self._runtime()
        if self._hurries == 1 or runtime is None:
            self._decided.quit(self._clock(), 0)
            return
        logger.error("asked again to hurry: killing everything and leaving")
        runtime.give_up()

    def restart_daemon(self) -> Reply:
        """Stop everything, then leave with a restart wanted. An end that is under way already wins."""
        return self._request(lambda now, ticket: self._decided.quit(now, ticket, restart=True))
