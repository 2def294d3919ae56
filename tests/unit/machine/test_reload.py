"""Replacing processes: gracefully, one at a time, by SIGHUP; overtaken by other requests; and given up."""

from __future__ import annotations

from circus.machine.watcher import Watcher
from tests.sim import NEVER, TERM, Hook, Program, Sim

SLOW = Program(takes=1.0)


def running(sim: Sim, **options: object) -> Watcher:
    """Three processes, numbered 1 to 3, that take a second to end."""
    sim.program("web", SLOW)
    web = sim.add("web", **{"numprocesses": 3, **options})
    sim.start(web)
    sim.told()
    return web


def test_graceful_reload_starts_all_new_ones_before_it_ends_the_old() -> None:
    sim = Sim()
    web = running(sim)
    old = sim.pids(web)
    ticket = sim.reload(web)
    assert sim.told() == [
        *["spawn web.4", "spawn web.5", "spawn web.6"],
        *["event web spawn 4", "event web spawn 5", "event web spawn 6"],
        *["TERM web.1", "TERM web.2", "TERM web.3"],
    ]
    assert (web.status, ticket in sim.replies) == ("active", False)
    sim.advance(1.0)
    assert sim.told() == [
        *["event web reap 1 (-15)", "event web reap 2 (-15)", "event web reap 3 (-15)"],
        "event web reload",
    ]
    assert sim.replies[ticket].result == {"info": {"stopped": old, "started": sim.pids(web), "kept": []}}


def test_next_reload_takes_the_small_numbers_again() -> None:
    sim = Sim()
    web = running(sim)
    sim.reload(web)
    sim.advance(1.0)
    sim.reload(web)
    sim.advance(1.0)
    assert sim.wids(web) == [1, 2, 3]


def test_graceful_reload_keeps_the_warmup_delay() -> None:
    sim = Sim()
    web = running(sim, numprocesses=2, warmup_delay=5.0)
    sim.advance(20.0)
    sim.told()
    sim.reload(web)
    assert sim.told() == ["spawn web.3", "event web spawn 3"]
    sim.advance(5.0)
    assert sim.told() == ["spawn web.4", "event web spawn 4", "TERM web.1", "TERM web.2"]


def test_sequential_reload_replaces_one_at_a_time() -> None:
    sim = Sim()
    web = running(sim, numprocesses=2)
    ticket = sim.reload(web, sequential=True)
    assert sim.told() == ["TERM web.1"]
    sim.advance(1.0)
    assert sim.told() == ["event web reap 1 (-15)", "spawn web.1", "event web spawn 1", "TERM web.2"]
    sim.advance(1.0)
    assert sim.told() == ["event web reap 2 (-15)", "spawn web.2", "event web spawn 2", "event web reload"]
    assert ticket in sim.replies


def test_sequential_reload_pauses_after_each_for_the_warmup_delay() -> None:
    sim = Sim()
    web = running(sim, numprocesses=2, warmup_delay=5.0)
    sim.advance(20.0)
    sim.reload(web, sequential=True)
    sim.advance(1.0)
    sim.told()
    sim.advance(4.9)
    assert sim.told() == []
    sim.advance(0.1)
    assert sim.told() == ["TERM web.2"]


def test_singleton_is_always_replaced_one_at_a_time() -> None:
    sim = Sim()
    web = running(sim, singleton=True)
    sim.reload(web)
    assert sim.told() == ["TERM web.1"]
    sim.advance(1.0)
    assert sim.told() == ["event web reap 1 (-15)", "spawn web.1", "event web spawn 1", "event web reload"]


def test_send_hup_sends_sighup_and_nothing_else() -> None:
    sim = Sim()
    web = running(sim, numprocesses=2, send_hup=True)
    ticket = sim.reload(web)
    assert sim.told() == ["HUP web.1 quietly", "HUP web.2 quietly", "event web reload"]
    assert sim.replies[ticket].result == {"info": {"stopped": [], "started": [], "kept": sim.pids(web)}}


