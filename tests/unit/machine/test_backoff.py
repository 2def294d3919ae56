"""Processes that end by themselves: replaced at once, then paced, then given up; or not replaced at all."""

from __future__ import annotations

import pytest

from tests.sim import NEVER, Hook, Program, Sim

CRASHING = Program(lives=0.0, code=1)


def test_dead_process_is_replaced_at_once_under_its_number() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2)
    sim.start(web)
    sim.told()
    sim.die(web, 2, code=3)
    assert sim.told() == ["event web reap 2 (3)", "spawn web.2", "event web spawn 2"]
    assert sim.logged("info: web [10003] ended: exit code 3")


def test_reap_event_says_which_signal_it_was() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    [pid] = sim.pids(web)
    sim.die(web, 1, code=-11)
    assert sim.payloads("web", "reap") == [{"process_pid": pid, "process_id": 1, "exit_code": -11}]
    assert sim.logged("signal SIGSEGV")


def test_watcher_whose_processes_all_crash_is_still_active() -> None:
    sim = Sim()
    sim.program("web", CRASHING)
    web = sim.add("web", numprocesses=2)
    ticket = sim.start(web)
    assert web.status == "active"
    assert sim.replies[ticket].error == ""
    assert sim.replies[ticket].result == {
        "info": {"started": [], "kept": []},
        "reason": "web: 2 of 2 ended at once (exit code 1), next try later",
    }


# ---- flapping ------------------------------------------------------------------------------------------------------


def test_number_that_dies_twice_within_the_window_waits() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    sim.die(web, 1)
    sim.advance(0.5)
    sim.told()
    sim.die(web, 1)
    assert sim.told() == ["event web reap 1 (1)", "event web flapping 1"]
    assert sim.payloads("web", "flapping") == [
        {"process_id": 1, "attempt": 1, "retry_in": 7.0, "max_retry": 5, "exit_code": 1, "given_up": False}
    ]
    assert sim.logged("warning: web: flapping detected: retry in 7.0s (attempt number 1)")
    assert web.reason(sim.now + 2) == "0 of 1 up, backing off: next try in 5 s, attempt 1 of 5, exit code 1"
    sim.advance(6.9)
    assert sim.told() == []
    sim.advance(0.1)
    assert sim.told() == ["spawn web.1", "event web spawn 1"]


def test_two_deaths_further_apart_than_the_window_are_no_flapping() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    for _ in range(10):
        sim.advance(1.1)
        sim.die(web, 1)
    assert sim.wids(web) == [1]
    assert sim.payloads("web", "flapping") == []


def test_one_death_in_each_of_many_processes_is_no_flapping() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=8)
    sim.start(web)
    sim.die(web)
    assert len(sim.alive(web)) == 8
    assert sim.payloads("web", "flapping") == []


def test_pauses_grow_up_to_the_longest_and_then_it_is_given_up() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.0, code=3))
    web = sim.add("web", flapping_max_retry=4, flapping_max_retry_in=20)
    sim.start(web)
    sim.rest()
    told = sim.payloads("web", "flapping")
    assert [p["retry_in"] for p in told] == [7.0, 14.0, 20.0, 20.0, None]
    assert [p["attempt"] for p in told] == [1, 2, 3, 4, 4]
    assert told[-1] == {
        "process_id": None,
        "attempt": 4,
        "retry_in": None,
        "max_retry": 4,
        "exit_code": 3,
        "given_up": True,
    }
    assert web.is_stopped
    assert web.reason(sim.now) == "given up after 4 retries, last exit code 3"
    assert sim.logged("error: web: flapping detected: reached max retry limit")
    assert sim.told()[-2:] == ["close web", "event web stop"]


def test_given_up_says_so_to_who_waits() -> None:
    sim = Sim()
    sim.program("web", CRASHING)
    web = sim.add("web", numprocesses=2, warmup_delay=1.0, flapping_max_retry=0)
    ticket = sim.start(web)
    sim.rest()
    assert sim.replies[ticket].result == {
        "info": {"started": [], "kept": []},
        "reason": "web: not started: given up after 0 retries, last exit code 1",
    }


def test_number_that_stays_up_longer_than_the_window_is_forgiven() -> None:
    sim = Sim()
    sim.program("web", CRASHING, CRASHING, Program())
    web = sim.add("web")
    sim.start(web)
    sim.advance(7.0)
    sim.advance(1.5)
    sim.program("web", CRASHING, CRASHING, Program())
    sim.die(web, 1)
    sim.rest(1.0)
    assert [p["attempt"] for p in sim.payloads("web", "flapping")] == [1, 1]


def test_flapping_with_max_retry_minus_one_never_gives_up_and_starts_rarely() -> None:
    sim = Sim()
    sim.program("web", CRASHING)
    web = sim.add("web", flapping_max_retry=-1)
    sim.start(web)
    sim.advance(600.0)
    assert sim.told().count("spawn web.1") < 30
    assert web.status == "active"
    assert "any number" in web.reason(sim.now)


