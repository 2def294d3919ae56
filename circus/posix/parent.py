"""Ending with the process that started us.

A daemon that was killed cannot stop its programs, and the next one starts programs of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from circus.loop import Loop


def call_when_gone(loop: Loop, pid: int, call: Callable[[], object]) -> None:
    """Have `call` called once, in the loop, when the process is gone. Never, on a system without pidfd_open(2)."""
    try:
        pidfd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return

    def gone() -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        call()

    loop.add_reader(pidfd, gone)
