"""Standard output and the queue."""

import io
import sys
from datetime import datetime

import pytest

from circus.stream import Empty, FancyStdoutStream, Queue, QueueStream, StdoutStream


def replace_stdout(monkeypatch):
    """Called in the test itself: pytest puts its own stdout in place between a fixture and the test."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    return out.buffer


def piece(data, pid=7):
    return {"pid": pid, "name": "stdout", "data": data}


def test_stdout_gets_the_bytes_whatever_its_encoding(monkeypatch):
    stdout = replace_stdout(monkeypatch)
    StdoutStream(refresh_time="0.3")(piece(b"\xff\x00half \xe2\x82"))
    assert stdout.getvalue() == b"\xff\x00half \xe2\x82"


def test_stdout_without_a_binary_side_gets_text(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    StdoutStream()(piece("grüß\n".encode() + b"\xff\n"))
    assert sys.stdout.getvalue() == "grüß\n\ufffd\n"


def test_no_stdout_at_all_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    StdoutStream()(piece(b"x"))


def test_fancy_lines_are_coloured_and_stamped_once_even_in_pieces(monkeypatch):
    stdout = replace_stdout(monkeypatch)
    stream = FancyStdoutStream(color="blue", time_format="%H:%M", refresh_time=1)
    stream.now = lambda: datetime(2026, 1, 2, 3, 4)
    stream(piece(b"one\ntw"))
    stream(piece(b"o\nthr"))
    stream.end_of_output(7, "stdout")
    line = b"\x1b[0;34;40m03:04 [7] | %s\x1b[0m\n"
    assert stdout.getvalue() == line % b"one" + line % b"two" + line % b"thr"


def test_file_and_clock_of_a_stream_can_be_looked_at_and_exchanged(monkeypatch):
    stream = FancyStdoutStream(color="red", time_format="%H:%M")
    assert stream.out is FancyStdoutStream.out is sys.stdout
    assert isinstance(FancyStdoutStream.now(), datetime) and isinstance(stream.now(), datetime)
    stream.out = io.StringIO()
    stream.now = lambda: datetime(2026, 1, 2, 3, 4)
    stream(piece(b"one\n"))
    assert stream.out.getvalue() == "\x1b[0;31;40m03:04 [7] | one\x1b[0m\n"
    other = io.StringIO()
    monkeypatch.setattr(FancyStdoutStream, "out", other)
    FancyStdoutStream()(piece(b"two\n"))
    assert "two" in other.getvalue()


def test_fancy_close_shows_what_was_not_finished(monkeypatch):
    stdout = replace_stdout(monkeypatch)
    stream = FancyStdoutStream()
    stream(piece(b"last words"))
    assert stdout.getvalue() == b""
    stream.close()
    assert b"[7] | last words" in stdout.getvalue()


@pytest.mark.parametrize("color", [None, "mauve"])
def test_fancy_colour_that_is_missing_or_unknown_is_chosen(color):
    assert FancyStdoutStream(color=color).color in FancyStdoutStream.colors


def test_fancy_default_time_format():
    assert FancyStdoutStream().time_format == "%Y-%m-%d %H:%M:%S"


def test_queue_holds_the_mappings_in_order():
    stream = QueueStream(refresh_time="0.3")
    assert isinstance(stream, Queue)
    stream(piece(b"1"))
    stream(piece(b"2"))
    assert [stream.get_nowait()["data"], stream.get_nowait()["data"]] == [b"1", b"2"]
    with pytest.raises(Empty):
        stream.get_nowait()


def test_full_queue_drops_the_oldest_and_counts():
    stream = QueueStream(maxsize="3")
    for number in range(5):
        stream(piece(b"%d" % number))
    assert stream.dropped == 2
    assert [stream.get_nowait()["data"] for _ in range(3)] == [b"2", b"3", b"4"]


def test_full_queue_can_still_be_joined():
    stream = QueueStream(maxsize=1)
    stream(piece(b"1"))
    stream(piece(b"2"))
    stream.get_nowait()
    stream.task_done()
    assert stream.unfinished_tasks == 0
