"""Shutdown: everything stops, in order and in bounded time; asked again it is in a hurry."""

from __future__ import annotations

import pytest

from circus.machine.awaited_hook import MIN_HOOK_TIMEOUT
from circus.machine.stopping import HURRIED_CLOSE_STREAMS_TIMEOUT
from tests.sim import NEVER, TERM, Hook, Program, Sim

STUBBORN = Program(ignores=(TERM,))


def test_quit_stops_all_of_one_priority_in_parallel_then_answers_and_leaves() -> None:
    sim = Sim()
    for name in "ab":
        sim.program(name, Program(takes=2.0))
    a, b = sim.add("a"), sim.add("b")
    sim.start(a, b)
    sim.told()
    ticket = sim.quit()
    assert sim.told() == ["TERM a.1", "TERM b.1"]
    sim.advance(2.0)
    assert sim.told()[-1] == "exit"
    assert sim.replies[ticket] == (ticket, {}, "")
    assert sim.exit is not None
    assert not sim.exit.restart
    assert sim.next_at() == NEVER


@pytest.mark.parametrize("restart", [False, True])
def test_quit_turns_the_order_of_the_start_round(restart: bool) -> None:
    sim = Sim()
    for name in ("redis", "worker", "web"):
        sim.program(name, Program(takes=2.0))
    redis, worker, web = sim.add("redis", priority=2), sim.add("worker", priority=1), sim.add("web", priority=1)
    sim.start(redis, worker, web)
    sim.told()
    ticket = sim.quit(restart)
    assert sim.told() == ["TERM worker.1", "TERM web.1"]
    sim.advance(2.0)
    assert sim.told()[-1] == "TERM redis.1"
    assert (redis.status, ticket in sim.replies) == ("stopping", False)
    sim.advance(2.0)
    assert sim.told()[-1] == ("exit to restart" if restart else "exit")
    assert sim.replies[ticket] == (ticket, {}, "")


def test_what_is_to_stop_later_in_a_shutdown_is_kept_running_until_then() -> None:
    sim = Sim()
    sim.program("worker", Program(takes=5.0))
    redis, worker = sim.add("redis", priority=1), sim.add("worker")
    sim.start(redis, worker)
    sim.quit()
    sim.die(redis)
    assert (redis.status, sim.wids(redis)) == ("active", [1])
    sim.rest()
    assert sim.exit is not None


def test_shutdown_waits_for_what_was_told_to_stop_before() -> None:
    sim = Sim()
    for name in ("worker", "gone"):
        sim.program(name, Program(takes=5.0))
    redis, worker, gone = sim.add("redis", priority=1), sim.add("worker"), sim.add("gone")
    sim.start(redis, worker, gone)
    sim.restart(worker)
    sim.remove(gone)
    sim.quit()
    assert (redis.status, worker.wanted) == ("active", False)
    sim.advance(5.0)
    assert sim.exit is not None


def test_start_with_a_hook_that_hangs_does_not_begin_after_all_in_the_shutdown() -> None:
    sim = Sim()
    sim.hook("first", "before_start", Hook(takes=NEVER))
    sim.program("web", Program(takes=9.0))
    web, first = sim.add("web"), sim.add("first", priority=1, graceful_timeout=1.0, hooks={"before_start": "x.y"})
    sim.start(web)
    sim.start(first)
    sim.quit()
    assert first.is_stopped
    sim.rest()
    assert (first.starts, sim.exit is not None) == (1, True)


def test_removal_of_one_that_is_still_to_stop_stops_it_at_once() -> None:
    sim = Sim()
    for name in ("web", "redis"):
        sim.program(name, Program(takes=2.0))
    redis, web = sim.add("redis", priority=1), sim.add("web")
    sim.start(redis, web)
    ticket = sim.quit()
    sim.told()
    sim.remove(redis)
    assert sim.told() == ["event redis remove", "TERM redis.1"]
    sim.rest()
    assert sim.replies[ticket] == (ticket, {}, "")


