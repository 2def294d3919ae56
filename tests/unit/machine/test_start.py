"""Starting one watcher: order of steps, warm-up, rationing, what keeps it from coming up."""

from __future__ import annotations

import pytest

from circus.machine.actions import Action, Spawn
from circus.machine.arbiter import SPAWNS_PER_PASS, Arbiter
from circus.machine.phase import Phase
from circus.machine.progress_timeout import STOP_TIMEOUT
from circus.options.table import WatcherSpec
from tests.sim import NEVER, Program, Sim


def test_start_opens_streams_spawns_all_and_then_is_active() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2)
    ticket = sim.start(web)
    assert sim.told() == [
        "open web",
        "spawn web.1",
        "spawn web.2",
        "event web spawn 1",
        "event web spawn 2",
        "event web start",
    ]
    assert web.status == "active"
    assert sim.replies[ticket].result == {"info": {"started": sim.pids(web), "kept": []}}


def test_spawn_event_carries_pid_number_and_time_of_birth() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    [payload] = sim.payloads("web", "spawn")
    assert payload == {"process_pid": sim.pids(web)[0], "process_id": 1, "time": 1e9 + 1000.0}


def test_watcher_that_was_only_added_stays_stopped() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.settle()
    assert sim.told() == []
    assert web.status == "stopped"


def test_added_by_command_is_announced_at_once() -> None:
    sim = Sim()
    sim.add("web", announce=True)
    assert sim.arbiter.wake_at(sim.now) == sim.now
    sim.settle()
    assert sim.told() == ["event web add"]


def test_start_of_a_complete_watcher_changes_nothing() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2)
    sim.start(web)
    sim.told()
    ticket = sim.start(web)
    assert sim.told() == []
    assert sim.replies[ticket].result == {"info": {"started": [], "kept": sim.pids(web)}}


def test_status_is_starting_until_every_process_runs() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=NEVER))
    web = sim.add("web")
    sim.start(web)
    assert (web.status, web.phase) == ("starting", Phase.STARTING)
    sim.executed(web)
    assert web.status == "active"


def test_warmup_delay_parts_the_spawns() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=3, warmup_delay=2.0)
    ticket = sim.start(web)
    assert sim.wids(web) == [1]
    sim.advance(1.9)
    assert sim.wids(web) == [1]
    sim.advance(0.2)
    assert sim.wids(web) == [1, 2]
    assert web.status == "starting"
    assert ticket not in sim.replies
    sim.advance(2.0)
    assert sim.wids(web) == [1, 2, 3]
    assert web.status == "active"
    assert ticket in sim.replies


def test_warmup_delay_holds_for_a_replacement_too() -> None:
    sim = Sim()
    web = sim.add("web", warmup_delay=2.0)
    sim.start(web)
    sim.advance(1.5)
    sim.die(web, 1)
    assert sim.wids(web) == []
    sim.advance(0.5)
    assert sim.wids(web) == [1]


def test_numprocesses_zero_is_a_warning_and_a_stop_event() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=0)
    ticket = sim.start(web)
    assert sim.told() == ["event web stop"]
    assert web.is_stopped
    assert sim.logged("warning: web is not started: numprocesses is 0")
    assert web.reason(sim.now) == "it starts when numprocesses is above 0"
    assert sim.replies[ticket].error == ""
    assert sim.replies[ticket].result["info"] == {"started": [], "kept": []}


def test_numprocesses_below_zero_is_taken_for_zero() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=-3)
    sim.start(web)
    assert (web.pool.target, web.status) == (0, "stopped")


def test_singleton_starts_one_whatever_numprocesses_says() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=5, singleton=True)
    sim.start(web)
    assert sim.wids(web) == [1]


def test_singleton_with_numprocesses_zero_is_active_without_a_process() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=0, singleton=True)
    sim.start(web)
    assert (web.status, sim.wids(web)) == ("active", [])


def test_error_in_one_watcher_is_told_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    arbiter = Arbiter(lambda: 0.5)
    watchers = [arbiter.add(WatcherSpec(name, {})) for name in ("a", "b", "c")]

    def raises(now: float, allowance: int) -> list[Action]:
        raise ValueError("a defect")

    monkeypatch.setattr(watchers[1], "settle", raises)
    arbiter.start(1.0, 7, [watcher.key for watcher in watchers])
    told: list[Action] = []
    with pytest.raises(ValueError, match="a defect"):
        arbiter.settle(1.0)
    while (at := arbiter.wake_at(1.0)) is not None and at <= 1.0:
        told += arbiter.settle(1.0)
    assert {action.key for action in told if isinstance(action, Spawn)} == {watchers[0].key, watchers[2].key}


