"""Going into the background, in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from circus.posix import daemon
from tests.real.posix_support import in_child, is_gone, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")

PROGRAM = """
import json, os, sys
from circus.posix.daemon import daemonize
kept = os.open("/dev/zero", os.O_RDONLY)
print("said before", end="")
daemonize()
print("said to nobody", flush=True)
facts = {
    "pid": os.getpid(), "session": os.getsid(0), "cwd": os.getcwd(),
    "fds": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in "012"},
    "closed": not os.path.exists(f"/proc/self/fd/{kept}"),
}
with open(sys.argv[1] + ".part", "w") as file:
    json.dump(facts, file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


def test_daemon_has_no_terminal_no_descriptors_and_the_same_directory(tmp_path: Path) -> None:
    result = tmp_path / "facts"
    starter = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(result)], capture_output=True, text=True, timeout=60, cwd=os.getcwd()
    )
    assert (starter.returncode, starter.stdout, starter.stderr) == (0, "said before", "")
    wait_for(result.exists)
    facts: dict[str, Any] = json.loads(result.read_text())
    assert facts["fds"] == dict.fromkeys("012", "/dev/null")
    assert facts["closed"]
    assert facts["cwd"] == os.getcwd()
    assert facts["session"] not in (facts["pid"], os.getsid(0)), "a session, but not its leader"
    wait_for(lambda: is_gone(facts["pid"]))


def test_gevent_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gevent.hub", types.ModuleType("gevent.hub"))
    with pytest.raises(ValueError, match="gevent"):
        daemon.daemonize()


def test_system_without_fork_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(ValueError, match="fork"):
        daemon.daemonize()


def test_descriptors_of_a_range_are_closed_and_no_others() -> None:
    def process() -> list[bool]:
        fds = [os.dup2(2, fd) for fd in range(200, 204)]
        daemon.closerange(fds[1], fds[3])
        return [os.path.exists(f"/proc/self/fd/{fd}") for fd in fds]

    assert in_child(process) == [True, False, False, True]


def test_highest_descriptor_comes_from_the_hard_limit() -> None:
    import resource

    assert daemon.get_maxfd() == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
