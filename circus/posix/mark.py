"""The birth mark: which worker a stray descendant came from.

A descendant that forks twice and calls setsid leaves its parent, its process group and its session behind; as
a subreaper we get it back as a child, but nothing it shows says where it came from. So every worker is born with a
number that all its descendants inherit and that `env -i`, setsid, nohup and a change of user do not shed: its
*soft* RLIMIT_RTTIME (getrlimit(2)), the microseconds a real-time thread may run without a blocking call. The
numbers are around 2**62 µs, 146,000 years, so as a limit they say "none". The hard limit is left alone: a program
that sets a real value of its own can do so. Then, and after a PAM session that resets limits (su and login on
some systems, pam_limits(8)), a descendant is known by session and group only, or by having been seen before.

The mark is there from the first instruction, since it stands in our own limit for the length of the fork
(`limits.lent`); set on the fresh pid, a quick program could fork before it.

Any process's mark can be read, also a zombie's: prlimit(2), or /proc/PID/limits where that is not permitted.

A mark owns the interval (mark - SPAN, mark]. A circusd that runs as a worker of another one finds a mark on
itself and takes its children's marks from within that interval, so the outer one knows them as descendants of
its worker, and the inner one tells them apart. A third circusd within finds no room and goes without marks.
"""

from __future__ import annotations

import itertools
import os
import resource
import time

_TOP = 2**62
_SERIALS = 2**40
_SPAN = 2**21
_WHICH: int | None = getattr(resource, "RLIMIT_RTTIME", None)  # Linux only

# Read once, before anything can have been lent: what we were born with. Serial numbers belong to the process
# (several arbiters in one program share them) and start at the milliseconds of the clock, so that the marks of
# workers that outlive this process image are not given out again.
_inherited: tuple[int, int] = resource.getrlimit(_WHICH) if _WHICH is not None else (0, 0)
_serial = itertools.count(time.time_ns() // 1_000_000)


def next_mark() -> int | None:
    """A number no other worker of ours has, for `Launch.mark`; None where marks do not exist."""
    return _within(_inherited, next(_serial)) if _WHICH is not None else None


def owns(mark: int | None, seen: int | None) -> bool:
    """Whether a process that shows `seen` descends from the worker with this mark."""
    if mark is None or seen is None:
        return False
    return seen == mark or (_is_outer(mark) and mark - _SPAN < seen < mark)


def was_given(seen: int | None) -> bool:
    """Whether a process that shows `seen` descends from a worker of ours, no matter which."""
    return seen is not None and _gives(_inherited, seen)


def read(pid: int) -> int | None:
    """What a process (or zombie) shows; None if it is gone, hidden, or shows no number."""
    if _WHICH is None:
        return None
    try:
        soft = resource.prlimit(pid, _WHICH)[0]
    except PermissionError:
        soft = _read_file(pid)
    except OSError:
        return None
    return soft if 0 <= soft <= _TOP else None


def _within(limits: tuple[int, int], serial: int) -> int | None:
    soft, hard = limits
    if _is_outer(soft):
        mark = soft - 1 - serial % (_SPAN - 1)
    elif soft == resource.RLIM_INFINITY or soft > _TOP:
        mark = _TOP - (1 + serial % (_SERIALS - 1)) * _SPAN
    else:
        return None  # a real limit, or a mark with no room below it
    return mark if hard == resource.RLIM_INFINITY or mark <= hard else None


def _gives(limits: tuple[int, int], seen: int) -> bool:
    """Whether a process born with these limits, or a circusd that is its worker, may have given this number out."""
    soft, _ = limits
    if _is_outer(soft):
        return soft - _SPAN < seen < soft
    return (soft == resource.RLIM_INFINITY or soft > _TOP) and _TOP // 2 < seen < _TOP


def _is_outer(mark: int) -> bool:
    return _TOP // 2 < mark < _TOP and (_TOP - mark) % _SPAN == 0


def _read_file(pid: int) -> int:
    """The same from /proc, which shows the limits of other users' processes too; -1 for none."""
    try:
        fd = os.open(f"/proc/{pid}/limits", os.O_RDONLY)
    except OSError:
        return -1
    try:
        text = os.read(fd, 8192)
    except OSError:
        return -1  # it went away in between
    finally:
        os.close(fd)
    for line in text.splitlines():
        if line.startswith(b"Max realtime timeout"):
            soft = line[len(b"Max realtime timeout") :].split()[0]
            return int(soft) if soft.isdigit() else -1
    return -1
