"""A circusd that may not signal one of its programs: here as root without CAP_KILL."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.support import Daemon

pytestmark = pytest.mark.usefixtures("nobody_left")

CONFIG = """
    [watcher:foreign]
    cmd = sleep 1000
    uid = nobody
    graceful_timeout = 0.5
    [watcher:own]
    cmd = sleep 1000
"""


class Powerless(Daemon):
    through = ("setpriv", "--bounding-set=-kill")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    if os.geteuid():
        pytest.skip("needs root, to start a program as somebody else")
    with Powerless(tmp_path, CONFIG) as daemon:
        daemon.wait_for_status("foreign", "active")
        (pid,) = daemon.pids("foreign")
        yield daemon
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def test_signal_that_is_not_permitted_is_the_error_of_its_command(daemon: Daemon) -> None:
    (pid,) = daemon.pids("foreign")
    reason = f"not permitted to signal pid {pid}, it runs as nobody"
    reply = daemon.call("signal", name="foreign", signum="usr1")
    assert (reply["status"], reply["reason"], reply["errno"]) == ("error", reason, 4)
    for words in (["signal", "foreign", "usr1"], ["signal", "foreign", str(pid), "usr1"]):
        run = daemon.ctl(*words)
        assert (run.returncode, run.stderr) == (3, f"error: {reason}\n")
    assert daemon.call("signal", name="own", signum="cont")["status"] == "ok"


def test_stop_says_why_it_cannot_end_and_status_too(daemon: Daemon) -> None:
    (pid,) = daemon.pids("foreign")
    reason = f"not permitted to signal pid {pid}, it runs as nobody"
    reply = daemon.call("stop", name="foreign", waiting=True)
    assert (reply["status"], reply["reason"]) == ("error", f"'foreign': {reason}")
    reply = daemon.call("status", name="foreign")
    assert (reply["status"], reply["reason_text"]) == ("stopping", reason)
    os.kill(pid, signal.SIGKILL)
    daemon.wait_for_status("foreign", "stopped")
    assert "Traceback" not in daemon.output


def test_quit_leaves_it_behind_with_a_warning(daemon: Daemon) -> None:
    (pid,) = daemon.pids("foreign")
    daemon.client.send_message("quit", waiting=True)
    assert daemon.wait() == 0
    assert f"[WARNING] foreign: leaving [{pid}] behind" in daemon.output
    assert "hangs in the kernel" not in daemon.output
    assert "Traceback" not in daemon.output
    os.kill(pid, 0)
