"""Who is known to circusd-stats: histories of events and answers, and who is there after them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus.common.names import KILL, REAP, REMOVE, SPAWN, START, STOP
from circus.stats.daemon.table import Member, Table

OWN_PID = 7


def table(**watchers: list[int]) -> Table:
    made = Table(OWN_PID)
    for name, pids in watchers.items():
        made.answered(name, pids)
    return made


def pids(made: Table, watcher: str) -> list[int]:
    return [member.pid for member in made.groups().get(watcher, [])]


# ---- groups ------------------------------------------------------------------------------------------------------


def test_the_group_circus_has_the_daemon_and_us_before_anything_is_answered() -> None:
    made = Table(OWN_PID)
    assert made.groups() == {"circus": [Member(OWN_PID, "circusd-stats")]}
    made.daemon_pid = 3
    assert made.groups() == {"circus": [Member(3, "circusd"), Member(OWN_PID, "circusd-stats")]}


def test_watchers_of_circus_own_programs_have_no_group_of_their_own() -> None:
    made = table(**{"circusd-stats": [OWN_PID], "circushttpd": [9], "plugin:x": [10]})
    assert made.groups() == {
        "circus": [Member(OWN_PID, "circusd-stats"), Member(9, "circushttpd")],
        "plugin:x": [Member(10)],
    }


def test_a_name_with_blanks_and_capitals_is_one_group_under_its_res_name() -> None:
    made = Table(OWN_PID)
    assert made.listed(["my App"]) == ["my App"]
    made.answered("my App", [1])
    assert not made.happened("my_app", SPAWN, 2)
    assert pids(made, "my_app") == [1, 2] and "my App" not in made.groups()


def test_a_watcher_without_processes_is_no_group() -> None:
    assert list(table(a=[]).groups()) == ["circus"]


def test_a_watcher_named_circus_shares_the_group() -> None:
    assert table(circus=[1]).groups() == {"circus": [Member(OWN_PID, "circusd-stats"), Member(1)]}


# ---- events ------------------------------------------------------------------------------------------------------


def test_spawn_and_reap_are_followed() -> None:
    made = table(a=[1])
    assert not made.happened("a", SPAWN, 2)
    assert not made.happened("a", REAP, 1)
    assert pids(made, "a") == [2]


def test_stop_takes_every_process_away() -> None:
    made = table(a=[1, 2, 3, 4])
    assert not made.happened("a", STOP)
    assert pids(made, "a") == []


def test_kill_takes_nobody_away_and_may_be_about_a_child_nobody_knows() -> None:
    made = table(a=[1])
    assert not made.happened("a", KILL, 1)
    assert not made.happened("a", KILL, 99)
    assert pids(made, "a") == [1]


@pytest.mark.parametrize("event", [SPAWN, REAP, START, STOP])
def test_an_event_of_an_unknown_watcher_asks_about_it(event: str) -> None:
    made = table(a=[1])
    assert made.happened("b", event, 2)
    assert pids(made, "b") == ([2] if event == SPAWN else [])


def test_the_death_of_an_unknown_process_asks() -> None:
    made = table(a=[1])
    assert made.happened("a", REAP, 2)
    assert pids(made, "a") == [1]


def test_the_end_of_a_process_that_was_found_gone_asks_nothing() -> None:
    made = table(a=[1, 2])
    made.gone(1)
    assert pids(made, "a") == [2]
    assert not made.happened("a", REAP, 1)
    assert made.happened("a", REAP, 1)  # one end each


def test_a_daemon_found_gone_is_forgotten() -> None:
    made = table(a=[1])
    made.daemon_pid = 3
    made.gone(3)
    assert made.daemon_pid is None and pids(made, "a") == [1]


def test_removal_asks_who_is_left() -> None:
    made = table(a=[1])
    assert made.happened("a", REMOVE)
    made.asked("a")
    made.answered("a", None)
    assert "a" not in made.groups()
    assert made.happened("a", START)  # it is unknown


# ---- answers -----------------------------------------------------------------------------------------------------


def test_everybody_listed_and_everybody_known_is_asked_about() -> None:
    made = table(old=[1], both=[2])
    assert sorted(made.listed(["both", "new one"])) == ["both", "new one", "old"]


def test_an_answer_replaces_what_was_known() -> None:
    made = table(a=[1, 2])
    made.asked("a")
    made.answered("a", [2, 3])
    assert pids(made, "a") == [2, 3]


def test_an_answer_older_than_an_event_does_not_undo_it() -> None:
    made = table(a=[1])
    made.asked("a")
    assert not made.happened("a", REAP, 1)
    assert not made.happened("a", SPAWN, 2)
    made.answered("a", [1])
    assert pids(made, "a") == [2]


def test_a_watcher_added_while_it_was_said_to_be_unknown_stays() -> None:
    made = Table(OWN_PID)
    made.asked("a")
    assert not made.happened("a", SPAWN, 1)
    made.answered("a", None)
    assert pids(made, "a") == [1]


def test_while_a_question_is_open_no_second_one_is_asked_for() -> None:
    made = table(a=[])
    made.asked("a")
    assert not made.happened("a", REAP, 1)
    made.unanswered()
    assert made.happened("a", REAP, 1)


EVENTS = st.tuples(st.sampled_from([SPAWN, REAP, STOP]), st.integers(1, 4))


@given(st.lists(EVENTS, max_size=12), st.integers(0, 12), st.integers(0, 12), st.sets(st.integers(1, 4)))
def test_an_answer_from_any_moment_of_an_open_question_leads_to_the_truth(
    history: list[tuple[str, int]], asked_after: int, seen_after: int, believed: set[int]
) -> None:
    """`believed` is wrong in any way; the question is asked after some events and answered as of others."""

    def truth(events: list[tuple[str, int]]) -> set[int]:
        alive: set[int] = set()
        for event, pid in events:
            if event == SPAWN:
                alive.add(pid)
            elif event == REAP:
                alive.discard(pid)
            else:
                alive.clear()
        return alive

    asked_after = min(asked_after, len(history))
    made = table(a=list(believed))
    for event, pid in history[:asked_after]:
        made.happened("a", event, pid)
    made.asked("a")
    for event, pid in history[asked_after:]:
        made.happened("a", event, pid)
    made.answered("a", truth(history[: max(asked_after, min(seen_after, len(history)))]))
    assert set(pids(made, "a")) == truth(history)
