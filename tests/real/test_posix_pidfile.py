"""Pid files and the lock that decides, between real processes."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from circus.posix import pidfile as pidfiles
from circus.posix.pidfile import Pidfile
from tests.real.posix_support import descriptors, in_child, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "circusd.pid")


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def hold(path: str) -> tuple[int, Callable[[], None]]:
    """A daemon that holds it: its pid, and what kills it."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        Pidfile(path).create(os.getpid())
        os.write(told, b".")
        signal.pause()
    os.close(told)
    assert os.read(ready, 1) == b"."
    os.close(ready)

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    return pid, kill


def test_file_holds_the_pid_and_a_newline_for_everybody_to_read(path: str) -> None:
    pidfile = Pidfile(path)
    pidfile.create(os.getpid())
    assert Path(path).read_bytes() == b"%d\n" % os.getpid()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert (pidfile.fname, pidfile.pid) == (path, os.getpid())
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    pidfile.unlink()
    assert not os.path.exists(path)


def test_relative_path_is_written_in_its_own_directory(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/dev/null/no")  # elsewhere may be another file system: no rename from there
    monkeypatch.chdir(tmp_path)
    pidfile = Pidfile(os.path.basename(path))
    pidfile.create(os.getpid())
    assert Path(path).read_bytes() == b"%d\n" % os.getpid()
    pidfile.unlink()
    assert os.listdir(tmp_path) == []


def test_without_a_path_a_temporary_file_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    pidfile = Pidfile(None)
    pidfile.create(os.getpid())
    assert pidfile.fname is not None
    assert os.path.dirname(pidfile.fname) == str(tmp_path)
    pidfile.unlink()
    assert os.listdir(tmp_path) == []


CONTENTS = {
    "empty": lambda: b"",
    "rubbish": lambda: b"\xff\x00not a pid",
    "negative": lambda: b"-1\n",
    "zero": lambda: b"0\n",
    "huge": lambda: b"9" * 4000,
    "pid 1": lambda: b"1\n",
    "a live stranger": lambda: b"%d\n" % os.getppid(),
    "ourselves": lambda: b"%d\n" % os.getpid(),
    "a dead pid": lambda: b"%d\n" % dead_pid(),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
def test_no_content_keeps_a_daemon_from_starting(content: Callable[[], bytes], path: str) -> None:
    Path(path).write_bytes(content())
    pidfile = Pidfile(path)
    pidfile.create(os.getpid())
    assert Path(path).read_bytes() == b"%d\n" % os.getpid()
    pidfile.unlink()


def test_second_daemon_is_refused_while_the_first_lives_and_not_after_its_death(path: str) -> None:
    first, kill = hold(path)
    try:
        with pytest.raises(RuntimeError, match=f"holds the pid file '{path}', current pid {first}: "):
            Pidfile(path).create(os.getpid())
        assert Path(path).read_bytes() == b"%d\n" % first
        assert Pidfile(path).validate() == first
    finally:
        kill()
    assert Pidfile(path).validate() is None
    second = Pidfile(path)
    second.create(os.getpid())
    second.unlink()


@pytest.mark.untraced
def test_of_many_daemons_started_at_once_exactly_one_wins(path: str) -> None:
    def contest() -> int:
        start, go = os.pipe()
        won, win = os.pipe()
        over, end = os.pipe()
        pids = []
        for _ in range(8):
            pids.append(os.fork())
            if pids[-1] == 0:
                os.close(go)
                os.close(end)
                os.read(start, 1)
                try:
                    Pidfile(path).create(os.getpid())
                    os.write(win, b"w")
                    os.read(over, 1)  # it lives until all have tried
                except RuntimeError:
                    os.write(win, b"l")
                os._exit(0)
        for fd in (go, start, win, over):
            os.close(fd)
        results = b""
        while len(results) < 8:
            results += os.read(won, 8)
        os.close(end)
        os.close(won)
        for pid in pids:
            os.waitpid(pid, 0)
        return results.count(b"w")

    for round_ in range(10):
        if round_ % 3 == 0 and os.path.exists(path):
            os.unlink(path)
        assert contest() == 1


def test_readers_never_keep_a_daemon_from_starting_nor_see_half_a_pid(path: str) -> None:
    stop, ended = os.pipe()
    readers = []
    for _ in range(3):
        readers.append(os.fork())
        if readers[-1] == 0:
            os.close(ended)
            bad = 0
            os.set_blocking(stop, False)
            while True:
                pid = Pidfile(path).validate()
                bad += pid not in (None, os.getppid())
                try:
                    os.read(stop, 1)
                    os._exit(bool(bad))
                except BlockingIOError:
                    continue
    os.close(stop)
    try:
        for _ in range(60):
            Path(path).write_text(f"{os.getpid()}\n")  # of an earlier run, free to be locked
            pidfile = Pidfile(path)
            pidfile.create(os.getpid())
            pidfile.unlink()
    finally:
        os.close(ended)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in readers]
    assert codes == [0, 0, 0]


def test_daemon_waits_for_a_reader_that_holds_the_lock_for_an_instant(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(path).write_text("1\n")
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda seconds: os.close(reader))
    pidfile = Pidfile(path)
    pidfile.create(os.getpid())
    pidfile.unlink()


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=f"{tmp_path}/no doesn't exist. Can't create pidfile"):
        Pidfile(str(tmp_path / "no" / "pid")).create(1)


