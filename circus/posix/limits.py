"""Resource limits: names, values, and the ones a child gets without having asked (getrlimit(2), prlimit(2)).

A process copies its limits to its children at fork, so what a child is to find must stand in *our* limits for
the length of the fork. Two limits are lent in this way (`lent`), both with their soft value only, which anybody
may put back:

- NOFILE: the daemon raises its own soft limit to the hard one, for it holds several descriptors per child. A
  child must see the limit the daemon was started with: programs size tables by it at their start, and those
  that still use select(2) break above 1,024. Setting it *after* the spawn (prlimit on the fresh pid) would be a
  race the program can win; a helper program in front of each child halves the spawn rate.
- RTTIME: carries the birth mark, see `circus.posix.mark`.

While NOFILE is lowered (some 0.5 ms per spawn) descriptors above it stay usable, but no thread gets a new one
above it. That does no harm as long as low numbers are free. So long-lived descriptors are moved up with `lift`,
and `room_below` says whether the lowering is harmless; when it is not, spawn sets the limit in the child.
"""

from __future__ import annotations

import fcntl
import functools
import os
import resource
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

Limit = tuple[str, int, int]
"""(name without RLIMIT_, soft, hard); infinity is `resource.RLIM_INFINITY`."""

_ROOM = 64
"""Free low descriptor numbers wanted before NOFILE is lowered: what other threads may open within one spawn."""

_RESERVE = 16
"""Descriptors that programs and their output may not take. Without any left no client could connect and mend it, and
libzmq ends the whole process (errno_assert) when it cannot accept a connection to an ipc endpoint."""

# Limits belong to the process, and so does what is remembered about them. Guarded by _lock: two arbiters in two
# threads of one program must not take the other's lent values for the real ones.
_lock = threading.Lock()
_original: tuple[int, int] | None = None


@functools.cache
def known() -> dict[str, int]:
    """Name (upper case, without RLIMIT_) to number, as far as this system has them."""
    names = {name[7:]: getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
    names.pop("OFILE", None)  # the old name of NOFILE
    return names


def resolve(wanted: Iterable[tuple[str, int | None]]) -> list[Limit]:
    """Turn configured pairs into limits with soft = hard; None is infinity. ValueError names an unknown one.

    No system gives endless descriptors, so an infinite NOFILE means as many as the hard limit allows.
    """
    names = known()
    limits = []
    for name, value in wanted:
        upper = name.upper().removeprefix("RLIMIT_")
        upper = "NOFILE" if upper == "OFILE" else upper
        if upper not in names:
            raise ValueError(f"unknown limit {name!r}; this system knows {', '.join(sorted(names)).lower()}")
        number = resource.RLIM_INFINITY if value is None else value
        if number == resource.RLIM_INFINITY and upper == "NOFILE":
            number = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limits.append((upper, number, number))
    return limits


def raise_nofile() -> tuple[int, int]:
    """Raise our soft descriptor limit to the hard one. Returns (soft, hard) as we were started with.

    May be called again: the first answer stays. From then on `lent` gives children the original limit.
    """
    global _original
    with _lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if _original is None:
            _original = (soft, hard)
        # Some kernels say "infinity" and refuse it; OPEN_MAX (10240) is what those accept.
        for value in (hard, 10240):
            if soft == hard or 0 <= value < soft:
                break
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (value, hard))
                break
            except (ValueError, OSError):
                continue
        return _original


def childrens_nofile() -> list[Limit]:
    """The descriptor limit children are to get, where it differs from the one they would inherit."""
    if _original is None or _original[0] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
        return []
    return [("NOFILE", *_original)]


def room_below() -> bool:
    """Whether NOFILE may be lowered to what children get without starving another thread of descriptors.

    The kernel hands out the lowest free number, so a free number near the top of the low range means the range
    below it is not crowded.
    """
    if _original is None:
        return True
    probe = _original[0] - _ROOM
    if probe < 0:
        return False
    try:
        os.fstat(probe)
    except OSError:
        return True
    return False


def lift(fd: int) -> int:
    """Move a long-lived descriptor above the children's limit, so that the low numbers stay free; the new number.

    Best effort: where it is not needed or not possible the descriptor stays as it is.
    """
    if _original is None or fd >= _original[0]:
        return fd
    try:
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _original[0])
    except OSError:
        return fd
    os.close(fd)
    return moved


def is_scarce(fd: int) -> bool:
    """Whether this descriptor, just opened, is among the last: the kernel hands out the lowest free number."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft != resource.RLIM_INFINITY and fd >= soft - _RESERVE


@contextmanager
def lent(nofile: bool, mark: int | None) -> Iterator[None]:
    """Hold the children's limits for the time of one fork: the original NOFILE, and a mark as RTTIME."""
    with _lock:
        undo = []
        try:
            if nofile and _original is not None:
                undo.append(_swap_soft(resource.RLIMIT_NOFILE, _original[0]))
            if mark is not None:
                undo.append(_swap_soft(resource.RLIMIT_RTTIME, mark))
            yield
        finally:
            for which, limits in undo:
                resource.setrlimit(which, limits)


def _swap_soft(which: int, soft: int) -> tuple[int, tuple[int, int]]:
    before = resource.getrlimit(which)
    resource.setrlimit(which, (soft, before[1]))
    return which, before