def test_what_may_not_be_signalled_is_left_behind_when_its_turn_to_stop_has_come() -> None:
    sim = Sim()
    sim.program("worker", Program(takes=5.0))
    sim.program("sudo", Program(leaves=1, below="foreign"))
    worker, sudo = sim.add("worker"), sim.add("sudo", priority=1)
    sim.start(worker, sudo)
    sim.quit()
    sim.die(sudo)
    assert (sudo.status, sim.wids(sudo), sim.exit) == ("active", [], None)
    sim.advance(5.0)
    assert sim.exit is not None
    assert sim.logged("warning: sudo: leaving")


@pytest.mark.parametrize("program", [Program(foreign=True), Program(leaves=1, below="foreign")])
def test_what_may_not_be_signalled_does_not_keep_others_from_their_stop(program: Program) -> None:
    sim = Sim()
    sim.program("sudo", program)
    redis, sudo = sim.add("redis", priority=1), sim.add("sudo")
    sim.start(redis, sudo)
    ticket = sim.stop(redis, sudo)
    sim.advance(1.0)
    assert (redis.status, sudo.status, ticket in sim.replies) == ("stopped", "stopping", True)


@pytest.mark.parametrize("program", [Program(stuck=True), Program(leaves=1, below="stuck")])
def test_what_hangs_in_the_kernel_does_not_keep_the_others_from_their_stop(program: Program) -> None:
    sim = Sim()
    sim.program("worker", program)
    redis, worker = sim.add("redis", priority=1), sim.add("worker", graceful_timeout=1.0)
    sim.start(redis, worker)
    sim.quit()
    sim.advance(1.0)
    assert redis.status == "active"
    sim.advance(5.0)
    assert (redis.status, worker.status) == ("stopped", "stopping")


def test_quit_without_watchers_leaves_at_once() -> None:
    sim = Sim()
    sim.quit()
    assert sim.told() == ["exit"]


def test_each_watcher_gets_its_own_graceful_timeout() -> None:
    sim = Sim()
    for name in "ab":
        sim.program(name, STUBBORN)
    a, b = sim.add("a", graceful_timeout=1.0), sim.add("b", graceful_timeout=5.0)
    sim.start(a, b)
    sim.quit()
    sim.advance(1.0)
    assert (a.status, b.status) == ("stopped", "stopping")
    sim.advance(4.0)
    assert sim.exit is not None


def test_quit_waits_for_watchers_that_were_removed_and_still_stop() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    web = sim.add("web")
    sim.start(web)
    sim.remove(web)
    ticket = sim.quit()
    assert sim.exit is None
    sim.advance(2.0)
    assert sim.exit is not None
    assert ticket in sim.replies


@pytest.mark.parametrize("tenths", range(0, 40, 3))
def test_quit_at_any_instant_of_a_start_leaves_nothing(tenths: int) -> None:
    sim = Sim(warmup_delay=0.5)
    for name in "abc":
        sim.program(name, Program(forks_in=0.2, takes=0.2, leaves=1))
    watchers = [sim.add(name, numprocesses=2, warmup_delay=0.3, priority=ord(name)) for name in "abc"]
    ticket = sim.start(*watchers)
    sim.advance(tenths / 10)
    sim.quit()
    sim.rest()
    assert sim.exit is not None
    assert sim.next_at() == NEVER
    assert ticket in sim.replies


def test_requests_to_run_are_refused_during_the_shutdown_and_others_are_not() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    web, late = sim.add("web"), sim.add("late")
    sim.start(web)
    sim.quit()
    refused = [sim.start(web), sim.restart(web), sim.reload(web), sim.add_and_start(late), sim.start(web, late)]
    assert {sim.replies[ticket].error for ticket in refused} == {"circusd is shutting down"}
    sim.arbiter.start(sim.now, 0, [web.key], True)
    others = [sim.stop(web), sim.change(web, numprocesses=2), sim.kill(web), sim.remove(web)]
    sim.advance(2.0)
    assert all(sim.replies[ticket].error == "" for ticket in others)
    assert sim.exit is not None


def test_start_that_waits_for_its_turn_is_told_of_the_shutdown() -> None:
    sim = Sim()
    sim.program("first", Program(forks_in=2.0))
    first, second = sim.add("first", priority=1), sim.add("second")
    ticket = sim.start(first, second)
    sim.quit()
    sim.advance(2.0)
    assert "circusd is shutting down" in sim.replies[ticket].error
    assert second.is_stopped


