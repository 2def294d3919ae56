"""Which processes a signal reaches, and sending it: those the machine decided on, and those of the `signal` command."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from circus.common import names
from circus.common.convert import signal_name
from circus.exc import MessageError
from circus.machine import actions, events
from circus.machine.actions import Scope
from circus.machine.process import Process
from circus.machine.termination import SIGKILL
from circus.posix import tree
from circus.posix.permission import refusal
from circus.posix.processes import ProcessEntry
from circus.runtime.live_watcher import LiveWatcher
from circus.runtime.system import System
from circus.runtime.workers import Tell, Workers

logger = logging.getLogger("circus")

Publish = Callable[[int, str, Mapping[str, Any]], object]
"""An event of the watcher with this key."""


class Signalling:
    """Performs `Signal` actions on workers, their descendants, and what a dead worker has left."""

    def __init__(
        self, workers: Workers, watchers: Mapping[int, LiveWatcher], tell: Tell, publish: Publish, system: System
    ) -> None:
        self._workers = workers
        self._watchers = watchers
        self._tell = tell
        self._publish = publish
        self._system = system

    def perform(self, action: actions.Signal) -> None:
        if not action.sent:
            self._publish_kill(action, action.pid)
        elif action.scope is Scope.REMAINS:
            self._signal_remains(action)
        else:
            self._signal(action)

    def _signal(self, action: actions.Signal) -> None:
        # What it reaches is looked up before the first signal: afterwards the family may have fallen apart.
        if (worker := self._workers.by_pid.get(action.pid)) is not None:
            self._workers.offspring.before_signal(worker)
        others = self._family(action)
        try:
            if self._workers.children.signal(action.pid, action.signum) and action.announce:
                self._publish_kill(action, action.pid)
        except PermissionError:
            self._refused(action, [self._system.refusal(action.pid)])
        hit = self._system.kill_tree(others, action.signum)
        if action.scope is Scope.TREE and action.signum == SIGKILL:
            hit += self._system.kill_all(lambda: self._family(action))
        self._tell_hit(action, hit)

    def _family(self, action: actions.Signal) -> list[ProcessEntry]:
        if action.scope is Scope.CHILDREN:
            return self._system.direct_children(action.pid)
        worker = self._workers.by_pid.get(action.pid)
        if action.scope is Scope.PROCESS or worker is None:
            return []
        return self._workers.offspring.below(worker)

    def _signal_remains(self, action: actions.Signal) -> None:
        worker = self._workers.reaped.get(action.serial)
        if worker is None:
            return
        if action.signum == SIGKILL:
            hit = self._system.kill_all(lambda: self._workers.left_by(worker))
        else:
            hit = self._system.kill_tree(self._workers.left_by(worker), action.signum)
        self._tell_hit(action, hit)
        self._refused(action, [self._system.refusal(entry.pid) for entry in self._workers.left_by(worker)])

    def _refused(self, action: actions.Signal, texts: list[str]) -> None:
        """A fact for the machine if we may signal nothing of it, and so nothing will come of waiting."""
        if texts and all(texts):
            self._tell(events.Refused(action.key, action.serial, "; ".join(texts)), self._system.monotonic())

    def _tell_hit(self, action: actions.Signal, hit: list[ProcessEntry]) -> None:
        if not hit or not action.announce:
            return
        told = {entry.pid: str(entry) for entry in hit}  # some may have been found twice
        for pid in told:
            self._publish_kill(action, pid)
        level = logging.WARNING if action.signum == SIGKILL else logging.INFO
        name = self._watchers[action.key].name
        logger.log(level, "%s: %s sent to %s", name, signal_name(action.signum), ", ".join(told.values()))

    def _publish_kill(self, action: actions.Signal, pid: int) -> None:
        self._publish(action.key, names.KILL, {"process_pid": pid, "process_id": action.wid})


# ---- the `signal` command ----------------------------------------------------------------------------------------


def targets(watcher: LiveWatcher, pid: int | None, wid: int | None) -> list[Process]:
    """The live processes meant; all of them if neither is given."""
    live = watcher.live()
    if pid is not None:
        return [process for process in live if process.pid == pid]
    if wid is not None:
        return [process for process in live if process.wid == wid]
    return live


def require_permission(pids: Iterable[int]) -> None:
    """PermissionError with a sentence for people if one of these may not be signalled."""
    for pid in pids:
        text = refusal(pid)
        if text:
            raise PermissionError(text)


def signal_child(parents: list[Process], childpid: int, signum: int) -> None:
    """To a direct child of one of these. MessageError if none of them has it."""
    for process in parents:
        for entry in tree.children(process.pid):
            if entry.pid == childpid:
                require_permission([childpid])
                tree.kill_tree([entry], signum)
                return
    raise MessageError(f"no child process {childpid}")


def signal_children(parents: list[Process], signum: int, recursive: bool) -> None:
    for process in parents:
        found = tree.descendants(process.pid) if recursive else tree.children(process.pid)
        hit = {entry.pid for entry in tree.kill_tree(found, signum)}
        require_permission(entry.pid for entry in found if entry.pid not in hit)
