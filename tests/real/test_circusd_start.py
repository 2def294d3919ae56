"""How circusd comes up, and why it sometimes does not: pid file, addresses in use, background."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from circus.posix import processes
from tests.real.proc import PROGRAMS, descriptors_of, program, text_of
from tests.real.support import ROOT, Daemon, Endpoints, Program, ipc_endpoints, is_gone, tcp_endpoints, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

SLEEPER = "[watcher:a]\ncmd = sleep 60\n"


def circusd(directory: Path, *words: str) -> Program:
    """Another circusd with the configuration that is there."""
    return Program([sys.executable, "-m", "circus.circusd", *words, str(directory / "circus.ini")], directory)


def error_line(program: Program) -> str:
    """The only thing it said."""
    [line] = [line for line in program.output.splitlines() if line]
    assert "Traceback" not in line
    return line


# ---- addresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["endpoint", "pubsub_endpoint"])
def test_tcp_port_in_use_is_one_line_and_exit_code_1(tmp_path: Path, which: str) -> None:
    endpoints = tcp_endpoints()
    taken = endpoints.control if which == "endpoint" else endpoints.pubsub
    squatter = socket.create_server(("127.0.0.1", int(taken.rpartition(":")[2])))
    with squatter, Daemon(tmp_path, SLEEPER, endpoints=endpoints) as daemon:
        assert daemon.wait() == 1
        line = error_line(daemon)
    assert f"{which} {taken}" in line
    assert "in use" in line


def test_ipc_socket_of_a_living_daemon_is_not_taken_away(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        with circusd(tmp_path) as second:
            assert second.wait() == 1
            assert "in use" in error_line(second)
        assert daemon.call("status", name="a")["status"] == "active"


def test_ipc_sockets_left_by_a_killed_daemon_do_not_matter(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        [pid] = daemon.pids("a")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        os.kill(pid, signal.SIGKILL)
    assert (tmp_path / "ctl").exists()
    with Daemon(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")


def test_ipc_sockets_are_open_to_their_owner_only(tmp_path: Path) -> None:
    with Daemon(tmp_path, "umask = 000\n" + SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        for name in ("ctl", "pub"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_directory_of_the_ipc_socket_that_is_not_there_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    endpoints = Endpoints(f"ipc://{tmp_path}/no/ctl", f"ipc://{tmp_path}/pub")
    with Daemon(tmp_path, SLEEPER, endpoints=endpoints) as daemon:
        assert daemon.wait() == 1
        assert f"there is no directory {tmp_path}/no" in error_line(daemon)


# ---- two at once -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pidfile", "tcp", "ipc"])
def test_of_two_daemons_started_at_once_exactly_one_wins(tmp_path: Path, kind: str) -> None:
    endpoints = tcp_endpoints() if kind == "tcp" else ipc_endpoints(tmp_path)
    extra = f"pidfile = {tmp_path}/pid\n" if kind == "pidfile" else ""
    for _ in range(5):
        with Daemon(tmp_path, extra + SLEEPER, endpoints=endpoints) as first, circusd(tmp_path) as second:
            both = (first, second)
            wait_for(lambda both=both: any(daemon.process.poll() is not None for daemon in both))
            [loser] = [daemon for daemon in both if daemon.process.poll() is not None]
            [winner] = [daemon for daemon in both if daemon is not loser]
            assert loser.process.returncode == 1
            error_line(loser)
            winner.wait_for_output("Arbiter now waiting for commands")
            wait_for(lambda first=first: first.call("status")["statuses"] == {"a": "active"})  # whichever answers
            if kind == "pidfile":
                assert (tmp_path / "pid").read_text() == f"{winner.pid}\n"
            winner.end()


@pytest.mark.parametrize("left_behind", [False, True])
def test_ipc_path_bound_by_two_in_the_same_moment_belongs_to_one(tmp_path: Path, left_behind: bool) -> None:
    rounds = 60
    for number in range(rounds) if left_behind else ():
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / str(number)))
    words = [sys.executable, str(PROGRAMS / "bind_race.py"), str(tmp_path), str(time.time() + 1.0), str(rounds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    racers = [subprocess.Popen(words, env=env, text=True, **pipes) for _ in range(2)]
    got = [json.loads(racer.stdout.readline()) for racer in racers if racer.stdout]
    for racer in racers:
        racer.communicate()
    assert sorted(got[0] + got[1]) == list(range(rounds))


# ---- pid file --------------------------------------------------------------------------------------------------


def test_pid_file_is_there_while_the_daemon_runs(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with Daemon(tmp_path, SLEEPER, "--pidfile", str(path)) as daemon:
        daemon.wait_for_status("a", "active")
        assert path.read_text() == f"{daemon.pid}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        with circusd(tmp_path, "--pidfile", str(path)) as second:
            assert second.wait() == 1
            reason = f"another daemon runs and holds the pid file '{path}', current pid {daemon.pid}: "
            assert reason in error_line(second)
        assert path.read_text() == f"{daemon.pid}\n"
        daemon.call("quit", waiting=True)
        assert daemon.wait() == 0
        assert not path.exists()


@pytest.mark.parametrize("text", ["1\n", "own", "4194999\n", "rubbish\n", ""])
def test_pid_file_nobody_holds_does_not_keep_it_from_starting(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n" if text == "own" else text)
    with Daemon(tmp_path, SLEEPER, "--pidfile", str(path)) as daemon:
        daemon.wait_for_status("a", "active")
        assert path.read_text() == f"{daemon.pid}\n"


def test_pid_file_survives_kill_9_and_does_not_keep_the_next_one_from_starting(tmp_path: Path) -> None:
    config = f"pidfile = {tmp_path}/pid\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("waiting for commands")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
    assert (tmp_path / "pid").exists()
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: text_of(tmp_path / "pid") == f"{daemon.pid}\n")


# ---- odd beginnings --------------------------------------------------------------------------------------------

# What it is started with belongs to whoever starts it: a shell's `&`, nohup, a launcher with signals blocked.
MISTREATED = """
import os, signal, sys
for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1):
    signal.signal(signum, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execv(sys.argv[1], sys.argv[1:])
"""


class Mistreated(Daemon):
    through = (sys.executable, "-c", MISTREATED)


def test_daemon_started_with_signals_ignored_and_blocked_works_and_hands_none_of_it_on(tmp_path: Path) -> None:
    with Mistreated(tmp_path, f"[watcher:a]\ncmd = {program('show.py', tmp_path / 'shown')}\n") as daemon:
        daemon.wait_for((tmp_path / "shown").exists)
        facts = json.loads((tmp_path / "shown").read_text())
        assert facts["blocked"] == []
        assert set(facts["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}  # by Python itself
        [pid] = daemon.pids("a")
        os.kill(pid, signal.SIGKILL)
        daemon.wait_for(lambda: daemon.pids("a") not in ([], [pid]))
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


class Closed(Daemon):
    through = ("/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")


def test_daemon_started_without_standard_descriptors_gives_its_children_the_null_device(tmp_path: Path) -> None:
    config = f"[watcher:a]\ncmd = {program('show.py', tmp_path / 'shown')}\nclose_child_stdin = False\n"
    with Closed(tmp_path, f"logoutput = {tmp_path}/log\n" + config) as daemon:
        daemon.wait_for((tmp_path / "shown").exists)
        assert json.loads((tmp_path / "shown").read_text())["descriptors"] == dict.fromkeys("012", "/dev/null")
        assert "a started" in text_of(tmp_path / "log")


def test_incr_starts_what_was_to_start_with_zero_processes(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:spare]\ncmd = sleep 60\nnumprocesses = 0\n") as daemon:
        assert daemon.call("status", name="spare")["status"] == "stopped"
        assert daemon.call("incr", name="spare", nb=2, waiting=True)["numprocesses"] == 2
        assert daemon.call("status", name="spare")["status"] == "active"
        assert len(daemon.pids("spare")) == 2
        daemon.call("decr", name="spare", nb=2, waiting=True)
        assert daemon.pids("spare") == []
        assert daemon.call("incr", name="spare", waiting=True)["numprocesses"] == 1
        assert len(daemon.pids("spare")) == 1


# ---- background ------------------------------------------------------------------------------------------------


def test_daemon_flag_detaches_from_everything_and_quit_removes_the_pid_file(tmp_path: Path) -> None:
    pidfile, log = tmp_path / "pid", tmp_path / "log"
    words = ("--daemon", "--pidfile", str(pidfile), "--log-output", str(log))
    with Daemon(tmp_path, SLEEPER, *words) as starter:
        assert starter.wait() == 0
        assert starter.output == ""
        pid = int(wait_for(lambda: text_of(pidfile)))
        try:
            wait_for(lambda: starter.call("status", name="a")["status"] == "active")
            look = processes.look(pid)
            assert look is not None
            assert look.session not in (os.getsid(0), starter.pid)
            assert look.session != pid  # no session leader: a terminal it opens cannot become its own
            assert [descriptors_of(pid)[fd] for fd in (0, 1, 2)] == ["/dev/null"] * 3
            assert os.readlink(f"/proc/{pid}/cwd") == str(tmp_path)
            assert f"Starting master on pid {pid}" in log.read_text()

            with circusd(tmp_path, *words) as second:
                assert second.wait() == 1
                assert f"current pid {pid}" in error_line(second)

            assert starter.call("quit", waiting=True)["status"] == "ok"
            wait_for(lambda: is_gone(pid))
            assert not pidfile.exists()
        finally:
            if not is_gone(pid):
                os.kill(pid, signal.SIGTERM)


def test_daemon_that_cannot_start_says_so_before_it_goes_into_the_background(tmp_path: Path) -> None:
    words = ("--daemon", "--log-output", f"{tmp_path}/no/log")
    with Daemon(tmp_path, SLEEPER, *words) as daemon:
        assert daemon.wait() == 1
        assert f"{tmp_path}/no/log" in error_line(daemon)