# ---- asked again ---------------------------------------------------------------------------------------------------


def test_second_quit_kills_what_has_not_ended() -> None:
    sim = Sim()
    sim.program("web", STUBBORN)
    web, _stopped = sim.add("web", graceful_timeout=60.0), sim.add("never started")
    sim.start(web)
    first = sim.quit()
    sim.told()
    second = sim.quit()
    assert sim.told() == ["KILL web.1 and all below", "event web reap 1 (-9)", "close web", "event web stop", "exit"]
    assert first in sim.replies
    assert second in sim.replies


def test_second_quit_does_not_wait_for_any_order() -> None:
    sim = Sim()
    for name in ("redis", "worker"):
        sim.program(name, STUBBORN)
    redis, worker = sim.add("redis", priority=1, graceful_timeout=60.0), sim.add("worker", graceful_timeout=60.0)
    sim.start(redis, worker)
    first = sim.quit()
    sim.told()
    second = sim.quit()
    assert sim.told()[:3] == ["KILL worker.1 and all below", "TERM redis.1", "KILL redis.1 and all below"]
    assert sim.exit is not None
    assert sim.replies[first].error == sim.replies[second].error == ""


def test_second_quit_that_is_patient_goes_on_waiting() -> None:
    sim = Sim()
    sim.program("web", STUBBORN)
    web = sim.add("web", graceful_timeout=60.0)
    sim.start(web)
    sim.quit()
    sim.told()
    sim.quit(patient=True)
    assert sim.told() == []
    sim.advance(60.0)
    assert sim.exit is not None


def test_hurry_does_not_wait_for_the_hooks_that_are_left() -> None:
    sim = Sim()
    sim.hook("web", "before_stop", Hook(takes=NEVER))
    hooks = dict.fromkeys(("before_stop", "after_stop", "before_signal"), "x.y")
    web = sim.add("web", graceful_timeout=60.0, hooks=hooks)
    sim.start(web)
    sim.quit()
    sim.told()
    sim.quit()
    assert sim.exit is not None
    assert sim.told()[-1] == "exit"


def test_hurry_kills_descendants_at_once() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=60.0)
    sim.start(web)
    sim.quit()
    sim.quit()
    sim.advance(1.0)
    assert sim.exit is not None


def test_hurry_gives_the_descendants_of_what_ends_only_now_no_time_either() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=1.0, leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=60.0)
    sim.start(web)
    sim.quit()
    sim.quit()
    sim.advance(1.1)
    assert sim.exit is not None


def test_hurry_gives_last_words_a_moment() -> None:
    sim = Sim()
    sim.stream_delay = NEVER
    sim.program("web", STUBBORN)
    web = sim.add("web", graceful_timeout=60.0)
    sim.start(web)
    sim.quit()
    sim.quit()
    assert sim.exit is None
    sim.advance(HURRIED_CLOSE_STREAMS_TIMEOUT)
    assert sim.exit is not None


def test_hurry_while_last_words_are_written_shortens_that() -> None:
    sim = Sim()
    sim.stream_delay = NEVER
    web = sim.add("web")
    sim.start(web)
    sim.quit()
    sim.quit()
    sim.advance(HURRIED_CLOSE_STREAMS_TIMEOUT)
    assert sim.exit is not None


@pytest.mark.parametrize("program", [Program(stuck=True), Program(leaves=1, below="stuck")])
def test_hurry_leaves_behind_what_hangs_in_the_kernel(program: Program) -> None:
    sim = Sim()
    sim.program("web", program)
    web = sim.add("web", graceful_timeout=1.0)
    sim.start(web)
    sim.quit()
    sim.advance(60.0)
    assert sim.exit is None
    sim.quit()
    assert sim.exit is not None
    assert sim.logged("behind")


def test_third_quit_changes_nothing_for_what_was_just_killed() -> None:
    sim = Sim()
    sim.program("web", Program(stuck=True))
    web = sim.add("web", graceful_timeout=60.0)
    sim.start(web)
    sim.quit()
    sim.quit()
    sim.told()
    sim.quit()
    assert sim.told() == []
    sim.advance(5.0)
    assert sim.exit is not None


