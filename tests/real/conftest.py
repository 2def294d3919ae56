"""Fixtures for tests with real processes."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator

import pytest

from circus.posix import tree
from tests.real.support import survivors

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

# What a test has ended may take a moment to be gone: a killed process still frees its memory.
_PATIENCE = 3.0


@pytest.fixture(scope="session", autouse=True)
def _signals_as_in_a_terminal() -> None:
    """What runs in the background or below nohup ignores these, and hands that on to the programs under test."""
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL)


@pytest.fixture
def nobody_left() -> Iterator[None]:
    """Fails a test that leaves a process running, whoever its parent was: orphans come to us meanwhile."""
    libc = ctypes.CDLL(None)
    before = {entry.pid for entry in tree.descendants(os.getpid())}
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
        deadline = time.monotonic() + _PATIENCE
        while _alive(before) and time.monotonic() < deadline:
            time.sleep(0.01)
        left = survivors(before)
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    assert not left, f"left running: {left}"


def _alive(before: set[int]) -> bool:
    return any(not entry.is_zombie and entry.pid not in before for entry in tree.descendants(os.getpid()))
