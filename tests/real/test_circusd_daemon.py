"""`circusd --daemon`: the exit code is the truth, and the daemon outlives its terminal."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from circus.client import CircusClient
from tests.real.support import Endpoints, ipc_endpoints, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]


class Setting:
    """A configuration and what is needed to run it in the background, and to end it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.endpoints: Endpoints = ipc_endpoints(directory)
        self.config = directory / "circus.ini"
        self.log = directory / "log"
        self.config.write_text(
            f"{self.endpoints.section}\nlogoutput = {self.log}\npidfile = {directory}/pid\n"
            "[watcher:a]\ncmd = sleep 1000\n"
        )

    def start(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "circus.circusd", "--daemon", *words, str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def call(self, command: str, **props: object) -> dict[str, object]:
        with CircusClient(endpoint=self.endpoints.control, timeout=10) as client:
            return client.send_message(command, **props)

    @contextmanager
    def ended(self) -> Iterator[None]:
        """End the daemon afterwards, and wait for that."""
        try:
            yield
        finally:
            pid = int((self.directory / "pid").read_text())
            self.call("quit", waiting=True)
            os.waitpid(pid, 0)  # an orphan that has come to us


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_success_is_told_when_requests_are_taken(setting: Setting) -> None:
    run = setting.start()
    with setting.ended():
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
        assert setting.call("numwatchers")["numwatchers"] == 1  # at once, without another try


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--pidfile", "{directory}/none/pid"], "{directory}/none doesn't exist. Can't create pidfile"),
        (["--log-output", "{directory}/none/log"], "No such file or directory: {directory}/none/log"),
        (["--logger-config", "{directory}/none.json"], "No such file or directory: {directory}/none.json"),
    ],
)
def test_what_keeps_the_daemon_from_starting_is_told_by_who_started_it(
    setting: Setting, words: list[str], text: str
) -> None:
    run = setting.start(*[word.format(directory=setting.directory) for word in words])
    assert (run.returncode, run.stderr) == (1, f"circusd: error: {text.format(directory=setting.directory)}\n")


def test_second_daemon_is_refused_by_its_pid_file_and_by_its_endpoint(setting: Setting) -> None:
    assert setting.start().returncode == 0
    with setting.ended():
        run = setting.start()
        assert run.returncode == 1
        assert "another daemon runs and holds the pid file" in run.stderr
        run = setting.start("--pidfile", str(setting.directory / "other"))
        assert run.returncode == 1
        assert f"{setting.endpoints.control}: in use" in run.stderr
        assert not (setting.directory / "other").exists()


def test_daemon_that_dies_before_it_listens_is_no_success(setting: Setting) -> None:
    (setting.directory / "zmq.py").write_text("import os\nos._exit(9)\n")
    run = subprocess.run(
        [sys.executable, "-m", "circus.circusd", "--daemon", str(setting.config)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(setting.directory)},
    )  # fmt: skip
    assert run.returncode == 1
    assert "ended before it listened" in run.stderr


def test_daemon_outlives_the_terminal_that_closes_as_soon_as_it_is_told(setting: Setting) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, "-m", "circus.circusd", "--daemon", str(setting.config)])
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    with setting.ended():
        assert os.waitstatus_to_exitcode(status) == 0
        wait_for(lambda: setting.call("status", name="a")["status"] == "active")


def test_daemon_outlives_a_terminal_that_is_gone_before_it_is_told(setting: Setting) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, "-m", "circus.circusd", "--daemon", str(setting.config)])
    wait_for((setting.directory / "pid").exists)
    os.close(terminal)
    os.waitpid(pid, 0)
    with setting.ended():
        wait_for(lambda: setting.call("status", name="a")["status"] == "active")
        assert "SIG_HUP" not in setting.log.read_text()


def test_log_that_cannot_be_written_is_told_by_who_started_it_and_the_daemon_runs(setting: Setting) -> None:
    path = setting.directory / "syslog"
    run = setting.start("--log-output", f"syslog://{path}")
    with setting.ended():
        why = "No such file or directory; lines may be lost until it can"
        assert run.returncode == 0
        assert run.stderr == f"circusd: warning: the log syslog://{path} cannot be written: {why}\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(str(path))
            server.settimeout(20)
            setting.call("restart", name="a", waiting=True)
            received = b""
            while b"is written again" not in received:
                received = server.recv(4096)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_who_started_it_may_go_and_the_daemon_stays(setting: Setting, signum: int) -> None:
    (setting.directory / "zmq.py").write_text(
        f"import os, sys\nopen({str(setting.directory / 'loads')!r}, 'w').close()\n"
        f"open({str(setting.directory / 'go')!r}).read()\n"
        "sys.path.remove(os.path.dirname(__file__))\ndel sys.modules['zmq']\nimport zmq\n"
    )
    os.mkfifo(setting.directory / "go")
    command = [sys.executable, "-m", "circus.circusd", "--daemon", str(setting.config)]
    env = {**os.environ, "PYTHONPATH": str(setting.directory)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as starter:
        wait_for((setting.directory / "loads").exists)
        starter.send_signal(signum)
        assert starter.wait(20) == -signum
        (setting.directory / "go").write_text("")
        assert starter.stderr is not None
        assert starter.stderr.read() == ""
    with setting.ended():
        wait_for(lambda: setting.call("numwatchers")["numwatchers"] == 1)
