"""Helpers for the tests of `circus.posix`: children that are cleaned up, facts that are waited for."""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from circus.posix.launch import Child, Launch
from circus.posix.processes import look
from circus.posix.spawn import spawn

PATH = "/usr/local/bin:/usr/bin:/bin"
NOBODY = 65534 if os.geteuid() != 65534 else 65533  # a user that we are not
AS_ROOT = os.geteuid() == 0

# The ways of starting a program (see circus.posix.spawn), by what has to be asked for so that each is taken.
WAYS: dict[str, Callable[[Launch], Launch]] = {
    "direct": lambda launch: launch,
    "prlimit": lambda launch: launch._replace(rlimits=(*launch.rlimits, ("CORE", 0))),
    "launcher": lambda launch: launch._replace(rlimits=(*launch.rlimits, ("CORE", 0)), executable=launch.program),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))


def shell(script: str, **options: Any) -> Launch:
    options.setdefault("env", {"PATH": PATH})
    return Launch(argv=("/bin/sh", "-c", script), **options)


def wait_for(fact: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true value of `fact`; AssertionError when it takes too long."""
    deadline = time.monotonic() + seconds
    while not (value := fact()):
        assert time.monotonic() < deadline, f"still not true after {seconds} s"
        time.sleep(0.002)
    return value


def read_all(fd: int | None) -> bytes:
    """Up to the end of the pipe, which is closed."""
    assert fd is not None
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    os.close(fd)
    return b"".join(parts)


def output_of(launch: Launch) -> str:
    """What a program with stdout="pipe" prints; it must end well."""
    child = spawn(launch)
    text = os.fsdecode(read_all(child.stdout))
    _, status = os.waitpid(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, text
    return text


def end(child: Child) -> None:
    """SIGKILL and reap; close its pipes."""
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    for fd in (child.stdout, child.stderr):
        if fd is not None:
            os.close(fd)


def descriptors() -> dict[int, str]:
    """Our open descriptors and what they lead to."""
    found = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue  # the one the list was read through
    return found


def is_gone(pid: int) -> bool:
    """Ended, whether or not somebody has waited for it."""
    entry = look(pid)
    return entry is None or entry.is_zombie


def in_child(function: Callable[[], Any]) -> Any:
    """Run it in a process of its own, for what would change this one for good; its result.

    What it raises is raised here with its traceback as text, and whatever it leaves running is killed with its
    process group or, adopted by init, shown by the test itself.
    """
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        os.setsid()
        try:
            answer = (True, function())
        except BaseException:
            answer = (False, traceback.format_exc())
        with os.fdopen(write_end, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    assert data, "the process ended without an answer"
    good, value = pickle.loads(data)
    assert good, value
    return value


class FakeLoop:
    """The two calls that `Children` and `Signals` make, over a real selector."""

    def __init__(self) -> None:
        import selectors

        self._selector = selectors.DefaultSelector()

    def add_reader(self, fd: int, call: Callable[[], None]) -> None:
        self._selector.register(fd, 1, call)

    def remove_reader(self, fd: int) -> None:
        self._selector.unregister(fd)

    def turn(self, seconds: float = 0.0) -> int:
        """Run what is ready; how many."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            key.data()
        return len(ready)

    def registered(self) -> int:
        return len(self._selector.get_map() or {})

    def close(self) -> None:
        self._selector.close()
