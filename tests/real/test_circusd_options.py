"""circusd from a shell: its words, its exit codes, and what it says about a configuration."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from circus import __version__
from circus.client import CircusClient
from circus.exc import CallError
from tests.real.support import PATIENCE, ROOT, Daemon, is_gone, wait_for

GOOD = "[watcher:a]\ncmd = sleep 60\n"
BAD = "[circus]\ncheck_delay = soon\n[watcher:a]\ncmd = sleep 60\nnumprocesses = many\nnumproceses = 1\n"


def circusd(*words: object, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """One run of circusd that is to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "circus.circusd", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "circus.ini"


# ---- words -------------------------------------------------------------------------------------------------------


def test_version_prints_the_bare_number() -> None:
    run = circusd("--version")
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_prints_every_flag(word: str) -> None:
    run = circusd(word)
    assert (run.returncode, run.stderr) == (0, "")
    flags = {word for word in run.stdout.split() if word.startswith("--")}
    assert {"--log-level", "--log-output", "--logger-config", "--daemon", "--pidfile", "--check", "--show"} <= flags


def test_no_configuration_is_usage_and_exit_code_1() -> None:
    run = circusd()
    assert run.returncode == 1
    assert run.stdout.startswith("usage: circusd ")
    assert run.stderr == "circusd: error: no configuration file is given\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--bad"], "option --bad not recognized"),
        (["--pidfile"], "option --pidfile requires argument"),
        (["--daemon=yes", "x.ini"], "option --daemon must not have an argument"),
        (["x.ini", "y.ini", "z.ini"], "unrecognized arguments: y.ini z.ini"),
        (["--log-level", "loud", "x.ini"], "--log-level 'loud' is not one of critical, error, warning, info, debug"),
        (["--log-level", "Debug", "x.ini"], "--log-level 'Debug' is not one of"),
    ],
)
def test_wrong_words_are_exit_code_2(words: list[str], text: str) -> None:
    run = circusd(*words)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"circusd: error: {text}")
    assert run.stderr.endswith("Try: circusd --help\n")


# ---- a configuration that cannot be used -------------------------------------------------------------------------


def test_a_missing_configuration_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    run = circusd("gone.ini", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"error: {tmp_path}/gone.ini: cannot be read: No such file or directory\n"


def test_a_configuration_that_is_a_directory_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    run = circusd(tmp_path)
    assert (run.returncode, run.stderr) == (1, f"error: {tmp_path}: cannot be read: Is a directory\n")


def test_every_problem_of_a_bad_configuration_is_printed_and_nothing_is_started(tmp_path: Path, config: Path) -> None:
    config.write_text(BAD)
    pidfile, log = tmp_path / "pid", tmp_path / "log"
    run = circusd("--daemon", "--pidfile", pidfile, "--log-output", log, config)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines() == [
        f"error: {config}:2: [circus] check_delay: 'soon' is not a number",
        f"error: {config}:5: [watcher:a] numprocesses: 'many' is not a whole number",
        f"warning: {config}:6: [watcher:a] numproceses: is not an option, only data; did you mean numprocesses?",
    ]
    assert not pidfile.exists() and not log.exists()


@pytest.mark.parametrize("daemon", [[], ["--daemon"]])
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--log-output", "{tmp}/no/log"], "No such file or directory: {tmp}/no/log"),
        (["--log-output", "syslog://127.0.0.1:port"], "Port could not be cast to integer value as 'port'"),
    ],
)
def test_a_log_that_cannot_be_opened_is_one_line_and_exit_code_1(
    tmp_path: Path, config: Path, daemon: list[str], words: list[str], text: str
) -> None:
    config.write_text(GOOD)
    run = circusd(*daemon, *[word.format(tmp=tmp_path) for word in words], config)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"circusd: error: {text.format(tmp=tmp_path)}\n"


@pytest.mark.parametrize(("name", "text"), [("l.txt", "the name must end in"), ("l.json", "no usable logging conf")])
def test_a_logging_configuration_that_cannot_be_used_is_exit_code_1(
    tmp_path: Path, config: Path, name: str, text: str
) -> None:
    config.write_text(GOOD)
    (tmp_path / name).write_text("{")
    run = circusd("--logger-config", tmp_path / name, config)
    assert run.returncode == 1
    assert text in run.stderr
    assert "Traceback" not in run.stderr


