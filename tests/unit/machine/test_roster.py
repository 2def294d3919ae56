from __future__ import annotations

from circus.machine.process import Process, State
from circus.machine.roster import Roster


def filled(*states: State) -> Roster:
    """One process for each state, serials from 1, generation 0."""
    roster = Roster()
    for serial, state in enumerate(states, 1):
        roster.add(Process(serial, roster.take_wid(), 0, state))
    return roster


def serials(processes: list[Process]) -> list[int]:
    return [process.serial for process in processes]


def test_counts_follow_the_states() -> None:
    roster = filled(State.PLANNED, State.FORKING, State.BORN, State.UP, State.ENDING, State.LEFTOVERS, State.DOOMED)
    assert (len(roster), roster.held_of(0), roster.current_of(0), roster.underway) == (7, 7, 4, 3)
    up = roster.get(4)
    assert up is not None
    roster.move(up, State.ENDING)
    roster.move(up, State.ENDING)
    assert (roster.count(State.ENDING), roster.current_of(0), roster.held_of(0)) == (2, 3, 7)
    roster.remove(up)
    assert (roster.count(State.ENDING), roster.held_of(0), roster.get(4)) == (1, 6, None)


def test_generations_are_told_apart() -> None:
    roster = filled(State.UP, State.UP, State.ENDING)
    young = Process(4, roster.take_wid(), 1, State.UP)
    roster.add(young)
    assert (roster.current_of(1), roster.current_before(1), roster.held_of(0)) == (1, 2, 3)
    for process in roster.current():
        roster.regenerate(process, 2)
    assert (roster.current_of(2), roster.current_before(2), roster.has_older(2)) == (3, 0, True)
    last = roster.get(3)
    assert last is not None
    roster.remove(last)
    assert not roster.has_older(2)


def test_lists_are_in_order_of_birth() -> None:
    roster = filled(State.UP, State.BORN, State.ENDING, State.UP, State.PLANNED)
    assert serials(roster.in_state(State.UP, State.BORN)) == [1, 2, 4]
    assert serials(roster.live()) == [1, 2, 3, 4]
    assert serials(roster.current()) == [1, 2, 4, 5]
    assert serials(list(roster)) == [1, 2, 3, 4, 5]


def test_roster_may_change_while_it_is_walked_through() -> None:
    roster = filled(State.UP, State.UP)
    for process in roster:
        roster.remove(process)
    assert len(roster) == 0


def test_smallest_free_worker_number_is_taken() -> None:
    roster = Roster()
    assert [roster.take_wid() for _ in range(4)] == [1, 2, 3, 4]
    for wid in (3, 1):
        roster.free_wid(wid)
    assert [roster.take_wid() for _ in range(3)] == [1, 3, 5]
