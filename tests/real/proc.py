"""What /proc tells about processes that are not ours: for tests of whole daemons. Linux."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from circus.posix import processes

PROGRAMS = Path(__file__).parent / "programs"


def program(name: str, *words: object) -> str:
    """The command line of one of the scripts in `programs`."""
    return " ".join([sys.executable, str(PROGRAMS / name), *map(str, words)])


def marked(text: str) -> list[int]:
    """Living processes with `text` in their environment: all that ever descended from who was given it."""
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if text in _environ(pid)]


def _environ(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def environment(pid: int) -> dict[str, str]:
    """What the program was started with."""
    return dict(entry.partition("=")[::2] for entry in _environ(pid).split("\0") if entry)


def descriptors_of(pid: int) -> dict[int, str]:
    """Open descriptors and what they lead to."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue  # closed meanwhile
    return found


def threads_of(pid: int) -> list[str]:
    names = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            names.append(Path(f"/proc/{pid}/task/{tid}/comm").read_text().strip())
        except OSError:
            continue  # ended meanwhile
    return sorted(names)


def children_of(pid: int) -> list[processes.ProcessEntry]:
    """Direct children, zombies included."""
    return [entry for entry in map(processes.look, processes.family()(pid)) if entry is not None]


def zombies_of(pid: int) -> list[str]:
    return [str(entry) for entry in children_of(pid) if entry.is_zombie]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process; its children do not count."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def patience(seconds: float) -> float:
    """`seconds` on a machine that has time; as much longer as there is more to do than processors to do it."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def text_of(path: Path) -> str:
    """What the file holds; nothing while it is not there."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
