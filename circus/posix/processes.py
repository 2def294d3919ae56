"""What the system shows of other processes: /proc on Linux (proc(5)), psutil elsewhere and best effort."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import NamedTuple


class ProcessEntry(NamedTuple):
    """A process as it was seen; `birth` tells it from a later one with the same pid."""

    pid: int
    name: str
    state: str
    """One letter as in proc(5): R S D Z T ..."""
    parent: int
    group: int
    session: int
    birth: float
    mark: int | None = None
    """Birth mark (`circus.posix.mark`), where it was asked for."""

    @property
    def is_zombie(self) -> bool:
        """Dead, and only its entry is left until its parent looks."""
        return self.state in ("Z", "X")

    def __str__(self) -> str:
        return f"{self.name}[{self.pid}]"


def look(pid: int) -> ProcessEntry | None:
    """None if there is no such process."""
    if not _has_proc():
        return next((entry for entry in table() if entry.pid == pid), None)
    return _parse_stat(_read(f"/proc/{pid}/stat"))


def exists(pid: int) -> bool:
    """Also a zombie does, and a process that is not ours to signal."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):  # OverflowError: no system has such a pid
        return False
    return True


def family() -> Callable[[int], list[int]]:
    """A function that tells the children of a pid. To be used at once: it may look at one moment's picture."""
    if _has_children_files():
        return _children_of
    children: dict[int, list[int]] = {}
    for entry in table():
        children.setdefault(entry.parent, []).append(entry.pid)
    return lambda pid: children.get(pid, [])


def adopted() -> list[int]:
    """Our children as far as they may be adopted ones.

    An orphan lands on the subreaper's main thread, also when others do the spawning (kernel/exit.c,
    find_new_reaper), and /proc lists children per thread. So one file is enough; what other threads, say those of
    hooks, have started themselves does not even appear. It is also exact: the list can only miss an entry while
    another one is reaped.
    """
    if _has_children_files():
        return _read_pids(f"/proc/self/task/{os.getpid()}/children")
    return family()(os.getpid())


def table() -> list[ProcessEntry]:
    """Every process there is: slow, for systems that offer nothing better."""
    if _has_proc():
        found = (look(int(name)) for name in os.listdir("/proc") if name.isdecimal())
        return [entry for entry in found if entry is not None]
    from circus.posix.portable import process_list  # not needed on Linux

    return [_with_group(*row) for row in process_list()]


@functools.cache
def _has_proc() -> bool:
    return sys.platform == "linux" and os.path.exists("/proc/self/stat")


@functools.cache
def _has_children_files() -> bool:
    """A kernel option (CONFIG_PROC_CHILDREN) that nearly all have."""
    return _has_proc() and os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _children_of(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [child for thread in threads for child in _read_pids(f"/proc/{pid}/task/{thread}/children")]


def _read_pids(path: str) -> list[int]:
    return list(map(int, _read(path).split()))


def _read(path: str) -> bytes:
    """The whole file; empty if the process is gone. Some of these files come a page at a time."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    parts = []
    try:
        while part := os.read(fd, 65536):
            parts.append(part)
    except OSError:
        pass  # it went away while we read
    finally:
        os.close(fd)
    return b"".join(parts)


def _parse_stat(text: bytes) -> ProcessEntry | None:
    # "PID (NAME) STATE PPID PGRP SESSION ...": a name may hold blanks and brackets, so the last one counts.
    before, bracket, after = text.rpartition(b")")
    if not bracket:
        return None
    pid, _, name = before.partition(b"(")
    fields = after.split(None, 20)
    return ProcessEntry(
        pid=int(pid),
        name=name.decode(errors="replace"),
        state=fields[0].decode(),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        birth=float(fields[19]),  # clock ticks since boot
    )


def _with_group(pid: int, parent: int, name: str, state: str, birth: float) -> ProcessEntry:
    try:
        group, session = os.getpgid(pid), os.getsid(pid)
    except OSError:
        group = session = 0  # a zombie, or not ours to know
    return ProcessEntry(pid, name, state, parent, group, session, birth)
