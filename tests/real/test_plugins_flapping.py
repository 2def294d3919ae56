"""`[plugin:flapping]` as in old configurations, and its class as a program of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.real.support import Daemon, Program

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

USE = "circus.plugins.flapping.Flapping"
CRASHER = "[watcher:crasher]\ncmd = false\nautostart = False\ncopy_env = True\n"


def test_crash_loop_is_paused_and_then_given_up_as_the_section_says(tmp_path: Path) -> None:
    section = f"[plugin:flapping]\nuse = {USE}\nattempts = 2\nwindow = 20\nretry_in = 0.1\nmax_retry = 2\n"
    with Daemon(tmp_path, section + CRASHER) as daemon, daemon.events("watcher.crasher.") as events:
        events.sync(lambda: daemon.call("set", name="crasher", options={"priority": 1}))
        daemon.call("start", name="crasher")
        flapping = events.wait("crasher.flapping", 3)
        daemon.wait_for_status("crasher", "stopped")
        # No program is started for it, and it is no watcher.
        assert daemon.call("list")["watchers"] == ["crasher"]
        assert "given up" in daemon.call("status", name="crasher")["reason_text"]
        assert events.topics().count("crasher.flapping") == 3
    assert [(step["attempt"], step["max_retry"], step["given_up"]) for step in flapping] == [
        (1, 2, False),
        (2, 2, False),
        (2, 2, True),
    ]
    assert 0.08 < flapping[0]["retry_in"] < 0.12
    assert "flapping detected: reached max retry limit" in daemon.output


def test_inactive_section_turns_the_detection_off(tmp_path: Path) -> None:
    section = f"[plugin:flapping]\nuse = {USE}\nactive = False\n"
    with Daemon(tmp_path, section + CRASHER) as daemon, daemon.events("watcher.crasher.") as events:
        events.sync(lambda: daemon.call("set", name="crasher", options={"priority": 1}))
        daemon.call("start", name="crasher")
        events.wait("crasher.spawn", 3)
        assert "crasher.flapping" not in events.topics()
        assert daemon.call("status", name="crasher")["status"] == "active"


def test_class_run_by_hand_logs_each_step_and_stops_nothing(tmp_path: Path) -> None:
    options = "flapping.retry_in = 0.1\nflapping.backoff = 1\nflapping.max_retry = -1\n"
    with Daemon(tmp_path, CRASHER + options) as daemon:
        daemon.call("start", name="crasher")
        words = ["-c", "from circus import plugins; plugins.main()"]
        where = ["--endpoint", daemon.endpoints.control, "--pubsub", daemon.endpoints.pubsub]
        with Program([sys.executable, *words, *where, USE], tmp_path) as follower:
            follower.wait_for_output("flapping is found and paused by circusd itself")
            line = follower.wait_for_output("crasher: worker 1 is flapping")
            assert line.endswith("last exit code 1")
        assert daemon.call("status", name="crasher")["status"] == "active"
