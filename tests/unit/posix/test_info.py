"""Figures from a process that is not there: what is denied, and texts."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil
import pytest

from circus.posix.info import describe, minutes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.00"), (0.05, "0:00.05"), (59.999, "0:59.99"), (60, "1:00.00"), (86461.5, "1441:01.50")],
)
def test_cpu_time_is_minutes_and_keeps_the_hours(seconds: float, text: str) -> None:
    assert minutes(seconds) == text


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
