"""Programs that crash at once or cannot be started at all: paced, shown, and nobody else suffers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.real.proc import cpu_seconds, program, text_of
from tests.real.support import Daemon, is_gone, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

CRASHER = """
    [watcher:a]
    cmd = {cmd}
    flapping.attempts = 2
    flapping.window = 1
    flapping.retry_in = 0.2
    flapping.backoff = 1
    flapping.max_retry = {max_retry}
    """


def crasher(directory: Path, max_retry: int) -> str:
    return CRASHER.format(cmd=program("crasher.py", directory), max_retry=max_retry)


def starts(directory: Path) -> int:
    return len(text_of(directory / "starts"))


def test_program_that_crashes_at_once_is_paced_and_given_up_and_can_be_started_by_hand(tmp_path: Path) -> None:
    with Daemon(tmp_path, crasher(tmp_path, max_retry=2)) as daemon, daemon.events("watcher.a.flapping") as events:
        status = daemon.wait_for(lambda: _reason(daemon, "given up"))
        assert status["status"] == "stopped"
        assert "exit code 3" in status["reason_text"]
        assert "given up" in daemon.ctl("status", "a").stdout
        assert starts(tmp_path) == 6  # two deaths make a pause: at the start, and after each of two pauses
        [last] = [event for event in events.wait("a.flapping") if event["given_up"]]
        assert (last["exit_code"], last["max_retry"]) == (3, 2)
        assert "flapping detected: retry in" in daemon.output
        assert "reached max retry limit" in daemon.output

        (tmp_path / "OK").touch()
        assert daemon.ctl("start", "a", "--waiting").stdout == "ok\n"
        assert daemon.call("status", name="a")["status"] == "active"
        assert "reason_text" not in daemon.call("status", name="a")
        daemon.wait_for(lambda: starts(tmp_path) == 7)


def test_program_in_its_pause_is_shown_as_backing_off_and_recovers_by_itself(tmp_path: Path) -> None:
    with Daemon(tmp_path, crasher(tmp_path, max_retry=-1)) as daemon:
        status = daemon.wait_for(lambda: _reason(daemon, "backing off"))
        assert "exit code 3" in status["reason_text"]
        (tmp_path / "OK").touch()
        daemon.wait_for(lambda: daemon.pids("a") and "reason_text" not in daemon.call("status", name="a"))


def _reason(daemon: Daemon, text: str) -> dict[str, Any] | None:
    status = daemon.call("status", name="a")
    found = text in status.get("reason_text", "") and status["status"] != "stopping"
    return status if found else None


def test_stop_of_a_program_in_its_pause_is_at_once_and_for_good(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    config = crasher(tmp_path, max_retry=-1) + crasher(tmp_path / "other", max_retry=-1).replace(":a]", ":other]")
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: _reason(daemon, "backing off"))
        assert daemon.call("stop", name="a", waiting=True)["status"] == "ok"
        assert daemon.call("status", name="a")["status"] == "stopped"
        count, others = starts(tmp_path), starts(tmp_path / "other")
        daemon.wait_for(lambda: starts(tmp_path / "other") > others + 4)  # at least two pauses later
        assert starts(tmp_path) == count
        assert daemon.call("status", name="a")["status"] == "stopped"


@pytest.mark.untraced
def test_programs_that_cannot_be_started_leave_the_daemon_idle_and_the_others_up(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program\n")
    (tmp_path / "garbage").write_bytes(b"\x00\x01\x02\x03")
    (tmp_path / "garbage").chmod(0o755)
    bad = {
        "missing": f"cmd = {tmp_path}/not-there",
        "not-in-path": "cmd = no-such-program-anywhere",
        "not-executable": f"cmd = {tmp_path}/plain",
        "no-format": f"cmd = {tmp_path}/garbage",
        "no-directory": f"cmd = sleep 60\nworking_dir = {tmp_path}/not-there",
        "no-user": "cmd = sleep 60\nuid = no-such-user",
        "no-group": "cmd = sleep 60\ngid = no-such-group",
        "empty": "cmd = ",
    }
    sections = [f"[watcher:{name}]\nmax_retry = -1\npriority = 1\n{lines}" for name, lines in bad.items()]
    sections += [f"[watcher:good-{number}]\ncmd = sleep 60" for number in range(3)]
    with Daemon(tmp_path, "\n".join(sections)) as daemon:
        for number in range(3):
            daemon.wait_for_status(f"good-{number}", "active")
        reasons = daemon.wait_for(lambda: _failed(daemon, set(bad) - {"empty"}))
        for name, words in {
            "missing": "not-there",
            "not-in-path": "no-such-program-anywhere",
            "not-executable": "plain",
            "no-directory": "directory",
            "no-user": "no-such-user",
            "no-group": "no-such-group",
        }.items():
            assert words in reasons[name], reasons
            assert "next try in" in reasons[name]

        cpu = cpu_seconds(daemon.pid)
        daemon.wait_for(lambda: daemon.output.count("error in 'missing'") > 4)  # 0.1 + 0.2 + 0.4 + 0.8 s
        assert cpu_seconds(daemon.pid) - cpu < 0.5  # trying without a pause would take all of it

        assert daemon.call("stop", waiting=True)["status"] == "ok"
        statuses = daemon.call("status")["statuses"]
        assert set(statuses.values()) == {"stopped"}, statuses


def _failed(daemon: Daemon, names: set[str]) -> dict[str, str] | None:
    """The reasons once each of them was tried some times."""
    reasons: dict[str, str] = daemon.call("status").get("reasons", {})
    tried = {name for name, reason in reasons.items() if reason.partition("failure ")[2] >= "3"}
    return reasons if names <= tried else None


def test_program_that_cannot_be_started_is_given_up_after_max_retry_and_works_once_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "late"
    with Daemon(tmp_path, f"[watcher:a]\ncmd = {path}\nmax_retry = 3\n") as daemon:
        status = daemon.wait_for(lambda: _reason(daemon, "given up after 3 attempts"))
        assert status["status"] == "stopped"
        assert f"there is no {path}" in status["reason_text"]
        path.write_text("#!/bin/sh\nexec sleep 60\n")
        path.chmod(0o755)
        assert len(daemon.call("start", name="a", waiting=True)["info"]["started"]) == 1


def test_program_whose_file_vanishes_while_it_runs_comes_back_when_the_file_does(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    with Daemon(tmp_path, f"[watcher:a]\ncmd = {path}\nmax_retry = -1\n") as daemon:
        daemon.wait_for_status("a", "active")
        path.rename(tmp_path / "aside")
        [pid] = daemon.pids("a")
        os.kill(pid, 9)
        daemon.wait_for(lambda: "failure" in daemon.call("status", name="a").get("reason_text", ""))
        (tmp_path / "aside").rename(path)
        daemon.wait_for(lambda: daemon.pids("a") not in ([], [pid]))


NOT_RUNNING = {
    "typo": ("cmd = {directory}/gunikorn\nmax_retry = 2", "typo: not started: ", "there is no {directory}/gunikorn"),
    "vetoed": ("cmd = sleep 60\nhooks.before_start = tests.real.programs.hooks.refuse", "vetoed: not started: ", ""),
    "dead": ("cmd = sh -c 'exit 3'", "dead: 1 of 1 ended at once", ""),
    "once": ("cmd = sh -c 'exit 3'\nrespawn = False", "once: not started: ended: exit code 3", ""),
}


@pytest.mark.parametrize("name", NOT_RUNNING)
def test_request_that_waits_says_why_a_watcher_does_not_run(tmp_path: Path, name: str) -> None:
    options, begin, part = NOT_RUNNING[name]
    text = f"[watcher:{name}]\n{options.format(directory=tmp_path)}\nautostart = False\n"
    with Daemon(tmp_path, text + "[watcher:good]\ncmd = sleep 60\n") as daemon:
        daemon.wait_for_status("good", "active")
        for command in ("start", "restart", "reload"):
            reply = daemon.call(command, name=name, waiting=True)
            assert reply["status"] == "ok"  # with the keys that programs for Circus 0.19 read
            # On a busy machine the answer may come between the birth and the death of the second attempt.
            wait_for(lambda pids=reply["info"]["started"]: all(map(is_gone, pids)))
            assert reply["reason"].startswith(begin)
            assert part.format(directory=tmp_path) in reply["reason"]
            daemon.call("stop", name=name, waiting=True)
        reply = daemon.call("start", name="good", waiting=True)
        assert (reply["status"], "reason" in reply) == ("ok", False)


def test_request_for_several_that_waits_is_an_error_if_one_of_them_does_not_run(tmp_path: Path) -> None:
    text = f"[watcher:typo]\ncmd = {tmp_path}/gunikorn\nmax_retry = 1\n[watcher:good]\ncmd = sleep 60\n"
    with Daemon(tmp_path, text) as daemon:
        daemon.wait_for_status("good", "active")
        for properties in ({}, {"name": "*"}):
            reply = daemon.call("start", waiting=True, **properties)
            assert (reply["status"], reply["errno"]) == ("error", 5)
            assert reply["reason"].startswith("typo: not started: ")
        assert daemon.call("status", name="good")["status"] == "active"
