"""Defects that daemons of this kind are known for, each of them absent: one test for each."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import zmq

from circus.client import CircusClient, cast_message
from tests.real.proc import cpu_seconds, environment, marked, program, text_of
from tests.real.support import Daemon, is_gone, tcp_endpoints, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

HOOKS = "tests.real.programs.hooks"
SLEEPER = "[watcher:a]\ncmd = sleep 1000\n"

DEAF = """
[watcher:deaf]
cmd = trap '' TERM USR1; echo > {directory}/up; while :; do sleep 1000; done
shell = True
graceful_timeout = {grace}
"""


def start_deaf(directory: Path, more: str = "", grace: float = 1000) -> Daemon:
    """With a watcher `deaf` that takes `grace` seconds to stop."""
    daemon = Daemon(directory, DEAF.format(directory=directory, grace=grace) + more)
    daemon.wait_for((directory / "up").exists)
    return daemon


def stop_in_background(daemon: Daemon, name: str = "deaf") -> None:
    assert daemon.call("stop", name=name)["status"] == "ok"
    daemon.wait_for(lambda: daemon.call("status", name=name)["status"] == "stopping")


def reason(reply: dict[str, Any]) -> tuple[int, str]:
    assert reply["status"] == "error", reply
    return reply["errno"], reply["reason"]


# ---- commands that overlap -------------------------------------------------------------------------------------


def test_commands_during_a_slow_stop_are_carried_out_not_refused(tmp_path: Path) -> None:
    with start_deaf(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        stop_in_background(daemon)
        for command in ("restart", "reload", "incr", "decr", "stop", "start"):
            reply = daemon.call(command, name="a", waiting=True)
            assert reply["status"] == "ok", reply
        assert daemon.call("set", name="a", options={"numprocesses": 2}, waiting=True)["status"] == "ok"
        assert daemon.call("add", name="b", cmd="sleep 1000", start=True, waiting=True)["status"] == "ok"
        assert daemon.call("rm", name="b", waiting=True)["status"] == "ok"
        assert daemon.call("status", name="deaf")["status"] == "stopping"
        assert daemon.call("kill", name="deaf", graceful_timeout=0)["status"] == "ok"
        daemon.wait_for_status("deaf", "stopped")


def test_cast_during_a_slow_stop_is_not_lost(tmp_path: Path) -> None:
    with start_deaf(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        stop_in_background(daemon)
        daemon.client.call(cast_message("stop", name="a"))
        daemon.wait_for_status("a", "stopped")
        daemon.call("kill", name="deaf", graceful_timeout=0)


def test_sigterm_during_a_slow_stop_is_not_lost(tmp_path: Path) -> None:
    with start_deaf(tmp_path, SLEEPER, grace=0.5) as daemon:
        stop_in_background(daemon)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


def test_start_during_a_slow_stop_wins_and_both_requests_are_answered(tmp_path: Path) -> None:
    with (
        start_deaf(tmp_path, grace=0.3) as daemon,
        CircusClient(endpoint=daemon.endpoints.control, timeout=20) as other,
    ):
        stop = other.send({"command": "stop", "properties": {"name": "deaf", "waiting": True}})
        assert stop is not None
        daemon.wait_for(lambda: daemon.call("status", name="deaf")["status"] == "stopping")
        assert daemon.call("start", name="deaf", waiting=True)["status"] == "ok"
        assert stop.receive(20)["status"] == "ok"
        assert daemon.call("status", name="deaf")["status"] == "active"


def test_dead_process_of_one_watcher_is_replaced_while_another_one_stops_slowly(tmp_path: Path) -> None:
    with start_deaf(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        stop_in_background(daemon)
        [victim] = daemon.pids("a")
        os.kill(victim, signal.SIGKILL)
        daemon.wait_for(lambda: daemon.pids("a") not in ([], [victim]))
        assert "Traceback" not in daemon.output
        daemon.call("kill", name="deaf", graceful_timeout=0)


def test_start_of_an_active_watcher_that_misses_a_process_does_not_block(tmp_path: Path) -> None:
    config = "[watcher:a]\ncmd = sleep 1000\nnumprocesses = 2\nflapping.attempts = 1\nflapping.retry_in = 300\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 2)
        dead, alive = daemon.pids("a")
        os.kill(dead, signal.SIGKILL)
        daemon.wait_for(lambda: daemon.pids("a") == [alive])
        info = daemon.call("start", name="a", waiting=True)["info"]
        assert (info["kept"], len(info["started"])) == ([alive], 1)


@pytest.mark.untraced
def test_program_that_cannot_be_started_for_ever_does_not_spin(tmp_path: Path) -> None:
    config = f"[watcher:bad]\ncmd = {tmp_path}/missing\nmax_retry = -1\n" + SLEEPER
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("a", "active")
        daemon.wait_for(lambda: daemon.output.count("error in 'bad'") >= 3)
        before = cpu_seconds(daemon.pid)
        daemon.wait_for(lambda: daemon.output.count("error in 'bad'") >= 5)  # 1.2 s later
        assert cpu_seconds(daemon.pid) - before < 0.5


# ---- requests that are none ------------------------------------------------------------------------------------

NONE = [b"", b"   ", b"[]", b"null", b"5", b'"stop"', b"{}", b'{"command": null}', b'{"command": 5}', b"\xff\xfe", b"{"]


def test_malformed_requests_are_answered_and_the_next_ones_too(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(daemon.endpoints.control)
            for body in NONE:  # all at once, so that a socket that is stuck would show
                dealer.send(body)
            for _ in NONE:
                assert dealer.poll(20_000)
                reply = json.loads(dealer.recv())
                assert reply["status"] == "error"
                assert reply["errno"] in (1, 2, 3)
            dealer.send_multipart([b"a", b"b", b"c"])
            assert dealer.poll(20_000)
            assert json.loads(dealer.recv())["status"] == "error"
            dealer.send(b'{"command": "numwatchers", "id": 1}')
            assert dealer.poll(20_000)
            assert json.loads(dealer.recv())["numwatchers"] == 1


def test_req_socket_gets_its_answer(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPER) as daemon, zmq.Context() as context, context.socket(zmq.REQ) as req:
        req.linger = 0
        req.connect(daemon.endpoints.control)
        for _ in range(3):
            req.send(b'{"command": "numwatchers"}')
            assert req.poll(20_000)
            assert json.loads(req.recv())["numwatchers"] == 1


def test_waiting_request_that_fails_is_answered(tmp_path: Path) -> None:
    config = (
        f"[watcher:bad]\ncmd = {tmp_path}/missing\nautostart = False\nmax_retry = 2\n"
        f"[watcher:refused]\ncmd = sleep 1000\nautostart = False\nhooks.before_start = {HOOKS}.refuse\n"
    )
    with Daemon(tmp_path, config) as daemon:
        for name in ("bad", "refused"):
            for command in ("start", "restart", "reload"):
                reply = daemon.call(command, name=name, waiting=True)
                assert reply["status"] == "ok", reply
                assert reply["reason"]
            assert daemon.call("stop", name=name, waiting=True)["status"] == "ok"
            assert daemon.call("incr", name=name, waiting=True)["numprocesses"] == 2


# ---- flapping --------------------------------------------------------------------------------------------------


def test_stopping_many_processes_at_once_is_not_flapping(tmp_path: Path) -> None:
    config = "[plugin:flapping]\nuse = circus.plugins.flapping.Flapping\nretry_in = 0.1\n"
    sections = "[watcher:My Web]\ncmd = sleep 1000\nnumprocesses = 8\n[watcher:clock]\ncmd = false\n"
    with Daemon(tmp_path, config + sections + "flapping.max_retry = -1\nflapping.backoff = 1\n") as daemon:
        daemon.wait_for(lambda: len(daemon.pids("My Web")) == 8)
        daemon.call("stop", name="My Web", waiting=True)
        seen = daemon.output.count("clock: flapping detected")
        daemon.wait_for(lambda: daemon.output.count("clock: flapping detected") > seen + 2)
        status = daemon.call("status", name="My Web")
        assert (status["status"], status.get("reason_text")) == ("stopped", None)
        assert "My Web: flapping" not in daemon.output


def test_one_death_in_each_of_many_processes_is_not_flapping(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\nnumprocesses = 20\n") as daemon:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 20)
        before = daemon.pids("a")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        daemon.wait_for(lambda: len(daemon.pids("a")) == 20 and set(daemon.pids("a")).isdisjoint(before))
        assert "flapping" not in daemon.output


def test_flapping_watcher_whose_name_has_a_blank_is_found_and_stopped(tmp_path: Path) -> None:
    config = "[watcher:My Web]\ncmd = false\nflapping.retry_in = 0.05\nflapping.max_retry = 1\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("My Web", "stopped")
        daemon.wait_for(lambda: "given up" in daemon.call("status", name="my_web").get("reason_text", ""))


# ---- descendants -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "stop_children = True\n"])
def test_grandchildren_do_not_survive_a_stop(tmp_path: Path, options: str) -> None:
    """The parent goes at once, the child ignores SIGTERM, the grandchild has left the session."""
    inner = "trap '' TERM; setsid sleep 1000 & sleep 1000"
    mark = f"DEFECT_TEST={os.getpid()}-{tmp_path.name}"
    config = f'[env]\n{mark}\nPATH = $PATH\n[watcher:a]\ncmd = sh -c "{inner}" & sleep 1000\nshell = True\n'
    with Daemon(tmp_path, config + "graceful_timeout = 0.3\n" + options) as daemon:
        daemon.wait_for(lambda: len(marked(mark)) == 5)
        assert daemon.call("stop", name="a", waiting=True)["status"] == "ok"
        assert marked(mark) == []


def test_every_death_is_reaped_and_told_once_also_of_processes_we_end(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\nnumprocesses = 4\n") as daemon, daemon.events() as events:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 4)
        events.sync(lambda: daemon.call("set", name="a", options={"priority": 1}))
        first, second, *_ = pids = daemon.pids("a")
        os.kill(first, signal.SIGKILL)
        events.wait("a.reap")  # else `decr` may choose the one that is about to die
        daemon.call("kill", name="a", pid=second, waiting=True)
        daemon.call("decr", name="a", waiting=True)
        daemon.call("reload", name="a", waiting=True)
        reaped = [payload["process_pid"] for payload in events.wait("a.reap", 6)]
        assert set(pids) <= set(reaped)
        assert len(set(reaped)) == len(reaped)


# ---- words and environment -------------------------------------------------------------------------------------


def test_wid_is_substituted_in_cmd_and_args(tmp_path: Path) -> None:
    path = tmp_path / "shown"
    config = f"[watcher:a]\ncmd = {program('show.py', f'{path}-$WID', 'cmd-$WID')}\n"
    with Daemon(tmp_path, config + "args = args-$WID $(circus.wid) ((CIRCUS.WID))\nnumprocesses = 2\n") as daemon:
        for wid in (1, 2):
            daemon.wait_for(Path(f"{path}-{wid}").exists)
            found = json.loads(Path(f"{path}-{wid}").read_text())["arguments"]
            assert found == [f"cmd-{wid}", f"args-{wid}", str(wid), str(wid)]


def test_shell_gets_the_command_as_it_is_written(tmp_path: Path) -> None:
    cmd = f"X='one  two'; echo \"$X\" | tr o 0 > {tmp_path}/out; echo $((6 * 7)) $HOME >> {tmp_path}/out; sleep 1000"
    with Daemon(tmp_path, f"[env]\nHOME = /home/x\n[watcher:a]\nshell = True\ncmd = {cmd}\n") as daemon:
        daemon.wait_for(lambda: text_of(tmp_path / "out") == "0ne  tw0\n42 /home/x\n")


def test_section_name_leaks_neither_into_options_nor_into_the_environment(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[env]\nA = 1\n[env:a]\nB = 2\n" + SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        options = daemon.call("options", name="a")["options"]
        assert "__name__" not in options
        assert options["env"] == {"A": "1", "B": "2"}
        assert environment(daemon.pids("a")[0]) == {"A": "1", "B": "2"}


def test_executable_is_used_and_the_first_word_stays_the_name(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = another-name 1000\nexecutable = /bin/sleep\n") as daemon:
        daemon.wait_for_status("a", "active")
        [pid] = daemon.pids("a")
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"another-name\x001000\x00"


# ---- options ---------------------------------------------------------------------------------------------------


def test_free_form_option_can_be_read(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPER + "my_own = something\n") as daemon:
        assert daemon.call("get", name="a", keys=["my_own"])["options"] == {"my_own": "something"}
        assert daemon.call("options", name="a")["options"]["my_own"] == "something"
        assert reason(daemon.call("get", name="a", keys=["nothing"])) == (3, "'nothing' option not found")


def test_options_that_used_to_be_ignored_by_set_take_effect(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        [pid] = daemon.pids("a")
        changes = {"rlimit_nofile": 77, "copy_env": True, "max_retry": 2, "respawn": False}
        assert daemon.call("set", name="a", options=changes, waiting=True)["status"] == "ok"
        [fresh] = daemon.pids("a")
        assert fresh != pid
        assert environment(fresh)["PATH"] == os.environ["PATH"]
        limits = Path(f"/proc/{fresh}/limits").read_text()
        assert [line.split()[3:5] for line in limits.splitlines() if "open files" in line] == [["77", "77"]]
        os.kill(fresh, signal.SIGKILL)
        daemon.wait_for_status("a", "stopped")  # respawn = False
        daemon.call("set", name="a", options={"cmd": f"{tmp_path}/missing"}, waiting=True)
        daemon.call("start", name="a", waiting=True)
        assert "given up after 2 attempts" in daemon.call("status", name="a")["reason_text"]


def test_stream_can_be_set_as_a_whole_and_in_parts_and_stays_what_it_is(tmp_path: Path) -> None:
    cmd = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"
    config = f"[env]\nPATH = $PATH\n[watcher:a]\nshell = True\ncmd = {cmd}\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("a", "active")
        whole = {"stdout_stream": {"class": "WatchedFileStream", "filename": f"{tmp_path}/one"}}
        assert daemon.call("set", name="a", options=whole, waiting=True)["status"] == "ok"
        daemon.wait_for(lambda: text_of(tmp_path / "one"))
        part = {"stdout_stream.filename": f"{tmp_path}/two"}
        assert daemon.call("set", name="a", options=part, waiting=True)["status"] == "ok"
        daemon.wait_for(lambda: text_of(tmp_path / "two"))
        (tmp_path / "two").rename(tmp_path / "two.moved")
        daemon.wait_for(lambda: text_of(tmp_path / "two"))  # still one that watches its file


def test_env_can_be_set_from_circusctl(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        done = daemon.ctl("set", "a", "env", "X=1,Y=2 3", "--waiting")
        assert (done.returncode, done.stderr) == (0, "")
        assert environment(daemon.pids("a")[0]) == {"X": "1", "Y": "2 3"}
        assert daemon.ctl("get", "a", "env").stdout == "env: X=1,Y=2 3\n"


def test_add_takes_limits_as_numbers_and_hooks_as_names_and_refuses_an_empty_name(tmp_path: Path) -> None:
    options = {"rlimit_nofile": 77, "hooks": {"before_start": f"{HOOKS}.accept"}}
    with Daemon(tmp_path, SLEEPER) as daemon:
        reply = daemon.call("add", name="b", cmd="sleep 1000", options=options, start=True, waiting=True)
        assert reply["status"] == "ok", reply
        [pid] = reply["started"]
        assert "open files" in Path(f"/proc/{pid}/limits").read_text()
        errno, text = reason(daemon.call("add", name="", cmd="sleep 1000"))
        assert (errno, "name" in text) in ((3, True), (5, True))
        assert daemon.call("list")["watchers"] == ["a", "b"]


# ---- circusctl -------------------------------------------------------------------------------------------------


def test_circusctl_rm_keeps_its_flags(tmp_path: Path) -> None:
    with start_deaf(tmp_path, SLEEPER, grace=0.2) as daemon:
        daemon.wait_for_status("a", "active")
        [kept], [gone] = daemon.pids("a"), daemon.pids("deaf")
        assert daemon.ctl("rm", "deaf", "--waiting").returncode == 0
        assert is_gone(gone)
        assert daemon.ctl("rm", "a", "--nostop").returncode == 0
        assert daemon.call("list")["watchers"] == []
        assert not is_gone(kept)
        os.kill(kept, signal.SIGKILL)


def test_circusctl_kill_keeps_its_flags(tmp_path: Path) -> None:
    with start_deaf(tmp_path) as daemon:
        [pid] = daemon.pids("deaf")
        done = daemon.ctl("kill", "deaf", "--graceful_timeout", "0.1", "--signal", "usr1", "--waiting")
        assert (done.returncode, done.stdout) == (0, "ok\n")
        assert is_gone(pid)
        daemon.wait_for(lambda: daemon.pids("deaf") not in ([], [pid]))
        assert f"deaf [{pid}] did not end after SIGUSR1: sending SIGKILL" in daemon.output
        [pid] = daemon.pids("deaf")
        daemon.call("kill", name="deaf", graceful_timeout="0.1", waiting=True)  # as text, as old clients send it
        assert is_gone(pid)
        daemon.call("set", name="deaf", options={"graceful_timeout": 0})


def test_bad_signals_and_unknown_names_are_said_plainly(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPER) as daemon:
        for command in ("signal", "kill"):
            errno, text = reason(daemon.call(command, name="a", signum="NOPE"))
            assert (errno, "signal invalid" in text) == (3, True), text
            assert reason(daemon.call(command, name="nobody", signum="HUP")) == (3, "program nobody not found")
        done = daemon.ctl("status", "nobody")
        assert (done.returncode, done.stdout, done.stderr) == (3, "", "error: program nobody not found\n")
        assert daemon.ctl("--json", "status", "nobody").returncode == 3


def test_regular_expressions_are_taken_as_they_are(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:Web1]\ncmd = sleep 1000\n[watcher:web]\ncmd = sleep 1000\n") as daemon:
        for name in ("Web1", "web"):
            daemon.wait_for_status(name, "active")
        daemon.call("stop", name=r"Web\D*$", match="regex", waiting=True)
        assert daemon.call("status")["statuses"] == {"Web1": "active", "web": "stopped"}


# ---- streams ---------------------------------------------------------------------------------------------------

LONG_LINES = """
import os, time
for number in range(50):
    line = ("%d " % number + "€" * 3000 + "\\n").encode()
    for at in range(0, len(line), 1000):
        os.write(1, line[at:at + 1000])
