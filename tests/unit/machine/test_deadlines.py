from __future__ import annotations

from circus.machine.deadlines import SLACK, Deadlines


def test_earliest_is_the_smallest_of_all() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key, at in [("b", 2.0), ("a", 1.0), ("c", 3.0)]:
        deadlines.set(key, at)
    assert deadlines.earliest() == 1.0


def test_none_at_all_has_no_earliest() -> None:
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.earliest() is None
    assert list(deadlines.due(99.0)) == []


def test_due_hands_over_each_key_once_and_in_order() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key, at in [("b", 2.0), ("a", 1.0), ("c", 3.0)]:
        deadlines.set(key, at)
    assert list(deadlines.due(2.0)) == ["a", "b"]
    assert list(deadlines.due(2.0)) == []
    assert deadlines.earliest() == 3.0


def test_moved_key_is_due_at_its_new_time_only() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for at in (1.0, 5.0, 3.0, 5.0):
        deadlines.set("a", at)
    assert list(deadlines.due(4.0)) == []
    assert deadlines.get("a") == 5.0
    assert list(deadlines.due(5.0)) == ["a"]
    assert list(deadlines.due(9.0)) == []


def test_removed_key_is_never_due() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.set("a", None)
    deadlines.set("never there", None)
    assert deadlines.earliest() is None


def test_key_set_while_others_are_handed_over_is_seen() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    seen = []
    for key in deadlines.due(2.0):
        seen.append(key)
        if key == "a":
            deadlines.set("b", 1.5)
            deadlines.set("c", 9.0)
    assert seen == ["a", "b"]


def test_clear_forgets_all() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.clear()
    assert (deadlines.earliest(), deadlines.get("a")) == (None, None)


def test_deadlines_that_were_moved_or_removed_do_not_pile_up() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for number in range(1000):
        deadlines.set(number, 1e6 + number)
        deadlines.set(number, None)
        deadlines.set(0, 1e7 + number % 2)
    assert len(deadlines._heap) <= 2 + SLACK
    assert deadlines.earliest() == 1e7 + 1
