from __future__ import annotations

from circus.machine.process import Process, State
from circus.machine.process_table import ProcessTable


def filled(*states: State) -> ProcessTable:
    """One process for each state, serials from 1, generation 0."""
    table = ProcessTable()
    for serial, state in enumerate(states, 1):
        table.add(Process(serial, table.take_wid(), 0, state))
    return table


def serials(processes: list[Process]) -> list[int]:
    return [process.serial for process in processes]


def test_counts_follow_the_states() -> None:
    table = filled(State.PLANNED, State.FORKING, State.BORN, State.UP, State.ENDING, State.LEFTOVERS, State.DOOMED)
    assert (len(table), table.held_of(0), table.current_of(0), table.underway) == (7, 7, 4, 3)
    up = table.get(4)
    assert up is not None
    table.move(up, State.ENDING)
    table.move(up, State.ENDING)
    assert (table.count(State.ENDING), table.current_of(0), table.held_of(0)) == (2, 3, 7)
    table.remove(up)
    assert (table.count(State.ENDING), table.held_of(0), table.get(4)) == (1, 6, None)


def test_generations_are_told_apart() -> None:
    table = filled(State.UP, State.UP, State.ENDING)
    young = Process(4, table.take_wid(), 1, State.UP)
    table.add(young)
    assert (table.current_of(1), table.current_before(1), table.held_of(0)) == (1, 2, 3)
    for process in table.current():
        table.regenerate(process, 2)
    assert (table.current_of(2), table.current_before(2), table.has_older(2)) == (3, 0, True)
    last = table.get(3)
    assert last is not None
    table.remove(last)
    assert not table.has_older(2)


def test_lists_are_in_order_of_birth() -> None:
    table = filled(State.UP, State.BORN, State.ENDING, State.UP, State.PLANNED)
    assert serials(table.in_state(State.UP, State.BORN)) == [1, 2, 4]
    assert serials(table.live()) == [1, 2, 3, 4]
    assert serials(table.current()) == [1, 2, 4, 5]
    assert serials(list(table)) == [1, 2, 3, 4, 5]


def test_roster_may_change_while_it_is_walked_through() -> None:
    table = filled(State.UP, State.UP)
    for process in table:
        table.remove(process)
    assert len(table) == 0


def test_smallest_free_worker_number_is_taken() -> None:
    table = ProcessTable()
    assert [table.take_wid() for _ in range(4)] == [1, 2, 3, 4]
    for wid in (3, 1):
        table.free_wid(wid)
    assert [table.take_wid() for _ in range(3)] == [1, 3, 5]
