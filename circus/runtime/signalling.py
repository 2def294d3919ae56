"""Whom the `signal` command reaches."""

from __future__ import annotations

from circus.exc import MessageError
from circus.machine.arbiter import Arbiter as Machine
from circus.machine.process import Process
from circus.posix import tree
from circus.posix.processes import ProcessEntry, look
from circus.watcher import Watcher


def send(
    machine: Machine,
    watcher: Watcher,
    signum: int,
    pid: int | None = None,
    childpid: int | None = None,
    children: bool = False,
    recursive: bool = False,
    wid: int | None = None,
) -> None:
    """A plain signal goes through the hooks of the watcher; one for descendants goes straight to them.

    An unknown pid is silently nobody for a plain signal, and a MessageError where a family is asked for.
    """
    targets = _targets(watcher, pid, wid, childpid)
    if childpid is not None:
        _send_to_child(targets, childpid, signum)
    elif children:
        if not targets and pid is not None:
            raise MessageError(f"process {pid!r} not found in '{watcher.name}'")
        for process in targets:
            tree.kill_tree(_family(process.pid, recursive), signum)
    else:
        assert watcher.machine is not None
        for process in targets:
            machine.signal(watcher.machine.key, process.serial, signum, recursive)


def _targets(watcher: Watcher, pid: int | None, wid: int | None, childpid: int | None) -> list[Process]:
    live = watcher.live()
    if pid is not None:
        return [process for process in live if process.pid == pid]
    if wid is not None:
        return [process for process in live if process.wid == wid]
    return live


def _send_to_child(parents: list[Process], childpid: int, signum: int) -> None:
    """To a direct child; without a parent named, whichever of the watcher's processes has it."""
    for process in parents:
        for entry in _family(process.pid, recursive=False):
            if entry.pid == childpid:
                tree.kill_tree([entry], signum)
                return
    raise MessageError(f"no child process {childpid}")


def _family(pid: int, recursive: bool) -> list[ProcessEntry]:
    if recursive:
        return tree.descendants(pid)
    return [entry for entry in map(look, tree.direct_children(pid)) if entry is not None]