def test_empty_name_makes_a_temporary_file() -> None:
    pidfile = Pidfile("")
    pidfile.create(os.getpid())
    assert pidfile.fname and Pidfile(pidfile.fname).validate() == os.getpid()
    pidfile.unlink()
    assert not os.path.exists(pidfile.fname)


def test_renamed_file_stays_locked_under_the_new_name_only(path: str) -> None:
    def daemon() -> Any:
        pidfile = Pidfile(path)
        pidfile.create(os.getpid())
        pidfile.rename(path + ".new")
        assert not os.path.exists(path)
        assert pidfile.fname == path + ".new"
        return in_child(lambda: (Pidfile(path + ".new").validate(), _is_refused(path + ".new"))), os.getpid()

    (live, refused), pid = in_child(daemon)
    assert live == pid and refused


def _is_refused(path: str) -> bool:
    try:
        Pidfile(path).create(os.getpid())
    except RuntimeError:
        return True
    return False


def test_rename_onto_a_live_daemon_s_file_changes_nothing(path: str) -> None:
    other, kill = hold(path + ".other")
    try:
        pidfile = Pidfile(path)
        pidfile.create(os.getpid())
        with pytest.raises(RuntimeError):
            pidfile.rename(path + ".other")
        assert Path(path).read_text() == f"{os.getpid()}\n"
        assert Path(path + ".other").read_text() == f"{other}\n"
        assert pidfile.pid == os.getpid()
        pidfile.unlink()
    finally:
        kill()


def test_lock_survives_the_removal_of_the_file_by_somebody_and_a_new_daemon_may_start(path: str) -> None:
    _, kill = hold(path)
    try:
        os.unlink(path)
        pidfile = Pidfile(path)
        pidfile.create(os.getpid())
        assert Pidfile(path).validate() == os.getpid()
        pidfile.unlink()
    finally:
        kill()


def test_unlink_spares_a_file_that_is_another_daemon_s_and_never_raises(path: str) -> None:
    pidfile = Pidfile(path)
    pidfile.create(os.getpid())
    Path(path).unlink()
    Path(path).write_text("1\n")
    pidfile.unlink()
    assert Path(path).read_text() == "1\n"
    pidfile.unlink()
    Pidfile(path).unlink()
    Pidfile("").unlink()


def test_same_process_may_create_it_again_through_another_object(path: str) -> None:
    first, second = Pidfile(path), Pidfile(path)
    first.create(os.getpid())
    second.create(os.getpid())
    assert second.pid == os.getpid()
    first.unlink()
    assert not os.path.exists(path)


