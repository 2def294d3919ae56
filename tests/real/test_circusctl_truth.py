"""What circusctl says and how it ends is true, by a real circusd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.support import Daemon

pytestmark = pytest.mark.usefixtures("nobody_left")

CONFIG = """
    [watcher:typo]
    cmd = /usr/bin/gunikorn
    max_retry = 1
    autostart = false
    [watcher:dead]
    cmd = sh -c "exit 3"
    copy_env = true
    autostart = false
    [watcher:refused]
    cmd = sleep 1000
    hooks.before_start = hooks_here.no
    autostart = false
    [watcher:good]
    cmd = sleep 1000
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "hooks_here.py").write_text("def no(**_):\n    return False\n")
    with Daemon(tmp_path, CONFIG, env={"PYTHONPATH": str(tmp_path)}) as daemon:
        daemon.wait_for_status("good", "active")
        yield daemon


@pytest.mark.parametrize("verb", ["start", "restart"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("typo", "there is no /usr/bin/gunikorn"),
        ("dead", "exit code 3"),
        ("refused", "before_start hook"),
    ],
)
def test_start_that_did_not_come_about_is_an_error(daemon: Daemon, verb: str, name: str, reason: str) -> None:
    run = daemon.ctl(verb, name, "--waiting")
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr.startswith(f"error: {name}: ")
    assert reason in run.stderr
    run = daemon.ctl("--json", verb, name, "--waiting")
    assert run.returncode == 3
    assert reason in json.loads(run.stdout)["reason"]


def test_start_that_worked_is_ok(daemon: Daemon) -> None:
    run = daemon.ctl("restart", "good", "--waiting")
    assert (run.returncode, run.stdout, run.stderr) == (0, "ok\n", "")


def test_words_of_a_program_stay_words_from_the_command_line_to_exec(daemon: Daemon, tmp_path: Path) -> None:
    out = tmp_path / "out file"
    script = f"printf '%s|' \"$@\" > '{out}'; exec sleep 99"
    run = daemon.ctl("add", "--start", "--waiting", "n", "/bin/sh", "-c", script, "sh", "a b", "$HOME", "it's", "")
    assert (run.returncode, run.stderr) == (0, "")
    daemon.wait_for(lambda: out.exists() and out.read_text() == "a b|$HOME|it's||")


def test_single_word_is_a_command_line_as_ever(daemon: Daemon) -> None:
    assert daemon.ctl("add", "--start", "--waiting", "n", "sleep 77").returncode == 0
    assert daemon.call("get", name="n", keys=["cmd"])["options"] == {"cmd": "sleep 77"}
