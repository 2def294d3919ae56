"""Arithmetic of birth marks; what the kernel makes of them is in tests/real."""

from __future__ import annotations

import resource

from hypothesis import given
from hypothesis import strategies as st

from circus.posix import mark

NONE = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
serials = st.integers(min_value=0, max_value=2**44)
CENTURY = 100 * 365 * 86400 * 1_000_000  # µs


@given(serials)
def test_mark_is_so_great_that_it_limits_nothing(serial: int) -> None:
    value = mark._within(NONE, serial)
    assert value is not None and CENTURY < value < 2**62


@given(serials, serials)
def test_different_serials_give_marks_that_do_not_own_each_other(one: int, other: int) -> None:
    first, second = mark._within(NONE, one), mark._within(NONE, other)
    assert mark.owns(first, second) == (one % (2**40 - 1) == other % (2**40 - 1))


@given(serials, serials, serials)
def test_marks_given_out_under_a_mark_belong_to_it_and_to_no_other(outer: int, inner: int, neighbour: int) -> None:
    above = mark._within(NONE, outer)
    assert above is not None
    below = mark._within((above, resource.RLIM_INFINITY), inner)
    assert below is not None and below != above
    assert mark.owns(above, below)
    assert not mark.owns(below, above)
    beside = mark._within(NONE, neighbour)
    assert mark.owns(beside, below) == (beside == above)


@given(serials, serials)
def test_marks_of_any_worker_are_known_as_given_by_us(outer: int, inner: int) -> None:
    ours = mark._within(NONE, outer)
    assert ours is not None and mark._gives(NONE, ours)
    below = mark._within((ours, resource.RLIM_INFINITY), inner)
    assert below is not None and mark._gives(NONE, below)
    assert mark._gives((ours, resource.RLIM_INFINITY), below)
    assert not mark._gives((ours, resource.RLIM_INFINITY), ours)  # that one we were given ourselves


def test_real_limits_are_no_marks_and_who_has_one_gives_none() -> None:
    assert not mark._gives(NONE, 200_000)
    assert not mark._gives((200_000, 200_000), 100_000)
    assert not mark.was_given(None)


def test_third_level_and_real_limits_give_no_marks() -> None:
    outer = mark._within(NONE, 5)
    assert outer is not None
    inner = mark._within((outer, -1), 5)
    assert inner is not None
    assert mark._within((inner, -1), 5) is None
    assert mark._within((200_000, 200_000), 5) is None


def test_mark_above_the_hard_limit_cannot_be_set_and_is_none() -> None:
    assert mark._within((resource.RLIM_INFINITY, 2**50), 5) is None


def test_nothing_owns_the_unmarked() -> None:
    assert not mark.owns(None, None)
    assert not mark.owns(None, 5)
    assert not mark.owns(mark._within(NONE, 5), None)


def test_marks_given_out_differ() -> None:
    marks = [mark.next_mark() for _ in range(1000)]
    assert len(set(marks)) in (1000, 1)  # 1: none, under two other circusds