def test_spawns_are_rationed_so_that_requests_are_answered_in_between() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=0.001))
    web = sim.add("web", numprocesses=SPAWNS_PER_PASS + 3)
    sim.start(web)
    assert len(sim.told()) == 1 + SPAWNS_PER_PASS
    assert web.pool.wants_turn
    assert sim.arbiter.wake_at(sim.now) is not None
    sim.advance(0.001)
    assert len(sim.alive(web)) == SPAWNS_PER_PASS
    sim.advance(0.001)
    assert len(sim.alive(web)) == SPAWNS_PER_PASS + 3


def test_watcher_with_many_to_start_does_not_hold_up_a_small_one() -> None:
    sim = Sim()
    sim.program("big", Program(forks_in=0.001))
    sim.program("small", Program(forks_in=0.001))
    big, small = sim.add("big", numprocesses=100), sim.add("small")
    sim.start(big, small)
    sim.advance(0.002)
    assert len(sim.alive(big)) < 3 * SPAWNS_PER_PASS
    assert sim.wids(small) == [1]


def test_stop_of_a_rationed_start_leaves_nothing_to_wake_up_for() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=0.5))
    web = sim.add("web", numprocesses=40)
    sim.start(web)
    assert web.pool.wants_turn
    sim.stop(web)
    assert (web.status, web.pool.wants_turn) == ("stopping", False)
    assert sim.arbiter.wake_at(sim.now) == sim.now + 10.0 + STOP_TIMEOUT
    sim.rest()
    assert web.is_stopped


# ---- programs that cannot be executed ------------------------------------------------------------------------------


def test_failed_execution_is_tried_again_with_growing_pauses_and_given_up() -> None:
    sim = Sim()
    sim.program("web", Program(fails="no such file: web"))
    web = sim.add("web", max_retry=4)
    ticket = sim.start(web)
    tries = [0.0]
    while not web.is_stopped:
        sim.advance(sim.next_at() - sim.now)
        tries.append(round(sim.now - 1000.0, 3))
    assert tries == [0.0, 0.1, 0.3, 0.7]
    assert sim.told() == ["open web", *["spawn web.1"] * 4, "close web", "event web stop"]
    assert web.reason(sim.now) == "no such file: web; given up after 4 attempts"
    reply = sim.replies[ticket]
    assert (reply.error, reply.result["reason"]) == ("", f"web: not started: {web.reason(sim.now)}")
    assert reply.result["info"] == {"started": [], "kept": []}
    assert sim.logged("error: web: no such file: web; given up after 4 attempts")


def test_several_failures_at_once_are_one_attempt() -> None:
    sim = Sim()
    sim.program("web", Program(fails="no such file"))
    web = sim.add("web", numprocesses=8, max_retry=5)
    sim.start(web)
    assert web.pool.failures == 1
    assert web.status == "starting"
    assert web.reason(sim.now) == "no such file; next try in 0 s, failure 1"


def test_after_a_failure_one_process_tries_for_all() -> None:
    sim = Sim()
    sim.program("web", *[Program(fails="no")] * 3, Program(forks_in=0.5))
    web = sim.add("web", numprocesses=3)
    sim.start(web)
    sim.told()
    sim.advance(0.1)
    assert sim.told() == ["spawn web.1"]
    sim.advance(0.5)
    assert sim.told() == ["event web spawn 1", "spawn web.2", "spawn web.3"]
    sim.advance(0.5)
    assert web.status == "active"
    assert web.reason(sim.now) == ""


def test_failure_among_successes_is_tried_again_after_a_pause() -> None:
    sim = Sim()
    sim.program("web", Program(fails="busy"), Program(), Program(fails="busy"), Program())
    web = sim.add("web", numprocesses=2)
    sim.start(web)
    assert sim.wids(web) == [2]
    sim.advance(0.1)
    sim.advance(0.1)
    assert sorted(sim.wids(web)) == [1, 2]
    assert web.status == "active"


def test_max_retry_minus_one_goes_on_for_ever_with_long_pauses() -> None:
    sim = Sim()
    sim.program("web", Program(fails="no such file"))
    web = sim.add("web", max_retry=-1)
    sim.start(web)
    sim.advance(3600.0)
    assert web.status == "starting"
    assert len([line for line in sim.told() if line == "spawn web.1"]) < 30
    assert sim.arbiter.wake_at(sim.now) <= sim.now + 300.0


