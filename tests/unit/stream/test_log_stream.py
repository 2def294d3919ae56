"""Lines of own programs in the daemon's log."""

from __future__ import annotations

import logging

import pytest

from circus.stream.log_stream import LogStream


@pytest.fixture
def stream(caplog):
    caplog.set_level(logging.DEBUG)
    return LogStream("plugin:x")


def told(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def feed(stream, *pieces, pid=1):
    for piece in pieces:
        stream({"pid": pid, "name": "stderr", "data": piece})


def test_line_is_logged_with_its_level_and_label(stream, caplog):
    feed(stream, b"[WARNING] hot\n[INFO] cold\n")
    assert told(caplog) == [("WARNING", "plugin:x: hot"), ("INFO", "plugin:x: cold")]


def test_lines_in_pieces_are_put_together_for_each_process(stream, caplog):
    feed(stream, b"[INFO] a")
    feed(stream, b"[INFO] other\n", pid=2)
    feed(stream, b"b\n")
    assert told(caplog) == [("INFO", "plugin:x: other"), ("INFO", "plugin:x: ab")]


def test_line_without_an_end_is_logged_when_the_process_has_ended(stream, caplog):
    feed(stream, b"[ERROR] last words")
    stream.end_of_output(1, "stderr")
    stream.end_of_output(1, "stderr")
    assert told(caplog) == [("ERROR", "plugin:x: last words")]


def test_endless_line_is_not_kept(stream, caplog):
    feed(stream, b"x" * 70_000)
    assert len(told(caplog)) == 1


def test_traceback_has_the_level_of_what_it_follows(stream, caplog):
    feed(stream, b"[ERROR] failed\nTraceback (most recent call last):\n  File x\nKeyError: 1\n\n")
    assert {level for level, _ in told(caplog)} == {"ERROR"}
    assert stream.complaint == "KeyError: 1"


def test_line_that_is_no_log_line_is_a_warning(stream, caplog):
    feed(stream, b"[odd] text\n", "ü\n".encode(), b"\xff\n")
    assert told(caplog) == [("WARNING", f"plugin:x: {text}") for text in ("[odd] text", "ü", "\\xff")]
    assert stream.complaint == ""
