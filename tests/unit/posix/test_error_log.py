"""Lines for a standard error that takes none are lost, and counted."""

from __future__ import annotations

import io
import logging

import pytest

from circus.posix.error_log import ErrorLog


class Stream(io.StringIO):
    def fileno(self) -> int:
        raise ValueError("no descriptor")


@pytest.fixture
def log() -> ErrorLog:
    handler = ErrorLog()
    handler.setStream(Stream())
    return handler


def line(text: str) -> logging.LogRecord:
    return logging.LogRecord("circus", logging.INFO, "", 0, text, None, None)


def test_lines_are_written_where_there_is_no_descriptor_to_ask(log: ErrorLog) -> None:
    log.emit(line("one"))
    log.emit(line("x" * 10_000))
    assert log.stream.getvalue() == "one\n" + "x" * 10_000 + "\n"


def test_lines_that_are_not_taken_are_counted_when_one_is(log: ErrorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_can_take", lambda: False)
    log.emit(line("lost"))
    log.emit(line("lost"))
    monkeypatch.undo()
    log.emit(line("three"))
    expected = "2 lines of the log are lost: standard error was not read\nthree\n"
    assert log.stream.getvalue() == expected


def test_stream_that_raises_does_not_reach_the_one_who_logs(log: ErrorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.stream.close()
    log.emit(line("one"))
