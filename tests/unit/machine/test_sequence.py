"""Starting, restarting and reloading many: by priority, with backoff, overtaken by other requests."""

from __future__ import annotations

import pytest

from circus.machine.progress_timeout import STOP_TIMEOUT
from tests.sim import NEVER, TERM, Hook, Program, Sim


def begun(sim: Sim) -> list[str]:
    return [line.removeprefix("open ") for line in sim.told() if line.startswith("open ")]


def test_bigger_priority_starts_first_and_equal_ones_in_the_order_they_came() -> None:
    sim = Sim()
    watchers = [sim.add(name, priority=priority) for name, priority in [("a", 0), ("b", 5), ("c", 0), ("d", 10)]]
    assert [watcher.name for watcher in sim.arbiter.in_order()] == ["d", "b", "a", "c"]
    ticket = sim.start(*watchers)
    assert begun(sim) == ["d", "b", "a", "c"]
    assert sim.replies[ticket] == (ticket, {}, "")


def test_lower_priority_begins_when_the_higher_is_up() -> None:
    sim = Sim()
    sim.program("first", Program(forks_in=2.0))
    first, second = sim.add("first", priority=1), sim.add("second")
    ticket = sim.start(second, first)
    assert begun(sim) == ["first"]
    assert ticket not in sim.replies
    sim.advance(2.0)
    assert begun(sim) == ["second"]
    assert ticket in sim.replies


def test_equal_priority_begins_together() -> None:
    sim = Sim()
    sim.program("a", Program(forks_in=2.0))
    sim.start(sim.add("a"), sim.add("b"))
    assert begun(sim) == ["a", "b"]


def test_lower_priority_waits_for_the_slowest_of_the_higher() -> None:
    sim = Sim()
    sim.program("fast", Program(forks_in=1.0))
    sim.program("slow", Program(forks_in=2.0))
    sim.start(sim.add("fast", priority=1), sim.add("slow", priority=1), sim.add("last"))
    assert begun(sim) == ["fast", "slow"]
    sim.advance(1.5)
    assert begun(sim) == []
    sim.advance(0.5)
    assert begun(sim) == ["last"]


def test_lower_priority_waits_for_the_whole_warmup_of_the_higher() -> None:
    sim = Sim()
    first, second = sim.add("first", priority=1, numprocesses=3, warmup_delay=2.0), sim.add("second")
    sim.start(first, second)
    sim.advance(3.9)
    assert begun(sim) == ["first"]
    sim.advance(0.1)
    assert begun(sim) == ["second"]


@pytest.mark.parametrize("options", [{"max_retry": -1}, {"max_retry": 5}])
def test_higher_priority_that_cannot_be_executed_does_not_hold_up_the_rest(options: dict[str, int]) -> None:
    sim = Sim()
    sim.program("first", Program(fails="no such file"))
    first, second = sim.add("first", priority=1, **options), sim.add("second")
    sim.start(first, second)
    assert begun(sim) == ["first", "second"]


def test_higher_priority_that_goes_down_again_does_not_hold_up_the_rest() -> None:
    sim = Sim()
    sim.hook("first", "before_start", Hook(ok=False))
    first, second = sim.add("first", priority=1, hooks={"before_start": "x.y"}), sim.add("second")
    ticket = sim.start(first, second)
    assert begun(sim) == ["second"]
    assert sim.replies[ticket].result == {"reason": "first: not started: start aborted by its before_start hook"}


def test_higher_priority_that_crashes_does_not_hold_up_the_rest() -> None:
    sim = Sim()
    sim.program("first", Program(lives=0.0, code=1))
    sim.start(sim.add("first", priority=1), sim.add("second"))
    assert begun(sim) == ["first", "second"]


def test_warmup_between_watchers_is_one_at_a_time_with_a_pause() -> None:
    sim = Sim(warmup_delay=3.0)
    sim.program("a", Program(forks_in=1.0))
    sim.start(sim.add("a"), sim.add("b"), sim.add("c"))
    assert begun(sim) == ["a"]
    sim.advance(3.9)
    assert begun(sim) == []
    sim.advance(0.1)
    assert begun(sim) == ["b"]
    sim.advance(3.0)
    assert begun(sim) == ["c"]
    assert sim.next_at() == NEVER


