"""Rotation by the clock: the end of a period and the name of what was written in it."""

import calendar
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus.stream.schedule import Schedule

MONDAY_NOON = calendar.timegm((2026, 1, 5, 12, 0, 0))
WHENS = ["S", "M", "H", "D", "MIDNIGHT", *(f"W{day}" for day in range(7))]


@pytest.fixture
def zone(monkeypatch):
    def set_zone(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


def utc(*fields):
    return calendar.timegm((*fields, 0, 0, 0)[:6])


@pytest.mark.parametrize(
    ("when", "interval", "end", "suffix"),
    [
        ("S", 5, MONDAY_NOON + 5, "20260105120000"),
        ("m", 1, MONDAY_NOON + 60, "202601051200"),
        ("H", "2", MONDAY_NOON + 7200, "2026010512"),
        ("d", 1, MONDAY_NOON + 86400, "20260105"),
        ("midnight", 1, utc(2026, 1, 6), "20260105"),
        ("MIDNIGHT", 3, utc(2026, 1, 8), "20260105"),
        ("W0", 1, utc(2026, 1, 6), "20251230"),
        ("w2", 1, utc(2026, 1, 8), "20260101"),
        ("W6", 1, utc(2026, 1, 12), "20260105"),
        ("W6", 2, utc(2026, 1, 19), "20260105"),
    ],
)
def test_end_and_suffix_of_a_period_that_begins_on_a_monday_noon(when, interval, end, suffix):
    schedule = Schedule(when, interval, utc=True)
    assert schedule.next_after(MONDAY_NOON) == end
    assert schedule.suffix_for(end) == suffix
    assert schedule.suffix_length == len(suffix)


@pytest.mark.parametrize("when", ["X", "", None, "W7", "W", "W10", "SS", "W-1"])
def test_unknown_unit_is_refused_with_the_list_of_units(when):
    with pytest.raises(ValueError, match="S, M, H, D, MIDNIGHT, W0"):
        Schedule(when)


@pytest.mark.parametrize("when", WHENS)
def test_a_period_longer_than_any_calendar_does_not_end(when):
    assert Schedule(when, 2**62).next_after(MONDAY_NOON) >= MONDAY_NOON + 2**62


@pytest.mark.parametrize("interval", [0, -1, "x"])
def test_interval_below_one_is_refused(interval):
    with pytest.raises(ValueError):
        Schedule("D", interval)


def test_local_midnight_differs_from_utc_midnight(zone):
    zone("XXX-5")  # five hours east of Greenwich
    at = utc(2026, 1, 5, 20)
    assert Schedule("MIDNIGHT").next_after(at) == utc(2026, 1, 6, 19)
    assert Schedule("MIDNIGHT", utc=True).next_after(at) == utc(2026, 1, 6)


def test_days_of_23_and_25_hours_end_at_midnight_and_keep_their_date(zone):
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    short = time.mktime((2026, 3, 29, 0, 0, 0, 0, 0, -1))
    long = time.mktime((2026, 10, 25, 0, 0, 0, 0, 0, -1))
    schedule = Schedule("MIDNIGHT")
    assert schedule.next_after(short) - short == 23 * 3600
    assert schedule.next_after(long) - long == 25 * 3600
    assert schedule.suffix_for(schedule.next_after(short)) == "20260329"
    assert schedule.suffix_for(schedule.next_after(long)) == "20261025"


@given(st.sampled_from(WHENS), st.integers(1, 40), st.integers(0, 4_000_000_000))
def test_a_period_ends_after_it_began_and_the_suffix_is_all_digits(when, interval, start):
    schedule = Schedule(when, interval, utc=True)
    end = schedule.next_after(start)
    assert end > start
    suffix = schedule.suffix_for(end)
    assert suffix.isdigit() and len(suffix) == schedule.suffix_length
