"""File streams on a real file system."""

import fcntl
import logging
import os
import subprocess
import sys
import time
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circus.stream import FileStream, TimedRotatingFileStream, WatchedFileStream
from circus.stream.base import PartialWriteError


@pytest.fixture
def made():
    """Collects streams, to be closed after the test."""
    streams = []
    yield lambda stream: streams.append(stream) or stream
    for stream in streams:
        stream.close()


def say(stream, data, pid=7):
    stream({"pid": pid, "name": "stdout", "data": data})


def content(path):
    return path.read_bytes() if path.exists() else b""


def whole(path):
    """Everything that was written to a file rotated by size, oldest first."""
    backups = [p for p in path.parent.iterdir() if p.name.startswith(path.name + ".")]
    backups.sort(key=lambda p: -int(p.suffix[1:]))
    return b"".join(p.read_bytes() for p in backups) + content(path)


def descriptors_of(path):
    return [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{fd}") == str(path)]


def say_until(stream, reached, data=b"line\n"):
    """Write lines until a fact is true; returns how many."""
    deadline = time.monotonic() + 20
    count = 0
    while not reached():
        assert time.monotonic() < deadline, "it never happened"
        say(stream, data)
        count += 1
    return count


# ---- plain writing -----------------------------------------------------------------------------------------------


def test_bytes_are_appended_as_they_are(tmp_path, made):
    (tmp_path / "log").write_bytes(b"old\n")
    stream = made(FileStream(str(tmp_path / "log"), refresh_time="0.3"))
    say(stream, b"\xff\x00\r\n")
    say(stream, b"\xe2\x82")
    assert content(tmp_path / "log") == b"old\n\xff\x00\r\n\xe2\x82"


def test_closed_stream_is_opened_again_by_open_and_by_writing(tmp_path):
    stream = FileStream(str(tmp_path / "log"))
    say(stream, b"1")
    stream.close()
    stream.open()
    say(stream, b"2")
    stream.close()
    stream.close()
    say(stream, b"3")
    stream.close()
    assert content(tmp_path / "log") == b"123"


def test_relative_name_stays_in_the_directory_it_was_given_in(tmp_path, made, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    stream = made(FileStream("log", max_bytes=10, backup_count=1))
    monkeypatch.chdir(tmp_path / "elsewhere")
    say(stream, b"1234567\n")
    say(stream, b"abcdefg\n")
    assert content(tmp_path / "log.1") == b"1234567\n"
    assert content(tmp_path / "log") == b"abcdefg\n"


def test_no_filename_makes_a_private_temporary_file(tmp_path, made, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stream = made(FileStream())
    say(stream, b"x")
    (path,) = tmp_path.iterdir()
    assert stream.filename == str(path)
    assert content(path) == b"x"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600), (0, 0o664)])
def test_umask_is_honoured_and_the_file_never_writable_for_all(tmp_path, made, mask, mode):
    before = os.umask(mask)
    try:
        made(FileStream(str(tmp_path / "log")))
    finally:
        os.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == mode


def test_no_descriptor_is_inherited(tmp_path, made):
    made(FileStream(str(tmp_path / "log")))
    (fd,) = descriptors_of(tmp_path / "log")
    assert not os.get_inheritable(fd)


def test_abandoned_stream_gives_its_descriptor_back(tmp_path):
    stream = FileStream(str(tmp_path / "log"))
    assert len(descriptors_of(tmp_path / "log")) == 1
    del stream
    assert descriptors_of(tmp_path / "log") == []


def test_fifo_that_nobody_reads_is_an_error_and_no_hang(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="fifo"):
        FileStream(str(tmp_path / "fifo"))


# ---- disk full ---------------------------------------------------------------------------------------------------


def test_full_disk_tells_how_much_is_missing(made):
    stream = made(FileStream("/dev/full"))
    with pytest.raises(PartialWriteError, match=r"No space left.*/dev/full") as caught:
        say(stream, b"x" * 1000)
    assert caught.value.lost == 1000