def test_link_stays_a_link(path: str, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    os.symlink(target / "real.pid", path)
    pidfile = Pidfile(path)
    pidfile.create(os.getpid())
    assert os.path.islink(path)
    assert (target / "real.pid").read_text() == f"{os.getpid()}\n"
    pidfile.unlink()


def test_process_forked_by_a_hook_does_not_hold_it_when_the_daemon_is_dead(path: str) -> None:
    ready, told = os.pipe()
    daemon = os.fork()
    if daemon == 0:
        Pidfile(path).create(os.getpid())
        left = os.fork()
        if left:
            os.write(told, b"%d" % left)
        signal.pause()
    left = int(os.read(ready, 20))
    try:
        assert _is_refused(path)
        os.kill(daemon, signal.SIGKILL)
        os.waitpid(daemon, 0)
        assert Pidfile(path).validate() is None
        pidfile = Pidfile(path)
        pidfile.create(os.getpid())
        pidfile.unlink()
    finally:
        os.kill(left, signal.SIGKILL)
        os.close(ready)
        os.close(told)


def test_daemon_that_locked_a_file_just_replaced_by_the_winner_looks_again(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(path).write_text("1\n")
    really, winners = pidfiles._try_lock, []

    def lose_the_race(fd: int, how: int) -> bool:
        if not winners:
            # Between its open and its lock another one does both, and renames.
            winners.append(None)
            winners[0] = hold(path)
        return really(fd, how)

    monkeypatch.setattr(pidfiles, "_try_lock", lose_the_race)
    try:
        with pytest.raises(RuntimeError):
            Pidfile(path).create(os.getpid())
        assert Path(path).read_text() == f"{winners[0][0]}\n"
    finally:
        winners[0][1]()


# ---- files of programs that lock nothing -----------------------------------------------------------------------


def test_unlocked_file_names_a_live_process_that_began_before_it_was_written(path: str) -> None:
    process = subprocess.Popen(["sleep", "1000"])
    try:
        Path(path).write_text(f"{process.pid}\n")
        assert Pidfile(path).validate() == process.pid
    finally:
        process.kill()
        process.wait()
    assert Pidfile(path).validate() is None


def test_unlocked_file_older_than_the_process_with_its_pid_is_stale(path: str) -> None:
    process = subprocess.Popen(["sleep", "1000"])
    try:
        Path(path).write_text(f"{process.pid}\n")
        yesterday = time.time() - 86400
        os.utime(path, (yesterday, yesterday))
        assert Pidfile(path).validate() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("content", ["", "rubbish", "-5", "0", "1.5"])
def test_rubbish_names_nobody(content: str, path: str) -> None:
    Path(path).write_text(content)
    assert Pidfile(path).validate() is None
    assert Pidfile(path + ".missing").validate() is None


def test_refusals_and_looks_leak_no_descriptor(path: str) -> None:
    _, kill = hold(path)
    try:
        before = descriptors()
        for _ in range(20):
            Pidfile(path).validate()
        assert _is_refused(path)
        assert descriptors() == before
    finally:
        kill()


def test_pid_of_the_file_is_live_as_seen_by_another_program(path: str) -> None:
    pidfile = Pidfile(path)
    pidfile.create(os.getpid())
    program = f"from circus.posix.pidfile import Pidfile; print(Pidfile({path!r}).validate())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=os.getcwd())
    assert done.stdout.strip() == str(os.getpid()), done.stderr
    pidfile.unlink()
    assert wait_for(lambda: not os.path.exists(path))


def test_mode_is_that_of_the_class_or_of_the_object(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    pidfile = Pidfile(str(path))
    assert Pidfile.perm_mode == 0o644
    pidfile.perm_mode = 0o600
    pidfile.create(os.getpid())
    assert path.stat().st_mode & 0o777 == 0o600
    pidfile.unlink()


def test_another_object_of_the_same_process_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    first = Pidfile(str(path))
    first.create(os.getpid())
    Pidfile(str(path)).unlink()
    assert not path.exists()
    first.unlink()
    path.write_text("1\n")
    Pidfile(str(path)).unlink()
    assert path.exists()  # somebody else's
