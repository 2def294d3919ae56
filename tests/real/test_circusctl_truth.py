"""What circusctl says and how it ends is true, by a real circusd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.support import Daemon

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

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


@pytest.mark.parametrize("option", ["hooks.before_start", "stdout_stream.class"])
def test_module_that_ends_the_program_is_an_error_and_the_daemon_goes_on(
    daemon: Daemon, tmp_path: Path, option: str
) -> None:
    (tmp_path / "a_program.py").write_text("import sys\nsys.exit(7)\n")
    (tmp_path / "ends.py").write_text("class Stream:\n    def __init__(self, **_):\n        raise SystemExit(7)\n")
    before = daemon.pids("good")
    run = daemon.ctl("set", "good", option, "a_program.it", "--waiting")
    assert (run.returncode, "its module ends the program" in run.stderr) == (3, True)
    assert daemon.ctl("set", "good", "stdout_stream.class", "ends.Stream", "--waiting").returncode == 3
    assert daemon.pids("good") == before


def test_watcher_whose_stream_ends_the_program_is_stopped_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("class Stream:\n    def __init__(self, **_):\n        raise SystemExit(7)\n")
    config = """
        [watcher:bad]
        cmd = sleep 1000
        stdout_stream.class = ends.Stream
        [watcher:good]
        cmd = sleep 1000
    """
    with Daemon(tmp_path, config, env={"PYTHONPATH": str(tmp_path)}) as daemon:
        daemon.wait_for_status("good", "active")
        assert "ends.Stream ends the program" in daemon.call("status", name="bad")["reason_text"]
