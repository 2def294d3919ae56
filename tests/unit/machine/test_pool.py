"""How many: incr and decr, other settings of a running watcher, max_age."""

from __future__ import annotations

from typing import Any

import pytest

from circus.machine.watcher import Watcher
from circus.options.kinds import BOOLEAN
from circus.options.option import Effect, Family, Option
from circus.options.table import WatcherSpec
from tests.sim import NEVER, Hook, Program, Sim


def running(sim: Sim, **options: object) -> Watcher:
    web = sim.add("web", **{"numprocesses": 3, **options})
    sim.start(web)
    sim.told()
    return web


# ---- numprocesses --------------------------------------------------------------------------------------------------


def test_incr_starts_more_and_the_answer_is_the_new_number() -> None:
    sim = Sim()
    web = running(sim)
    ticket = sim.change(web, numprocesses=5, updates=1)
    assert sim.told() == [
        "event web updated",
        *["spawn web.4", "spawn web.5", "event web spawn 4", "event web spawn 5"],
    ]
    assert sim.replies[ticket].result == {"numprocesses": 5}


def test_decr_ends_the_oldest_first() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = running(sim)
    ticket = sim.change(web, numprocesses=1)
    assert sim.told() == ["TERM web.1", "TERM web.2"]
    assert ticket not in sim.replies
    sim.advance(1.0)
    assert sim.told() == ["event web reap 1 (-15)", "event web reap 2 (-15)"]
    assert sim.replies[ticket].result == {"numprocesses": 1}
    assert web.status == "active"


def test_decr_to_zero_stays_active() -> None:
    sim = Sim()
    web = running(sim)
    sim.change(web, numprocesses=0)
    assert (web.status, sim.wids(web)) == ("active", [])
    sim.change(web, numprocesses=1)
    assert sim.wids(web) == [1]


def test_watcher_that_was_to_start_with_zero_processes_starts_when_there_are_to_be_some() -> None:
    sim = Sim()
    web = running(sim, numprocesses=0)
    assert (web.status, web.reason(sim.now)) == ("stopped", "it starts when numprocesses is above 0")
    ticket = sim.change(web, numprocesses=2)
    assert (web.status, sim.wids(web)) == ("active", [1, 2])
    assert sim.replies[ticket].result == {"numprocesses": 2}


@pytest.mark.parametrize("number", [0, -1])
def test_watcher_that_was_to_start_with_zero_processes_waits_until_it_is_more(number: int) -> None:
    sim = Sim()
    web = running(sim, numprocesses=0)
    sim.change(web, numprocesses=number)
    assert (sim.told(), web.status) == ([], "stopped")


def test_watcher_that_was_to_start_with_zero_processes_and_was_stopped_only_changes_its_number() -> None:
    sim = Sim()
    web = running(sim, numprocesses=0)
    sim.stop(web)
    assert web.reason(sim.now) == ""
    sim.change(web, numprocesses=2)
    assert (sim.told(), web.status) == ([], "stopped")


def test_watcher_that_was_to_start_with_zero_processes_does_not_start_during_the_shutdown() -> None:
    sim = Sim()
    sim.program("slow", Program(takes=1.0))
    web, slow = running(sim, numprocesses=0), sim.add("slow")
    sim.start(slow)
    sim.quit()
    sim.change(web, numprocesses=2)
    assert web.status == "stopped"


def test_number_below_zero_is_taken_for_zero() -> None:
    sim = Sim()
    web = running(sim)
    sim.change(web, numprocesses=-1)
    assert (web.status, sim.wids(web)) == ("active", [])


def test_decr_and_incr_in_a_row_wait_for_a_free_place() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = running(sim)
    sim.change(web, numprocesses=1)
    ticket = sim.change(web, numprocesses=3)
    sim.told()
    assert sim.wids(web) == [1, 2, 3]
    sim.advance(1.0)
    assert sim.wids(web) == [3, 1, 2]
    assert ticket in sim.replies


def test_change_of_a_stopped_watcher_only_changes_the_number() -> None:
    sim = Sim()
    web = sim.add("web")
    ticket = sim.change(web, numprocesses=4)
    assert sim.told() == []
    assert sim.replies[ticket].result == {"numprocesses": 4}
    sim.start(web)
    assert len(sim.alive(web)) == 4


def test_decr_during_a_start_starts_no_more_than_now_wanted() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=4, warmup_delay=1.0)
    sim.start(web)
    sim.change(web, numprocesses=2)
    sim.rest()
    assert (len(sim.alive(web)), web.status) == (2, "active")


