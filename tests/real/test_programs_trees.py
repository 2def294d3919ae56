"""Programs that are more than one process: all of it ends with its watcher, however well it hides."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.real.proc import marked, program, text_of
from tests.real.support import Daemon, is_gone, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]


class Tree:
    """A daemon with one watcher, `a`; `pids` are all that ever came from it and live."""

    def __init__(self, directory: Path, cmd: str, *options: str) -> None:
        self.mark = f"TREE_TEST={directory.name}-{os.getpid()}"
        lines = ["[env]", "PATH = $PATH", self.mark.replace("=", " = "), "[watcher:a]", f"cmd = {cmd}", *options]
        self.daemon = Daemon(directory, "\n".join(lines))

    def __enter__(self) -> Tree:
        self.daemon.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.daemon.__exit__(*error)  # type: ignore[arg-type]  # as in the protocol

    def pids(self) -> list[int]:
        return marked(self.mark)

    def stop(self) -> None:
        assert self.daemon.call("stop", name="a", waiting=True)["status"] == "ok"


# ---- a shell pipeline ------------------------------------------------------------------------------------------


def test_stop_ends_every_program_of_a_shell_pipeline(tmp_path: Path) -> None:
    line = f"while :; do echo tick; sleep 0.05; done | tee {tmp_path}/tee | sed 's/tick/tock/' > {tmp_path}/sed"
    with Tree(tmp_path, line, "shell = True") as tree:
        wait_for(lambda: "tick" in text_of(tmp_path / "tee"))
        wait_for(lambda: len(tree.pids()) >= 4)
        tree.stop()
        assert tree.pids() == []
        assert "did not end" not in tree.daemon.output  # SIGTERM was enough


def test_shell_pipeline_is_one_worker_and_restarted_as_one(tmp_path: Path) -> None:
    with Tree(tmp_path, "sleep 1000 | sleep 1000", "shell = True") as tree:
        before = wait_for(lambda: (pids := tree.pids()) and len(pids) == 3 and pids)
        [shell] = tree.daemon.pids("a")
        os.kill(shell, signal.SIGKILL)
        after = wait_for(lambda: (pids := tree.pids()) and len(pids) == 3 and set(pids).isdisjoint(before) and pids)
        [shell] = tree.daemon.pids("a")
        assert shell in after


# ---- one that will not die -------------------------------------------------------------------------------------


def start_stubborn(directory: Path, *options: str) -> Tree:
    return Tree(directory, program("stubborn.py", directory / "ready"), "graceful_timeout = 0.3", *options)


def wait_until_ready(directory: Path) -> None:
    wait_for((directory / "ready").exists)
    (directory / "ready").unlink()


def test_stop_leaves_nothing_of_a_program_that_hides_and_forks_while_it_is_killed(tmp_path: Path) -> None:
    with start_stubborn(tmp_path) as tree:
        for _ in range(3):
            wait_until_ready(tmp_path)
            wait_for(lambda: len(tree.pids()) > 10)
            [worker] = tree.daemon.pids("a")
            tree.stop()
            assert tree.pids() == []
            killed = re.findall(r"a: SIGKILL sent to (.*)", tree.daemon.output)
            assert killed, tree.daemon.output
            assert sum(line.count("[") for line in killed) > 5
            assert f"a [{worker}] did not end after SIGTERM: sending SIGKILL" in tree.daemon.output
            tree.daemon.call("start", name="a")


def test_quit_leaves_nothing_of_a_program_that_hides_and_forks_while_it_is_killed(tmp_path: Path) -> None:
    with start_stubborn(tmp_path, "numprocesses = 2") as tree:
        wait_until_ready(tmp_path)
        tree.daemon.signal(signal.SIGTERM)
        assert tree.daemon.wait() == 0
        assert tree.pids() == []


def test_crash_of_such_a_program_leaves_nothing_beside_its_successor(tmp_path: Path) -> None:
    with start_stubborn(tmp_path, "flapping.retry_in = 0.1") as tree:
        wait_until_ready(tmp_path)
        before = set(tree.pids())
        [worker] = tree.daemon.pids("a")
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: tree.daemon.pids("a") not in ([], [worker]))
        assert all(map(is_gone, before))
        assert f"a [{worker}] ended (signal SIGKILL) but left" in tree.daemon.output


# ---- offspring that may live on --------------------------------------------------------------------------------


def test_offspring_survives_the_stop_without_stop_tree(tmp_path: Path) -> None:
    line = f"setsid sh -c 'echo $$ > {tmp_path}/offspring; exec sleep 1000' & exec sleep 1000"
    with Tree(tmp_path, line, "shell = True", "stop_tree = False") as tree:
        written = wait_for(lambda: text_of(tmp_path / "offspring").strip())
        offspring = int(written)
        try:
            tree.stop()
            assert tree.pids() == [offspring]
            tree.daemon.call("start", name="a", waiting=True)
            tree.stop()
            assert offspring in tree.pids()
        finally:
            for pid in tree.pids():
                os.kill(pid, signal.SIGKILL)


def test_offspring_ends_with_the_stop_by_default(tmp_path: Path) -> None:
    line = f"setsid sh -c 'echo $$ > {tmp_path}/offspring; exec sleep 1000' & exec sleep 1000"
    with Tree(tmp_path, line, "shell = True") as tree:
        written = wait_for(lambda: text_of(tmp_path / "offspring").strip())
        tree.stop()
        assert is_gone(int(written))
        assert tree.pids() == []


# ---- one that daemonises itself --------------------------------------------------------------------------------


def test_program_that_daemonises_itself_never_runs_twice_and_the_log_says_what_to_do(tmp_path: Path) -> None:
    cmd = program("background.py", tmp_path / "pids")
    options = ("graceful_timeout = 5", "flapping.retry_in = 0.1", "flapping.max_retry = 3", "flapping.backoff = 1")
    with Tree(tmp_path, cmd, *options) as tree:
        most = 0

        def given_up() -> bool:
            nonlocal most
            most = max(most, len(tree.pids()))
            return bool(tree.daemon.call("status", name="a").get("reason_text", "").startswith("given up"))

        wait_for(given_up, what=lambda: tree.daemon.output)
        assert most <= 3  # of one copy: the one that forks, its child, its grandchild
        assert "let the program stay in the foreground" in tree.daemon.output
        wait_for(lambda: tree.pids() == [])
        tree.daemon.wait_for_status("a", "stopped")