def test_send_hup_does_not_lose_a_replacement_that_is_underway() -> None:
    sim = Sim()
    web = running(sim, numprocesses=2)
    sim.change(web, replace=True, send_hup=True)
    sim.told()
    sim.reload(web)
    assert sim.told() == ["HUP web.3 quietly", "HUP web.4 quietly"]
    sim.advance(1.0)
    assert sim.wids(web) == [3, 4]
    assert sim.told()[-1] == "event web reload"


def test_reload_of_a_stopped_watcher_starts_it() -> None:
    sim = Sim()
    web = sim.add("web", autostart=False)
    ticket = sim.reload(web)
    assert sim.told() == ["open web", "spawn web.1", "event web spawn 1", "event web start"]
    assert sim.replies[ticket].result["info"]["started"] == sim.pids(web)


def test_reload_of_a_stopping_watcher_starts_it_again() -> None:
    sim = Sim()
    web = running(sim)
    sim.stop(web)
    ticket = sim.reload(web)
    sim.rest()
    assert web.status == "active"
    assert sim.replies[ticket].error == ""


def test_reload_with_no_processes_wanted_is_complete_at_once() -> None:
    sim = Sim()
    web = running(sim)
    sim.change(web, numprocesses=0)
    sim.advance(1.0)
    sim.told()
    sim.reload(web)
    assert sim.told() == ["event web reload"]


def test_restart_publishes_no_reload() -> None:
    sim = Sim()
    web = running(sim)
    sim.restart(web)
    sim.rest()
    assert "event web reload" not in sim.told()


# ---- met by other requests -------------------------------------------------------------------------------------------


def test_reload_during_a_start_replaces_what_has_started() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=3, warmup_delay=2.0)
    start = sim.start(web)
    sim.told()
    reload = sim.reload(web)
    sim.rest()
    assert sim.told() == [
        *["spawn web.2", "event web spawn 2", "spawn web.3", "event web spawn 3", "spawn web.4", "event web spawn 4"],
        *["event web start", "TERM web.1", "event web reap 1 (-15)", "event web reload"],
    ]
    assert sim.replies[start].error == sim.replies[reload].error == ""
    assert sim.replies[reload].result["info"]["stopped"] == [10002]


def test_reload_during_a_reload_ends_those_of_the_first_that_are_too_many() -> None:
    sim = Sim()
    web = running(sim, numprocesses=3, warmup_delay=5.0)
    sim.advance(60.0)
    first = sim.reload(web)
    sim.advance(5.0)
    assert sim.wids(web) == [1, 2, 3, 4, 5]
    sim.told()
    second = sim.reload(web)
    assert sim.told() == ["TERM web.4", "TERM web.5"]
    sim.rest()
    assert len(sim.alive(web)) == 3
    assert sim.told()[-1] == "event web reload"
    assert sim.replies[first].error == sim.replies[second].error == ""


def test_reload_while_the_old_ones_end_does_not_touch_the_new_ones_too_early() -> None:
    sim = Sim()
    web = running(sim)
    sim.reload(web)
    sim.told()
    sim.reload(web)
    told = sim.told()
    assert told[:3] == ["spawn web.7", "spawn web.8", "spawn web.9"]
    assert told[-3:] == ["TERM web.4", "TERM web.5", "TERM web.6"]
    sim.rest()
    assert sim.wids(web) == [7, 8, 9]


def test_ten_reloads_in_a_row_never_run_more_than_twice_as_many() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=0.1, takes=0.1))
    web = sim.add("web", numprocesses=3)
    sim.start(web)
    sim.advance(1.0)
    for _ in range(10):
        sim.reload(web)
        sim.advance(0.05)
    sim.rest()
    assert len(sim.alive(web)) == 3


