"""Reading the texts of /proc."""

from __future__ import annotations

import pytest

from circus.posix.processes import ProcessEntry, _parse_stat

FIELDS = b"S 7 8 9 0 -1 4194304 78 0 0 0 0 0 0 0 20 0 1 0 12345 2891776 245 18446744073709551615\n"


@pytest.mark.parametrize("name", ["sleep", "a b", ") R 1 1 1 (", "((", "))", ""])
def test_stat_is_read_whatever_the_name(name: str) -> None:
    entry = _parse_stat(b"42 (" + name.encode() + b") " + FIELDS)
    assert entry == ProcessEntry(42, name, "S", parent=7, group=8, session=9, birth=12345.0)


def test_empty_stat_is_nobody() -> None:
    assert _parse_stat(b"") is None


def test_name_that_is_no_text_is_shown_as_far_as_it_is() -> None:
    entry = _parse_stat(b"42 (\xffx) " + FIELDS)
    assert entry is not None and entry.name == "\ufffdx"


@pytest.mark.parametrize(("state", "dead"), [("Z", True), ("X", True), ("S", False), ("D", False), ("T", False)])
def test_zombie_is_who_is_dead(state: str, dead: bool) -> None:
    entry = ProcessEntry(42, "x", state, 7, 8, 9, 1.0)
    assert entry.is_zombie is dead
    assert str(entry) == "x[42]"
