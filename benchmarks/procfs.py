"""What /proc tells about the supervisor: its processes, memory, CPU time and wake-ups (proc(5))."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024


def stat_fields(pid: int) -> list[str]:
    """Fields 3 and up of /proc/PID/stat; empty when the process is gone. The name before may hold blanks."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def machine_use(seconds: float) -> float:
    """The share of all cores that was used during the next `seconds`, by anybody; 0 to 1."""
    before = _machine_times()
    time.sleep(seconds)
    total, idle = (after - then for after, then in zip(_machine_times(), before, strict=True))
    return 1 - idle / total if total else 0.0


def _machine_times() -> tuple[int, int]:
    times = [int(word) for word in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(times), times[3] + times[4]  # idle and waiting for a disk


def belongs_to(pid: int, home: Path) -> bool:
    """Runs, and has the path `home` in its command line or works below it: a reused pid does not pass."""
    try:
        if str(home).encode() in (PROC / str(pid) / "cmdline").read_bytes():
            return True
        return Path(os.readlink(PROC / str(pid) / "cwd")).is_relative_to(home)
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid: int) -> None:
    """SIGKILL; a process that is gone already is fine."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def descendants(root: int) -> list[int]:
    """`root` and every process below it."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


@dataclass(frozen=True)
class Memory:
    """MiB, summed over processes."""

    pss: float
    uss: float
    rss: float


def memory(pids: Iterable[int]) -> Memory:
    pss = uss = rss = 0
    for pid in pids:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
            key, value = line.split()[:2]
            pss += int(value) if key == "Pss:" else 0
            rss += int(value) if key == "Rss:" else 0
            uss += int(value) if key in ("Private_Clean:", "Private_Dirty:") else 0
    return Memory(pss / 1024, uss / 1024, rss / 1024)


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far, the same in clock ticks of /proc/PID/stat, and times it went to sleep; at `at`."""

    at: float
    cpu: float
    ticks: int
    sleeps: int


def usage(pids: Iterable[int]) -> Usage:
    cpu, ticks, sleeps = 0.0, 0, 0
    for pid in pids:
        cpu += _cpu_clock(pid)
        fields = stat_fields(pid)
        ticks += int(fields[11]) + int(fields[12])
        sleeps += _voluntary_switches(pid)
    return Usage(time.monotonic(), cpu, ticks, sleeps)


def _cpu_clock(pid: int) -> float:
    """The process's CPU clock, all threads, also ended ones: the nanosecond counter behind schedstat.

    `clock_getcpuclockid(3)` of the C library computes the same number: ~pid in the upper bits, then 2 for
    CPUCLOCK_SCHED. /proc/PID/schedstat itself shows the first thread only.
    """
    return time.clock_gettime((~pid << 3) | 2)


def _voluntary_switches(pid: int) -> int:
    total = 0
    for task in (PROC / str(pid) / "task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total