def test_sequential_reload_during_a_graceful_one_goes_on_one_at_a_time() -> None:
    sim = Sim()
    web = running(sim, numprocesses=2, warmup_delay=3.0)
    sim.advance(60.0)
    sim.reload(web)
    sim.told()
    sim.reload(web, sequential=True)
    assert sim.told() == ["TERM web.1"]
    sim.rest()
    assert len(sim.alive(web)) == 2
    assert min(sim.pids(web)) > 10_004


def test_graceful_reload_during_a_sequential_one_replaces_all() -> None:
    sim = Sim()
    web = running(sim)
    sim.reload(web, sequential=True)
    sim.advance(1.0)
    sim.reload(web)
    sim.rest()
    assert len(sim.alive(web)) == 3
    assert min(sim.pids(web)) > sim.payloads("web", "reap")[1]["process_pid"]


def test_fewer_processes_wanted_during_a_reload_ends_the_surplus_of_the_old_at_once() -> None:
    sim = Sim()
    web = running(sim, warmup_delay=5.0)
    sim.advance(60.0)
    sim.reload(web)
    sim.told()
    sim.change(web, numprocesses=1)
    assert sim.told() == ["TERM web.1", "TERM web.2", "TERM web.3"]
    sim.rest()
    assert sim.wids(web) == [4]


def test_fewer_processes_wanted_during_a_sequential_reload_keeps_as_many_up() -> None:
    sim = Sim()
    web = running(sim)
    sim.reload(web, sequential=True)
    sim.advance(1.0)
    sim.told()
    sim.change(web, numprocesses=1)
    sim.rest()
    assert len(sim.alive(web)) == 1
    assert sim.told()[-1] == "event web reload"


def test_more_processes_wanted_during_a_reload_starts_them_with_the_new_ones() -> None:
    sim = Sim()
    web = running(sim, warmup_delay=5.0)
    sim.advance(60.0)
    sim.reload(web)
    sim.change(web, numprocesses=4)
    sim.rest()
    assert len(sim.alive(web)) == 4


def test_stop_during_a_reload_ends_old_and_new() -> None:
    sim = Sim()
    web = running(sim, warmup_delay=5.0)
    sim.advance(60.0)
    reload = sim.reload(web)
    sim.stop(web)
    sim.rest()
    assert web.is_stopped
    assert sim.replies[reload].error == "superseded by a later stop of 'web'"


def test_restart_after_a_sequential_reload_was_stopped_starts_all() -> None:
    sim = Sim()
    web = running(sim)
    sim.reload(web, sequential=True)
    sim.stop(web)
    sim.rest()
    sim.start(web)
    assert not web.pool.sequential
    sim.told()
    sim.kill(web, 1)
    sim.rest()
    assert sim.wids(web) == [2, 3, 1]


def test_death_of_an_old_process_during_a_graceful_reload_is_not_replaced_by_an_old_one() -> None:
    sim = Sim()
    web = running(sim, warmup_delay=5.0)
    sim.advance(60.0)
    sim.reload(web)
    sim.told()
    sim.die(web, 1)
    assert sim.told() == ["event web reap 1 (1)"]
    assert sim.wids(web) == [2, 3, 4]
    sim.rest()
    assert len(sim.alive(web)) == 3


def test_death_of_an_old_process_during_a_sequential_reload_is_replaced_by_a_new_one() -> None:
    sim = Sim()
    web = running(sim)
    sim.reload(web, sequential=True)
    sim.die(web, 3)
    sim.rest()
    assert len(sim.alive(web)) == 3
    assert sim.told()[-1] == "event web reload"


def test_reload_is_not_held_up_by_processes_that_end_of_old_age() -> None:
    sim = Sim()
    web = running(sim, max_age=2, max_age_variance=1)
    ticket = sim.reload(web)
    sim.advance(30.0)
    assert ticket in sim.replies


# ---- given up: the old processes stay ------------------------------------------------------------------------------


