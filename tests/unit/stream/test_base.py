"""Time stamps on whole lines."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from circus.stream.base import LINE_LIMIT, LineStamper

NOW = datetime(2026, 1, 2, 3, 4, 5)


def stamper(**kwargs):
    return LineStamper("%H:%M:%S", lambda: NOW, **kwargs)


def test_each_line_of_a_piece_gets_a_stamp():
    assert stamper().feed(7, "stdout", b"a\n\nb\n") == b"03:04:05 [7] | a\n03:04:05 [7] | \n03:04:05 [7] | b\n"


def test_line_in_three_pieces_gets_one_stamp_when_it_ends():
    lines = stamper()
    assert lines.feed(7, "stdout", b"ab") == b""
    assert lines.feed(7, "stdout", b"cd") == b""
    assert lines.feed(7, "stdout", b"ef\ngh") == b"03:04:05 [7] | abcdef\n"
    assert lines.end(7, "stdout") == b"03:04:05 [7] | gh\n"
    assert lines.end(7, "stdout") == b""


def test_fifty_lines_of_3_kb_in_pieces_of_1024_stay_fifty_lines():
    data = b"".join(b"%04d" % n + b"x" * 2995 + b"\n" for n in range(50))
    lines = stamper()
    out = b"".join(lines.feed(7, "stdout", data[at : at + 1024]) for at in range(0, len(data), 1024))
    assert len(out.splitlines()) == 50
    assert out.replace(b"03:04:05 [7] | ", b"") == data


def test_lines_of_two_processes_in_alternating_pieces_do_not_mix():
    lines = stamper()
    out = lines.feed(1, "stdout", b"on") + lines.feed(2, "stdout", b"tw") + lines.feed(1, "stderr", b"er")
    out += lines.feed(1, "stdout", b"e\n") + lines.feed(2, "stdout", b"o\n") + lines.feed(1, "stderr", b"r\n")
    assert out == b"03:04:05 [1] | one\n03:04:05 [2] | two\n03:04:05 [1] | err\n"


def test_line_above_the_limit_is_passed_on_in_parts_of_one_line():
    lines = stamper()
    long = b"x" * (LINE_LIMIT + 10)
    out = lines.feed(1, "stdout", long) + lines.feed(1, "stdout", b"yy") + lines.feed(1, "stdout", b"zz\nnext\n")
    assert out == b"03:04:05 [1] | " + long + b"yyzz\n03:04:05 [1] | next\n"


def test_other_process_in_the_middle_of_a_long_line_begins_a_line_of_its_own():
    lines = stamper()
    long = b"x" * (LINE_LIMIT + 1)
    out = lines.feed(1, "stdout", long) + lines.feed(2, "stdout", b"other\n") + lines.feed(1, "stdout", b"rest\n")
    assert out.split(b"\n") == [b"03:04:05 [1] | " + long, b"03:04:05 [2] | other", b"03:04:05 [1] | rest", b""]


def test_end_of_a_long_open_line_adds_the_missing_line_end_once():
    lines = stamper()
    lines.feed(1, "stdout", b"x" * (LINE_LIMIT + 1))
    assert lines.end(1, "stdout") == b"\n"
    assert lines.end_all() == b""


def test_end_all_gives_the_unfinished_line_of_every_process():
    lines = stamper()
    lines.feed(1, "stdout", b"one")
    lines.feed(2, "stderr", b"two")
    assert lines.end_all() == b"03:04:05 [1] | one\n03:04:05 [2] | two\n"


def test_start_and_stop_surround_every_line_but_not_its_end():
    assert stamper(start=b"<", stop=b">").feed(1, "stdout", b"a\nb\n") == (b"<03:04:05 [1] | a>\n<03:04:05 [1] | b>\n")


pieces = st.lists(st.tuples(st.integers(1, 3), st.binary(max_size=20)), max_size=30)


@given(pieces)
def test_any_pieces_of_any_processes_come_out_whole_and_in_order(history):
    lines = stamper()
    out = b"".join(lines.feed(pid, "stdout", data) for pid, data in history) + lines.end_all()
    for pid in (1, 2, 3):
        said = b"".join(data for who, data in history if who == pid)
        stamp = b"03:04:05 [%d] | " % pid
        heard = [line[len(stamp) :] for line in out.split(b"\n") if line.startswith(stamp)]
        assert heard == (said + b"\n" if said and not said.endswith(b"\n") else said).split(b"\n")[:-1]
    assert sum(out.count(b"03:04:05 [%d] | " % pid) for pid in (1, 2, 3)) == out.count(b"\n")
