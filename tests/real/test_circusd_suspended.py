"""A circusd that does not answer because somebody has suspended it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from circus.client import CallError, CircusClient
from circus.posix import processes
from tests.real.support import Daemon, Endpoints, ipc_endpoints, tcp_endpoints, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_circusctl_says_that_the_daemon_is_suspended_and_how_it_goes_on(tmp_path: Path, kind: str) -> None:
    endpoints: Endpoints = tcp_endpoints() if kind == "tcp" else ipc_endpoints(tmp_path)
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\n", endpoints=endpoints) as daemon:
        daemon.wait_for_status("a", "active")
        pids = daemon.pids("a")
        suspend(daemon)
        try:
            done = daemon.ctl("status")
            assert done.returncode == 1
            assert done.stdout == ""
            [line] = done.stderr.splitlines()
            assert "suspended" in line
            assert f"kill -CONT {daemon.pid}" in line
            impatient = CircusClient(endpoint=endpoints.control, timeout=0.1)
            with impatient, pytest.raises(CallError, match=r"^Timed out\.$"):
                impatient.send_message("status")
        finally:
            daemon.signal(signal.SIGCONT)
        assert daemon.ctl("status").stdout == "a: active\n"
        assert daemon.pids("a") == pids


def test_deaths_while_it_was_suspended_are_answered_when_it_goes_on(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\nnumprocesses = 3\n") as daemon:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 3)
        before = daemon.pids("a")
        suspend(daemon)
        try:
            for pid in before:
                os.kill(pid, signal.SIGKILL)
        finally:
            daemon.signal(signal.SIGCONT)
        daemon.wait_for(lambda: len(daemon.pids("a")) == 3 and set(daemon.pids("a")).isdisjoint(before))


def suspend(daemon: Daemon) -> None:
    daemon.signal(signal.SIGSTOP)
    wait_for(lambda: (seen := processes.look(daemon.pid)) is not None and seen.state == "T")