def test_reload_whose_programs_cannot_be_executed_leaves_the_old_ones() -> None:
    sim = Sim()
    web = running(sim)
    old = sim.pids(web)
    sim.program("web", Program(fails="no such file"))
    ticket = sim.reload(web)
    sim.rest()
    assert sim.pids(web) == old
    assert web.status == "active"
    assert sim.replies[ticket].error == "web: not reloaded, the old processes stay: no such file"
    assert web.reason(sim.now) == "not reloaded, the old processes stay: no such file"
    assert sim.logged("error: web is not reloaded, the old processes stay: no such file")
    assert "event web reload" not in sim.told()
    assert sim.next_at() == NEVER


def test_reload_with_max_retry_minus_one_goes_on_trying_and_keeps_the_old_ones() -> None:
    sim = Sim()
    web = running(sim, max_retry=-1)
    old = sim.pids(web)
    sim.program("web", Program(fails="no such file"))
    ticket = sim.reload(web)
    assert sim.replies[ticket].result["reason"] == "web: not started: no such file; it goes on trying"
    sim.advance(3600.0)
    assert sim.pids(web) == old
    sim.program("web", Program())
    sim.rest()
    assert not set(old) & set(sim.pids(web))


def test_reload_refused_by_before_spawn_leaves_the_old_ones() -> None:
    sim = Sim()
    web = running(sim)
    old = sim.pids(web)
    sim.hook("web", "before_spawn", Hook(ok=False))
    sim.change(web, hooks={"before_spawn": "x.y"})
    ticket = sim.reload(web)
    assert sim.told() == ["hook web before_spawn"]
    assert sim.pids(web) == old
    assert "old processes stay" in sim.replies[ticket].error


def test_reload_refused_by_after_spawn_ends_the_new_one_and_leaves_the_old() -> None:
    sim = Sim()
    web = running(sim, warmup_delay=1.0)
    sim.advance(60.0)
    old = sim.pids(web)
    sim.hook("web", "after_spawn", Hook(ok=False))
    sim.change(web, hooks={"after_spawn": "x.y"})
    sim.told()
    sim.reload(web)
    sim.rest()
    assert sim.told() == ["spawn web.4", "hook web after_spawn", "TERM web.4", "event web reap 4 (-15)"]
    assert (sim.pids(web), web.status) == (old, "active")


def test_reload_whose_new_processes_die_at_once_leaves_the_old_ones() -> None:
    sim = Sim()
    web = running(sim, warmup_delay=1.0)
    sim.advance(60.0)
    old = sim.pids(web)
    sim.program("web", Program(lives=0.0, code=4))
    ticket = sim.reload(web)
    sim.rest()
    assert (sim.pids(web), web.status) == (old, "active")
    assert web.reason(sim.now) == "not reloaded, the old processes stay: its new processes end at once (exit code 4)"
    assert "old processes stay" in sim.replies[ticket].error


def test_reload_given_up_after_a_crash_ends_also_those_of_its_new_processes_that_live() -> None:
    sim = Sim()
    web = running(sim, warmup_delay=1.0, flapping_attempts=1)
    sim.advance(60.0)
    old = sim.pids(web)
    sim.program("web", Program(), Program(), Program(lives=0.0, code=4), Program())
    sim.reload(web)
    sim.rest()
    assert (sim.pids(web), web.status) == (old, "active")
    assert not web.pool.reloading


def test_reload_whose_new_processes_die_at_once_without_any_retry_leaves_the_old_ones() -> None:
    sim = Sim()
    web = running(sim, warmup_delay=1.0, flapping_max_retry=0)
    sim.advance(60.0)
    old = sim.pids(web)
    sim.program("web", Program(lives=0.0, code=4))
    sim.reload(web)
    sim.rest()
    assert (sim.pids(web), web.status) == (old, "active")