def test_chunk_that_fits_in_part_counts_only_its_rest(tmp_path):
    script = (
        "import resource, sys\n"
        "from circus.stream import FileStream\n"
        "stream = FileStream(sys.argv[1])\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))\n"
        "try: stream.write(b'x' * 10000)\n"
        "except OSError as error: print(error.lost)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"5904\n", b"")
    assert (tmp_path / "log").stat().st_size == 4096


# ---- moved, deleted, replaced --------------------------------------------------------------------------------------


def test_renamed_file_is_noticed_and_nothing_is_lost(tmp_path, made):
    path, moved = tmp_path / "log", tmp_path / "moved"
    stream = made(FileStream(str(path)))
    say(stream, b"line\n")
    path.rename(moved)
    count = 1 + say_until(stream, path.exists)
    assert content(moved) + content(path) == b"line\n" * count


def test_deleted_file_is_made_again(tmp_path, made):
    path = tmp_path / "log"
    stream = made(FileStream(str(path)))
    say(stream, b"line\n")
    path.unlink()
    say_until(stream, path.exists)
    assert content(path) == b"line\n"


def test_open_notices_a_renamed_file_at_once(tmp_path, made):
    path = tmp_path / "log"
    stream = made(FileStream(str(path)))
    say(stream, b"1\n")
    path.rename(tmp_path / "moved")
    stream.open()
    say(stream, b"2\n")
    assert (content(tmp_path / "moved"), content(path)) == (b"1\n", b"2\n")


def test_truncated_file_is_filled_from_its_start(tmp_path, made):
    path = tmp_path / "log"
    stream = made(FileStream(str(path)))
    say(stream, b"old\n")
    os.truncate(path, 0)
    say(stream, b"new\n")
    assert content(path) == b"new\n"


def test_directory_in_its_place_leaves_the_renamed_file_in_use_until_it_is_gone(tmp_path, made, caplog):
    path, moved = tmp_path / "log", tmp_path / "moved"
    stream = made(FileStream(str(path)))
    path.rename(moved)
    path.mkdir()
    count = say_until(stream, lambda: "still writing" in caplog.text)
    count += say_until(stream, lambda: moved.stat().st_size > 5 * count + 5000)
    assert content(moved) == b"line\n" * count
    assert len(caplog.messages) == 1
    path.rmdir()
    say_until(stream, path.exists)
    assert content(path) == b"line\n"


def test_directory_in_place_of_a_deleted_file_is_an_error_until_it_is_gone(tmp_path, made):
    path = tmp_path / "log"
    stream = made(WatchedFileStream(str(path)))
    path.unlink()
    path.mkdir()
    with pytest.raises(PartialWriteError) as caught:
        say(stream, b"lost\n")
    assert caught.value.lost == 5
    path.rmdir()
    say(stream, b"kept\n")
    assert content(path) == b"kept\n"


def test_watched_file_stream_follows_before_the_next_write(tmp_path, made):
    path = tmp_path / "log"
    stream = made(WatchedFileStream(str(path), refresh_time="1"))
    for number in range(3):
        say(stream, b"%d\n" % number)
        path.rename(tmp_path / f"moved{number}")
    assert [content(tmp_path / f"moved{number}") for number in range(3)] == [b"0\n", b"1\n", b"2\n"]


# ---- rotation by size ----------------------------------------------------------------------------------------------


def test_file_is_rotated_before_it_reaches_max_bytes_and_old_ones_move_up(tmp_path, made):
    path = tmp_path / "log"
    stream = made(FileStream(str(path), max_bytes="20", backup_count="2"))
    for number in range(8):
        say(stream, b"number %d\n" % number)  # 9 bytes: two of them fit below 20
    assert content(path) == b"number 6\nnumber 7\n"
    assert content(tmp_path / "log.1") == b"number 4\nnumber 5\n"
    assert content(tmp_path / "log.2") == b"number 2\nnumber 3\n"
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]


def test_size_that_reaches_the_limit_exactly_rotates(tmp_path, made):
    stream = made(FileStream(str(tmp_path / "log"), max_bytes=18, backup_count=1))
    say(stream, b"number 1\n")
    say(stream, b"number 2\n")
    assert content(tmp_path / "log.1") == b"number 1\n"


def test_one_large_chunk_is_spread_over_files_at_line_ends(tmp_path, made):
    data = b"".join(b"%07d\n" % number for number in range(10_000))
    stream = made(FileStream(str(tmp_path / "log"), max_bytes=1000, backup_count=1000))
    say(stream, data)
    assert whole(tmp_path / "log") == data
    assert all(0 < p.stat().st_size < 1000 and p.stat().st_size % 8 == 0 for p in tmp_path.iterdir())


def test_line_begun_in_one_chunk_is_finished_in_the_same_file(tmp_path, made):
    stream = made(FileStream(str(tmp_path / "log"), max_bytes=20, backup_count=5))
    say(stream, b"first line\nbegin")
    say(stream, b" and end\nnext\n")
    assert content(tmp_path / "log.1") == b"first line\nbegin and end\n"
    assert content(tmp_path / "log") == b"next\n"


def test_output_without_line_ends_is_rotated_all_the_same(tmp_path, made):
    stream = made(FileStream(str(tmp_path / "log"), max_bytes=10_000, backup_count=100))
    for number in range(100):
        say(stream, b"%d" % (number % 10) * 1000)
    assert whole(tmp_path / "log") == b"".join(b"%d" % (number % 10) * 1000 for number in range(100))
    assert max(p.stat().st_size for p in tmp_path.iterdir()) < 10_000


