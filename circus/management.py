"""What can be asked of an arbiter, from any thread. Its settings and its life are `circus.arbiter`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from circus.common import names
from circus.common.future import Future, finished
from circus.control import registry
from circus.exc import MessageError
from circus.loop import Loop
from circus.machine.arbiter import Arbiter as Machine
from circus.options.option import Effect
from circus.process import UNEXISTING, Process
from circus.runtime import hooks
from circus.watcher import Watcher

if TYPE_CHECKING:
    from circus.control.operations import Requests
    from circus.runtime.runtime import Runtime

GLOBAL_OPTIONS = ("endpoint", "stats_endpoint", "pubsub_endpoint", "check_delay", "multicast_endpoint")


class Management:
    """The watchers of an arbiter. The machine is the loop's; methods hand over to its thread."""

    pid: int
    sockets: Mapping[str, Any]
    machine: Machine
    runtime: Runtime | None  # None: it does not run
    _loop: Loop | None
    _watchers: dict[int, Watcher]
    _names: dict[str, Watcher]  # by lower-case name, for speed; one that was removed may still be in it
    _requests: Requests

    # ---- watchers ----------------------------------------------------------------------------------------------

    @property
    def watchers(self) -> list[Watcher]:
        return self._faces(self.machine.watchers)

    def _faces(self, keys: Iterable[int]) -> list[Watcher]:
        # One may go while another thread looks.
        return [watcher for key in list(keys) if (watcher := self._watchers.get(key)) is not None]

    @property
    def _watchers_names(self) -> dict[str, Watcher]:
        return {watcher.name.lower(): watcher for watcher in self.watchers}

    def iter_watchers(self, reverse: bool = True) -> list[Watcher]:
        """By priority, bigger first unless `reverse` is false."""
        ordered = self._faces(machine.key for machine in self.machine.in_order())
        return ordered if reverse else ordered[::-1]

    def get_watcher(self, name: str) -> Watcher:
        """By name, ignoring case, or res name. KeyError if unknown."""
        watcher = self._names.get(name.lower())
        if watcher is not None and watcher.machine is not None and watcher.machine.key in self.machine.watchers:
            return watcher
        return registry.by_name(self.watchers, name)

    def find(self, name: str) -> Watcher:
        """As `get_watcher`, with the MessageError of a command."""
        try:
            return self.get_watcher(name)
        except KeyError:
            raise MessageError(f"program {name} not found") from None

    def match(self, pattern: str, method: str = "glob") -> list[Watcher]:
        """Watchers whose name matches, by priority. MessageError if none does or the method is unknown."""
        return registry.matching(self.iter_watchers(), pattern, method)

    def rm_watcher(self, name: str, nostop: bool = False) -> Future[Any]:
        return self.ask("rm", [name], nostop=nostop)

    def start_watcher(self, watcher: Watcher) -> Future[Any]:
        return self.ask("start", [watcher.name], single=True)

    def start_watchers(self, watcher_iter_func: Callable[..., Iterable[Watcher]] | None = None) -> Future[Any]:
        return self.ask("start", _chosen(watcher_iter_func))

    def stop_watchers(self, watcher_iter_func: Callable[..., Iterable[Watcher]] | None = None) -> Future[Any]:
        return self.ask("stop", _chosen(watcher_iter_func))

    # ---- what it looks like ------------------------------------------------------------------------------------

    def statuses(self) -> dict[str, str]:
        return {watcher.name: watcher.status() for watcher in self.watchers}

    def reasons(self) -> dict[str, str]:
        """Watchers in trouble, and what it is."""
        now = time.monotonic()
        told = self.within(lambda: {machine.name: machine.reason(now) for machine in self.machine.in_order()})
        complaints = {watcher.name: getattr(watcher.stderr_stream, "complaint", "") for watcher in self.watchers}
        return {name: ": ".join(filter(None, (text, complaints.get(name)))) for name, text in told.items() if text}

    def numprocesses(self) -> int:
        return sum(len(watcher) for watcher in self.watchers)

    def numwatchers(self) -> int:
        return len(self.machine.watchers)

    def global_options(self) -> dict[str, Any]:
        """A program that says nothing of discovery has none, and is told the usual address, as of statistics."""
        options = {name: getattr(self, name) for name in GLOBAL_OPTIONS}
        if options["multicast_endpoint"] is None:
            options["multicast_endpoint"] = names.DEFAULT_ENDPOINT_MULTICAST
        return options

    def sockets_info(self) -> list[dict[str, Any]]:
        return []

    def get_socket(self, name: str) -> Any:
        return self.sockets[name]

    def dstats(self) -> Future[dict[str, Any]]:
        """Figures of this process."""
        from circus.control.sampling import daemon_figures, in_thread

        return in_thread(lambda: daemon_figures(self.pid), self.not_in_loop)

    def event_counts(self) -> dict[str, int]:
        """Events published, and how many of them subscribers missed because they were slow."""
        publisher = self.runtime.publisher if self.runtime is not None else None
        if publisher is None:
            return {"sent": 0, "dropped": 0}
        return {"sent": publisher.sent, "dropped": publisher.dropped}

    def stats(self, names: Sequence[str] | None, pid: int | None, extended: bool) -> Future[Any]:
        """{watcher: {pid: figures}}; taken in another thread, because asking the system takes its time."""
        from circus.control.sampling import extend, figures, in_thread

        watchers = self.watchers if names is None else [self.find(name) for name in names]
        wanted = [(watcher, watcher.processes) for watcher in watchers]
        if pid is not None:
            wanted = [(watcher, {pid: found[pid]} if pid in found else {}) for watcher, found in wanted]
        future = in_thread(lambda: figures(wanted), self.not_in_loop)
        return extend(self, watchers, future) if extended else future

    # ---- requests ------------------------------------------------------------------------------------------------

    def ask(self, verb: str, names: Sequence[str] | None = None, **arguments: Any) -> Future[Any]:
        """Ask something for watchers by name (None: all). The future holds the keys of a waiting reply.

        Raises MessageError for unknown names or bad values. Verbs: start, stop, restart, reload, incr, decr, set,
        kill, rm, add, quit, reloadconfig.
        """
        future: Future[Any] = self.within(lambda: self._requests.carry_out(verb, names, arguments))
        return future.guarded_by(lambda: self._may_wait(verb, names))

    def within(self, work: Callable[[], Any]) -> Any:
        """Do it in the loop's thread: here and now if this is it or nothing runs."""
        return work() if self._loop is None else self._loop.call(work)

    def _may_wait(self, verb: str, names: Sequence[str] | None) -> None:
        """RuntimeError for a thread that would wait for itself."""
        self.not_in_loop()
        hook, watcher = hooks.current()
        if hook not in hooks.AWAITED or verb == "kill":
            return
        if names is None or any(self.find(name) is watcher for name in names):
            raise RuntimeError(f"the {hook} hook would wait for {verb!r} of its own watcher, which waits for the hook")

    def not_in_loop(self) -> None:
        if self._loop is not None and self._loop.is_own_thread:
            raise RuntimeError("the loop's own thread would wait for itself: use add_done_callback")

    def change_spec(self, watcher: Watcher, options: Mapping[str, Any]) -> dict[str, Effect]:
        """Change options without replacing processes; what each change would cost."""
        effects: dict[str, Effect] = self.within(lambda: self._requests.change_quietly(watcher, options))
        return effects

    def restart(self, inside_circusd: bool = False, watcher_iter_func: Any = None) -> Future[Any]:
        """Stop everything and have `start` return with a restart wanted."""
        return self.ask("restart")

    def reload(self, graceful: bool = True, sequential: bool = False) -> Future[Any]:
        return self.ask("reload", graceful=graceful, sequential=sequential)

    def reload_from_config(self, config_file: str | None = None, inside_circusd: bool = False) -> Future[Any]:
        """Make the watchers be as a file says, touching only what differs. MessageError with all its problems."""
        return self.ask("reloadconfig", path=config_file)

    def reap_processes(self) -> None:
        """Kept for programs that call it; dead processes are reaped the moment they die."""

    def manage_watchers(self) -> Future[None]:
        """Kept for programs that call it; watchers are managed the moment something happens."""
        return finished(None)

    # ---- signals and events ------------------------------------------------------------------------------------

    def send_signal(self, watcher: Watcher, signum: int, pid: int | None = None, **whom: Any) -> None:
        """The `signal` command. MessageError if a child is named without a way to find its parent."""
        from circus.runtime.signalling import send

        self.within(lambda: send(self.machine, watcher, signum, pid, **whom))
        self.settle_soon()

    def signal_now(self, process: Process, signum: int) -> None:
        """Without asking hooks, as `Process.send_signal` does. Nothing happens if it is not ours any more."""

        def send() -> None:
            if self.runtime is not None and process.status != UNEXISTING:
                self.runtime.children.signal(process.pid, signum)

        self.within(send)

    def settle_soon(self) -> None:
        """Have the loop come around, because something is wanted now that was not before."""
        if self._loop is not None:
            self._loop.post(lambda: None)

    def publish(self, watcher: Watcher, event: str, payload: Mapping[str, Any]) -> None:
        from circus.machine.actions import Publish

        runtime = self.runtime
        if runtime is not None:
            self.within(lambda: runtime.perform(Publish(_key(watcher), event, payload)))


def _key(watcher: Watcher) -> int:
    assert watcher.machine is not None
    return watcher.machine.key


def _chosen(watcher_iter_func: Callable[..., Iterable[Watcher]] | None) -> list[str] | None:
    if watcher_iter_func is None:
        return None
    return [watcher.name for watcher in watcher_iter_func(reverse=True)]