def test_sequential_reload_given_up_keeps_what_was_replaced_and_leaves_out_what_was_not() -> None:
    sim = Sim()
    web = running(sim)
    sim.program("web", SLOW, Program(fails="no such file"))
    ticket = sim.reload(web, sequential=True)
    sim.rest()
    assert sorted(sim.wids(web)) == [1, 3]
    assert web.status == "active"
    assert "old processes stay" in sim.replies[ticket].error
    sim.program("web", Program())
    sim.start(web)
    assert sorted(sim.wids(web)) == [1, 2, 3]


def test_sequential_reload_that_crashes_waits_with_that_number_and_keeps_the_others() -> None:
    sim = Sim()
    web = running(sim, flapping_attempts=1)
    sim.program("web", Program(lives=0.0, code=1), Program(takes=1.0))
    sim.reload(web, sequential=True)
    sim.advance(2.0)
    assert sim.wids(web) == [2, 3]
    sim.advance(10.0)
    assert sorted(sim.wids(web)) == [1, 2, 3]


def test_reload_given_up_after_a_crash_fills_only_places_that_are_free() -> None:
    sim = Sim()
    web = running(sim, flapping_attempts=1)
    sim.program("web", Program(lives=0.5, code=1, leaves=1, below="stubborn"), Program(takes=1.0))
    sim.reload(web, sequential=True)
    sim.advance(1.5)
    assert sim.wids(web) == [2, 3]
    sim.told()
    sim.advance(0.5)
    assert [line for line in sim.told() if "spawn" in line] == ["spawn web.2", "event web spawn 2"]
    sim.advance(5.9)
    assert sim.wids(web) == [3, 2]
    sim.rest()
    assert sim.wids(web) == [3, 2, 1]


def test_death_of_an_old_process_after_a_reload_was_given_up_is_replaced() -> None:
    sim = Sim()
    web = running(sim)
    sim.program("web", *[Program(fails="no such file")] * 7, Program())
    sim.reload(web)
    sim.rest()
    sim.die(web, 2)
    assert sorted(sim.wids(web)) == [1, 2, 3]


def test_reload_given_up_ends_its_new_processes_and_those_that_are_being_executed() -> None:
    sim = Sim()
    web = running(sim)
    sim.hook("web", "after_spawn", Hook(takes=NEVER))
    sim.change(web, hooks={"after_spawn": "x.y"})
    sim.program("web", SLOW, Program(forks_in=3.0))
    old = sim.pids(web)
    sim.reload(web)
    sim.told()
    sim.answer(web, False)
    assert sim.told() == ["TERM web.4"]
    sim.rest()
    assert sim.pids(web) == old
    assert sim.next_at() == NEVER


def test_reload_given_up_while_before_spawn_runs_starts_nothing_more() -> None:
    sim = Sim()
    sim.program("web", SLOW)
    sim.hook("web", "before_spawn", *[Hook()] * 4, Hook(takes=NEVER))
    web = sim.add("web", numprocesses=3, hooks={"before_spawn": "x.y"}, flapping_attempts=1)
    sim.start(web)
    old = sim.pids(web)
    sim.reload(web)
    assert len(sim.pids(web)) == 4
    sim.die(web, 4)
    assert sim.pids(web) == old
    sim.told()
    sim.answer(web, True)
    sim.rest()
    assert sim.told() == []


def test_veto_during_the_last_part_of_a_reload_with_nothing_to_fall_back_on_stops() -> None:
    sim = Sim()
    web = running(sim)
    sim.reload(web)
    sim.hook("web", "before_spawn", Hook(ok=False))
    sim.change(web, hooks={"before_spawn": "x.y"})
    sim.die(web, 4)
    sim.rest()
    assert web.is_stopped
    assert web.reason(sim.now) == "stopped by its before_spawn hook"


def test_process_that_ignores_the_stop_signal_holds_up_a_reload_only_until_it_is_killed() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,)))
    web = sim.add("web", graceful_timeout=5.0)
    sim.start(web)
    ticket = sim.reload(web)
    sim.advance(4.9)
    assert ticket not in sim.replies
    sim.advance(0.1)
    assert ticket in sim.replies