def test_what_hangs_only_after_the_hurry_is_left_behind_too() -> None:
    sim = Sim()
    sim.program("web", Program(stuck=True))
    web, other = sim.add("web", graceful_timeout=1.0), sim.add("other", graceful_timeout=99.0)
    sim.program("other", Program(stuck=True))
    sim.start(web, other)
    sim.quit()
    sim.quit()
    sim.advance(4.9)
    assert sim.exit is None
    sim.advance(0.1)
    assert sim.exit is not None
    assert sim.logged("error: web: leaving [10003] behind")
    assert sim.logged("error: other: leaving [10004] behind")


def test_process_that_was_left_behind_may_still_end() -> None:
    sim = Sim()
    for name in ("web", "other"):
        sim.program(name, Program(stuck=True))
    web, other = sim.add("web", graceful_timeout=1.0), sim.add("other", graceful_timeout=99.0)
    sim.start(web, other)
    sim.quit()
    sim.advance(30.0)
    sim.quit()
    assert (web.status, other.status) == ("stopped", "stopping")
    sim.told()
    sim.unstick()
    assert sim.told() == ["event other reap 1 (-9)", "close other", "event other stop", "exit"]


# ---- hooks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["before_stop", "after_stop"])
def test_shutdown_waits_for_a_hook_no_longer_than_the_graceful_timeout(hook: str) -> None:
    sim = Sim()
    sim.hook("web", hook, Hook(takes=NEVER))
    web = sim.add("web", graceful_timeout=4.0, hooks={hook: "x.y"})
    sim.start(web)
    sim.quit()
    sim.advance(3.9)
    assert sim.exit is None
    sim.advance(0.1)
    assert sim.exit is not None
    assert sim.logged(f"error: web: its {hook} hook still runs; going on without it")


def test_hook_after_a_long_stop_gets_time_of_its_own() -> None:
    sim = Sim()
    sim.program("web", STUBBORN)
    sim.hook("web", "before_stop", Hook(takes=0.5))
    sim.hook("web", "after_stop", Hook(takes=1.0))
    web = sim.add("web", graceful_timeout=4.0, hooks={"before_stop": "x.y", "after_stop": "x.y"})
    sim.start(web)
    sim.quit()
    sim.advance(5.5)
    assert sim.exit is not None
    assert not sim.logged("still runs")


def test_hook_of_a_watcher_with_no_graceful_timeout_gets_a_moment() -> None:
    sim = Sim()
    sim.hook("web", "before_stop", Hook(takes=MIN_HOOK_TIMEOUT / 2))
    web = sim.add("web", graceful_timeout=0.0, hooks={"before_stop": "x.y"})
    sim.start(web)
    sim.quit()
    sim.rest()
    assert not sim.logged("still runs")


def test_hook_that_already_held_up_a_stop_is_limited_from_the_shutdown_on() -> None:
    sim = Sim()
    sim.hook("web", "before_stop", Hook(takes=NEVER))
    web = sim.add("web", graceful_timeout=4.0, hooks={"before_stop": "x.y"})
    sim.start(web)
    sim.stop(web)
    sim.advance(100.0)
    assert web.status == "stopping"
    sim.quit()
    sim.advance(4.0)
    assert sim.exit is not None


# ---- restart of the whole arbiter ----------------------------------------------------------------------------------


def test_restart_of_the_arbiter_leaves_in_order_to_come_back() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    ticket = sim.quit(restart=True)
    assert sim.told()[-1] == "exit to restart"
    assert ticket in sim.replies


def test_quit_during_a_restart_of_the_arbiter_leaves_for_good_and_is_in_no_hurry() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    web = sim.add("web")
    sim.start(web)
    sim.quit(restart=True)
    sim.told()
    sim.quit()
    assert sim.told() == []
    sim.advance(2.0)
    assert sim.told()[-1] == "exit"


def test_restart_during_a_quit_does_not_bring_it_back_and_is_in_no_hurry() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    web = sim.add("web")
    sim.start(web)
    sim.quit()
    sim.told()
    sim.quit(restart=True)
    assert sim.told() == []
    sim.advance(2.0)
    assert sim.told()[-1] == "exit"
