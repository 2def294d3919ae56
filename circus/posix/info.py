"""What a process uses, in the words of `stats`. Linux tells it in `circus.posix.figures`; elsewhere psutil does, in
`circus.posix.portable`.
"""

from __future__ import annotations

import os
import time
from typing import Any, Protocol

from circus.posix import figures
from circus.posix.figures import Gauge
from circus.posix.portable import PortableGauge, no_such_process
from circus.posix.processes import exists, family

_FEW = 64


class Process(Protocol):
    """What of a `psutil.Process` is looked at."""

    @property
    def pid(self) -> int: ...
    def is_running(self) -> bool: ...


class InfoCache:
    """Keeps what is needed to tell CPU use since the last call about the same process. One per thread."""

    def __init__(self) -> None:
        self._processes: dict[int, Gauge | PortableGauge] = {}
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
            known = self._processes[pid] = Gauge(pid) if figures.is_possible() else PortableGauge(pid)
        try:
            return known.figures()
        except PermissionError:  # psutil knows other ways, and what is still denied
            known = self._processes[pid] = PortableGauge(pid)
            return known.figures()

    def _purge(self) -> None:
        """Drop the dead each time the number has doubled: children of workers come and go, nothing else drops them."""
        if len(self._processes) >= self._purge_at:
            self._processes = {pid: known for pid, known in self._processes.items() if exists(pid)}
            self._purge_at = max(_FEW, 2 * len(self._processes))


_cache = InfoCache()


def get_info(process: Process | int | None = None, interval: float = 0, with_childs: bool = False) -> dict[str, Any]:
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
