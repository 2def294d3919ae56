"""What a process uses, in the words of `stats`. Linux tells it in `circus.posix.figures`; elsewhere psutil does.

The only module that imports psutil, and only when asked: the import takes 18 ms and 2.5 MiB.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from circus.common.convert import bytes2human, human2bytes
from circus.posix import figures
from circus.posix.figures import NOT_AVAILABLE, ZOMBIE, Gauge, minutes
from circus.posix.processes import family

if TYPE_CHECKING:
    import psutil

__all__ = ["InfoCache", "bytes2human", "get_info", "human2bytes", "minutes", "no_such_process", "process_list"]

_FEW = 64


class InfoCache:
    """Keeps what is needed to tell CPU use since the last call about the same process. One per thread."""

    def __init__(self) -> None:
        self._processes: dict[int, Gauge | _Portable] = {}
        self._purge_at = _FEW

    def info(self, pid: int, with_childs: bool = False, interval: float = 0) -> dict[str, Any] | None:
        """As `get_info`; None if there is no such process (any more)."""
        try:
            info = self._figures(pid)
            if interval > 0:
                time.sleep(interval)
                info = self._figures(pid)
        except ProcessLookupError:
            self.forget(pid)
            return None
        if with_childs:
            found = map(self.info, family()(pid))  # psutil would read the parent of every process there is
            info["children"] = [child for child in found if child is not None]
        return info

    def forget(self, pid: int) -> None:
        self._processes.pop(pid, None)

    def _figures(self, pid: int) -> dict[str, Any]:
        known = self._processes.get(pid)
        if known is None:
            self._purge()
            known = self._processes[pid] = Gauge(pid) if figures.is_possible() else _Portable(pid)
        try:
            return known.figures()
        except PermissionError:  # psutil knows other ways, and what is still denied
            known = self._processes[pid] = _Portable(pid)
            return known.figures()

    def _purge(self) -> None:
        """Drop the dead each time the number has doubled: children of workers come and go, nobody forgets them."""
        if len(self._processes) >= self._purge_at:
            self._processes = {pid: known for pid, known in self._processes.items() if _exists(pid)}
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
    if process is None:
        process = os.getpid()
    pid = process if isinstance(process, int) else process.pid
    if not isinstance(process, int) and not process.is_running():
        raise no_such_process(pid)  # another one may have that pid now
    info = _cache.info(pid, with_childs, interval)
    if info is None:
        raise no_such_process(pid)
    return info


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


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


class _Portable:
    """As `Gauge`, by psutil."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process: psutil.Process | None = None

    def figures(self) -> dict[str, Any]:
        """ProcessLookupError if it is gone. A pid that changed hands is a new process."""
        import psutil

        try:
            if self._process is None or not self._process.is_running():
                self._process = psutil.Process(self.pid)
            with self._process.oneshot():
                return describe(self._process)
        except psutil.NoSuchProcess:
            raise ProcessLookupError(self.pid) from None


def describe(process: psutil.Process) -> dict[str, Any]:
    """The figures as psutil tells them, without children. psutil.NoSuchProcess if it is gone."""
    memory = _unless_denied(process.memory_info)
    created = _unless_denied(process.create_time)
    cpu_times = _unless_denied(process.cpu_times)
    percent = _unless_denied(process.memory_percent)
    denied = NOT_AVAILABLE
    return {
        "mem_info1": denied if memory is None else bytes2human(memory.rss),
        "mem_info2": denied if memory is None else bytes2human(memory.vms),
        "cpu": _or_denied(_unless_denied(lambda: process.cpu_percent(interval=0))),
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