def test_pauses_of_two_sequences_do_not_disturb_each_other() -> None:
    sim = Sim(warmup_delay=3.0)
    first = [sim.add("a"), sim.add("b")]
    second = [sim.add("c"), sim.add("d")]
    sim.start(*first)
    sim.advance(1.0)
    sim.start(*second)
    assert begun(sim) == ["a", "c"]
    sim.advance(2.0)
    assert begun(sim) == ["b"]
    sim.advance(1.0)
    assert begun(sim) == ["d"]


def test_stop_of_all_during_a_pause_leaves_nothing_to_wake_up_for() -> None:
    sim = Sim(warmup_delay=30.0)
    watchers = sim.add("a"), sim.add("b")
    sim.start(*watchers)
    assert sim.next_at() == sim.now + 30.0
    sim.stop(*watchers)
    assert sim.next_at() == NEVER


def test_start_of_many_passes_over_those_without_autostart() -> None:
    sim = Sim()
    manual, web = sim.add("manual", autostart=False), sim.add("web")
    ticket = sim.start(manual, web)
    assert (manual.status, web.status) == ("stopped", "active")
    assert ticket in sim.replies


def test_start_of_one_by_name_starts_it_without_autostart() -> None:
    sim = Sim()
    manual = sim.add("manual", autostart=False)
    sim.start(manual)
    assert manual.status == "active"


def test_start_of_nobody_is_answered() -> None:
    sim = Sim()
    ticket = sim.start()
    assert sim.replies[ticket] == (ticket, {}, "")


def test_stop_of_many_turns_the_order_of_the_start_round() -> None:
    sim = Sim(warmup_delay=3.0)  # which is no pause between stops
    for name in "abcd":
        sim.program(name, Program(takes=2.0))
    watchers = [sim.add(name, priority=priority) for name, priority in [("a", 5), ("b", 0), ("c", 0), ("d", -1)]]
    sim.start(*watchers)
    sim.rest()
    sim.told()
    ticket = sim.stop(*watchers)
    assert sim.told() == ["TERM d.1"]
    sim.advance(2.0)
    assert sim.told()[-2:] == ["TERM b.1", "TERM c.1"]
    sim.advance(2.0)
    assert sim.told()[-1] == "TERM a.1"
    assert (watchers[0].status, ticket in sim.replies) == ("stopping", False)
    sim.advance(2.0)
    assert sim.replies[ticket] == (ticket, {}, "")


def test_stop_of_many_waits_for_the_slowest_of_the_lower_priority() -> None:
    sim = Sim()
    for name, takes in (("fast", 1.0), ("slow", 2.0)):
        sim.program(name, Program(takes=takes))
    watchers = [sim.add("fast"), sim.add("slow"), sim.add("last", priority=1)]
    sim.start(*watchers)
    sim.stop(*watchers)
    sim.advance(1.5)
    assert watchers[2].status == "active"
    sim.advance(0.5)
    assert watchers[2].status == "stopped"


def test_stop_of_one_by_name_is_at_once() -> None:
    sim = Sim()
    redis, web = sim.add("redis", priority=1), sim.add("web")
    sim.start(redis, web)
    sim.stop(redis)
    assert (redis.status, web.status) == ("stopped", "active")


def test_stop_of_many_stops_at_once_what_does_not_run() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    sim.hook("first", "before_start", Hook(takes=NEVER))
    web, first = sim.add("web"), sim.add("first", priority=1, hooks={"before_start": "x.y"})
    sim.start(web)
    start = sim.start(first)
    sim.stop(web, first)
    assert first.is_stopped
    assert sim.replies[start].error == "superseded by a later stop of 'first'"


