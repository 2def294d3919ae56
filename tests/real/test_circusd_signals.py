"""Signals to a real circusd that are neither its end nor a reload."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.real.support import Daemon

pytestmark = pytest.mark.usefixtures("nobody_left")

CONFIG = """
    [watcher:silent]
    cmd = sleep 60
    stdout_stream.class = {stream}
    stdout_stream.filename = {directory}/silent.log
    stdout_stream.rotate_when = D
"""


@pytest.mark.parametrize("stream", ["FileStream", "WatchedFileStream", "TimedRotatingFileStream"])
def test_usr1_opens_log_files_anew_without_waiting_for_output(tmp_path: Path, stream: str) -> None:
    with Daemon(tmp_path, CONFIG.format(stream=stream, directory=tmp_path)) as daemon:
        daemon.wait_for_status("silent", "active")
        pids = daemon.pids("silent")
        (tmp_path / "silent.log").rename(tmp_path / "silent.log.1")
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.wait_for((tmp_path / "silent.log").exists)
        daemon.wait_for_output("Log files are opened anew")
        assert daemon.pids("silent") == pids


@pytest.mark.parametrize("signum", [signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGIO, 45])
def test_signal_that_means_nothing_is_ignored_and_the_log_says_so(tmp_path: Path, signum: int) -> None:
    with Daemon(tmp_path, CONFIG.format(stream="FileStream", directory=tmp_path)) as daemon:
        daemon.wait_for_status("silent", "active")
        pids = daemon.pids("silent")
        daemon.process.send_signal(signum)
        daemon.wait_for_output("which means nothing here: ignored")
        assert daemon.pids("silent") == pids
