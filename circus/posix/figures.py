"""Figures of a process from /proc (proc(5)): psutil's values at a tenth of its cost.

Each look reads two small files, `stat` and `statm`. Name, user and time of birth hardly ever change; they are read
again when the process runs another program, and now and then because a daemon may change its user or its title.

The resident size comes from `statm`: since Linux 6.16 only that file is exact, the one in `stat` may be some hundred
KiB off.
"""

from __future__ import annotations

import functools
import os
import pwd
import sys
import time
from typing import Any

from circus.common.convert import bytes2human
from circus.common.names import NOT_AVAILABLE

ZOMBIE = "Zombie"

# Seconds until name and user are read again. Up to as long again is added by pid, so that a thousand processes
# are not all due at once.
REFRESH_DELAY = 10

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MEMORY = os.sysconf("SC_PHYS_PAGES") * _PAGE


@functools.cache
def is_possible() -> bool:
    return sys.platform == "linux" and os.path.exists("/proc/self/statm")


class Gauge:
    """One process, looked at again and again. A pid that changed hands counts as a new process."""

    __slots__ = ("_at", "_birth", "_born", "_command", "_image", "_name", "_refresh_at", "_ticks", "_username", "pid")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._birth = b""
        self._image: tuple[bytes, bytes] = (b"", b"")

    def figures(self) -> dict[str, Any]:
        """As `circus.posix.info.get_info`, without children. ProcessLookupError if it is gone, PermissionError."""
        head, _, tail = _read(self.pid, "stat").rpartition(b")")
        size = _read(self.pid, "statm").split(None, 2)
        if not tail or len(size) < 3:
            raise ProcessLookupError(self.pid)
        at = time.monotonic()
        # Counted from the third field of proc(5), the state.
        fields = tail.split(None, 27)
        ticks = int(fields[11]) + int(fields[12])
        if fields[19] != self._birth:
            self._begin(fields[19], ticks, at)
        # A new program has another name or, addresses being random, another stack.
        if (head, fields[25]) != self._image or at >= self._refresh_at:
            self._image = (head, fields[25])
            self._refresh(at)
        resident = int(size[1]) * _PAGE
        return {
            "mem_info1": bytes2human(resident),
            "mem_info2": bytes2human(int(size[0]) * _PAGE),
            "cpu": self._percent(ticks, at),
            "mem": round(resident / _MEMORY * 100, 3),
            "ctime": minutes(ticks / _TICKS),
            "pid": self.pid,
            "username": self._username,
            "nice": ZOMBIE if fields[0] == b"Z" else int(fields[16]),
            "create_time": self._born,
            "age": time.time() - self._born,
            "cmdline": self._command,
            "children": [],
        }

    def _begin(self, birth: bytes, ticks: int, at: float) -> None:
        self._birth = birth
        self._born = int(birth) / _TICKS + _boot_time()
        self._ticks, self._at = ticks, at
        self._refresh_at = at

    def _refresh(self, at: float) -> None:
        self._refresh_at = at + REFRESH_DELAY + self.pid % REFRESH_DELAY
        self._command = command(_read(self.pid, "cmdline"))
        self._username = _username(_real_uid(_read(self.pid, "status")))

    def _percent(self, ticks: int, at: float) -> float:
        """Of one processor, since the last look."""
        used, passed = ticks - self._ticks, at - self._at
        self._ticks, self._at = ticks, at
        return round(used / _TICKS / passed * 100, 1) if used > 0 and passed > 0 else 0.0


def minutes(seconds: float) -> str:
    """`M:SS.cc`; an hour is 60 minutes more."""
    hundredths = int(seconds * 100)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def command(line: bytes) -> str:
    """Last part of the path that a command line begins with; `N/A` for the empty one of a zombie.

    Words end with zeros, but programs that write a title of their own use blanks and may end with anything.
    """
    separator = b"\0" if line.endswith(b"\0") else b" "
    words = line.removesuffix(separator).split(separator)
    first = words[0].partition(b" ")[0] if len(words) == 1 else words[0]
    return os.path.basename(os.fsdecode(first)) or NOT_AVAILABLE


def _real_uid(status: bytes) -> int:
    _, found, rest = status.partition(b"\nUid:")
    if not found:
        raise ProcessLookupError
    return int(rest.split(None, 1)[0])


@functools.cache
def _username(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _boot_time() -> int:
    """Seconds since 1970. Cached for some seconds: it moves when the clock is set."""
    return _read_boot_time(int(time.monotonic()) // REFRESH_DELAY)


@functools.lru_cache(maxsize=1)
def _read_boot_time(_period: int) -> int:
    with open("/proc/stat", "rb") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(b"btime"))


def _read(pid: int, name: str) -> bytes:
    """The whole file. ProcessLookupError if the process is gone, PermissionError if it is hidden from us."""
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    try:
        text = os.read(fd, 4096)
        if len(text) == 4096:  # a long command line
            while part := os.read(fd, 65536):
                text += part
        return text
    finally:
        os.close(fd)
