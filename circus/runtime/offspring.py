"""Which processes descend from a worker: told in two ways, for a daemon and for another program.

A daemon is a child subreaper: what a worker leaves behind comes to us, wherever it went, and carries the worker's birth
mark (`circus.posix.tree`, `circus.posix.mark`). In a thread of another program we must neither adopt orphans nor
touch resource limits, so a family is looked at while its head still lives, before each signal; later only its process
group can be found again.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Protocol

from circus.posix import tree
from circus.posix.mark import next_mark
from circus.posix.processes import ProcessEntry, look, table


class Worker:
    """One of our own processes, from fork to reap."""

    __slots__ = ("family", "key", "mark", "pid", "serial")

    def __init__(self, pid: int, key: int, serial: int, mark: int | None) -> None:
        self.pid = pid
        self.key = key
        self.serial = serial
        self.mark = mark
        self.family: Mapping[int, ProcessEntry] = {}


if TYPE_CHECKING:

    class Offspring(Protocol):
        """Finds the descendants of workers."""

        def mark(self) -> int | None:
            """A birth mark for the next worker."""

        def strangers(self) -> list[ProcessEntry]:
            """A look around that serves any number of workers at once."""

        def left_by(self, worker: Worker, strangers: list[ProcessEntry], /) -> list[ProcessEntry]:
            """Descendants of a dead worker; dead ones may be among them."""

        def below(self, worker: Worker, /) -> list[ProcessEntry]:
            """Descendants of a living worker, also those that are no longer below it."""

        def before_signal(self, worker: Worker, /) -> None:
            """It is about to be signalled, and may die of that."""


def offspring(own: Collection[int], is_guest: bool) -> Offspring:
    """`own` are the pids of our workers, of this moment whenever it is looked at."""
    return Remembered() if is_guest else Adopted(own)


class Adopted:
    """For the daemon."""

    def __init__(self, own: Collection[int]) -> None:
        self._own = own

    def mark(self) -> int | None:
        return next_mark()

    def strangers(self) -> list[ProcessEntry]:
        return tree.strangers(self._own)

    def left_by(self, worker: Worker, strangers: list[ProcessEntry]) -> list[ProcessEntry]:
        return tree.leftovers(worker.pid, worker.mark, strangers) if strangers else []

    def below(self, worker: Worker) -> list[ProcessEntry]:
        strays = self.left_by(worker, self.strangers())
        return tree.descendants(worker.pid) + [entry for entry in strays if not entry.is_zombie]

    def before_signal(self, worker: Worker) -> None:
        """What it leaves will come to us."""


class Remembered:
    """For an arbiter in another program."""

    def mark(self) -> int | None:
        return None

    def strangers(self) -> list[ProcessEntry]:
        return []

    def left_by(self, worker: Worker, strangers: list[ProcessEntry]) -> list[ProcessEntry]:
        known = [now for entry in worker.family.values() if (now := look(entry.pid)) and now.birth == entry.birth]
        found = {entry.pid: entry for entry in known + _group(worker.pid)}
        for pid in list(found):
            found.update((entry.pid, entry) for entry in tree.descendants(pid))
        # The program around us may be a subreaper, or pid 1 of a container: nothing else reaps these for it.
        tree.reap(pid for pid, entry in found.items() if entry.is_zombie and entry.parent == os.getpid())
        return list(found.values())

    def below(self, worker: Worker) -> list[ProcessEntry]:
        strays = self.left_by(worker, [])
        return tree.descendants(worker.pid) + [entry for entry in strays if not entry.is_zombie]

    def before_signal(self, worker: Worker) -> None:
        worker.family = {**worker.family, **{entry.pid: entry for entry in tree.descendants(worker.pid)}}


def _group(pid: int) -> list[ProcessEntry]:
    """Members of the process group or session a dead worker was the head of. Its number stays taken."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return []
    except PermissionError:
        pass  # there are members, of another user
    return [entry for entry in table() if pid in (entry.group, entry.session) and entry.pid != pid]
