"""Names and values of limits."""

from __future__ import annotations

import resource

import pytest

from circus.posix import limits


@pytest.mark.parametrize("name", ["NOFILE", "nofile", "RLIMIT_NOFILE", "rlimit_nofile", "OFILE"])
def test_name_is_known_in_every_spelling(name: str) -> None:
    assert limits.resolve([(name, 12)]) == [("NOFILE", 12, 12)]


@pytest.mark.parametrize("infinite", [None, -1])
def test_none_is_infinity_and_for_descriptors_the_hard_limit(infinite: int | None) -> None:
    assert limits.resolve([("CORE", infinite)]) == [("CORE", resource.RLIM_INFINITY, resource.RLIM_INFINITY)]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limits.resolve([("NOFILE", infinite)]) == [("NOFILE", hard, hard)]


def test_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown limit 'FILES'.*nofile"):
        limits.resolve([("CORE", 0), ("FILES", 12)])


def test_nothing_wanted_is_nothing() -> None:
    assert limits.resolve([]) == []


def test_nothing_is_moved_or_lowered_while_nothing_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_original", None)
    assert limits.lift(2) == 2
    assert limits.room_below()
    assert limits.childrens_nofile() == []
