"""Streams that write to what is no regular file: it is written on, and never renamed, emptied or made anew."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from circus.posix.pidfile import Pidfile
from circus.stream import FileStream, TimedRotatingFileStream, WatchedFileStream
from circus.stream.file_stream import FileStream as Base

ROTATING: list[tuple[type[Base], dict[str, Any]]] = [
    (FileStream, {"max_bytes": 10, "backup_count": 3}),
    (TimedRotatingFileStream, {"rotate_when": "S"}),
    (WatchedFileStream, {}),
]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe and the descriptor of who reads it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def write(stream: Base, text: bytes, times: int) -> None:
    for _ in range(times):
        stream({"pid": 1, "name": "stdout", "data": text})


@pytest.mark.parametrize(("kind", "options"), ROTATING)
def test_pipe_is_written_on_and_not_rotated(pipe, kind, options, monkeypatch, caplog) -> None:
    path, reader = pipe
    stream = kind(filename=str(path), **options)
    if kind is TimedRotatingFileStream:
        stream._rollover_at = 0.0  # its time has come
    write(stream, b"0123456789\n", 5)
    assert os.read(reader, 1000) == b"0123456789\n" * 5
    assert sorted(os.listdir(path.parent)) == ["pipe"]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert caplog.text.count("cannot be rotated") == (kind is not WatchedFileStream)
    stream.close()


def test_pipe_that_was_removed_is_not_made_anew_as_a_file(pipe) -> None:
    path, reader = pipe
    stream = WatchedFileStream(filename=str(path))
    path.unlink()
    write(stream, b"x\n", 2)
    assert os.read(reader, 100) == b"x\nx\n"
    assert not path.exists()
    stream.close()


def test_link_to_a_device_is_written_on_and_stays(tmp_path: Path, caplog) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    stream = FileStream(filename=str(link), max_bytes=10, backup_count=2)
    write(stream, b"0123456789\n", 5)
    assert sorted(os.listdir(tmp_path)) == ["link"]
    assert os.readlink(link) == "/dev/null"
    assert caplog.text.count("cannot be rotated") == 1
    stream.close()


def test_pipe_in_the_place_of_a_backup_stays_and_the_file_grows(pipe, tmp_path: Path, caplog) -> None:
    pipe[0].rename(tmp_path / "log.1")
    stream = FileStream(filename=str(tmp_path / "log"), max_bytes=10, backup_count=1)
    write(stream, b"0123456789\n", 5)
    assert (tmp_path / "log.1").is_fifo()
    assert (tmp_path / "log").read_bytes() == b"0123456789\n" * 5
    assert caplog.text.count("log.1 is no regular file") == 1
    stream.close()


def test_pipe_among_old_files_of_the_clock_is_not_removed(pipe, tmp_path: Path) -> None:
    pipe[0].rename(tmp_path / "log.20200101000000")
    stream = TimedRotatingFileStream(filename=str(tmp_path / "log"), rotate_when="S", backup_count=1)
    write(stream, b"x\n", 1)
    stream._rollover_at = 0.0  # its time has come
    write(stream, b"x\n", 1)
    assert (tmp_path / "log.20200101000000").is_fifo()
    assert len(os.listdir(tmp_path)) == 3
    stream.close()


def test_file_of_a_name_that_dev_does_not_have_is_not_made_there() -> None:
    with pytest.raises(FileNotFoundError):
        FileStream(filename="/dev/circus-has-no-such-device")


def test_pid_file_does_not_take_the_place_of_a_device_or_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(RuntimeError, match="no regular file of its own"):
            Pidfile(str(tmp_path / name)).create(os.getpid())
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


NAMESPACE = """
import os, sys
from circus.stream import FileStream, TimedRotatingFileStream
for path in ("/dev/null", "/dev/stdout"):
    stream = FileStream(filename=path, max_bytes=10, backup_count=2)
    for _ in range(5):
        stream({"pid": 1, "name": "stdout", "data": b"0123456789\\n"})
stream = TimedRotatingFileStream(filename="/dev/null", rotate_when="S")
stream._rollover_at = 0.0
stream({"pid": 1, "name": "stdout", "data": b"x"})
print(sorted(os.listdir("/dev")), file=sys.stderr)
"""


def test_devices_of_a_machine_stay_what_they_are(tmp_path: Path) -> None:
    """As root, with a /dev of its own."""
    if os.geteuid():
        pytest.skip("needs root, to have a /dev of its own")
    setup = (
        "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && ln -s /proc/self/fd/1 /dev/stdout && "
        "ln -s /proc/self/fd /dev/fd && exec \"$@\""
    )
    out = tmp_path / "out"
    with out.open("wb") as file:
        run = subprocess.run(
            ["unshare", "-m", "sh", "-c", setup, "sh", sys.executable, "-c", NAMESPACE],
            stdout=file, stderr=subprocess.PIPE, text=True, timeout=60, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    assert run.stderr.splitlines()[-1:] == ["['fd', 'null', 'stdout']"], run.stderr
    assert out.read_bytes() == b"0123456789\n" * 5
    assert sorted(os.listdir(tmp_path)) == ["out"]
