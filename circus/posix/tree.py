"""The whole offspring of a worker: what is left of it, and how to end it.

A descendant that leaves its parent, group and session becomes our child when its parent dies, because the daemon
is a child subreaper (prctl(2)). So every pass reads the list of our children once. Those we did not spawn are
the strangers; session, group or birth mark (`circus.posix.mark`) tell which worker each came from. Their descendants
are found by walking down from them. Nothing ever scans the whole process table, and with no strangers a pass
costs one small read, however many workers died.

Without a subreaper (other systems) strangers are all other processes, and only session and group tell.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection, Container, Iterable

from circus.posix import mark as marks
from circus.posix.processes import ProcessEntry, adopted, family, look, table

__all__ = [
    "Orphans",
    "ProcessEntry",
    "become_subreaper",
    "children",
    "descendants",
    "is_subreaper",
    "kill_all",
    "kill_tree",
    "leftovers",
    "reap",
    "strangers",
]

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_PR_GET_CHILD_SUBREAPER = 37

ZOMBIE_DELAY = 5.0
"""Seconds a dead stranger stays: it may be the child of a hook that is about to wait for it."""

_LISTINGS = 100
"""For programs that fork faster than we read: one listing and two looks take some 50 µs."""


def become_subreaper(wanted: bool = True) -> bool:
    """Have orphaned descendants become our children, or no longer. False where the system cannot do that."""
    if sys.platform != "linux":
        return False
    if os.getpid() == 1:
        return True  # init gets every orphan
    import ctypes  # 3 ms and 0.7 MiB, once per daemon: the standard library has no other way to prctl(2)

    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def is_subreaper() -> bool:
    if sys.platform != "linux":
        return False
    import ctypes  # as above

    flag = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0)
    return bool(flag.value)


def children(pid: int) -> list[ProcessEntry]:
    """The direct children of a process; zombies are among them."""
    return [entry for entry in map(look, family()(pid)) if entry is not None]


def descendants(pid: int) -> list[ProcessEntry]:
    """Every descendant of a process; zombies are among them. Cost: two small reads for each."""
    return _below([pid])


def strangers(own: Collection[int]) -> list[ProcessEntry]:
    """Our children that are not `own` (the watched pids): adopted ones, and those of hooks. Read once per pass.

    A process that dies after the list is read and before it is looked at leaves children not on the list yet. So it
    is read again until it shows no new process: then none of those seen dead has a child that was not seen.
    """
    if sys.platform != "linux":
        return [entry for entry in table() if entry.pid not in own and entry.pid != os.getpid()]
    found: dict[int, ProcessEntry | None] = {}
    for _ in range(_LISTINGS):
        new = sorted(set(adopted()).difference(own, found))
        if not new:
            break
        found.update((pid, look(pid)) for pid in new)
    return [entry._replace(mark=marks.read(entry.pid)) for entry in found.values() if entry is not None]


def leftovers(worker: int, mark: int | None, among: Iterable[ProcessEntry]) -> list[ProcessEntry]:
    """What is left of a dead worker: its descendants among the strangers, with everything below them.

    Zombies among the strangers are our children: `reap` them, they count no longer.
    """
    our_session = os.getsid(0)
    roots = [entry for entry in among if _came_from(entry, worker, mark, our_session)]
    return roots + _below([entry.pid for entry in roots if not entry.is_zombie])


def kill_tree(entries: Iterable[ProcessEntry], signum: int) -> list[ProcessEntry]:
    """Signal each if it still is the process that was seen; those that got it. Zombies are left out."""
    return [entry for entry in entries if not entry.is_zombie and _signal(entry, signum)]


def kill_all(find: Callable[[], Iterable[ProcessEntry]], passes: int = 100) -> list[ProcessEntry]:
    """SIGKILL what `find` finds until it finds no new process; returns all that were hit.

    A program that forks while it is being killed is always one generation ahead of a single pass. What is still
    there afterwards is dying, or stuck in the kernel (state D), or forks faster than `passes` passes: look again
    later.
    """
    tried: set[tuple[int, float]] = set()
    hit: list[ProcessEntry] = []
    for _ in range(passes):
        new = [entry for entry in find() if not entry.is_zombie and (entry.pid, entry.birth) not in tried]
        if not new:
            break
        tried.update((entry.pid, entry.birth) for entry in new)
        hit += kill_tree(new, signal.SIGKILL)
    return hit


def reap(pids: Iterable[int]) -> None:
    """Take dead strangers away that nothing will wait for. A live one, or no child of ours, is left alone."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass  # not a child of ours, or its parent, a hook, was quicker