def test_jitter_parts_processes_that_crash_together() -> None:
    chances = iter([0.0, 0.5, 0.99] * 10)
    sim = Sim(chance=lambda: next(chances))
    web = sim.add("web", numprocesses=3, flapping_attempts=1)
    sim.start(web)
    sim.die(web)
    delays = [p["retry_in"] for p in sim.payloads("web", "flapping")]
    assert len(set(delays)) == 3
    assert all(6.3 <= delay <= 7.7 for delay in delays)


def test_flapping_switched_off_still_starts_at_most_once_a_second() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.25, code=1))
    web = sim.add("web", flapping_active=False)
    sim.start(web)
    sim.advance(10.0)
    assert sim.told().count("spawn web.1") == 11
    assert sim.payloads("web", "flapping") == []


def test_waiting_number_says_that_it_died_at_once_when_flapping_is_off() -> None:
    sim = Sim()
    web = sim.add("web", flapping_active=False)
    sim.start(web)
    sim.die(web, 1)
    assert web.reason(sim.now) == "0 of 1 up, backing off: next try in 1 s, died at once, exit code 1"


def test_crash_loop_does_not_escape_to_another_number() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=3, flapping_attempts=1)
    sim.start(web)
    sim.die(web, 2)
    assert sim.wids(web) == [1, 3]
    sim.die(web, 1)
    assert sim.wids(web) == [3]
    sim.advance(8.0)
    assert sorted(sim.wids(web)) == [1, 2, 3]


def test_start_fires_again_what_waits_after_a_crash() -> None:
    sim = Sim()
    web = sim.add("web", flapping_attempts=1)
    sim.start(web)
    sim.die(web, 1)
    sim.told()
    ticket = sim.start(web)
    assert sim.told() == ["spawn web.1", "event web spawn 1"]
    assert sim.replies[ticket].result["info"]["started"] == sim.pids(web)
    sim.advance(30.0)
    assert sim.told() == []


def test_start_forgets_earlier_deaths_and_pauses() -> None:
    sim = Sim()
    web = sim.add("web", flapping_attempts=1)
    sim.start(web)
    sim.die(web, 1)
    sim.start(web)
    sim.kill(web)
    assert sim.wids(web) == [1]
    sim.die(web, 1)
    assert [p["attempt"] for p in sim.payloads("web", "flapping")] == [1, 1]


def test_stop_during_a_pause_is_complete_at_once_and_nothing_starts_it_again() -> None:
    sim = Sim()
    web = sim.add("web", flapping_attempts=1)
    sim.start(web)
    sim.die(web, 1)
    sim.told()
    sim.stop(web)
    assert sim.told() == ["close web", "event web stop"]
    assert sim.next_at() == NEVER


def test_requested_ends_do_not_count_as_crashes() -> None:
    sim = Sim()
    web = sim.add("web", flapping_attempts=1)
    sim.start(web)
    for _ in range(5):
        sim.kill(web)
        sim.restart(web)
        sim.reload(web)
    assert sim.payloads("web", "flapping") == []
    assert web.status == "active"


def test_death_by_a_signal_of_the_signal_command_counts_as_a_crash() -> None:
    sim = Sim()
    web = sim.add("web", flapping_attempts=1)
    sim.start(web)
    sim.signal(web, 1, 9)
    assert len(sim.payloads("web", "flapping")) == 1


@pytest.mark.parametrize("attempts", [0, 1])
def test_attempts_below_two_pause_after_every_death(attempts: int) -> None:
    sim = Sim()
    web = sim.add("web", flapping_attempts=attempts)
    sim.start(web)
    sim.advance(100.0)
    sim.die(web, 1)
    assert sim.wids(web) == []


# ---- respawn = False -----------------------------------------------------------------------------------------------


def test_without_respawn_the_watcher_stops_when_its_last_process_has_ended() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2, respawn=False)
    sim.start(web)
    sim.told()
    sim.die(web, 1, code=0)
    assert sim.told() == ["event web reap 1 (0)"]
    assert web.status == "active"
    sim.die(web, 2, code=0)
    assert sim.told() == ["event web reap 2 (0)", "close web", "event web stop"]
    assert (web.status, web.reason(sim.now)) == ("stopped", "")


def test_without_respawn_a_failure_is_remembered_as_the_reason() -> None:
    sim = Sim()
    web = sim.add("job", respawn=False)
    sim.start(web)
    sim.die(web, 1, code=2)
    assert web.reason(sim.now) == "ended: exit code 2"


def test_without_respawn_start_fires_again_what_has_ended() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=3, respawn=False)
    sim.start(web)
    sim.die(web, 1, 3, code=0)
    sim.told()
    ticket = sim.start(web)
    assert sim.told() == ["spawn web.1", "spawn web.3", "event web spawn 1", "event web spawn 3"]
    assert len(sim.replies[ticket].result["info"]["kept"]) == 1


