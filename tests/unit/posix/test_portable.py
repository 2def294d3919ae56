"""Figures from a process that is not there: what is denied."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil

from circus.posix.portable import describe


class Hidden(psutil.Process):
    """One that tells nothing but its pid."""

    def __init__(self) -> None:
        super().__init__()

    def _deny(self, *args: Any, **kwargs: Any) -> Any:
        raise psutil.AccessDenied(self.pid)

    memory_info = memory_percent = cpu_percent = cpu_times = _deny
    username = nice = cmdline = create_time = _deny

    def oneshot(self) -> Any:
        return contextlib.nullcontext()

    def status(self) -> str:
        return psutil.STATUS_SLEEPING


def test_what_is_denied_is_n_a() -> None:
    process = Hidden()
    info = describe(process)
    assert info.pop("pid") == process.pid
    assert info.pop("children") == []
    assert set(info.values()) == {"N/A"} and len(info) == 10