# ---- --check and --show ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--check", "circus.ini"], ["circus.ini", "--check"]])
def test_check_of_a_good_configuration_says_so(config: Path, words: list[str]) -> None:
    config.write_text(GOOD)
    run = circusd(*words, cwd=config.parent)
    assert (run.returncode, run.stdout, run.stderr) == (0, "circus.ini: good, with 1 watcher\n", "")


def test_check_of_a_configuration_with_warnings_is_good(config: Path) -> None:
    config.write_text(GOOD + "numproceses = 1\n[watcher:b]\ncmd = x\n")
    run = circusd("--check", config)
    assert (run.returncode, run.stdout) == (0, f"{config}: good, with 2 watchers\n")
    assert run.stderr.startswith(f"warning: {config}:3: ")


@pytest.mark.parametrize("text", [BAD, GOOD + "singleton = yes\nnumprocesses = 2\n"])
def test_check_of_a_configuration_that_does_not_do_what_it_says_is_exit_code_1(config: Path, text: str) -> None:
    config.write_text(text)
    run = circusd("--check", config)
    assert (run.returncode, run.stdout) == (1, "")
    assert f"error: {config}:" in run.stderr


def test_check_of_a_missing_configuration_is_exit_code_1(tmp_path: Path) -> None:
    run = circusd("--check", "gone.ini", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (1, "error: gone.ini: cannot be read: No such file or directory\n")


def test_check_tells_what_would_not_start_on_this_machine(config: Path, tmp_path: Path) -> None:
    config.write_text(
        f"[watcher:a]\ncmd = no-such-program\nstdout_stream.filename = {tmp_path}/no/log\nuid = no-such-user\n"
        f"hooks.before_start = no_such_module.hook\nworking_dir = {tmp_path}\nstderr_stream.filename = {tmp_path}\n"
    )
    run = circusd("--check", config)
    assert (run.returncode, run.stdout) == (1, "")
    lines = run.stderr.splitlines()
    assert lines[0].startswith(f"warning: {config}:2: [watcher:a] cmd: cannot start 'no-such-program': ")
    assert lines[1:] == [
        f"error: {config}:3: [watcher:a] stdout_stream.filename: the directory {tmp_path}/no does not exist",
        f"error: {config}:4: [watcher:a] uid: 'no-such-user' isn't a valid user name",
        f"error: {config}:5: [watcher:a] hooks.before_start: cannot import 'no_such_module.hook': "
        "No module named 'no_such_module'",
        f"error: {config}:7: [watcher:a] stderr_stream.filename: {tmp_path} is a directory",
    ]


def test_check_calls_a_file_good_whose_program_may_come_later(config: Path, tmp_path: Path) -> None:
    config.write_text(f"[watcher:a]\ncmd = sleep 60\nworking_dir = {tmp_path}/later\n")
    run = circusd("--check", config)
    assert run.returncode == 0
    assert run.stderr == f"warning: {config}:3: [watcher:a] working_dir: {tmp_path}/later does not exist\n"
    assert run.stdout == f"{config}: good, with 1 watcher\n"


def test_check_loads_neither_zmq_nor_threads_and_opens_nothing(config: Path, tmp_path: Path) -> None:
    config.write_text(f"[circus]\npidfile = {tmp_path}/pid\nlogoutput = {tmp_path}/log\n" + GOOD)
    code = (
        "import sys; from circus.circusd import main; code = main(['--check', sys.argv[1]]);"
        "print(code, [name for name in ('zmq', 'psutil', 'circus.arbiter') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(config)], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "0 []"
    assert sorted(os.listdir(tmp_path)) == ["circus.ini"]


def test_show_prints_every_value_and_its_origin(config: Path) -> None:
    config.write_bytes(GOOD.encode() + b"numprocesses = 3\nmine = caf\xe9\n")
    run = circusd("--check", "--show", config, PYTHONIOENCODING="utf-8:strict")
    assert run.returncode == 0
    lines = run.stdout.splitlines()
    assert f"numprocesses = 3  ({config}:3)" in lines
    assert "graceful_timeout = 30.0  (default)" in lines
    assert f"mine = caf\\udce9  (free-form, {config}:4)" in lines
    assert circusd("--show", config).stdout == run.stdout


# ---- flags against the configuration -----------------------------------------------------------------------------

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]


def test_flags_win_over_the_configuration_and_reloadconfig_does_not_take_them_for_a_change(tmp_path: Path) -> None:
    chosen, other = tmp_path / "chosen.log", tmp_path / "other.log"
    words = ["--log-output", str(chosen), "--pidfile", str(tmp_path / "pid"), "--log-level", "DEBUG"]
    with Daemon(tmp_path, f"logoutput = {other}\nloglevel = critical\n{GOOD}", *words) as daemon:
        daemon.wait_for_status("a", "active")
        pids = daemon.pids("a")
        assert "[INFO] a started" in chosen.read_text()
        assert not other.exists()
        assert daemon.call("reloadconfig", waiting=True)["status"] == "ok"
        assert daemon.pids("a") == pids
        assert (tmp_path / "pid").read_text() == f"{daemon.pid}\n"


def test_warnings_of_a_usable_configuration_are_logged(tmp_path: Path) -> None:
    with Daemon(tmp_path, GOOD + "numproceses = 1\n[watcher:b]\ncmd = x\ncopy_path = yes\n") as daemon:
        line = daemon.wait_for_output("numproceses")
        assert "[WARNING]" in line and "did you mean numprocesses?" in line
        line = daemon.wait_for_output("Failed to create watcher 'b'")
        assert "[ERROR]" in line
        assert daemon.call("status")["statuses"].keys() == {"a"}


def test_a_logging_configuration_is_used(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "logging.json").write_text(
        json.dumps(
            {
                "version": 1,
                "formatters": {"mine": {"format": "mine %(message)s"}},
                "handlers": {"file": {"class": "logging.FileHandler", "filename": str(log), "formatter": "mine"}},
                "root": {"level": logging.INFO, "handlers": ["file"]},
            }
        )
    )
    with Daemon(tmp_path, GOOD, "--logger-config", str(tmp_path / "logging.json")) as daemon:
        daemon.wait_for_status("a", "active")
        assert "mine a started\n" in log.read_text()


def test_the_mask_holds_for_what_circusd_writes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Daemon(tmp_path, f"umask = 077\nlogoutput = {log}\n{GOOD}") as daemon:
        daemon.wait_for_status("a", "active")
        assert log.stat().st_mode & 0o777 == 0o600


# ---- everything anew ---------------------------------------------------------------------------------------------


def restart(daemon: Daemon) -> None:
    """Restart everything, until the worker runs again. A request that meets the old sockets is never answered."""
    [before] = daemon.pids("a")
    daemon.call("restart")
    wait_for(lambda: is_gone(before))
    wait_for(lambda: is_active(daemon))


def is_active(daemon: Daemon) -> bool:
    client = CircusClient(endpoint=daemon.endpoints.control, timeout=0.5)
    try:
        return bool(client.send_message("status", name="a")["status"] == "active")
    except CallError:
        return False
    finally:
        client.stop()


def test_a_restart_reads_the_configuration_again_in_the_same_process(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    with Daemon(tmp_path, f"pidfile = {pidfile}\n{GOOD}") as daemon:
        daemon.wait_for_status("a", "active")
        inode = pidfile.stat().st_ino
        daemon.write_config(f"pidfile = {pidfile}\n{GOOD}priority = 7\n")
        restart(daemon)
        assert daemon.call("get", name="a", keys=["priority"])["options"] == {"priority": 7}
        assert daemon.process.poll() is None
        assert pidfile.stat().st_ino == inode, "the lock is held all the time"


def test_a_restart_with_a_bad_configuration_goes_on_with_the_old_one(tmp_path: Path) -> None:
    with Daemon(tmp_path, GOOD) as daemon:
        daemon.wait_for_status("a", "active")
        daemon.write_config(GOOD + "numprocesses = many\n")
        restart(daemon)
        assert "[ERROR]" in daemon.wait_for_output("'many' is not a whole number")
        assert "[ERROR]" in daemon.wait_for_output("going on with what it said before")
        assert daemon.call("status")["statuses"] == {"a": "active"}


def test_a_restart_whose_log_cannot_be_opened_goes_on_with_the_old_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Daemon(tmp_path, f"logoutput = {log}\n{GOOD}") as daemon:
        daemon.wait_for_status("a", "active")
        daemon.write_config(f"logoutput = {tmp_path}/no/log\n{GOOD}")
        restart(daemon)
        assert f"log and pid file stay as they were: No such file or directory: {tmp_path}/no/log" in log.read_text()
