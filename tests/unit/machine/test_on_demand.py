"""Watchers that sleep until a connection waits: going to sleep, waking, and crash loops across rounds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from circus.machine.phase import Phase
from circus.machine.watcher import Watcher
from tests.sim import NEVER, Hook, Program, Sim


def asleep(sim: Sim, **options: object) -> Watcher:
    """A watcher that was started, and sleeps."""
    web = sim.add("web", on_demand=True, **options)
    sim.start(web)
    sim.told()
    return web


def awake(sim: Sim, **options: object) -> Watcher:
    web = asleep(sim, **options)
    sim.connect(web)
    sim.told()
    return web


# ---- sleeping ----------------------------------------------------------------------------------------------------


def test_start_watches_the_sockets_and_starts_nothing() -> None:
    sim = Sim()
    web = sim.add("web", on_demand=True, listen_fds=("web",))
    ticket = sim.start(web)
    assert sim.told() == ["listen web"]
    assert (web.status, web.reason(sim.now)) == ("stopped", "waits for a connection to web")
    assert sim.replies[ticket] == (ticket, {"info": {"started": [], "kept": []}}, "")
    assert sim.next_at() == NEVER


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"use_sockets": True}, "waits for a connection"),
        ({"listen_fds": ("web", "admin"), "stdin_socket": "inetd"}, "waits for a connection to admin or inetd or web"),
    ],
)
def test_reason_names_the_sockets_that_are_named(options: dict[str, object], text: str) -> None:
    sim = Sim()
    assert asleep(sim, **options).reason(sim.now) == text


REQUESTS: list[Callable[[Sim, Watcher], int]] = [
    lambda sim, web: sim.start(web),
    lambda sim, web: sim.start(web, single=False),
    lambda sim, web: sim.restart(web),
    lambda sim, web: sim.restart(web, single=False),
    lambda sim, web: sim.reload(web),
    lambda sim, web: sim.reload(web, single=False),
    lambda sim, web: sim.reload(web, sequential=True),
    lambda sim, web: sim.reload(web, graceful=False),
    lambda sim, web: sim.change(web, graceful_timeout=3.0),
    lambda sim, web: sim.change(web, numprocesses=3),
    lambda sim, web: sim.change(web, replace=True, cmd="other"),
    lambda sim, web: sim.kill(web),
]


@pytest.mark.parametrize("request_of", REQUESTS)
def test_what_is_asked_of_a_sleeping_one_is_answered_at_once_and_leaves_it_asleep(
    request_of: Callable[[Sim, Watcher], int],
) -> None:
    sim = Sim()
    web = asleep(sim)
    ticket = request_of(sim, web)
    assert sim.replies[ticket].error == ""
    assert "reason" not in sim.replies[ticket].result
    assert web.is_sleeping and sim.listens(web)
    assert not [line for line in sim.told() if "spawn" in line]
    sim.connect(web)
    assert len(sim.alive(web)) == web.pool.target


def test_one_that_is_added_and_started_sleeps() -> None:
    sim = Sim()
    web = sim.add("web", on_demand=True)
    ticket = sim.add_and_start(web)
    assert sim.replies[ticket].result == {"started": [], "kept": []}
    assert web.is_sleeping


def test_those_of_lower_priority_do_not_wait_for_one_that_sleeps() -> None:
    sim = Sim()
    first, last = sim.add("first", on_demand=True, priority=1), sim.add("last")
    sim.start(first, last, single=False)
    assert sim.told() == ["listen first", "open last", "spawn last.1", "event last spawn 1", "event last start"]


def test_what_cannot_be_started_says_so_at_once_and_not_at_the_first_connection() -> None:
    sim = Sim()
    none, broken = sim.add("none", on_demand=True, numprocesses=0), sim.add("broken", on_demand=True)
    broken.obstacle = "no module named x"
    sim.start(none, broken, single=False)
    assert sim.told() == ["event none stop"]
    assert (none.is_stopped, none.trouble) == (True, "it starts when numprocesses is above 0")
    assert (broken.is_stopped, broken.trouble) == (True, "no module named x")
    sim.change(none, numprocesses=1)
    assert none.is_sleeping


def test_a_sleeping_one_without_processes_waits_for_a_number() -> None:
    sim = Sim()
    web = asleep(sim)
    sim.change(web, numprocesses=0)
    assert sim.told() == ["hush web", "event web stop"]
    sim.connect(web)
    sim.change(web, numprocesses=2)
    assert sim.wids(web) == [1, 2]


def test_a_singleton_of_no_process_is_never_woken() -> None:
    sim = Sim()
    web = sim.add("web", on_demand=True, singleton=True, numprocesses=0)
    sim.start(web)
    sim.connect(web)
    assert sim.told() == []
    assert sim.next_at() == NEVER


# ---- waking ------------------------------------------------------------------------------------------------------


def test_connection_starts_all_processes_in_a_whole_round() -> None:
    sim = Sim()
    web = asleep(sim, numprocesses=2, hooks={"before_start": "x.y", "after_start": "x.y"})
    sim.connect(web)
    assert sim.told() == [
        "hook web before_start",
        "open web",
        "spawn web.1",
        "spawn web.2",
        "event web spawn 1",
        "event web spawn 2",
        "hook web after_start",
        "event web start",
    ]
    assert (web.status, web.reason(sim.now)) == ("active", "")


def test_connection_starts_only_the_watcher_that_waits_for_it() -> None:
    sim = Sim()
    web, other, stopped = asleep(sim), sim.add("other", on_demand=True), sim.add("stopped")
    sim.start(other)
    sim.connect(web)
    assert (web.status, other.status, stopped.status) == ("active", "stopped", "stopped")


def test_a_connection_that_waits_already_starts_it_at_once() -> None:
    sim = Sim()
    web = sim.add("web", on_demand=True)
    sim.connect(web)
    ticket = sim.start(web)
    assert sim.replies[ticket].result == {"info": {"started": [], "kept": []}}  # answered when it slept
    assert web.status == "active"


def test_one_that_was_stopped_is_never_woken() -> None:
    sim = Sim()
    web = asleep(sim)
    sim.stop(web)
    assert sim.told() == ["hush web"]
    assert web.is_stopped and web.reason(sim.now) == ""
    sim.connect(web)
    sim.rest()
    assert sim.told() == []


def test_a_stop_that_comes_together_with_the_connection_wins() -> None:
    sim = Sim()
    web = asleep(sim)
    with sim.at_once():
        sim.connect(web)
        sim.stop(web)
    assert web.is_stopped
    assert sim.told() == []
    with sim.at_once():
        sim.start(web)
        sim.stop(web)
    assert sim.told() == []


def test_connection_that_comes_too_late_means_nothing() -> None:
    sim = Sim()
    web = sim.add("web", on_demand=True)
    web.connection(sim.now)
    sim.settle()
    assert sim.told() == []
    sim.start(web)
    assert web.is_sleeping


def test_restart_and_connection_in_one_moment_start_it() -> None:
    sim = Sim()
    web = asleep(sim)
    with sim.at_once():
        sim.connect(web)
        sim.restart(web)
    assert web.status == "active"


def test_hook_that_says_no_leaves_it_stopped_for_good() -> None:
    sim = Sim()
    sim.hook("web", "before_start", Hook(ok=False))
    web = asleep(sim, hooks={"before_start": "x.y"})
    sim.connect(web)
    assert (web.is_stopped, web.trouble) == (True, "start aborted by its before_start hook")
    assert sim.told() == ["hook web before_start"]


def test_after_start_hook_that_says_no_leaves_it_stopped_for_good() -> None:
    sim = Sim()
    sim.hook("web", "after_start", Hook(ok=False))
    web = asleep(sim, hooks={"after_start": "x.y"})
    sim.connect(web)
    sim.rest()
    assert (web.is_stopped, web.trouble) == (True, "stopped by its after_start hook")
    assert not sim.listens(web)


def test_one_removed_without_being_stopped_is_forgotten_while_it_sleeps() -> None:
    sim = Sim()
    web = asleep(sim)
    sim.remove(web, nostop=True)
    assert sim.told() == ["event web remove", "forget web but keep it"]
    sim.connect(web)
    assert sim.told() == []


def test_removal_of_a_sleeping_one_ends_the_watch() -> None:
    sim = Sim()
    sim.remove(asleep(sim))
    assert sim.told() == ["event web remove", "hush web", "forget web"]


def test_shutdown_does_not_wait_for_one_that_sleeps() -> None:
    sim = Sim()
    asleep(sim)
    sim.quit()
    assert sim.told() == ["hush web", "exit"]


# ---- after the end -----------------------------------------------------------------------------------------------


def test_after_its_end_it_sleeps_again_and_the_next_connection_wakes_it() -> None:
    sim = Sim()
    web = awake(sim, hooks={"before_stop": "x.y", "after_stop": "x.y"})
    sim.advance(60.0)
    sim.die(web, code=0)
    assert sim.told() == [
        "event web reap 1 (0)",
        "hook web before_stop",
        "close web",
        "event web stop",
        "hook web after_stop",
        "listen web",
    ]
    assert web.wanted and web.is_sleeping
    sim.connect(web)
    assert sim.wids(web) == [1]


@pytest.mark.parametrize("code", [0, 1])
def test_when_the_last_one_is_gone_it_sleeps_however_that_ended(code: int) -> None:
    sim = Sim()
    web = awake(sim)
    sim.advance(60.0)
    sim.die(web, code=code)
    assert web.is_sleeping


def test_process_that_ended_well_is_not_replaced_and_one_that_crashed_is() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=3)
    sim.advance(60.0)
    sim.die(web, 1, code=0)
    assert sim.wids(web) == [2, 3]
    sim.die(web, 2, code=1)
    assert sorted(sim.wids(web)) == [1, 3]
    sim.die(web, 1, 3, code=0)
    assert web.is_sleeping
    sim.connect(web)
    assert sim.wids(web) == [1, 2, 3]


def test_without_respawn_none_is_replaced() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=2, respawn=False)
    sim.advance(60.0)
    sim.die(web, 1, code=1)
    assert sim.wids(web) == [2]
    sim.die(web, 2, code=1)
    assert web.is_sleeping


def test_start_of_a_running_one_starts_again_what_ended_well() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=2)
    sim.die(web, 1, code=0)
    sim.start(web)
    assert sorted(sim.wids(web)) == [1, 2]


def test_fewer_processes_are_those_that_run() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=3)
    sim.die(web, 1, code=0)
    sim.change(web, numprocesses=2)
    assert sim.wids(web) == [2, 3]
    sim.advance(60.0)
    sim.die(web, 2, code=1)
    assert len(sim.alive(web)) == 2
    sim.change(web, numprocesses=3)
    assert len(sim.alive(web)) == 3


def test_one_process_more_is_not_the_one_that_ended_well() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=2)
    sim.die(web, 1, code=0)
    ticket = sim.change(web, numprocesses=3)
    assert len(sim.alive(web)) == 2
    assert sim.replies[ticket].error == ""


def test_the_last_of_a_reload_that_replaces_one_at_a_time_is_replaced() -> None:
    sim = Sim()
    web = awake(sim)
    old = sim.pids(web)
    sim.reload(web, sequential=True)
    assert len(sim.pids(web)) == 1 and sim.pids(web) != old


def test_of_an_older_generation_also_what_ends_well_is_replaced() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=2, warmup_delay=5.0)
    sim.advance(10.0)
    sim.reload(web)
    sim.die(web, 1, code=0)
    sim.rest()
    assert len(sim.pids(web)) == 2
    assert not web.pool.reloading


def test_job_that_waits_for_processes_does_not_call_a_good_end_an_early_exit() -> None:
    sim = Sim(early_exit_delay=0.1)
    sim.program("web", Program(), Program(lives=0.05, code=0))
    web = awake(sim)
    ticket = sim.change(web, numprocesses=2)
    sim.advance(0.2)
    assert sim.replies[ticket].result == {"numprocesses": 2}


def test_reload_that_fails_is_no_trouble_of_the_next_round() -> None:
    sim = Sim()
    web = awake(sim)
    sim.advance(60.0)
    sim.program("web", Program(fails="no such file"), Program())
    sim.change(web, max_retry=1)
    sim.reload(web)
    assert "not reloaded" in web.reason(sim.now)
    sim.die(web, code=0)
    assert web.reason(sim.now) == "waits for a connection"


def test_connection_during_its_stop_is_served_by_the_next_round() -> None:
    sim = Sim()
    sim.stream_delay = 2.0
    web = awake(sim)
    sim.advance(60.0)
    sim.die(web, code=0)
    sim.connect(web)
    assert web.phase is Phase.STOPPING
    sim.advance(2.0)
    assert web.phase is Phase.ACTIVE
    assert not sim.waits(web)


def test_start_while_it_goes_to_sleep_changes_nothing() -> None:
    sim = Sim()
    sim.stream_delay = 2.0
    web = awake(sim)
    sim.die(web, code=0)
    sim.start(web)
    sim.advance(2.0)
    assert web.is_sleeping


def test_stop_while_it_goes_to_sleep_holds() -> None:
    sim = Sim()
    sim.stream_delay = 2.0
    sim.program("web", Program(lives=0.0, code=1, serves=False))
    web = awake(sim)
    sim.stop(web)
    sim.rest()
    assert web.is_stopped
    assert not sim.listens(web)


# ---- crash loops -------------------------------------------------------------------------------------------------


def test_crash_loop_while_a_connection_waits_is_paced_across_rounds_and_given_up() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.0, code=3, serves=False))
    web = asleep(sim, flapping_max_retry=2)
    sim.connect(web)
    sim.advance(1.0)
    assert sim.told().count("spawn web.1") == 2
    assert web.reason(sim.now).startswith("backing off: next try in 6 s, attempt 1 of 2, exit code 3")
    assert not sim.listens(web)
    sim.rest()
    assert (web.is_stopped, web.trouble) == (True, "given up after 2 retries, last exit code 3")
    assert sim.told().count("spawn web.1") == 4
    sim.connect(web)
    assert not sim.listens(web)


def test_as_many_rounds_as_it_takes_are_counted_by_the_same_window() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.01, code=3, serves=False))
    web = asleep(sim, flapping_retry_in=0.1, flapping_backoff=1, flapping_max_retry=20)
    sim.connect(web)
    sim.advance(10.0)
    assert web.trouble == "given up after 20 retries, last exit code 3"
    assert sim.told().count("spawn web.1") == 42


def test_without_respawn_a_crash_loop_is_paced_too() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.0, code=3, serves=False))
    web = asleep(sim, flapping_max_retry=1, respawn=False)
    sim.connect(web)
    sim.rest()
    assert web.trouble == "given up after 1 retries, last exit code 3"


def test_one_number_that_waits_does_not_keep_the_others_from_being_woken() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=2)
    sim.die(web, 1, code=1)
    sim.die(web, 1, code=1)
    sim.die(web, 2, code=0)
    assert web.is_sleeping
    sim.advance(1.0)
    sim.connect(web)
    assert sim.wids(web) == [2]
    sim.advance(8.0)
    assert sorted(sim.wids(web)) == [1, 2]


def test_pause_that_is_over_while_it_stops_is_over() -> None:
    sim = Sim()
    sim.stream_delay = 20.0
    web = awake(sim)
    sim.die(web, 1, code=1)
    sim.connect(web)
    sim.advance(20.0)
    assert sim.wids(web) == [1]
    sim.die(web, 1, code=1)
    sim.advance(20.0)
    assert web.reason(sim.now) == "waits for a connection"


def test_good_end_forgives_what_was_before() -> None:
    sim = Sim()
    web = awake(sim, flapping_max_retry=1)
    for _ in range(3):
        sim.die(web, code=1)
        sim.connect(web)
        sim.advance(0.2)
        sim.die(web, code=0)
        sim.connect(web)
        sim.advance(0.3)
    assert web.status == "active"


def test_start_by_an_operator_ends_the_pause() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.0, code=3, serves=False), Program(lives=0.0, code=3, serves=False), Program())
    web = asleep(sim)
    sim.connect(web)
    sim.advance(1.0)
    assert not sim.alive(web)
    sim.start(web)
    assert web.status == "active"


def test_program_that_cannot_be_executed_is_given_up_and_not_woken() -> None:
    sim = Sim()
    sim.program("web", Program(fails="no such file"))
    web = asleep(sim, max_retry=3)
    sim.connect(web)
    sim.rest()
    assert (web.is_stopped, web.trouble) == (True, "no such file; given up after 3 attempts")
    assert sim.told().count("spawn web.1") == 3
    assert not sim.listens(web)


def test_program_that_ends_well_and_takes_no_connection_is_started_once_a_second() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.0, code=0, serves=False))
    web = asleep(sim)
    sim.advance(10.0)
    sim.connect(web)
    sim.advance(20.0)
    assert 20 <= sim.told().count("spawn web.1") <= 24
    assert web.wanted


def test_program_that_takes_one_connection_and_ends_is_not_held_up() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.01, code=0))
    web = asleep(sim)
    for _ in range(20):
        sim.advance(0.3)
        sim.connect(web)
        assert not sim.waits(web)


# ---- the option changes ------------------------------------------------------------------------------------------


def test_running_one_that_is_to_be_on_demand_runs_on_and_sleeps_after_its_end() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    ticket = sim.change(web, on_demand=True)
    assert sim.wids(web) == [1] and ticket in sim.replies
    sim.advance(60.0)
    sim.die(web)
    assert web.is_sleeping


def test_sleeping_one_that_is_not_on_demand_any_more_starts() -> None:
    sim = Sim()
    web = asleep(sim)
    ticket = sim.change(web, on_demand=False)
    assert sim.told()[:3] == ["hush web", "open web", "spawn web.1"]
    assert web.status == "active"
    assert sim.replies[ticket].error == ""


def test_running_one_that_is_not_on_demand_any_more_is_completed() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=2)
    sim.die(web, 1, code=0)
    sim.change(web, on_demand=False)
    assert sorted(sim.wids(web)) == [1, 2]


def test_stopped_one_that_is_to_be_on_demand_stays_stopped() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.change(web, on_demand=True)
    sim.connect(web)
    assert sim.told() == []
    assert web.is_stopped


def test_another_socket_is_listened_to_at_once() -> None:
    sim = Sim()
    web = asleep(sim, listen_fds=("web",))
    sim.change(web, listen_fds=("admin",))
    assert sim.told() == ["hush web", "listen web"]


def test_one_that_waits_for_its_namesake_to_stop_does_not_listen_yet() -> None:
    sim = Sim()
    sim.stream_delay = 5.0
    old = sim.add("web")
    sim.start(old)
    sim.remove(old)
    web = sim.add("web", on_demand=True)
    sim.start(web)
    assert not web.is_sleeping and not sim.listens(web)
    sim.advance(5.0)
    assert web.is_sleeping and sim.listens(web)