def test_waiting_start_with_max_retry_minus_one_is_told_what_is_wrong() -> None:
    sim = Sim()
    sim.program("web", Program(fails="no such file"))
    web = sim.add("web", max_retry=-1)
    ticket = sim.start(web)
    assert sim.replies[ticket].result["reason"] == "web: not started: no such file; it goes on trying"
    ticket = sim.change(web, numprocesses=2)
    assert sim.replies[ticket].result["reason"] == "web: not started: no such file; it goes on trying"


def test_max_retry_zero_gives_up_at_the_first_failure() -> None:
    sim = Sim()
    sim.program("web", Program(fails="no such file"))
    web = sim.add("web", max_retry=0)
    sim.start(web)
    assert web.is_stopped


def test_start_after_giving_up_begins_with_a_clean_slate() -> None:
    sim = Sim()
    sim.program("web", Program(fails="no such file"), Program())
    web = sim.add("web", max_retry=1)
    sim.start(web)
    assert web.is_stopped
    sim.start(web)
    assert (web.status, web.pool.failures, web.reason(sim.now)) == ("active", 0, "")


def test_failure_to_replace_a_dead_process_is_forgotten_with_the_first_success() -> None:
    sim = Sim()
    sim.program("web", Program(), Program(fails="text file busy"), Program())
    web = sim.add("web")
    sim.start(web)
    sim.advance(60.0)
    sim.die(web, 1)
    assert (web.pool.failures, web.status) == (1, "active")
    sim.advance(0.1)
    assert (web.pool.failures, web.reason(sim.now), sim.wids(web)) == (0, "", [1])


def test_failure_is_forgotten_when_no_more_than_those_that_run_are_wanted() -> None:
    sim = Sim()
    sim.program("web", Program(), Program(), *[Program(fails="no descriptor left")] * 9)
    web = sim.add("web", numprocesses=4)
    sim.start(web)
    assert (web.status, web.pool.failures) == ("starting", 1)
    sim.change(web, numprocesses=2)
    assert (web.status, web.reason(sim.now)) == ("active", "")
    assert web.wake_at() is None


# ---- requests that meet ----------------------------------------------------------------------------------------------


def test_start_during_a_stop_begins_when_the_stop_is_complete() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    ticket = sim.start(web)
    sim.told()
    assert web.status == "stopping"
    sim.advance(1.0)
    assert sim.told() == [
        "event web reap 1 (-15)",
        "close web",
        "event web stop",
        "open web",
        "spawn web.1",
        "event web spawn 1",
        "event web start",
    ]
    assert sim.replies[ticket].result == {"info": {"started": sim.pids(web), "kept": []}}


def test_restart_is_a_stop_and_a_start() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    [old] = sim.pids(web)
    sim.told()
    ticket = sim.restart(web)
    assert sim.told() == [
        "TERM web.1",
        "event web reap 1 (-15)",
        "close web",
        "event web stop",
        "open web",
        "spawn web.1",
        "event web spawn 1",
        "event web start",
    ]
    assert sim.replies[ticket].result == {"info": {"stopped": [old], "started": sim.pids(web), "kept": []}}


def test_restart_of_a_stopped_watcher_starts_it() -> None:
    sim = Sim()
    web = sim.add("web", autostart=False)
    sim.restart(web)
    assert web.status == "active"


def test_second_restart_during_a_restart_is_the_same_restart() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web")
    sim.start(web)
    first = sim.restart(web)
    sim.advance(0.5)
    second = sim.restart(web)
    sim.rest()
    assert [event for _, event, _ in sim.published].count("stop") == 1
    assert (sim.replies[first].error, sim.replies[second].error) == ("", "")


def test_watcher_with_an_obstacle_is_not_started_and_says_why() -> None:
    sim = Sim()
    web = sim.add("web")
    web.obstacle = "its log file is a directory"
    ticket = sim.start(web)
    assert (sim.told(), web.status, web.reason(sim.now)) == ([], "stopped", "its log file is a directory")
    assert sim.replies[ticket].result["reason"] == "web: not started: its log file is a directory"
    assert sim.logged("error: web is not started: its log file is a directory")


def test_watcher_whose_obstacle_is_gone_does_not_speak_of_it_any_more() -> None:
    sim = Sim()
    web = sim.add("web")
    web.obstacle = "its log file is a directory"
    sim.start(web)
    web.obstacle = ""
    assert (web.status, web.reason(sim.now)) == ("stopped", "")


def test_watcher_that_is_down_although_that_was_not_asked_for_is_still_missed() -> None:
    sim = Sim()
    web, other = sim.add("web"), sim.add("other")
    assert not web.is_missed
    other.obstacle = "its log file is a directory"
    sim.start(web, other)
    assert web.is_missed and other.is_missed
    sim.stop(web, other)
    sim.rest()
    assert not web.is_missed
