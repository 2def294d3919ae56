"""A stream that fails: counted, told, tried again."""

import errno
import logging
import time

import pytest

from circus.stream import sink as sink_module
from circus.stream.base import PartialWriteError
from circus.stream.sink import PIECE, Sink


class Stream:
    """Records what it is called with; raises `error` while there is one."""

    def __init__(self):
        self.error = None
        self.cost = 0.0
        self.heard = []
        self.calls = []

    def __call__(self, data):
        self._fail()
        self.heard.append(data)

    def open(self):
        self.calls.append("open")
        self._fail()

    def close(self):
        self.calls.append("close")

    def end_of_output(self, pid, name):
        self.calls.append((pid, name))

    def _fail(self):
        clock.now += self.cost
        if self.error:
            raise self.error

    @property
    def data(self):
        return b"".join(piece["data"] for piece in self.heard)


class Clock:
    now = 1000.0


clock = Clock()


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch):
    clock.now = 1000.0
    monkeypatch.setattr(sink_module.time, "monotonic", lambda: clock.now)


@pytest.fixture
def stream():
    return Stream()


@pytest.fixture
def sink(stream, caplog):
    caplog.set_level(logging.DEBUG, "circus")
    made = Sink("web", "stdout", stream, logging.getLogger("circus"))
    made.open()
    return made


def give(sink, data):
    sink.deliver(7, memoryview(data))


def test_stream_is_called_with_pid_name_data_and_timestamp(sink, stream):
    before = time.time()
    give(sink, b"hello\n")
    (piece,) = stream.heard
    assert (piece["pid"], piece["name"], piece["data"]) == (7, "stdout", b"hello\n")
    assert type(piece["data"]) is bytes
    assert before <= piece["timestamp"] <= time.time()


def test_much_data_comes_in_pieces_that_end_at_line_ends(sink, stream):
    data = b"".join(b"%05d" % n + b"x" * 94 + b"\n" for n in range(5000))
    give(sink, data)
    assert stream.data == data
    assert all(len(piece["data"]) <= PIECE and piece["data"].endswith(b"\n") for piece in stream.heard)


def test_line_longer_than_a_piece_is_cut_and_complete(sink, stream):
    data = b"x" * (3 * PIECE + 5) + b"\n"
    give(sink, data)
    assert stream.data == data
    assert max(len(piece["data"]) for piece in stream.heard) == PIECE


def test_failing_stream_is_counted_and_told_once_a_minute(sink, stream, caplog):
    stream.error = OSError(errno.ENOSPC, "No space left on device", "/var/log/x")
    for _ in range(10):
        give(sink, b"12345")
    assert (sink.received, sink.dropped) == (50, 50)
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith(
        "stream 'stdout' of watcher 'web' failed: [Errno 28] No space left on device: '/var/log/x'; "
        "5 bytes dropped since 20"
    )
    clock.now += 61
    give(sink, b"12345")
    assert "; 55 bytes dropped since" in caplog.messages[-1]
    assert len(caplog.messages) == 2


def test_recovery_is_told_once_with_the_total(sink, stream, caplog):
    stream.error = OSError(errno.ENOSPC, "full")
    give(sink, b"12345")
    give(sink, b"123")
    stream.error = None
    give(sink, b"again")
    give(sink, b"and again")
    assert stream.data == b"againand again"
    assert caplog.messages[1:] == ["stream 'stdout' of watcher 'web' works again; 8 bytes were dropped"]
    assert sink.dropped == 8


def test_stream_that_fails_every_other_time_does_not_flood_the_log(sink, stream, caplog):
    for number in range(1000):
        stream.error = ValueError("odd") if number % 2 else None
        give(sink, b"x")
    assert sink.dropped == 500
    assert len(caplog.messages) == 2
    sink.close()
    assert caplog.messages[-1] == "stream 'stdout' of watcher 'web': 499 bytes dropped"


def test_fault_of_a_class_is_told_with_its_traceback(sink, stream, caplog):
    stream.error = KeyError("oops")
    give(sink, b"x")
    assert caplog.records[0].exc_info
    assert "KeyError('oops')" in caplog.messages[0]


def test_partial_write_counts_what_is_missing_only(sink, stream):
    stream.error = PartialWriteError(OSError(errno.ENOSPC, "full", "/x"), 3)
    give(sink, b"12345")
    assert sink.dropped == 3


def test_stream_that_calls_exit_does_not_end_the_thread(sink, stream):
    stream.error = SystemExit(1)
    give(sink, b"x")
    assert sink.dropped == 1


def test_one_bad_piece_loses_only_itself(sink, stream):
    give(sink, b"good")
    stream.error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")
    give(sink, b"\xff")
    stream.error = None
    give(sink, b"good again")
    assert stream.data == b"goodgood again"
    assert sink.dropped == 1


def test_expensive_failure_is_not_tried_for_ten_times_its_duration(sink, stream):
    stream.error, stream.cost = TimeoutError("no answer"), 0.2
    give(sink, b"1")  # the first failure is not measured, the second one is
    give(sink, b"2")
    before = clock.now
    stream.error = None
    give(sink, b"3")
    assert clock.now == before and sink.dropped == 3
    clock.now += 2.1
    give(sink, b"4")
    assert stream.data == b"4"


def test_open_that_fails_is_tried_again_with_the_next_data(stream, caplog):
    stream.error = OSError(errno.EACCES, "no")
    sink = Sink("web", "stdout", stream, logging.getLogger("circus"))
    sink.open()
    give(sink, b"lost")
    stream.error = None
    give(sink, b"kept")
    assert stream.data == b"kept"
    assert sink.dropped == 4
    assert stream.calls == ["open", "open", "open"]


def test_no_stream_reads_and_forgets():
    sink = Sink("web", "stdout", None, logging.getLogger("circus"))
    sink.open()
    give(sink, b"12345")
    sink.end_of_output(7)
    sink.close()
    assert (sink.received, sink.dropped) == (5, 0)


def test_plain_callable_without_open_and_close_will_do():
    heard = []
    sink = Sink("web", "stderr", heard.append, logging.getLogger("circus"))
    sink.open()
    give(sink, b"x")
    sink.end_of_output(7)
    sink.close()
    assert heard[0]["name"] == "stderr"


def test_close_closes_once_and_data_after_it_opens_again(sink, stream):
    sink.close()
    sink.close()
    assert stream.calls == ["open", "close"]
    give(sink, b"late")
    sink.close()
    assert stream.calls == ["open", "close", "open", "close"]
    assert stream.data == b"late"


def test_replaced_stream_gets_the_rest_and_counters_go_on(sink, stream):
    stream.error = OSError("x")
    give(sink, b"123")
    sink.close()
    other = Stream()
    sink.replace(other)
    sink.open()
    give(sink, b"45")
    assert other.data == b"45"
    assert (sink.received, sink.dropped) == (5, 3)