def test_without_respawn_start_fires_again_what_is_still_ending_when_that_is_gone() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web", numprocesses=2, respawn=False)
    sim.start(web)
    sim.kill(web, 1)
    sim.start(web)
    sim.told()
    sim.advance(1.0)
    assert sim.told() == ["event web reap 1 (-15)", "spawn web.1", "event web spawn 1"]


def test_without_respawn_a_quick_job_has_a_whole_round_of_events() -> None:
    sim = Sim()
    sim.program("job", Program(lives=0.0, code=0))
    job = sim.add("job", respawn=False)
    ticket = sim.start(job)
    assert sim.told() == [
        "open job",
        "spawn job.1",
        "event job spawn 1",
        "event job reap 1 (0)",
        "event job start",
        "close job",
        "event job stop",
    ]
    assert sim.replies[ticket].error == ""


def test_without_respawn_a_job_that_ends_during_warmup_is_not_started_twice() -> None:
    sim = Sim()
    sim.program("job", Program(lives=0.5, code=0))
    job = sim.add("job", numprocesses=3, warmup_delay=1.0, respawn=False)
    sim.start(job)
    sim.rest()
    assert [line for line in sim.told() if line.startswith("spawn")] == ["spawn job.1"] * 3
    assert job.is_stopped


def test_without_respawn_failed_execution_is_tried_again() -> None:
    sim = Sim()
    sim.program("job", Program(fails="busy"), Program())
    job = sim.add("job", respawn=False)
    sim.start(job)
    sim.advance(0.1)
    assert sim.wids(job) == [1]


def test_without_respawn_the_kill_command_ends_for_good() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2, respawn=False)
    sim.start(web)
    sim.kill(web, 1)
    assert sim.wids(web) == [2]
    sim.rest()
    assert sim.wids(web) == [2]


def test_without_respawn_incr_starts_one_more_and_not_what_has_ended() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2, respawn=False)
    sim.start(web)
    sim.die(web, 1, code=0)
    sim.told()
    sim.change(web, numprocesses=3)
    assert sim.told() == ["spawn web.1", "event web spawn 1"]
    assert len(sim.alive(web)) == 2


def test_without_respawn_decr_and_incr_start_what_decr_ended() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web", numprocesses=3, respawn=False)
    sim.start(web)
    sim.change(web, numprocesses=1)
    sim.change(web, numprocesses=3)
    sim.rest()
    assert len(sim.alive(web)) == 3


@pytest.mark.parametrize("sequential", [False, True])
def test_without_respawn_nothing_is_replaced_after_a_reload(sequential: bool) -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=3, respawn=False)
    sim.start(web)
    sim.reload(web, sequential=sequential)
    assert len(sim.alive(web)) == 3
    sim.die(web, sim.wids(web)[0])
    sim.rest()
    assert len(sim.alive(web)) == 2


def test_without_respawn_start_during_a_sequential_reload_adds_nothing() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web", numprocesses=3, respawn=False)
    sim.start(web)
    sim.reload(web, sequential=True)
    sim.start(web)
    sim.rest()
    assert len(sim.alive(web)) == 3
    sim.die(web, sim.wids(web)[0])
    sim.rest()
    assert len(sim.alive(web)) == 2


def test_respawn_switched_off_after_many_crashes_still_lets_incr_start_one() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=1)
    sim.start(web)
    for _ in range(5):
        sim.advance(10.0)
        sim.die(web, 1)
    sim.change(web, respawn=False)
    sim.change(web, numprocesses=2)
    assert len(sim.alive(web)) == 2


def test_respawn_switched_on_replaces_what_has_ended() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2, respawn=False)
    sim.start(web)
    sim.die(web, 1, code=0)
    sim.change(web, respawn=True)
    assert len(sim.alive(web)) == 2


# ---- death at odd moments ------------------------------------------------------------------------------------------


def test_death_while_after_spawn_runs_is_replaced_and_the_answer_is_void() -> None:
    sim = Sim()
    sim.hook("web", "after_spawn", Hook(takes=NEVER), Hook())
    web = sim.add("web", hooks={"after_spawn": "x.y"})
    sim.start(web)
    sim.told()
    sim.die(web, 1)
    assert sim.told() == ["event web reap 1 (1)", "spawn web.1", "hook web after_spawn"]
    sim.answer(web, False)
    assert sim.told() == ["event web spawn 1", "event web start"]


def test_death_while_after_start_runs_is_replaced() -> None:
    sim = Sim()
    sim.hook("web", "after_start", Hook(takes=NEVER))
    web = sim.add("web", hooks={"after_start": "x.y"})
    sim.start(web)
    sim.told()
    sim.die(web, 1)
    assert sim.told() == ["event web reap 1 (1)", "spawn web.1", "event web spawn 1"]
    sim.answer(web, True)
    assert web.status == "active"


def test_signal_decided_before_a_death_is_not_sent_after_it() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    sim.told()
    with sim.at_once():
        sim.kill(web)
        sim.die(web, 1, code=0)
    assert sim.told() == ["event web reap 1 (0)", "spawn web.1", "event web spawn 1"]
