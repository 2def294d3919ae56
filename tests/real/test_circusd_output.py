"""The last words of a program, and log files that move, vanish or cannot take any more."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from tests.real.proc import text_of
from tests.real.support import Daemon, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

LINES = 20_000


def script(directory: Path, text: str) -> str:
    """Command line of a Python program with this text."""
    path = directory / "worker.py"
    path.write_text("import os, signal, sys, time\n" + textwrap.dedent(text))
    return f"{sys.executable} {path}"


def config(directory: Path, cmd: str, *options: str) -> str:
    lines = [
        "[watcher:a]",
        f"cmd = {cmd}",
        "stdout_stream.class = FileStream",
        f"stdout_stream.filename = {directory}/out",
        "stderr_stream.class = FileStream",
        f"stderr_stream.filename = {directory}/err",
        *options,
    ]
    return "\n".join(lines)


def expected(number: int = LINES) -> str:
    return "".join(f"line {count} of the last words\n" for count in range(number))


SAY = f"""
def say(fd):
    data = memoryview("".join(f"line {{n}} of the last words\\n" for n in range({LINES})).encode())
    while data:
        data = data[os.write(fd, data[:65536]):]
"""


# ---- last words ------------------------------------------------------------------------------------------------


def test_everything_written_right_before_abort_is_in_the_files_in_order(tmp_path: Path) -> None:
    worker = script(tmp_path, SAY + "say(1); say(2); os.abort()")
    with Daemon(tmp_path, config(tmp_path, worker, "respawn = False", "rlimit_core = 0")) as daemon:
        daemon.wait_for_output("ended: signal SIGABRT")
        daemon.wait_for_status("a", "stopped")
        assert (tmp_path / "out").read_text() == expected()
        assert (tmp_path / "err").read_text() == expected()


LAST_WORDS = (
    SAY
    + """
def end(signum, frame):
    say(1)
    say(2)
    os._exit(0)

signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "w").close()
while True:
    time.sleep(0.1)  # Python notes a signal that comes just before it sleeps, and handles it afterwards
"""
)


@pytest.mark.parametrize("how", ["stop", "quit", "SIGTERM", "restart", "kill"])
def test_everything_written_while_it_is_stopped_is_in_the_files_in_order(tmp_path: Path, how: str) -> None:
    up = tmp_path / "up"
    with Daemon(tmp_path, config(tmp_path, f"{script(tmp_path, LAST_WORDS)} {up}")) as daemon:
        daemon.wait_for(up.exists)
        if how == "SIGTERM":
            daemon.signal(signal.SIGTERM)
        else:
            daemon.call(how, waiting=True, **({} if how == "quit" else {"name": "a"}))
        if how in ("SIGTERM", "quit"):
            assert daemon.wait() == 0
        for name in ("out", "err"):
            wait_for(lambda name=name: text_of(tmp_path / name).startswith(expected()))


def test_output_of_a_grandchild_is_read_for_as_long_as_it_writes(tmp_path: Path) -> None:
    cmd = f"(while ! test -e {tmp_path}/go; do sleep 0.01; done; echo late) & echo early"
    one_start = ("flapping.attempts = 1", "flapping.retry_in = 300")
    lines = config(tmp_path, cmd, "shell = True", "stop_tree = False", *one_start)
    with Daemon(tmp_path, "[env]\nPATH = $PATH\n" + lines) as daemon:
        daemon.wait_for_output("ended: exit code 0")
        (tmp_path / "go").touch()
        daemon.wait_for(lambda: "late" in text_of(tmp_path / "out"))
        assert (tmp_path / "out").read_text() == "early\nlate\n"


# ---- files that move -------------------------------------------------------------------------------------------

CHATTER = """
for number in range(10**9):
    os.write(1, b"%d\\n" % number)
    os.write(2, b"%d\\n" % number)
    time.sleep(0.005)