def test_hook_that_hangs_in_a_stop_does_not_hold_up_the_others_for_ever() -> None:
    sim = Sim()
    sim.hook("web", "before_stop", Hook(takes=NEVER))
    redis, web = sim.add("redis", priority=1), sim.add("web", hooks={"before_stop": "x.y"})
    sim.start(redis, web)
    sim.stop(redis, web)
    sim.advance(web.spec.graceful_timeout + STOP_TIMEOUT - 0.1)
    assert redis.status == "active"
    sim.advance(0.1)
    assert (redis.status, web.status) == ("stopped", "stopping")
    assert sim.logged("warning: web: its stop makes no progress; others no longer wait for it")


@pytest.mark.parametrize("verb", ["start", "restart", "reload"])
def test_one_that_is_asked_to_run_before_its_turn_to_stop_is_not_stopped(verb: str) -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    redis, web = sim.add("redis", priority=1), sim.add("web")
    sim.start(redis, web)
    ticket = sim.stop(redis, web)
    getattr(sim, verb)(redis)
    sim.rest()
    assert (redis.status, web.status) == ("active", "stopped")
    assert sim.replies[ticket].error == "superseded by a later request for 'redis'"


def test_start_of_all_before_the_end_of_a_stop_of_all_wins() -> None:
    sim = Sim(warmup_delay=30.0)
    sim.program("c", Program(takes=10.0))
    watchers = [sim.add("a", priority=2), sim.add("b", priority=1), sim.add("c")]
    sim.start(*watchers)
    sim.rest()
    sim.stop(*watchers)
    sim.start(*watchers)
    sim.rest()
    assert [watcher.status for watcher in watchers] == ["active"] * 3


def test_stop_of_one_before_its_turn_in_a_stop_of_many_is_at_once() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    redis, web = sim.add("redis", priority=1), sim.add("web")
    sim.start(redis, web)
    ticket = sim.stop(redis, web)
    sim.stop(redis)
    assert redis.is_stopped
    sim.rest()
    assert sim.replies[ticket] == (ticket, {}, "")


@pytest.mark.parametrize("nostop", [False, True])
def test_removal_of_one_that_a_stop_waits_for_lets_the_others_stop(nostop: bool) -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,)))
    redis, web = sim.add("redis", priority=1), sim.add("web")
    sim.start(redis, web)
    sim.stop(redis, web)
    sim.remove(web, nostop)
    assert redis.is_stopped


def test_removal_with_nostop_of_one_that_is_still_to_stop_is_told() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    redis, web = sim.add("redis", priority=1), sim.add("web")
    sim.start(redis, web)
    ticket = sim.stop(redis, web)
    sim.remove(redis, nostop=True)
    sim.rest()
    assert sim.replies[ticket].error == "'redis' was removed"


def test_restart_of_many_stops_in_one_order_and_starts_in_the_other() -> None:
    sim = Sim()
    for name in ("redis", "web"):
        sim.program(name, Program(takes=1.0, forks_in=1.0))
    redis, web = sim.add("redis", priority=1), sim.add("web")
    sim.start(redis, web)
    sim.rest()
    sim.told()
    ticket = sim.restart(redis, web)
    sim.rest()
    told = [line for line in sim.told() if line.startswith(("TERM", "spawn"))]
    assert told == ["TERM web.1", "TERM redis.1", "spawn redis.1", "spawn web.1"]
    assert sim.replies[ticket] == (ticket, {}, "")


def test_restart_of_many_begins_when_all_have_stopped_and_leaves_out_those_without_autostart() -> None:
    sim = Sim()
    sim.program("slow", Program(takes=2.0))
    web, slow, manual = sim.add("web"), sim.add("slow"), sim.add("manual", autostart=False)
    for watcher in (web, slow, manual):
        sim.start(watcher)
    sim.told()
    ticket = sim.restart(web, slow, manual)
    assert begun(sim) == []
    assert ticket not in sim.replies
    sim.advance(2.0)
    assert begun(sim) == ["web", "slow"]
    assert (manual.status, sim.replies[ticket].error) == ("stopped", "")


