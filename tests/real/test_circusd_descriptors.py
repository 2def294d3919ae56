"""A daemon that runs out of descriptors."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.real.support import Daemon

pytestmark = [
    pytest.mark.usefixtures("nobody_left"),
    pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit(1) of util-linux limits the daemon"),
]


class Limited(Daemon):
    through = ("prlimit", "--nofile=64:64")


def config(directory: Path) -> str:
    return f"""
        [watcher:small]
        cmd = sleep 60
        priority = 1
        [watcher:large]
        cmd = sleep 60
        numprocesses = 60
        stdout_stream.class = FileStream
        stdout_stream.filename = {directory}/out
        """


def test_watcher_that_needs_too_many_is_given_up_with_the_reason_and_the_daemon_goes_on(tmp_path: Path) -> None:
    with Limited(tmp_path, config(tmp_path)) as daemon:
        given_up = "given up after 5 attempts"
        daemon.wait_for(lambda: given_up in daemon.call("status", name="large").get("reason_text", ""))
        daemon.wait_for_status("large", "stopped")
        reason = daemon.call("status", name="large")["reason_text"]
        assert "circusd has used up its 64 descriptors; raise the limit" in reason
        assert daemon.call("status", name="small")["status"] == "active"

        daemon.call("set", name="large", options={"numprocesses": 3})
        assert len(daemon.call("start", name="large", waiting=True)["info"]["started"]) == 3
        daemon.call("restart", name="small", waiting=True)
        assert len(daemon.pids("small")) == 1


def test_daemon_without_a_free_descriptor_can_still_be_asked_and_mended(tmp_path: Path) -> None:
    patient = config(tmp_path).replace("numprocesses = 60", "numprocesses = 60\n        max_retry = -1")
    with Limited(tmp_path, patient) as daemon:
        reason = "circusd has used up its 64 descriptors"
        daemon.wait_for(lambda: reason in daemon.call("status", name="large").get("reason_text", ""))
        up = len(daemon.pids("large"))
        assert 0 < up < 60
        assert daemon.ctl("status").returncode == 0  # a connection of its own
        daemon.call("set", name="large", options={"numprocesses": up - 2})
        daemon.wait_for(lambda: len(daemon.pids("large")) == up - 2)
        daemon.wait_for(lambda: "reason_text" not in daemon.call("status", name="large"))
        daemon.call("restart", name="small", waiting=True)
        assert len(daemon.pids("small")) == 1


def test_processes_without_output_need_none_to_be_watched(tmp_path: Path) -> None:
    text = "[watcher:a]\ncmd = sleep 60\nnumprocesses = 80\ngraceful_timeout = 2\n"
    with Limited(tmp_path, text) as daemon:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 80)
        pids = daemon.pids("a")
        os.kill(pids[-1], signal.SIGKILL)  # noticed by asking now and then
        daemon.wait_for(lambda: pids[-1] not in daemon.pids("a") and len(daemon.pids("a")) == 80)
        assert daemon.ctl("status").returncode == 0
