"""Text for the cells of a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus.stats.top.text import cells, clip, place, printable, spread, wrap


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("web-1", "web-1"),
        (12, "12"),
        (None, "None"),
        ("\x1b[2Jx", "\\x1b[2Jx"),
        ("a\nb\tc\x7f\x9b", "a\\nb\\tc\\x7f\\x9b"),
        ("\u202egnp", "\\u202egnp"),  # right to left override
        ("\udcff", "\\udcff"),  # half a pair: cannot be written at all
        ("zürich 日本", "zürich 日本"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(value, expected):
    assert printable(value) == expected


def test_what_the_encoding_lacks_is_escaped():
    assert printable("zürich 日", "latin-1") == "zürich \\u65e5"
    assert printable("zürich", "ascii") == "z\\xfcrich"


def test_endless_text_is_cut():
    assert len(printable("x" * 10_000_000)) <= 1000


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("ä", 1), ("", 0)])
def test_width_counts_cells_and_not_characters(text, columns):
    assert cells(text) == columns


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [("abcd", 4, "abcd"), ("abcde", 4, "abc~"), ("日本語", 4, "日~"), ("abc", 1, "~"), ("abc", 0, ""), ("abc", -3, "")],
)
def test_long_text_is_cut_with_a_mark(text, room, expected):
    assert clip(text, room) == expected


def test_texts_stand_at_their_columns_and_are_cut_before_the_next():
    assert place([(2, "abc"), (8, "d"), (12, "e")], 40) == "  abc   d   e"
    assert place([(2, "abcdefgh"), (8, "d")], 40) == "  abcd~ d"


def test_last_text_moves_left_rather_than_being_cut():
    assert place([(0, "a"), (6, "12345")], 10) == "a    12345"
    assert place([(0, "abc"), (6, "123456789")], 10) == "abc 12345~"


@given(st.lists(st.text(max_size=12), max_size=5), st.integers(0, 60))
def test_line_is_never_wider_than_the_screen(texts, width):
    parts = [(index * 8, printable(text)) for index, text in enumerate(texts)]
    assert cells(place(parts, width)) <= width


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 60))
def test_two_texts_fit_the_line(left, right, width):
    assert cells(spread(printable(left), printable(right), width)) <= width


def test_two_texts_stand_at_the_edges():
    assert spread("a", "b", 5) == "a   b"
    assert spread("abcd", "efgh", 7) == "abcd e~"


def test_words_are_wrapped_and_long_ones_cut():
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("abcdefghij x", 5) == ["abcd~", "x"]
