"""Hooks: which when, what a no means, and that one which never returns holds up only its own watcher."""

from __future__ import annotations

import pytest

from circus.common import names
from circus.machine.progress_timeout import START_TIMEOUT
from tests.sim import NEVER, Hook, Program, Sim

ALL = dict.fromkeys(names.HOOKS, "x.y")


def test_all_hooks_come_in_order_through_a_whole_life() -> None:
    sim = Sim()
    web = sim.add("web", hooks=ALL)
    sim.start(web)
    assert sim.told() == [
        "hook web before_start",
        "open web",
        "hook web before_spawn",
        "spawn web.1",
        "hook web after_spawn",
        "event web spawn 1",
        "hook web after_start",
        "event web start",
    ]
    sim.stop(web)
    assert sim.told() == [
        "hook web before_stop",
        "hook web before_signal",
        "TERM web.1",
        "hook web after_signal",
        "hook web before_reap",
        "event web reap 1 (-15)",
        "hook web after_reap",
        "close web",
        "event web stop",
        "hook web after_stop",
    ]
    assert web.is_stopped


def test_hooks_are_given_what_they_are_about() -> None:
    sim = Sim()
    web = sim.add("web", hooks=ALL)
    sim.start(web)
    [pid] = sim.pids(web)
    sim.stop(web)
    given = {run.hook: dict(run.arguments) for run in sim.hook_runs}
    assert given == {
        "before_start": {},
        "before_spawn": {},
        "after_spawn": {"pid": pid},
        "after_start": {},
        "before_stop": {},
        "before_signal": {"pid": pid, "signum": 15},
        "after_signal": {"pid": pid, "signum": 15},
        "before_reap": {"process_pid": pid},
        "after_reap": {"process_pid": pid, "exit_code": -15, "process_status": None},
        "after_stop": {},
    }


def test_after_reap_is_told_that_a_process_ended_by_itself() -> None:
    sim = Sim()
    web = sim.add("web", hooks={"after_reap": "x.y"})
    sim.start(web)
    sim.die(web, 1, code=7)
    assert sim.hook_runs[-1].arguments["process_status"] == 1


def test_before_spawn_is_asked_for_one_process_at_a_time() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(takes=1.0))
    web = sim.add("web", numprocesses=2, hooks={"before_spawn": "x.y"})
    sim.start(web)
    assert sim.told() == ["open web", "hook web before_spawn"]
    sim.advance(1.0)
    assert sim.told() == ["spawn web.1", "hook web before_spawn", "event web spawn 1"]
    sim.advance(1.0)
    assert web.status == "active"


def test_warmup_delay_is_shortened_by_the_time_before_spawn_took() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(takes=1.5))
    web = sim.add("web", numprocesses=2, warmup_delay=2.0, hooks={"before_spawn": "x.y"})
    sim.start(web)
    sim.advance(1.9)
    sim.told()
    sim.advance(0.1)
    assert sim.told() == ["hook web before_spawn"]


# ---- a no ----------------------------------------------------------------------------------------------------------


def test_no_of_before_start_leaves_it_stopped_without_any_event() -> None:
    sim = Sim()
    sim.hook("web", "before_start", Hook(ok=False))
    web = sim.add("web", hooks=ALL)
    ticket = sim.start(web)
    assert sim.told() == ["hook web before_start"]
    assert web.is_stopped
    assert web.reason(sim.now) == "start aborted by its before_start hook"
    assert sim.replies[ticket].result == {
        "info": {"started": [], "kept": []},
        "reason": "web: not started: start aborted by its before_start hook",
    }
    assert sim.next_at() == NEVER


@pytest.mark.parametrize("hook", ["before_spawn", "after_spawn", "after_start"])
def test_no_of_a_later_start_hook_stops_the_watcher(hook: str) -> None:
    sim = Sim()
    sim.hook("web", hook, Hook(ok=False))
    web = sim.add("web", hooks={hook: "x.y"})
    ticket = sim.start(web)
    assert web.is_stopped
    assert sim.told()[-2:] == ["close web", "event web stop"]
    assert web.reason(sim.now) == f"stopped by its {hook} hook"
    assert sim.replies[ticket].result["info"] == {"started": [], "kept": []}
    assert ("web", "start", {}) not in sim.published


def test_no_of_after_spawn_ends_the_process_and_publishes_no_spawn() -> None:
    sim = Sim()
    sim.hook("web", "after_spawn", Hook(ok=False))
    web = sim.add("web", numprocesses=2, hooks={"after_spawn": "x.y"})
    sim.start(web)
    assert sim.payloads("web", "spawn") == []
    assert len(sim.payloads("web", "reap")) == 2
    assert web.is_stopped