time.sleep(1000)
"""


def test_time_stamps_stand_before_lines_only_and_no_character_is_broken(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(LONG_LINES)
    config = f"""
        [watcher:a]
        cmd = {sys.executable} {tmp_path}/worker.py
        stdout_stream.class = FileStream
        stdout_stream.filename = out.log
        stdout_stream.time_format = %H:%M:%S
        stdout_stream.max_bytes = 200000
        stdout_stream.backup_count = 9
        [watcher:timed]
        cmd = {sys.executable} {tmp_path}/worker.py
        stdout_stream.class = TimedRotatingFileStream
        stdout_stream.filename = timed.log
        stdout_stream.rotate_when = midnight
        stdout_stream.utc = True
        """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: "49 €" in text_of(tmp_path / "out.log"))
        daemon.wait_for(lambda: text_of(tmp_path / "timed.log").count("\n") == 50)
        [pid] = daemon.pids("a")
        daemon.call("stop", name="a", waiting=True)
        text = "".join(
            path.read_text() for path in (tmp_path / "out.log.2", tmp_path / "out.log.1", tmp_path / "out.log")
        )
        lines = text.splitlines()
        assert len(lines) == 50
        for number, line in enumerate(lines):
            stamp, _, rest = line.partition(" | ")
            assert stamp.endswith(f" [{pid}]")
            assert rest == f"{number} " + "€" * 3000


# ---- age, warm-up, numbers -------------------------------------------------------------------------------------


def test_age_of_a_process_is_drawn_once(tmp_path: Path) -> None:
    """Drawn anew at every check, a variance of 1,000 s would be over after some seconds with 20 processes."""
    config = "check_delay = 0.01\n[watcher:a]\ncmd = sleep 1000\nnumprocesses = 20\nmax_age = 1\n"
    clock = "[watcher:clock]\ncmd = sleep 1000\nmax_age = 1\nmax_age_variance = 0\n"
    with Daemon(tmp_path, config + "max_age_variance = 1000000\n" + clock) as daemon:
        daemon.wait_for(lambda: len(daemon.pids("a")) == 20)
        before = daemon.pids("a")
        daemon.wait_for(lambda: daemon.output.count("reached its max_age") >= 2)
        assert len(set(before) - set(daemon.pids("a"))) <= 1


def test_reload_of_everything_keeps_the_pause_between_watchers(tmp_path: Path) -> None:
    # The pause counts from the beginning of a start, and a busy machine takes its time for the fork that is seen here.
    config = "warmup_delay = 1\n" + "".join(f"[watcher:{name}]\ncmd = sleep 1000\n" for name in "abc")
    with Daemon(tmp_path, config) as daemon, daemon.events() as events:
        for name in "abc":
            daemon.wait_for_status(name, "active")
        events.sync(lambda: daemon.call("set", name="a", options={"priority": 0}))
        daemon.call("reload", waiting=True)
        spawns = [events.wait(f"{name}.spawn")[0]["time"] for name in "abc"]
        assert spawns[1] - spawns[0] > 0.5
        assert spawns[2] - spawns[1] > 0.5


def test_worker_numbers_never_run_out(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\n") as daemon:
        daemon.wait_for_status("a", "active")
        for _ in range(5):
            daemon.call("reload", name="a")
            daemon.call("incr", name="a", nb=3)
            daemon.call("restart", name="a")
            daemon.call("decr", name="a", nb=3)
        daemon.wait_for(lambda: daemon.call("start", name="a", waiting=True)["status"] == "ok")
        daemon.wait_for(lambda: len(daemon.pids("a")) == 1)
        assert "Traceback" not in daemon.output


# ---- circusd ---------------------------------------------------------------------------------------------------


def test_circusd_without_a_configuration_ends_with_1() -> None:
    done = subprocess.run([sys.executable, "-m", "circus.circusd"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "usage: circusd" in done.stdout
    assert "Traceback" not in done.stderr


def test_circusd_with_a_file_that_is_not_there_says_so_and_ends_with_1(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "circus.circusd", f"{tmp_path}/none.ini"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{tmp_path}/none.ini" in done.stderr
    assert "Traceback" not in done.stderr


def test_circusd_on_a_taken_address_ends_with_1(tmp_path: Path) -> None:
    endpoints = tcp_endpoints()
    with Daemon(tmp_path, SLEEPER, endpoints=endpoints) as first:
        first.wait_for_status("a", "active")
        second = subprocess.run(
            [sys.executable, "-m", "circus.circusd", str(first.config_path)], stderr=subprocess.PIPE
        )
        assert second.returncode == 1


@pytest.mark.skipif(importlib.util.find_spec("zmq.ssh") is None, reason="pyzmq was built without zmq.ssh")
def test_daemon_and_client_do_without_zmq_ssh() -> None:
    script = (
        "import sys; sys.modules['zmq.ssh'] = None; import circus.circusd, circus.arbiter, circus.client; "
        "import circus.circusctl; assert not any('paramiko' in name for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_own_log_is_opened_again_on_reload(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Daemon(tmp_path, f"logoutput = {log}\n" + SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        log.rename(tmp_path / "log.1")
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: "a reloaded" in text_of(log))


def test_hook_that_sleeps_stops_nobody_else(tmp_path: Path) -> None:
    config = f"[watcher:slow]\ncmd = sleep 1000\nhooks.before_start = {HOOKS}.sleep_for_long\n" + SLEEPER
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("a", "active")
        started = time.monotonic()
        for _ in range(20):
            daemon.call("status")
        assert daemon.call("restart", name="a", waiting=True)["status"] == "ok"
        assert time.monotonic() - started < 10  # the hook takes an hour
        assert daemon.call("status", name="slow")["status"] == "stopped"
