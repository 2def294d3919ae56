"""What a process uses, in the words of `stats`. The only module that imports psutil, and only when asked:
the import takes 18 ms and 2.5 MiB.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from circus.convert import bytes2human, human2bytes
from circus.posix.processes import family

if TYPE_CHECKING:
    import psutil

__all__ = ["InfoCache", "bytes2human", "get_info", "human2bytes", "no_such_process", "process_list"]

NOT_AVAILABLE = "N/A"
ZOMBIE = "Zombie"

_FEW = 64


class InfoCache:
    """Keeps what is needed to tell CPU use since the last call about the same process. One per thread."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._purge_at = _FEW

    def info(self, pid: int, with_childs: bool = False) -> dict[str, Any] | None:
        """As `get_info`; None if there is no such process (any more)."""
        import psutil

        try:
            return self.describe(self.process(pid), with_childs=with_childs)
        except psutil.NoSuchProcess:
            self.forget(pid)
            return None

    def forget(self, pid: int) -> None:
        self._processes.pop(pid, None)

    def process(self, pid: int) -> psutil.Process:
        """psutil.NoSuchProcess if there is none. A pid that changed hands is a new process."""
        import psutil

        known = self._processes.get(pid)
        if known is None or not known.is_running():
            self._purge()
            known = self._processes[pid] = psutil.Process(pid)
        return known

    def describe(self, process: psutil.Process, interval: float = 0, with_childs: bool = False) -> dict[str, Any]:
        with process.oneshot():
            info = _describe(process, interval)
        if with_childs:
            info["children"] = self._children(process, interval)
        return info

    def _children(self, process: psutil.Process, interval: float) -> list[dict[str, Any]]:
        import psutil

        infos = []
        for pid in family()(process.pid):  # psutil would read the parent of every process there is
            try:
                infos.append(self.describe(self.process(pid), interval))
            except psutil.NoSuchProcess:
                self.forget(pid)
        return infos

    def _purge(self) -> None:
        """Drop the dead each time the number has doubled: children of workers come and go, nobody forgets them."""
        if len(self._processes) >= self._purge_at:
            self._processes = {pid: known for pid, known in self._processes.items() if known.is_running()}
            self._purge_at = max(_FEW, 2 * len(self._processes))


_cache = InfoCache()


def get_info(
    process: psutil.Process | int | None = None, interval: float = 0, with_childs: bool = False
) -> dict[str, Any]:
    """Figures of a process, a pid, or ourselves. psutil.NoSuchProcess if there is none.

    `interval`: seconds to measure the CPU use over; 0: since the last call (0.0 at the first). Texts as people
    read them: `mem_info1` resident, `mem_info2` virtual size, `ctime` minutes:seconds of CPU time. What may not
    be read is "N/A". `children` are the direct ones, if wanted.
    """
    if process is None or isinstance(process, int):
        process = _cache.process(os.getpid() if process is None else process)
    return _cache.describe(process, interval, with_childs)


def process_list() -> list[tuple[int, int, str, str, float]]:
    """(pid, parent, name, state letter, time of birth) of every process, where there is no /proc to read."""
    import psutil

    rows = []
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                state = "Z" if process.status() == psutil.STATUS_ZOMBIE else "S"
                rows.append((process.pid, process.ppid(), process.name(), state, process.create_time()))
        except psutil.Error:
            continue  # gone meanwhile, or hidden from us
    return rows


def no_such_process(pid: int) -> Exception:
    """What existing programs catch when a pid is nobody's."""
    import psutil

    error: Exception = psutil.NoSuchProcess(pid)
    return error


def _describe(process: psutil.Process, interval: float) -> dict[str, Any]:
    memory = _unless_denied(process.memory_info)
    created = _unless_denied(process.create_time)
    cpu_times = _unless_denied(process.cpu_times)
    percent = _unless_denied(process.memory_percent)
    denied = NOT_AVAILABLE
    return {
        "mem_info1": denied if memory is None else bytes2human(memory.rss),
        "mem_info2": denied if memory is None else bytes2human(memory.vms),
        "cpu": _or_denied(_unless_denied(lambda: process.cpu_percent(interval=interval))),
        "mem": denied if percent is None else round(percent, 3),
        "ctime": denied if cpu_times is None else minutes(cpu_times.user + cpu_times.system),
        "pid": process.pid,
        "username": _or_denied(_unless_denied(process.username)),
        "nice": _nice(process),
        "create_time": _or_denied(created),
        "age": denied if created is None else time.time() - created,
        "cmdline": _command(process),
        "children": [],
    }


def minutes(seconds: float) -> str:
    """`M:SS.cc`; an hour is 60 minutes more."""
    hundredths = int(seconds * 100)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def _nice(process: psutil.Process) -> int | str:
    import psutil

    if process.status() == psutil.STATUS_ZOMBIE:
        return ZOMBIE
    nice: int | None = _unless_denied(process.nice)
    return NOT_AVAILABLE if nice is None else nice


def _command(process: psutil.Process) -> str:
    words = _unless_denied(process.cmdline)
    return (os.path.basename(words[0]) if words else "") or NOT_AVAILABLE


def _unless_denied(read: Callable[[], Any]) -> Any:
    """None where the system does not tell: not permitted, or a zombie that has nothing left to tell."""
    import psutil

    try:
        return read()
    except (psutil.AccessDenied, psutil.ZombieProcess):
        return None


def _or_denied(value: Any) -> Any:
    return NOT_AVAILABLE if value is None else value