"""


def numbers(*paths: Path) -> list[int]:
    return [int(line) for path in paths for line in text_of(path).splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("stream", ["FileStream", "WatchedFileStream"])
def test_output_goes_into_a_new_file_when_the_old_one_was_moved(tmp_path: Path, stream: str) -> None:
    lines = config(tmp_path, script(tmp_path, CHATTER)).replace("FileStream", stream)
    with Daemon(tmp_path, lines) as daemon:
        for count in range(3):
            daemon.wait_for(lambda: len(numbers(tmp_path / "out")) > 5)
            (tmp_path / "out").rename(tmp_path / f"out.{count}")
        daemon.wait_for(lambda: len(numbers(tmp_path / "out")) > 5)
        daemon.call("stop", name="a", waiting=True)
        found = numbers(*(tmp_path / f"out.{count}" for count in range(3)), tmp_path / "out")
        assert found == list(range(len(found)))


def test_output_goes_into_a_new_file_when_the_old_one_was_deleted(tmp_path: Path) -> None:
    with Daemon(tmp_path, config(tmp_path, script(tmp_path, CHATTER))) as daemon:
        for _ in range(2):
            daemon.wait_for(lambda: numbers(tmp_path / "out"))
            (tmp_path / "out").unlink()
        daemon.wait_for(lambda: numbers(tmp_path / "out"))
        daemon.call("stop", name="a", waiting=True)
        (tmp_path / "out").unlink()
        daemon.call("start", name="a", waiting=True)
        daemon.wait_for(lambda: numbers(tmp_path / "out"))


def test_output_goes_on_when_the_file_was_emptied(tmp_path: Path) -> None:
    with Daemon(tmp_path, config(tmp_path, script(tmp_path, CHATTER))) as daemon:
        daemon.wait_for(lambda: len(numbers(tmp_path / "out")) > 5)
        os.truncate(tmp_path / "out", 0)
        daemon.wait_for(lambda: len(numbers(tmp_path / "out")) > 5)
        assert b"\0" not in (tmp_path / "out").read_bytes()  # appended, not written at the old place


def test_own_log_goes_into_a_new_file_when_the_old_one_was_moved(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Daemon(tmp_path, f"logoutput = {log}\n[watcher:a]\ncmd = sleep 60\n") as daemon:
        daemon.wait_for_status("a", "active")
        log.rename(tmp_path / "log.1")
        daemon.call("restart", name="a", waiting=True)
        assert "a stopped" in log.read_text()
        assert "Starting master" in (tmp_path / "log.1").read_text()


# ---- files that take no more -----------------------------------------------------------------------------------


def test_full_disk_is_logged_and_costs_neither_the_program_nor_its_other_stream(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/dev/full")
    with Daemon(tmp_path, config(tmp_path, script(tmp_path, CHATTER))) as daemon:
        line = daemon.wait_for_output("stream 'stdout' of watcher 'a' failed")
        assert "No space left on device" in line
        [pid] = daemon.pids("a")
        seen = len(numbers(tmp_path / "err"))
        daemon.wait_for(lambda: len(numbers(tmp_path / "err")) > seen + 20)
        assert daemon.pids("a") == [pid]

        (tmp_path / "out").unlink()  # somebody has made room
        daemon.wait_for(lambda: len(numbers(tmp_path / "out")) > 5)
        daemon.wait_for_output("stream 'stdout' of watcher 'a' works again")
        daemon.call("stop", name="a", waiting=True)
        found = numbers(tmp_path / "out")
        assert found == list(range(found[0], found[0] + len(found)))
        told = numbers(tmp_path / "err")
        assert told == list(range(len(told)))
        assert found[-1] in (len(told) - 1, len(told))  # it may end between the two


def test_own_log_on_a_full_disk_does_not_end_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    with Daemon(tmp_path, f"logoutput = {tmp_path}/log\n[watcher:a]\ncmd = sleep 60\n") as daemon:
        daemon.wait_for_status("a", "active")
        daemon.call("restart", name="a", waiting=True)
        daemon.wait_for_status("a", "active")
