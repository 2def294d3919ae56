"""What happens while circusd runs: deaths, ages, many processes; and what each process is born with."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from circus.posix import processes
from tests.real.proc import children_of, descriptors_of, program, text_of, threads_of, zombies_of
from tests.real.support import Daemon, is_gone, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]


# ---- birth -----------------------------------------------------------------------------------------------------


def shown(daemon: Daemon, path: Path) -> dict[str, Any]:
    daemon.wait_for(path.exists)
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def test_child_has_exactly_the_standard_descriptors(tmp_path: Path) -> None:
    streams = (
        f"stdout_stream.class = FileStream\nstdout_stream.filename = {tmp_path}/out\n"
        f"stderr_stream.class = FileStream\nstderr_stream.filename = {tmp_path}/err\n"
    )
    config = (
        f"[watcher:plain]\ncmd = {program('show.py', tmp_path / 'plain')}\n"
        f"[watcher:streamed]\ncmd = {program('show.py', tmp_path / 'streamed')}\n{streams}"
        f"[watcher:limited]\ncmd = {program('show.py', tmp_path / 'limited')}\nrlimit_core = 0\n{streams}"
        f"[watcher:closed]\ncmd = {program('show.py', tmp_path / 'closed')}\n"
        "close_child_stdout = True\nclose_child_stderr = True\n"
    )
    with Daemon(tmp_path, f"logoutput = {tmp_path}/log\n" + config) as daemon:
        for name in ("plain", "streamed", "limited", "closed"):
            found = shown(daemon, tmp_path / name)["descriptors"]
            assert set(found) == {"0", "1", "2"}, (name, found)
            assert found["0"] == "/dev/null"
            if name == "closed":
                assert found["1"] == found["2"] == "/dev/null"
            elif name == "plain":
                assert found["1"] == str(daemon.output_path)
            else:
                assert found["1"].startswith("pipe:")
                assert found["2"].startswith("pipe:")


# What the C library of Python itself may add.
BY_PYTHON = {"LC_CTYPE"}


def test_child_has_exactly_its_own_environment(tmp_path: Path) -> None:
    config = f"""
        [env]
        SHARED = of all
        BOTH = of all
        FROM = $OUTER
        [env:own*]
        BOTH = of one
        [watcher:own]
        cmd = {program("show.py", tmp_path / "own")}
        [watcher:other]
        cmd = {program("show.py", tmp_path / "other")}
        [watcher:copied]
        cmd = {program("show.py", tmp_path / "copied")}
        copy_env = True
        """
    with Daemon(tmp_path, config, env={"OUTER": "from outside"}) as daemon:
        environments = {name: shown(daemon, tmp_path / name)["environment"] for name in ("own", "other", "copied")}
        for found in environments.values():
            for name in BY_PYTHON:
                found.pop(name, None)
    common = {"SHARED": "of all", "FROM": "from outside"}
    assert environments["own"] == {**common, "BOTH": "of one"}
    assert environments["other"] == {**common, "BOTH": "of all"}
    outer = {**os.environ, **common, "BOTH": "of all", "OUTER": "from outside"}
    expected = {name: value for name, value in outer.items() if name not in ("PYTHONPATH", *BY_PYTHON)}
    assert environments["copied"].items() >= expected.items()


def test_child_without_any_env_section_has_an_empty_environment(tmp_path: Path) -> None:
    with Daemon(tmp_path, f"[watcher:a]\ncmd = {program('show.py', tmp_path / 'a')}\n") as daemon:
        assert set(shown(daemon, tmp_path / "a")["environment"]) <= BY_PYTHON


def test_child_leads_a_session_and_begins_with_default_signals_and_the_umask_of_the_file(tmp_path: Path) -> None:
    config = f"umask = 027\n[watcher:a]\ncmd = {program('show.py', tmp_path / 'a')}\nworking_dir = /\n"
    with Daemon(tmp_path, config) as daemon:
        facts = shown(daemon, tmp_path / "a")
        assert facts["session"] == facts["pid"] == daemon.pids("a")[0]
        # These two are what Python itself ignores.
        assert set(facts["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}
        assert facts["blocked"] == []
        assert facts["umask"] == 0o027
        assert facts["directory"] == "/"


# ---- death and age ---------------------------------------------------------------------------------------------


def test_500_restarts_cost_neither_a_descriptor_nor_a_thread_nor_a_zombie(tmp_path: Path) -> None:
    config = f"""
        [watcher:a]
        cmd = echo . >> {tmp_path}/starts; echo said
        shell = True
        numprocesses = 2
        flapping.attempts = 100000
        stdout_stream.class = FileStream
        stdout_stream.filename = {tmp_path}/out
        hooks.after_spawn = tests.real.programs.hooks.accept
        [watcher:quiet]
        cmd = sleep 1000
        """

    def starts() -> int:
        return len(text_of(tmp_path / "starts").splitlines())

    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("quiet", "active")
        daemon.wait_for(lambda: starts() > 20)
        daemon.call("stop", name="a", waiting=True)
        descriptors, threads = len(descriptors_of(daemon.pid)), threads_of(daemon.pid)
        before = starts()
        daemon.call("start", name="a")
        daemon.wait_for(lambda: starts() >= before + 500, 40)
        [quiet] = daemon.pids("quiet")
        daemon.call("stop", name="a", waiting=True)
        wait_for(lambda: len(descriptors_of(daemon.pid)) <= descriptors, what=lambda: descriptors_of(daemon.pid))
        # The thread of a pump ends a moment after it has said that it is done.
        wait_for(lambda: len(threads_of(daemon.pid)) <= len(threads), what=lambda: threads_of(daemon.pid))
        assert zombies_of(daemon.pid) == []
        assert [entry.pid for entry in children_of(daemon.pid)] == [quiet]
        assert (tmp_path / "out").read_text() == "said\n" * starts()


def test_death_is_answered_at_once_and_not_at_the_next_check(tmp_path: Path) -> None:
    with Daemon(tmp_path, "check_delay = 3600\n[watcher:a]\ncmd = sleep 1000\nnumprocesses = 3\n") as daemon:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 3)
        before = daemon.pids("a")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        daemon.wait_for(lambda: len(daemon.pids("a")) == 3 and set(daemon.pids("a")).isdisjoint(before))


def test_process_that_may_not_be_respawned_stays_down_until_it_is_started_again(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    config = f"[watcher:a]\ncmd = echo $WID >> {path}\nshell = True\nrespawn = False\nnumprocesses = 2\n"
    with Daemon(tmp_path, config) as daemon:
        for runs in (2, 4, 6):
            daemon.wait_for(lambda runs=runs: len(text_of(path).splitlines()) == runs)
            daemon.wait_for_status("a", "stopped")
            assert "reason_text" not in daemon.call("status", name="a")  # it ended well
            daemon.call("start", name="a", waiting=True)
        assert set(path.read_text().split()) == {"1", "2"}


def test_start_fires_what_is_missing_of_a_watcher_that_does_not_respawn(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\nrespawn = False\nnumprocesses = 2\n") as daemon:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 2)
        dead, alive = daemon.pids("a")
        os.kill(dead, signal.SIGKILL)
        daemon.wait_for(lambda: daemon.pids("a") == [alive])
        assert daemon.call("status", name="a")["status"] == "active"
        info = daemon.call("start", name="a", waiting=True)["info"]
        assert info["kept"] == [alive]
        assert len(info["started"]) == 1
        assert set(daemon.pids("a")) == {alive, *info["started"]}


def test_process_is_replaced_at_its_age(tmp_path: Path) -> None:
    config = "check_delay = 0.1\n[watcher:a]\ncmd = sleep 1000\nmax_age = 1\nmax_age_variance = 0\nnumprocesses = 2\n"
    with Daemon(tmp_path, config + "[watcher:b]\ncmd = sleep 1000\n") as daemon:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 2)
        before, [other] = daemon.pids("a"), daemon.pids("b")
        for pid in before:
            daemon.wait_for(lambda pid=pid: is_gone(pid))
        daemon.wait_for(lambda: len(daemon.pids("a")) == 2)
        assert "reached its max_age" in daemon.output
        assert daemon.pids("b") == [other]


# ---- many ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    0 < resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096, reason="the hard limit of descriptors is below 4096"
)
def test_descriptors_above_1023_work_like_others(tmp_path: Path) -> None:
    config = f"""
        [watcher:many]
        cmd = echo up $WID; exec sleep 1000
        shell = True
        numprocesses = 550
        graceful_timeout = 60
        stdout_stream.class = FileStream
        stdout_stream.filename = {tmp_path}/out
        stderr_stream.class = FileStream
        stderr_stream.filename = {tmp_path}/err
        [watcher:late]
        cmd = echo late; exec sleep 1000
        shell = True
        autostart = False
        stdout_stream.class = FileStream
        stdout_stream.filename = {tmp_path}/late
        """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: len(text_of(tmp_path / "out").splitlines()) == 550, 60)
        expected = sorted(f"up {wid}" for wid in range(1, 551))
        assert sorted((tmp_path / "out").read_text().splitlines()) == expected
        assert daemon.call("start", name="late", waiting=True)["status"] == "ok"
        assert max(descriptors_of(daemon.pid)) > 1023
        daemon.wait_for(lambda: text_of(tmp_path / "late") == "late\n")
        [pid] = daemon.pids("late")
        os.kill(pid, signal.SIGKILL)
        daemon.wait_for(lambda: text_of(tmp_path / "late") == "late\nlate\n")
        assert daemon.ctl("status", "many").stdout == "active\n"  # a connection gets a high number, too
        assert daemon.call("stop", name="many", waiting=True)["status"] == "ok"
        assert len(descriptors_of(daemon.pid)) < 100


class Narrow(Daemon):
    through = ("/bin/sh", "-c", 'ulimit -n 80; exec "$@"', "sh")


def test_daemon_out_of_descriptors_says_so_goes_on_and_recovers(tmp_path: Path) -> None:
    config = f"""
        [watcher:greedy]
        cmd = sleep 1000
        numprocesses = 100
        max_retry = -1
        stdout_stream.class = FileStream
        stdout_stream.filename = {tmp_path}/out
        stderr_stream.class = FileStream
        stderr_stream.filename = {tmp_path}/err
        [watcher:modest]
        cmd = sleep 1000
        """
    with Narrow(tmp_path, config) as daemon:
        daemon.wait_for_status("modest", "active")
        reason = daemon.wait_for(lambda: daemon.call("status", name="greedy").get("reason_text"))
        assert "circusd has used up its 80 descriptors" in reason
        assert 0 < len(daemon.pids("greedy")) < 100
        assert daemon.call("restart", name="modest", waiting=True)["status"] == "ok"
        assert daemon.ctl("status", "modest").stdout == "active\n"
        daemon.call("set", name="greedy", options={"numprocesses": 5})
        daemon.wait_for(lambda: len(daemon.pids("greedy")) == 5)
        daemon.wait_for_status("greedy", "active")
        assert "reason_text" not in daemon.call("status", name="greedy")


def test_adopted_dead_strangers_do_not_stay_zombies(tmp_path: Path) -> None:
    config = f"[watcher:a]\ncmd = {program('orphans.py', 100, tmp_path / 'done')}\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for((tmp_path / "done").exists)
        wait_for(lambda: zombies_of(daemon.pid) == [])
        assert daemon.call("status", name="a")["status"] == "active"


def test_hook_gets_the_exit_codes_of_its_own_children(tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    config = """
        [watcher:a]
        cmd = sleep 1000
        numprocesses = 5
        hooks.before_spawn = tests.real.programs.hooks.exit_code_of_a_child
        [watcher:noise]
        cmd = true
        flapping.attempts = 100000
        """
    with Daemon(tmp_path, config, env={"HOOK_FILE": str(codes)}) as daemon:
        daemon.wait_for(lambda: len(text_of(codes).splitlines()) == 5)
        assert codes.read_text().splitlines() == ["[0, 1, 2, 3, 4]"] * 5


def test_suspended_worker_can_be_stopped(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\ngraceful_timeout = 0.2\n") as daemon:
        daemon.wait_for_status("a", "active")
        [pid] = daemon.pids("a")
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: (seen := processes.look(pid)) is not None and seen.state == "T")
        assert daemon.call("stop", name="a", waiting=True)["status"] == "ok"
        assert is_gone(pid)
