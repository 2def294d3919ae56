from __future__ import annotations

import pytest

from circus.machine.flapping import Slot, Verdict, expires_at, flapping_delay, judge_death, spawn_retry_delay
from circus.options.table import WatcherSpec


def spec(**options: object) -> WatcherSpec:
    return WatcherSpec("web", options)


def deaths(watcher: WatcherSpec, *times: float, lived: float = 0.0) -> list[Verdict]:
    slot = Slot()
    return [judge_death(slot, watcher, at, lived, 0.5) for at in times]


def test_second_death_within_the_window_is_a_pause() -> None:
    assert deaths(spec(), 0.0, 1.0) == [Verdict(0.0), Verdict(7.0, 1)]


def test_second_death_after_the_window_is_none() -> None:
    assert deaths(spec(), 0.0, 1.1) == [Verdict(0.0), Verdict(0.0)]


def test_deaths_are_counted_in_a_sliding_window() -> None:
    verdicts = deaths(spec(flapping_attempts=3, flapping_window=10), 0.0, 8.0, 11.0, 12.0)
    assert [verdict.delay for verdict in verdicts] == [0.0, 0.0, 0.0, 7.0]


def test_pauses_in_a_row_grow_and_end_in_giving_up() -> None:
    watcher = spec(flapping_attempts=1, flapping_max_retry=3)
    verdicts = deaths(watcher, 0.0, 10.0, 30.0, 60.0)
    assert [verdict.delay for verdict in verdicts] == [7.0, 14.0, 28.0, 0.0]
    assert verdicts[-1] == Verdict(0.0, 3, given_up=True)


def test_long_life_forgives() -> None:
    slot, watcher = Slot(), spec(flapping_attempts=1)
    for at in (0.0, 10.0):
        judge_death(slot, watcher, at, 0.0, 0.5)
    assert judge_death(slot, watcher, 99.0, 1.5, 0.5) == Verdict(7.0, 1)


def test_inactive_detection_only_sees_to_one_start_a_second() -> None:
    watcher = spec(flapping_active=False)
    assert judge_death(Slot(), watcher, 0.0, 0.25, 0.5) == Verdict(0.75)
    assert judge_death(Slot(), watcher, 0.0, 5.0, 0.5) == Verdict(0.0)


@pytest.mark.parametrize(
    ("options", "attempt", "delay"),
    [
        ({}, 1, 7.0),
        ({}, 2, 14.0),
        ({}, 100, 300.0),
        ({"flapping_backoff": 1}, 50, 7.0),
        ({"flapping_retry_in": 1000}, 1, 300.0),
        ({"flapping_retry_in": -5}, 1, 0.0),
        ({"flapping_max_retry_in": 2}, 1, 2.0),
        ({"flapping_backoff": 1e300, "flapping_max_retry_in": 1e308}, 1000, 1e308),
    ],
)
def test_delay_grows_to_its_limit(options: dict[str, float], attempt: int, delay: float) -> None:
    assert flapping_delay(spec(**options), attempt, 0.5) == pytest.approx(delay)


def test_jitter_is_ten_percent_either_way() -> None:
    assert flapping_delay(spec(), 1, 0.0) == pytest.approx(6.3)
    assert flapping_delay(spec(), 1, 1.0) == pytest.approx(7.7)


def test_pause_after_failed_execution_doubles_up_to_the_longest() -> None:
    assert [spawn_retry_delay(spec(), n) for n in (1, 2, 3, 1000)] == [0.1, 0.2, 0.4, 300.0]
    assert spawn_retry_delay(spec(flapping_max_retry_in=0), 9) == 0.1


def test_age_is_counted_from_birth_and_has_a_random_part() -> None:
    assert expires_at(spec(max_age=0), 5.0, 6.0, 0.5) is None
    assert expires_at(spec(max_age=100, max_age_variance=20), 5.0, 6.0, 0.5) == 115.0
    assert expires_at(spec(max_age=100, max_age_variance=-3), 5.0, 6.0, 0.5) == 105.0


def test_process_already_too_old_gets_the_random_part_from_now_on() -> None:
    assert expires_at(spec(max_age=10, max_age_variance=20), 5.0, 99.0, 0.5) == 109.0
