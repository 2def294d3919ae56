"""The command reloader, started by circusd: a watcher whose script was edited is restarted, and no other."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.real.proc import text_of
from tests.real.support import Daemon

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

PLUGIN = "[plugin:reloader]\nuse = circus.plugins.command_reloader.CommandReloader\nloop_rate = 0.1\n"

SCRIPT = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()} VERSION\\n")
time.sleep(1000)
"""


class Worker:
    """A watcher whose script is a relative name; its starts are noted in a file."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.script = directory / f"{name}.py"
        self.starts_path = directory / f"{name}.log"
        self.write("1")
        cmd = f"{sys.executable} {self.script.name} {self.starts_path}"
        self.config = f"[watcher:{name}]\ncmd = {cmd}\nworking_dir = {directory}\n"

    def write(self, version: str) -> None:
        """As an editor does: written aside, then renamed over it."""
        aside = self.script.with_suffix(".new")
        aside.write_text(SCRIPT.replace("VERSION", version))
        aside.replace(self.script)

    @property
    def starts(self) -> list[str]:
        """Versions that ran, one for each start."""
        return [line.split()[1] for line in text_of(self.starts_path).splitlines()]


class Scene:
    """Two workers under a daemon with the plugin, which has seen both."""

    def __init__(self, daemon: Daemon, one: Worker, two: Worker) -> None:
        self.daemon, self.one, self.two = daemon, one, two
        daemon.wait_for(lambda: one.starts and two.starts)
        daemon.wait_for_output("plugin:reloader: Starting")
        self.version = 1
        self.one_look()

    def one_look(self) -> None:
        """Edit the second script until its watcher is restarted: the plugin has looked at the first one meanwhile.

        Not longer: a process that is restarted at every look never comes to its first line on a busy machine.
        """
        before, told_before = len(self.two.starts), self._told

        def told() -> bool:
            self.version += 1
            self.two.write(str(self.version))
            return self._told > told_before

        self.daemon.wait_for(told)
        self.daemon.wait_for(lambda: len(self.two.starts) > before)
        self.daemon.wait_for_status("two", "active")

    @property
    def _told(self) -> int:
        """How often the plugin has said that the second one is restarted."""
        return self.daemon.output.count("command_reloader: two is restarted")


@pytest.fixture
def workers(tmp_path: Path) -> tuple[Worker, Worker]:
    return Worker(tmp_path, "one"), Worker(tmp_path, "two")


def test_watcher_of_an_edited_script_is_restarted_with_the_new_text(
    tmp_path: Path, workers: tuple[Worker, Worker]
) -> None:
    one, two = workers
    with Daemon(tmp_path, one.config + two.config + PLUGIN) as daemon:
        Scene(daemon, one, two)
        one.write("new")
        daemon.wait_for(lambda: one.starts == ["1", "new"])
        assert daemon.wait_for_output(f"command_reloader: one is restarted: {one.script} has changed")


def test_script_that_vanishes_and_returns_as_it_was_restarts_nobody(
    tmp_path: Path, workers: tuple[Worker, Worker]
) -> None:
    one, two = workers
    with Daemon(tmp_path, one.config + two.config + PLUGIN) as daemon:
        scene = Scene(daemon, one, two)
        away = one.script.rename(one.script.with_suffix(".away"))
        scene.one_look()
        away.rename(one.script)
        scene.one_look()
        assert one.starts == ["1"]
        one.script.unlink()
        scene.one_look()
        one.write("new")
        daemon.wait_for(lambda: one.starts == ["1", "new"])


def test_stopped_watcher_stays_stopped(tmp_path: Path, workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    with Daemon(tmp_path, one.config + two.config + PLUGIN) as daemon:
        scene = Scene(daemon, one, two)
        daemon.call("stop", name="one", waiting=True)
        scene.one_look()
        one.write("new")
        scene.one_look()
        assert daemon.call("status", name="one")["status"] == "stopped"
        daemon.call("start", name="one", waiting=True)
        daemon.wait_for(lambda: one.starts == ["1", "new"])
        scene.one_look()
        assert one.starts == ["1", "new"]


def test_watcher_of_a_program_behind_a_symlink_is_restarted_when_that_leads_elsewhere(tmp_path: Path) -> None:
    starts, current = tmp_path / "starts", tmp_path / "current"
    for release in ("r1", "r2"):
        path = tmp_path / release / "run"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\necho {release} >> {starts}\nexec sleep 1000\n")
        path.chmod(0o755)
        os.utime(path, (1, 1))  # as deployments do that are the same on every machine
    current.symlink_to("r1")
    with Daemon(tmp_path, f"[watcher:app]\ncmd = {current}/run\n" + PLUGIN) as daemon:
        daemon.wait_for_output("plugin:reloader: Starting")
        daemon.wait_for(lambda: text_of(starts) == "r1\n")
        looked_at(daemon, current / "run")
        aside = tmp_path / "aside"
        aside.symlink_to("r2")
        aside.replace(current)
        daemon.wait_for(lambda: text_of(starts).endswith("r2\n"))


def looked_at(daemon: Daemon, path: Path) -> None:
    """Return when the plugin knows the file: a change of it has led to a restart."""
    before = daemon.output.count("is restarted")
    times = iter(range(2, 10**6))

    def restarted() -> bool:
        os.utime(path, (next(times),) * 2)
        return daemon.output.count("is restarted") > before

    daemon.wait_for(restarted)