def test_reload_of_many_is_in_order_and_waits_for_each() -> None:
    sim = Sim(warmup_delay=1.0)
    first, second = sim.add("first", priority=1), sim.add("second")
    sim.start(first, second)
    sim.advance(5.0)
    sim.told()
    ticket = sim.reload(first, second)
    assert sim.told()[-1] == "event first reload"
    assert ticket not in sim.replies
    sim.advance(1.0)
    assert sim.told()[-1] == "event second reload"
    assert ticket in sim.replies


def test_reload_of_all_leaves_alone_what_was_stopped_never_started_or_has_given_up() -> None:
    sim = Sim()
    sim.program("broken", Program(fails="no such file"))
    sim.program("job", Program(lives=1.0, code=0), Program())
    stopped, nightly, broken = sim.add("stopped"), sim.add("nightly", autostart=False), sim.add("broken", max_retry=1)
    job, web = sim.add("job", respawn=False), sim.add("web", autostart=False)
    for watcher in (stopped, broken, job, web):
        sim.start(watcher)
    sim.stop(stopped)
    sim.rest()
    sim.program("broken", Program())
    sim.told()
    ticket = sim.reload(stopped, nightly, broken, job, web, single=False)
    told = ["spawn web.2", "event web spawn 2", "TERM web.1", "event web reap 1 (-15)", "event web reload"]
    assert sim.told() == told
    assert sim.replies[ticket] == (ticket, {}, "")


def test_reload_of_all_does_not_start_what_went_down_before_its_turn() -> None:
    sim = Sim()
    sim.program("first", Program(), Program(forks_in=2.0))
    sim.program("job", Program(lives=1.0, code=0))
    first, job = sim.add("first", priority=1), sim.add("job", respawn=False)
    sim.start(first, job)
    ticket = sim.reload(first, job)
    sim.rest()
    assert job.is_stopped
    assert job.starts == 1
    assert sim.replies[ticket] == (ticket, {}, "")


def test_reload_of_all_without_grace_restarts_what_is_wanted_in_order_and_nothing_else() -> None:
    sim = Sim()
    stopped, first, second = sim.add("stopped"), sim.add("first", priority=1), sim.add("second", autostart=False)
    for watcher in (first, second):
        sim.start(watcher)
    sim.program("first", Program(forks_in=2.0))
    ticket = sim.reload(stopped, first, second, graceful=False)
    assert (first.status, sim.pids(second)) == ("starting", [10005])
    sim.rest()
    assert (stopped.status, sim.pids(first), sim.pids(second)) == ("stopped", [10006], [10007])
    assert sim.replies[ticket] == (ticket, {}, "")


def test_reload_of_one_by_name_starts_it_if_it_is_stopped() -> None:
    sim = Sim()
    nightly = sim.add("nightly", autostart=False)
    sim.reload(nightly)
    assert nightly.status == "active"


# ---- overtaken -----------------------------------------------------------------------------------------------------


def test_stop_of_one_that_waits_for_its_turn_takes_it_out() -> None:
    sim = Sim()
    sim.program("first", Program(forks_in=2.0))
    first, second = sim.add("first", priority=1), sim.add("second")
    ticket = sim.start(first, second)
    sim.stop(second)
    sim.advance(2.0)
    assert (first.status, second.status) == ("active", "stopped")
    assert sim.replies[ticket].error == "superseded by a later request for 'second'"


def test_start_of_one_that_waits_for_its_turn_is_at_once_and_not_repeated() -> None:
    sim = Sim()
    sim.program("first", Program(forks_in=2.0))
    sim.program("job", Program(lives=1.0, code=0))
    first, job = sim.add("first", priority=1), sim.add("job", respawn=False)
    ticket = sim.start(first, job)
    sim.start(job)
    assert begun(sim) == ["first", "job"]
    sim.advance(2.0)
    assert begun(sim) == []
    assert (job.status, sim.replies[ticket].error) == ("stopped", "")


def test_removal_of_one_that_waits_for_its_turn_takes_it_out() -> None:
    sim = Sim()
    sim.program("first", Program(forks_in=2.0))
    first, second, third = sim.add("first", priority=2), sim.add("second", priority=1), sim.add("third")
    ticket = sim.start(first, second, third)
    sim.remove(second)
    sim.advance(2.0)
    assert third.status == "active"
    assert sim.replies[ticket].error == "'second' was removed"