@pytest.mark.parametrize("options", [{"max_bytes": 10}, {"backup_count": 3}, {"max_bytes": "0", "backup_count": 3}])
def test_without_limit_or_without_backups_nothing_is_rotated_or_lost(tmp_path, made, options):
    stream = made(FileStream(str(tmp_path / "log"), **options))
    for _ in range(100):
        say(stream, b"line\n")
    assert content(tmp_path / "log") == b"line\n" * 100
    assert os.listdir(tmp_path) == ["log"]


def test_file_left_full_by_an_earlier_run_is_rotated_first(tmp_path, made):
    (tmp_path / "log").write_bytes(b"x" * 50 + b"\n")
    stream = made(FileStream(str(tmp_path / "log"), max_bytes=20, backup_count=1))
    say(stream, b"new\n")
    assert content(tmp_path / "log.1") == b"x" * 50 + b"\n"
    assert content(tmp_path / "log") == b"new\n"


def test_rotation_that_is_impossible_lets_the_file_grow_until_it_is_possible(tmp_path, made, caplog):
    path, obstacle = tmp_path / "log", tmp_path / "log.1"
    obstacle.mkdir()
    stream = made(FileStream(str(path), max_bytes=100, backup_count=1))
    for _ in range(1000):
        say(stream, b"line\n")
    assert content(path) == b"line\n" * 1000
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "cannot be rotated" in caplog.text
    obstacle.rmdir()
    say_until(stream, obstacle.exists)
    assert content(obstacle).startswith(b"line\n" * 1000)


def test_file_that_another_one_is_rotating_is_left_in_place_meanwhile(tmp_path, made):
    path = tmp_path / "log"
    stream = made(FileStream(str(path), max_bytes=100, backup_count=1))
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for _ in range(100):
            say(stream, b"line\n")
        assert content(path) == b"line\n" * 100
    say_until(stream, (tmp_path / "log.1").exists)


def test_two_streams_into_one_file_rotate_it_once_and_lose_nothing(tmp_path, made):
    path = tmp_path / "log"
    out = made(FileStream(str(path), max_bytes=500, backup_count=1000))
    err = made(FileStream(str(path), max_bytes=500, backup_count=1000))
    lines = []
    for number in range(2000):
        lines.append(b"%04d\n" % number)
        say(out if number % 3 else err, lines[-1])
    assert whole(path) == b"".join(lines)
    sizes = [p.stat().st_size for p in tmp_path.iterdir() if p != path]
    assert min(sizes) > 250 and max(sizes) < 1100


def test_four_processes_rotating_one_file_lose_nothing(tmp_path):
    script = (
        "import sys\n"
        "from circus.stream import FileStream\n"
        "stream = FileStream(sys.argv[1], max_bytes=20000, backup_count=1000)\n"
        "for n in range(5000): stream.write(b'%s %05d\\n' % (sys.argv[2].encode(), n))\n"
    )
    path = tmp_path / "log"
    started = [subprocess.Popen([sys.executable, "-c", script, str(path), str(who)]) for who in range(4)]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    lines = b"".join(p.read_bytes() for p in tmp_path.iterdir()).splitlines()
    assert sorted(lines) == sorted(b"%d %05d" % (who, n) for who in range(4) for n in range(5000))


chunks = st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"\n", b"a line\n", b"x" * 9000])), max_size=40)


@settings(deadline=None)
@given(chunks, st.integers(1, 200))
def test_rotation_never_loses_doubles_or_reorders_a_byte(tmp_path_factory, chunks, max_bytes):
    path = tmp_path_factory.mktemp("log") / "log"
    stream = FileStream(str(path), max_bytes=max_bytes, backup_count=100_000)
    for chunk in chunks:
        stream.write(memoryview(chunk))
    stream.close()
    assert whole(path) == b"".join(chunks)


# ---- time stamps ---------------------------------------------------------------------------------------------------


def test_stamps_are_put_on_lines_and_unfinished_ones_wait_for_the_end(tmp_path, made):
    path = tmp_path / "log"
    stream = made(FileStream(str(path), time_format="%Y"))
    stream.now = lambda: datetime(2026, 1, 1)
    say(stream, b"one\ntw")
    say(stream, b"other\n", pid=8)
    assert content(path) == b"2026 [7] | one\n2026 [8] | other\n"
    stream.end_of_output(7, "stdout")
    assert content(path).endswith(b"2026 [7] | tw\n")


def test_close_writes_unfinished_stamped_lines(tmp_path):
    stream = FileStream(str(tmp_path / "log"), time_format="%Y")
    say(stream, b"last words")
    stream.close()
    assert content(tmp_path / "log").endswith(b" [7] | last words\n")


