"""Processes as psutil tells of them: where there is no /proc, and where /proc is hidden from us.

The only module that imports psutil, and only when asked: the import takes 18 ms and 2.5 MiB.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from circus.common.convert import bytes2human
from circus.common.names import NOT_AVAILABLE
from circus.posix.figures import ZOMBIE, minutes

if TYPE_CHECKING:
    import psutil


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
    """What existing programs catch when no process has a pid."""
    import psutil

    error: Exception = psutil.NoSuchProcess(pid)
    return error


class PortableGauge:
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