@pytest.mark.parametrize("nostop", [False, True])
def test_removal_of_one_that_others_wait_for_lets_them_begin(nostop: bool) -> None:
    sim = Sim()
    sim.hook("first", "after_start", Hook(takes=NEVER))
    sim.program("first", Program(ignores=(TERM,)))
    first, second = sim.add("first", priority=2, hooks={"after_start": "x.y"}), sim.add("second")
    sim.start(first, second)
    assert second.status == "stopped"
    sim.remove(first, nostop)
    assert second.status == "active"


def test_removal_of_one_that_a_restart_waits_for_lets_the_others_begin() -> None:
    sim = Sim()
    sim.program("slow", Program(ignores=(TERM,)))
    slow, web = sim.add("slow"), sim.add("web")
    sim.start(slow, web)
    sim.restart(slow, web)
    sim.remove(slow, nostop=True)
    assert web.status == "active"


def test_start_of_one_during_a_restart_of_many_does_not_hold_up_the_others() -> None:
    sim = Sim()
    sim.program("slow", Program(takes=5.0))
    web, slow = sim.add("web"), sim.add("slow")
    sim.start(web, slow)
    ticket = sim.restart(web, slow)
    sim.start(web)
    assert web.status == "active"
    sim.advance(5.0)
    assert (slow.status, sim.replies[ticket].error) == ("active", "")


def test_two_starts_of_all_in_a_row_start_each_once() -> None:
    sim = Sim()
    for name in ("first", "job"):
        sim.program(name, Program(forks_in=1.0, lives=5.0, code=0))
    first, job = sim.add("first", priority=1), sim.add("job", respawn=False)
    one = sim.start(first, job)
    two = sim.start(first, job)
    sim.advance(10.0)
    assert begun(sim) == ["first", "job"]
    assert sim.replies[one].error == sim.replies[two].error == ""


def test_stop_of_all_during_a_start_of_all_wins() -> None:
    sim = Sim()
    sim.program("first", Program(forks_in=2.0))
    first, second = sim.add("first", priority=1), sim.add("second")
    start = sim.start(first, second)
    sim.stop(first, second)
    sim.rest()
    assert (first.status, second.status) == ("stopped", "stopped")
    assert "superseded" in sim.replies[start].error


def test_watcher_that_still_stops_holds_up_lower_priorities_until_it_is_up_again() -> None:
    sim = Sim()
    sim.program("first", Program(takes=3.0))
    first, second = sim.add("first", priority=1), sim.add("second")
    sim.start(first)
    sim.stop(first)
    sim.start(first, second)
    assert second.status == "stopped"
    sim.advance(3.0)
    assert (first.status, second.status) == ("active", "active")


def test_higher_priority_stopped_while_others_wait_for_it_lets_them_begin() -> None:
    sim = Sim()
    sim.program("first", Program(forks_in=2.0))
    first, second = sim.add("first", priority=1), sim.add("second")
    sim.start(first, second)
    sim.stop(first)
    assert second.status == "active"


def test_changed_priority_does_not_confuse_a_sequence_that_is_underway() -> None:
    sim = Sim()
    sim.program("first", Program(forks_in=2.0))
    first, second = sim.add("first", priority=1), sim.add("second")
    sim.start(first, second)
    sim.change(first, priority=-1)
    sim.advance(2.0)
    assert (first.status, second.status) == ("active", "active")


def test_stop_of_one_that_a_restart_of_many_has_already_stopped_is_told_when_it_is_down() -> None:
    sim = Sim()
    for name in "ab":
        sim.program(name, Program(takes=2.0))
    a, b = sim.add("a"), sim.add("b")
    sim.start(a, b)
    ticket = sim.restart(a, b)
    sim.stop(a)
    sim.rest()
    assert (a.status, b.status) == ("stopped", "active")
    assert sim.replies[ticket].error == "superseded by a later request for 'a'"
