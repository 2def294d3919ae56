"""Where a watcher's life stands, and what status says of it."""

from __future__ import annotations

from circus.machine.phase import Phase


def test_status_knows_the_words_of_existing_programs_only() -> None:
    assert {phase.status for phase in Phase} == {"stopped", "starting", "active", "stopping"}
    assert (Phase.PREPARING.status, Phase.FINISHING.status) == ("stopped", "starting")


def test_watcher_is_on_its_way_up_until_it_is_active_and_has_processes_from_starting_on() -> None:
    assert [phase for phase in Phase if phase.is_beginning] == [Phase.PREPARING, Phase.STARTING, Phase.FINISHING]
    assert [phase for phase in Phase if phase.is_running] == [Phase.STARTING, Phase.FINISHING, Phase.ACTIVE]
