"""circusd as the first process of a container. Only where namespaces can be made: as root on Linux."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.real.proc import children_of, program, zombies_of
from tests.real.support import PATIENCE, Daemon, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def _can_unshare() -> bool:
    return (
        bool(shutil.which("unshare")) and subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL).returncode == 0
    )


class Container(Daemon):
    """circusd as pid 1 of a namespace of its own; `pid` is that of unshare(1), which only waits."""

    through = UNSHARE

    @property
    def circusd(self) -> int:
        """As it is numbered outside."""
        [inner] = wait_for(lambda: children_of(self.pid))
        return int(inner.pid)

    def signal(self, signum: int) -> None:
        os.kill(self.circusd, signum)

    def end(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.wait()
        super().end()


if os.geteuid() == 0 and _can_unshare():

    def test_pid_1_reaps_a_thousand_orphans(tmp_path: Path) -> None:
        config = f"[watcher:a]\ncmd = {program('orphans.py', 1000, tmp_path / 'done')}\n"
        with Container(tmp_path, config) as daemon:
            daemon.wait_for((tmp_path / "done").exists, 60)
            wait_for(lambda: zombies_of(daemon.circusd) == [])
            assert daemon.call("dstats")["info"]["pid"] == 1
            assert daemon.call("status", name="a")["status"] == "active"

    def test_pid_1_reaps_the_dead_of_a_stranger_that_was_put_into_its_namespace(tmp_path: Path) -> None:
        with Container(tmp_path, "[watcher:a]\ncmd = sleep 1000\n") as daemon:
            daemon.wait_for_status("a", "active")
            # As `docker exec` does: a process nobody here has started, whose children become orphans.
            words = ["nsenter", "--pid", "--mount", "--target", str(daemon.circusd), "/bin/sh", "-c"]
            subprocess.run([*words, "for i in 1 2 3 4 5; do (sh -c 'exit 3' &); done"], check=True)
            wait_for(lambda: zombies_of(daemon.circusd) == [])
            assert len(daemon.pids("a")) == 1

    def test_pid_1_ends_everything_and_itself_at_sigterm(tmp_path: Path) -> None:
        config = f"[watcher:a]\ncmd = {program('stubborn.py', tmp_path / 'ready')}\ngraceful_timeout = 0.3\n"
        with Container(tmp_path, config) as daemon:
            daemon.wait_for((tmp_path / "ready").exists)
            started = time.monotonic()
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
            assert time.monotonic() - started < PATIENCE
            assert "Arbiter exiting" in daemon.output

    def test_pid_1_tells_the_exit_codes_of_its_own_children(tmp_path: Path) -> None:
        config = "[watcher:a]\ncmd = sh -c 'exit 7'\nautostart = False\nrespawn = False\n"
        with Container(tmp_path, config) as daemon, daemon.events() as events:
            events.sync(lambda: daemon.call("set", name="a", options={"priority": 1}))
            for count in range(1, 6):
                daemon.call("start", name="a")
                reaps = events.wait("a.reap", count)
            assert [reap["exit_code"] for reap in reaps] == [7] * 5
