"""Every program of Circus with standard input, output or error closed, full, or without a reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from circus.client import CircusClient
from tests.real.support import Daemon, ipc_endpoints, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]

PROGRAMS = {
    "circusctl": "circus.circusctl",
    "circusd": "circus.circusd",
    "circus-top": "circus.stats.client",
    "circusd-stats": "circus.stats.daemon.runner",
    "circus-plugin": "circus.plugins.runner",
}


def run(how: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'exec "$@" {how}', "sh", sys.executable, "-m", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("how", CLOSED)
@pytest.mark.parametrize("module", PROGRAMS.values(), ids=PROGRAMS)
def test_help_with_something_closed_is_help(module: str, how: str) -> None:
    done = run(how, module, "--help")
    assert (done.returncode, done.stderr) == (0, "")


# Unbuffered, an error shows at the write; buffered, at the latest when the interpreter ends.
@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def _buffering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)


@pytest.mark.parametrize("module", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.usefixtures("_buffering")
def test_help_on_a_full_disk_is_one_line_and_1(module: str) -> None:
    done = run(">/dev/full", module, "--help")
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("module", PROGRAMS.values(), ids=PROGRAMS)
def test_help_that_nobody_reads_makes_no_noise(module: str) -> None:
    script = '"$@" --help | true'
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", module], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""


FULL = ["2>/dev/full", ">/dev/full 2>&1"]


@pytest.mark.parametrize("how", FULL)
@pytest.mark.parametrize("module", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.usefixtures("_buffering")
def test_exit_code_is_that_of_the_work_when_standard_error_is_full(module: str, how: str) -> None:
    assert run(how, module, "--nonsense").returncode == 2


@pytest.mark.usefixtures("_buffering")
def test_exit_code_is_that_of_the_answer_when_standard_error_is_full(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\n") as daemon:
        daemon.wait_for_status("a", "active")
        where = ["circus.circusctl", "--endpoint", daemon.endpoints.control]
        assert run("2>/dev/full", *where, "stop", "nobody").returncode == 3
        assert run("2>/dev/full >/dev/full", *where, "stop", "a", "--waiting").returncode == 1
        assert daemon.call("status", name="a")["status"] == "stopped"


@pytest.mark.usefixtures("_buffering")
def test_prompt_goes_on_with_a_full_standard_error(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\n") as daemon:
        daemon.wait_for_status("a", "active")
        command = [sys.executable, "-m", "circus.circusctl", "--endpoint", daemon.endpoints.control]
        with open("/dev/full", "w") as full:
            subprocess.run(command, input="stop nobody\nstop a --waiting\n", text=True, stderr=full, timeout=60)
        assert daemon.call("status", name="a")["status"] == "stopped"


@pytest.mark.usefixtures("_buffering")
def test_daemon_with_a_full_standard_error_runs_and_ends_well(tmp_path: Path) -> None:
    endpoints = ipc_endpoints(tmp_path)
    config = tmp_path / "circus.ini"
    config.write_text(f"{endpoints.section}\n[watcher:a]\ncmd = sleep 1000\n")
    command = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", sys.executable, "-m", "circus.circusd", str(config)]
    with subprocess.Popen(command) as process, CircusClient(endpoint=endpoints.control, timeout=20) as client:
        wait_for(lambda: client.send_message("status").get("statuses", {}).get("a") == "active")
        client.send_message("quit", waiting=True)
        assert process.wait(20) == 0


@pytest.mark.usefixtures("_buffering")
def test_problems_that_cannot_be_told_keep_no_check_from_its_end(tmp_path: Path) -> None:
    config = tmp_path / "circus.ini"
    config.write_text("[watcher:a]\ncmd = sleep 1000\nnumproceses = 2\n")
    assert run("2>/dev/full", "circus.circusd", "--check", str(config)).returncode == 0
    assert f"{config}: good" in run("2>/dev/full", "circus.circusd", "--check", str(config)).stdout


@pytest.mark.parametrize("how", CLOSED)
def test_command_is_carried_out_whatever_is_closed(tmp_path: Path, how: str) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\n") as daemon:
        daemon.wait_for_status("a", "active")
        where = ["circus.circusctl", "--endpoint", daemon.endpoints.control]
        done = run(how, *where, "stop", "a", "--waiting")
        assert (done.returncode, done.stderr) == (0, "")
        assert daemon.call("status", name="a")["status"] == "stopped"
        assert run(how, *where, "stop", "nobody").returncode == 3


@pytest.mark.parametrize("how", CLOSED)
def test_daemon_runs_its_programs_whatever_is_closed(tmp_path: Path, how: str) -> None:
    endpoints = ipc_endpoints(tmp_path)
    config = tmp_path / "circus.ini"
    config.write_text(
        f"{endpoints.section}\nstatsd = true\nstats_endpoint = ipc://{tmp_path}/stats\n"
        f"[watcher:a]\ncmd = sh -c 'ls -l /proc/self/fd > {tmp_path}/fds; exec sleep 1000'\ncopy_env = true\n"
    )
    command = ["sh", "-c", f'exec "$@" {how}', "sh", sys.executable, "-m", "circus.circusd", str(config)]
    with subprocess.Popen(command) as process, CircusClient(endpoint=endpoints.control, timeout=20) as client:
        wait_for(lambda: client.send_message("status").get("statuses", {}).get("a") == "active")
        assert client.send_message("status")["statuses"]["circusd-stats"] == "active"
        wait_for(lambda: (tmp_path / "fds").exists() and (tmp_path / "fds").read_text().count("->") >= 3)
        assert "socket:" not in (tmp_path / "fds").read_text()
        client.send_message("quit", waiting=True)
        assert process.wait(20) == 0
