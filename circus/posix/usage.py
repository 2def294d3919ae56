"""Whether programs are at work: processor time of whole families, and connections to addresses. From /proc (proc(5)).

Where there is no /proc nothing is known, and everybody is taken to be at work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from circus.posix.processes import family

_TICKS = os.sysconf("SC_CLK_TCK")

# States of a connection in /proc/net/tcp (include/net/tcp_states.h).
_TIME_WAIT = b"06"
_LISTEN = b"0A"

_TIME_WAIT_DELAY = 60.0
"""TCP_TIMEWAIT_LEN: seconds for which Linux shows the end of a connection to the side that has closed it."""

_CONNECTED = b"03"  # of a unix socket (include/uapi/linux/net.h)


class Place(NamedTuple):
    """Where a socket is bound: a port, or the path of a unix socket as /proc/net/unix shows it."""

    port: int
    path: str = ""


class Asked(NamedTuple):
    pids: list[int]
    places: list[Place]


class Usage(NamedTuple):
    """`used`: processor time in seconds. `connected`: how many seconds ago there was a connection: 0 if there is one
    or if that is not known, None if none is seen."""

    used: float
    connected: float | None


NOT_KNOWN = Usage(0.0, 0.0)


def usages(asked: Iterable[Asked]) -> list[Usage]:
    """Connections to a port count for everybody who listens to it, at whatever address."""
    asked = list(asked)
    if not os.path.exists("/proc/self/stat"):
        return [NOT_KNOWN for _ in asked]
    seen = connections({place for one in asked for place in one.places})
    return [Usage(processor_time(one.pids), _latest(seen, one.places)) for one in asked]


def _latest(seen: dict[Place, float], places: Iterable[Place]) -> float | None:
    return min((seen[place] for place in places if place in seen), default=None)


# ---- processor time ----------------------------------------------------------------------------------------------


def processor_time(pids: Iterable[int]) -> float:
    """Of these processes, all below them, and those of their children that they have waited for. In seconds."""
    children_of = family()
    queue, seen, ticks = list(pids), set[int](), 0
    while queue:
        pid = queue.pop()
        if pid not in seen:
            seen.add(pid)
            ticks += _ticks(pid)
            queue += children_of(pid)
    return ticks / _TICKS


def _ticks(pid: int) -> int:
    """0 for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime


# ---- connections -------------------------------------------------------------------------------------------------


def connections(places: Iterable[Place]) -> dict[Place, float]:
    """How many seconds ago there was a connection to each of these places; those where none is seen are left out."""
    ports = {b"%04X" % place.port: place for place in places if not place.path}
    paths = {os.fsencode(place.path): place for place in places if place.path}
    found: dict[Place, float] = {}
    for place, age in (*(_tcp(ports) if ports else ()), *(_unix(paths) if paths else ())):
        found[place] = min(age, found.get(place, age))
    return found


def _tcp(ports: dict[bytes, Place]) -> Iterator[tuple[Place, float]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _lines(table):
            _, local, _, state, _, timer, *_ = line.split(None, 6)
            place = ports.get(local[-4:])
            if place is not None and state != _LISTEN:
                yield place, _ended(timer) if state == _TIME_WAIT else 0.0


def _ended(timer: bytes) -> float:
    """How long ago, by the time that is left of TIME_WAIT: `03:` and hexadecimal ticks."""
    return max(0.0, _TIME_WAIT_DELAY - int(timer.rpartition(b":")[2], 16) / _TICKS)


def _unix(paths: dict[bytes, Place]) -> Iterator[tuple[Place, float]]:
    """A socket that was accepted has the path of the one that listens."""
    for line in _lines("/proc/net/unix"):
        fields = line.rstrip(b"\n").split(None, 7)
        if len(fields) == 8 and fields[5] == _CONNECTED and fields[7] in paths:
            yield paths[fields[7]], 0.0


def _lines(table: str) -> Iterator[bytes]:
    """Without the heading; none if there is no such table, as where there is no IPv6."""
    try:
        with open(table, "rb") as file:
            next(file, None)
            yield from file
    except OSError:
        return