def test_no_of_before_spawn_for_a_replacement_stops_the_watcher() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(), Hook(), Hook(ok=False))
    web = sim.add("web", numprocesses=2, hooks={"before_spawn": "x.y"})
    sim.start(web)
    sim.die(web, 1)
    assert web.is_stopped


@pytest.mark.parametrize("hook", ["before_stop", "after_stop", "after_signal", "before_reap", "after_reap"])
def test_no_of_a_hook_that_is_only_told_changes_nothing(hook: str) -> None:
    sim = Sim()
    sim.hook("web", hook, Hook(ok=False))
    web = sim.add("web", hooks={hook: "x.y"})
    sim.start(web)
    sim.restart(web)
    assert web.status == "active"


def test_trouble_of_a_veto_is_not_wiped_out_by_a_spawn_that_was_underway() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=0.1), Program(forks_in=0.5))
    sim.hook("web", "after_spawn", Hook(ok=False))
    web = sim.add("web", numprocesses=2, hooks={"after_spawn": "x.y"})
    sim.start(web)
    sim.rest()
    assert web.reason(sim.now) == "stopped by its after_spawn hook"


def test_no_that_comes_together_with_a_restart_means_nothing_for_the_next_start() -> None:
    sim = Sim()
    sim.hook("web", "after_start", Hook(takes=NEVER), Hook())
    web = sim.add("web", hooks={"after_start": "x.y"})
    sim.start(web)
    with sim.at_once():
        sim.answer(web, False)
        sim.restart(web)
    assert web.status == "active"


# ---- never ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", [hook for hook in names.HOOKS if hook != names.EXTENDED_STATS])
def test_hook_that_never_returns_holds_up_nobody_else_and_not_the_shutdown(hook: str) -> None:
    sim = Sim()
    sim.hook("web", hook, Hook(takes=NEVER))
    web, other = sim.add("web", graceful_timeout=3.0, hooks=ALL), sim.add("other")
    sim.start(web, other)
    sim.restart(web)
    sim.advance(10.0)
    assert other.status == "active"
    ticket = sim.restart(other)
    assert sim.replies[ticket].error == ""
    sim.quit()
    sim.advance(12.0)
    assert sim.exit is not None
    assert sim.next_at() == NEVER


def test_status_says_which_hook_has_been_running_for_how_long() -> None:
    sim = Sim()
    sim.hook("web", "before_start", Hook(takes=NEVER))
    web = sim.add("web", hooks={"before_start": "x.y"})
    sim.start(web)
    assert web.reason(sim.now) == ""
    assert web.reason(sim.now + 20) == "its before_start hook has been running for 20 s"


def test_watchers_of_lower_priority_do_not_wait_for_ever_for_a_hook() -> None:
    sim = Sim()
    sim.hook("first", "before_start", Hook(takes=NEVER))
    first = sim.add("first", priority=5, hooks={"before_start": "x.y"})
    second = sim.add("second")
    sim.start(first, second)
    sim.advance(START_TIMEOUT - 1)
    assert second.status == "stopped"
    sim.advance(1)
    assert second.status == "active"
    assert sim.logged("warning: first: its start makes no progress; others no longer wait for it")
    sim.answer(first, True)
    assert first.status == "active"


def test_status_says_when_a_start_makes_no_progress() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(takes=NEVER))
    web = sim.add("web", hooks={"before_spawn": "x.y"})
    sim.start(web)
    sim.advance(START_TIMEOUT)
    assert (web.status, web.reason(sim.now)) == ("starting", "its start makes no progress")
    sim.answer(web, True)
    assert (web.status, web.reason(sim.now)) == ("active", "")


def test_start_that_makes_progress_again_is_no_longer_called_hanging() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(takes=NEVER))
    web = sim.add("web", numprocesses=3, hooks={"before_spawn": "x.y"})
    sim.start(web)
    for _ in range(2):
        sim.advance(START_TIMEOUT)
        assert web.reason(sim.now) == "its start makes no progress"
        sim.answer(web, True)
        assert (web.status, web.reason(sim.now)) == ("starting", "")
    sim.advance(START_TIMEOUT)
    sim.stop(web)
    assert web.reason(sim.now) == ""


def test_slow_warmup_is_progress() -> None:
    sim = Sim()
    first = sim.add("first", priority=5, numprocesses=5, warmup_delay=60.0)
    second = sim.add("second")
    sim.start(first, second)
    sim.advance(239.0)
    assert second.status == "stopped"
    sim.advance(2.0)
    assert (first.status, second.status) == ("active", "active")


def test_restart_after_a_hook_that_never_returned_waits_for_its_hook_thread() -> None:
    sim = Sim()
    sim.hook("web", "before_start", Hook(takes=NEVER), Hook())
    web = sim.add("web", hooks={"before_start": "x.y"})
    sim.start(web)
    sim.stop(web)
    sim.start(web)
    assert web.status == "stopped"
    sim.answer(web, False)
    assert web.status == "active"