def test_decr_ends_first_what_is_not_up_yet() -> None:
    sim = Sim()
    sim.program("web", Program(), Program(forks_in=5.0))
    web = sim.add("web", numprocesses=2)
    sim.start(web)
    sim.change(web, numprocesses=1)
    assert sim.wids(web) == [1]
    sim.rest()
    assert sim.wids(web) == [1]


def test_decr_while_before_spawn_runs_takes_that_one_back() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(), Hook(takes=NEVER), Hook())
    web = sim.add("web", numprocesses=2, hooks={"before_spawn": "x.y"})
    sim.start(web)
    sim.change(web, numprocesses=1)
    assert web.status == "active"
    sim.answer(web, True)
    sim.rest()
    assert sim.wids(web) == [1]


def test_decr_drops_a_pause_before_it_ends_a_process() -> None:
    sim = Sim()
    web = running(sim, flapping_attempts=1)
    sim.die(web, 2)
    sim.told()
    sim.change(web, numprocesses=2)
    assert sim.told() == []
    sim.advance(60.0)
    assert sim.wids(web) == [1, 3]
    sim.change(web, numprocesses=3)
    assert sorted(sim.wids(web)) == [1, 2, 3]


def test_number_whose_pause_was_dropped_has_none_left_when_it_ends_again() -> None:
    sim = Sim()
    web = running(sim, numprocesses=2, flapping_attempts=1)
    sim.die(web, 2)
    sim.change(web, numprocesses=1)
    sim.change(web, numprocesses=2)
    assert sim.wids(web) == [1, 2]
    sim.kill(web, 2)
    assert sim.wids(web) == [1, 2]


def test_incr_waits_until_no_surplus_is_left_but_not_for_replacements() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = running(sim)
    sim.kill(web, 1)
    ticket = sim.change(web, numprocesses=4)
    assert ticket in sim.replies


def test_singleton_switched_on_leaves_one() -> None:
    sim = Sim()
    web = running(sim)
    sim.change(web, singleton=True)
    assert sim.wids(web) == [3]


# ---- other settings ------------------------------------------------------------------------------------------------


def test_each_option_of_a_set_is_published() -> None:
    sim = Sim()
    web = running(sim)
    sim.change(web, updates=3, graceful_timeout=1.0)
    assert sim.told() == ["event web updated"] * 3


def test_change_that_needs_new_processes_replaces_them_gracefully() -> None:
    sim = Sim()
    web = running(sim, numprocesses=1)
    ticket = sim.change(web, replace=True, cmd="other")
    told = ["spawn web.2", "event web spawn 2", "TERM web.1", "event web reap 1 (-15)", "event web reload"]
    assert sim.told() == told
    assert sim.replies[ticket].error == ""


def test_change_that_needs_new_processes_replaces_them_even_with_send_hup() -> None:
    sim = Sim()
    web = running(sim, numprocesses=1, send_hup=True)
    sim.change(web, replace=True, cmd="other")
    assert sim.wids(web) == [2]


def test_change_that_needs_new_processes_does_not_start_a_stopped_watcher() -> None:
    sim = Sim()
    web = sim.add("web")
    ticket = sim.change(web, replace=True, cmd="other")
    assert sim.told() == []
    assert ticket in sim.replies


def test_change_of_the_graceful_timeout_is_for_the_next_stop() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(15,)))
    web = running(sim, numprocesses=1)
    sim.change(web, graceful_timeout=1.0)
    sim.stop(web)
    sim.advance(1.0)
    assert web.is_stopped


def test_hook_taken_away_while_it_runs_is_still_waited_for() -> None:
    sim = Sim()
    sim.hook("web", "before_start", Hook(takes=NEVER))
    web = sim.add("web", hooks={"before_start": "x.y"})
    sim.start(web)
    sim.change(web, hooks={})
    assert web.status == "stopped"
    sim.answer(web, True)
    assert web.status == "active"


def test_spawn_hooks_taken_away_while_they_run_are_still_waited_for() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(takes=NEVER))
    sim.hook("web", "after_spawn", Hook(takes=NEVER))
    web = sim.add("web", hooks={"before_spawn": "x.y"})
    sim.start(web)
    sim.change(web, hooks={"after_spawn": "x.y"})
    sim.answer(web, True)
    sim.change(web, hooks={})
    assert web.status == "starting"
    sim.answer(web, True)
    assert web.status == "active"


def test_hook_added_to_a_running_watcher_is_asked_from_then_on() -> None:
    sim = Sim()
    web = running(sim, numprocesses=1)
    sim.change(web, hooks={"before_stop": "x.y"})
    sim.stop(web)
    assert sim.told()[0] == "hook web before_stop"