def test_stamped_lines_are_rotated_whole(tmp_path, made):
    stream = made(FileStream(str(tmp_path / "log"), max_bytes=100, backup_count=100, time_format="%Y"))
    stream.now = lambda: datetime(2026, 1, 1)
    for number in range(100):
        say(stream, b"numb")
        say(stream, b"er %d\n" % number)
    assert whole(tmp_path / "log") == b"".join(b"2026 [7] | number %d\n" % n for n in range(100))
    assert all(p.read_bytes().startswith(b"2026 [7] | number ") for p in tmp_path.iterdir())


# ---- rotation by the clock -----------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1767614400.0  # 2026-01-05 12:00:00 UTC, a Monday

    monkeypatch.setattr(time, "time", lambda: Clock.now)
    return Clock


def test_finished_periods_get_the_time_they_began_in_their_name(tmp_path, made, clock, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stream = made(TimedRotatingFileStream("log", rotate_when="h", utc="true", refresh_time="1"))
    say(stream, b"1\n")
    clock.now += 3600
    say(stream, b"2\n")
    clock.now += 7200  # silence for an hour leaves no empty file
    say(stream, b"3\n")
    files = {p.name: content(p) for p in tmp_path.iterdir()}
    assert files == {"log": b"3\n", "log.2026010512": b"1\n", "log.2026010513": b"2\n"}


def test_utc_given_as_the_text_false_is_local_time(tmp_path, made, clock, monkeypatch):
    monkeypatch.setenv("TZ", "XXX-5")
    time.tzset()
    try:
        stream = made(TimedRotatingFileStream(str(tmp_path / "log"), rotate_when="H", utc="False"))
        say(stream, b"1\n")
        clock.now += 3600
        say(stream, b"2\n")
        assert (tmp_path / "log.2026010517").exists()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_only_the_newest_backups_are_kept_and_strange_files_are_left_alone(tmp_path, made, clock):
    for name in ("log.20260101", "log.202601051200", "log.old", "log2.202601051100", "log.202501010000.7"):
        (tmp_path / name).write_bytes(b"")
    stream = made(TimedRotatingFileStream(str(tmp_path / "log"), "2", rotate_when="M", utc=True))
    for number in range(5):
        say(stream, b"%d\n" % number)
        clock.now += 60
    assert sorted(os.listdir(tmp_path)) == [
        "log",
        "log.20260101",
        "log.202601051202",
        "log.202601051203",
        "log.old",
        "log2.202601051100",
    ]


def test_name_that_is_taken_gets_a_number(tmp_path, made, clock):
    stream = made(TimedRotatingFileStream(str(tmp_path / "log"), rotate_when="D", utc=True))
    (tmp_path / "log.20260105").write_bytes(b"yesterday's friend\n")
    say(stream, b"1\n")
    clock.now += 86400
    say(stream, b"2\n")
    assert content(tmp_path / "log.20260105") == b"yesterday's friend\n"
    assert content(tmp_path / "log.20260105.1") == b"1\n"


def test_file_of_an_earlier_run_is_rotated_when_its_period_is_over(tmp_path, made, clock):
    path = tmp_path / "log"
    path.write_bytes(b"yesterday\n")
    os.utime(path, (clock.now - 86400, clock.now - 86400))
    stream = made(TimedRotatingFileStream(str(path), rotate_when="MIDNIGHT", utc=True))
    say(stream, b"today\n")
    assert content(path) == b"today\n"
    assert content(tmp_path / "log.20260104") == b"yesterday\n"


def test_open_line_is_finished_before_the_clock_rotates(tmp_path, made, clock):
    stream = made(TimedRotatingFileStream(str(tmp_path / "log"), rotate_when="S", utc=True))
    say(stream, b"begin")
    clock.now += 5
    say(stream, b" end\nnext\n")
    assert content(tmp_path / "log.20260105120000") == b"begin end\n"
    assert content(tmp_path / "log") == b"next\n"


def test_two_streams_into_one_file_rotate_it_once_a_period(tmp_path, made, clock):
    path = str(tmp_path / "log")
    out, err = (made(TimedRotatingFileStream(path, rotate_when="H", utc=True)) for _ in range(2))
    for _ in range(3):
        for stream in (out, err, out):
            say(stream, b"line\n")
        clock.now += 3600
    names = ["log", "log.2026010512", "log.2026010513"]
    assert {p.name: content(p) for p in tmp_path.iterdir()} == dict.fromkeys(names, b"line\n" * 3)


def test_stopped_and_started_stream_still_knows_its_period(tmp_path, made, clock):
    stream = made(TimedRotatingFileStream(str(tmp_path / "log"), rotate_when="H", utc=True))
    say(stream, b"1\n")
    stream.close()
    clock.now += 3600
    stream.open()
    say(stream, b"2\n")
    assert content(tmp_path / "log.2026010512") == b"1\n"


def test_missing_rotate_when_is_refused(tmp_path):
    with pytest.raises(ValueError, match="rotate_when"):
        TimedRotatingFileStream(str(tmp_path / "log"))