class Orphans:
    """Reaps dead strangers, so that none stays a zombie and no waiting hook loses an exit code to us.

    Descendants of workers go at once: nothing waits for them, and of a program that forks without end there would be
    thousands to look at each time another one dies.

    For the daemon only: in another program the strangers include children of that program.
    """

    def __init__(self, delay: float = ZOMBIE_DELAY) -> None:
        self._delay = delay
        self._seen: dict[tuple[int, float], float] = {}
        """Zombie (pid, birth) to the monotonic time it was first seen."""

    def reap(self, among: Iterable[ProcessEntry], now: float, attributed: Container[int] = ()) -> list[int]:
        """Reap those that are due; their pids. `attributed` came from a worker, whatever their mark says."""
        zombies = [entry for entry in among if entry.is_zombie and entry.parent == os.getpid()]
        self._seen = {(entry.pid, entry.birth): self._seen.get((entry.pid, entry.birth), now) for entry in zombies}
        our_session = os.getsid(0)
        at_once = {entry.pid for entry in zombies if entry.pid in attributed or _is_workers(entry, our_session)}
        due = [key for key, at in self._seen.items() if key[0] in at_once or at + self._delay <= now]
        for key in due:
            del self._seen[key]
        reap(pid for pid, _ in due)
        return [pid for pid, _ in due]

    @property
    def next_at(self) -> float | None:
        """Monotonic time at which the next one is due; None if none waits."""
        return min(self._seen.values()) + self._delay if self._seen else None


def _came_from(entry: ProcessEntry, worker: int, mark: int | None, our_session: int) -> bool:
    """The kernel gives no pid away that still is the number of a session or group, so these two cannot err.

    A mark can: another thread's child forked in the very moment of a spawn has it too. But a worker begins with a
    new session, so a process in ours never came from one.
    """
    if worker in (entry.session, entry.group):
        return True
    return entry.session != our_session and marks.owns(mark, entry.mark)


def _is_workers(entry: ProcessEntry, our_session: int) -> bool:
    """As `_came_from`, of any worker."""
    return entry.session != our_session and marks.was_given(entry.mark)


def _below(pids: list[int]) -> list[ProcessEntry]:
    children_of = family()
    found: dict[int, ProcessEntry] = {}
    queue = [child for pid in pids for child in children_of(pid)]
    while queue:
        pid = queue.pop()
        entry = look(pid)
        if entry is not None and pid not in found:
            found[pid] = entry
            queue.extend(children_of(pid))
    return list(found.values())


def _signal(entry: ProcessEntry, signum: int) -> bool:
    """With the process pinned by a descriptor before it is compared, its pid cannot change hands in between."""
    try:
        pidfd = os.pidfd_open(entry.pid)
    except (AttributeError, OSError):
        pidfd = -1  # not here, no descriptor free, or gone
    try:
        now = look(entry.pid)
        if now is None or now.birth != entry.birth:
            return False
        if pidfd >= 0:
            signal.pidfd_send_signal(pidfd, signum)
        else:
            os.kill(entry.pid, signum)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # it runs as another user and we are not root: it stays in every later look
    finally:
        if pidfd >= 0:
            os.close(pidfd)
    return True