# ---- max_age -------------------------------------------------------------------------------------------------------


def test_process_of_max_age_is_ended_and_replaced() -> None:
    sim = Sim(chance=lambda: 0.5)
    running(sim, numprocesses=1, max_age=100, max_age_variance=20)
    sim.advance(109.9)
    assert sim.told() == []
    sim.advance(0.2)
    assert sim.told() == ["TERM web.1", "event web reap 1 (-15)", "spawn web.1", "event web spawn 1"]
    assert sim.logged("info: web [10002] reached its max_age")


def test_age_is_drawn_once_for_each_process() -> None:
    chances = iter([0.0, 0.9, 0.4, 0.9])
    sim = Sim(chance=lambda: next(chances))
    web = running(sim, max_age=100, max_age_variance=100)
    sim.advance(101.0)
    assert sim.told()[0] == "TERM web.1"
    assert sim.wids(web) == [2, 3, 1]
    assert next(chances, None) is None  # one for each process that was born, however often they were looked at


def test_max_age_zero_is_for_ever() -> None:
    sim = Sim()
    running(sim, max_age=0)
    assert sim.next_at() == NEVER


def test_max_age_is_counted_from_birth_even_if_after_spawn_took_long() -> None:
    sim = Sim()
    sim.hook("web", "after_spawn", Hook(takes=50.0))
    web = sim.add("web", max_age=100, max_age_variance=0, hooks={"after_spawn": "x.y"})
    sim.start(web)
    sim.advance(99.9)
    sim.told()
    sim.advance(0.2)
    assert sim.told()[0] == "TERM web.1"


def test_max_age_reached_while_after_start_runs_is_not_forgotten() -> None:
    sim = Sim()
    sim.hook("web", "after_start", Hook(takes=NEVER))
    web = sim.add("web", max_age=10, max_age_variance=0, hooks={"after_start": "x.y"})
    sim.start(web)
    sim.told()
    sim.advance(10.0)
    assert sim.told()[0] == "TERM web.1"


def test_max_age_reached_during_a_stop_means_nothing() -> None:
    sim = Sim()
    sim.hook("web", "before_stop", Hook(takes=NEVER))
    web = running(sim, numprocesses=1, max_age=10, max_age_variance=0, hooks={"before_stop": "x.y"})
    sim.stop(web)
    sim.told()
    sim.advance(20.0)
    assert sim.told() == []


def test_smaller_max_age_takes_effect_on_running_processes_but_not_on_all_at_once() -> None:
    chances = iter([0.1, 0.5, 0.9, 0.2, 0.4, 0.8, 0.0, 0.0, 0.0])
    sim = Sim(chance=lambda: next(chances))
    web = running(sim, max_age=1000, max_age_variance=10)
    sim.advance(500.0)
    sim.change(web, max_age=50)
    assert sim.told() == []
    sim.advance(2.0)
    assert [line for line in sim.told() if line.startswith("TERM")] == ["TERM web.1"]
    sim.advance(2.0)
    assert [line for line in sim.told() if line.startswith("TERM")] == ["TERM web.2"]


def test_max_age_taken_away_lets_running_processes_live() -> None:
    sim = Sim()
    web = running(sim, max_age=10)
    sim.change(web, max_age=0)
    assert sim.next_at() == NEVER


# ---- what the option table says of a change ------------------------------------------------------------------------

ANOTHER: dict[str, object] = {"autostart": False, "send_hup": True, "stop_children": True, "stop_tree": False}


def another_value(option: Option[Any]) -> object:
    if isinstance(option, Family):
        return {"before_start": ("a.b", False)}
    return ANOTHER.get(option.attribute, False if option.kind is BOOLEAN else option.default + 1)


NOTHING = [option for option in WatcherSpec.options() if option.effect is Effect.NOTHING]


@pytest.mark.parametrize("option", NOTHING, ids=lambda option: str(option.name))
def test_what_takes_effect_by_itself_touches_no_process(option: Option[Any]) -> None:
    sim = Sim()
    web = running(sim)
    sim.change(web, updates=1, **{option.attribute: another_value(option)})
    assert sim.told() == ["event web updated"]
    assert len(sim.alive(web)) == 3


def test_singleton_keeps_one_process() -> None:
    sim = Sim()
    web = running(sim)
    sim.change(web, singleton=True)
    assert len(sim.alive(web)) == 1


def test_respawn_switched_on_replaces_what_has_ended() -> None:
    sim = Sim()
    web = running(sim, respawn=False)
    sim.die(web, 1, code=0)
    assert len(sim.alive(web)) == 2
    sim.change(web, respawn=True)
    assert len(sim.alive(web)) == 3
