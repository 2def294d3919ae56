"""Removing watchers, with and without stopping them, and taking their names again."""

from __future__ import annotations

import pytest

from tests.sim import NEVER, Hook, Program, Sim


def test_removed_watcher_is_off_the_list_at_once_and_forgotten_when_it_has_stopped() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web")
    sim.start(web)
    sim.told()
    ticket = sim.remove(web)
    assert sim.told() == ["event web remove", "TERM web.1"]
    assert web.key not in sim.arbiter.watchers
    assert sim.arbiter.everyone() == [web]
    assert ticket not in sim.replies
    sim.advance(1.0)
    assert sim.told() == ["event web reap 1 (-15)", "close web", "event web stop", "forget web"]
    assert sim.arbiter.everyone() == []
    assert sim.replies[ticket] == (ticket, {}, "")


def test_removal_of_a_stopped_watcher_is_complete_at_once() -> None:
    sim = Sim()
    ticket = sim.remove(sim.add("web"))
    assert sim.told() == ["event web remove", "forget web"]
    assert ticket in sim.replies


def test_nostop_lets_the_processes_live_and_nobody_cares_for_them_any_more() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    child = sim.child(web, 1)
    sim.told()
    ticket = sim.remove(web, nostop=True)
    assert sim.told() == ["event web remove", "forget web but keep it"]
    assert ticket in sim.replies
    assert child.alive
    sim.die(web, 1)
    assert sim.told() == []
    sim.quit()
    assert sim.exit is not None


def test_facts_about_a_forgotten_watcher_are_ignored() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(), Hook(takes=NEVER))
    sim.program("web", Program(forks_in=NEVER))
    web = sim.add("web", numprocesses=2, hooks={"before_spawn": "x.y"})
    sim.start(web)
    sim.remove(web, nostop=True)
    sim.told()
    sim.executed(web)
    sim.answer(web, True)
    sim.streams_closed(web)
    assert sim.told() == []
    sim.start(sim.add("other"))
    assert sim.told()[-1] == "event other start"


def test_name_taken_again_waits_until_the_former_one_has_stopped() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    old = sim.add("web")
    sim.start(old)
    sim.remove(old)
    sim.told()
    new = sim.add("web", announce=True)
    ticket = sim.add_and_start(new)
    assert sim.told() == ["event web add"]
    assert (new.status, new.reason(sim.now)) == ("stopped", "waits until the former 'web' has stopped")
    sim.advance(2.0)
    assert sim.told()[-4:] == ["open web", "spawn web.1", "event web spawn 1", "event web start"]
    assert sim.replies[ticket].result["started"] == sim.pids(new)
    assert new.reason(sim.now) == ""


def test_names_are_the_same_whatever_their_case() -> None:
    sim = Sim()
    sim.program("Web", Program(takes=2.0))
    old = sim.add("Web")
    sim.start(old)
    sim.remove(old)
    new, other = sim.add("web"), sim.add("other")
    sim.start(new)
    sim.start(other)
    assert (new.status, other.status) == ("stopped", "active")
    sim.advance(2.0)
    assert new.status == "active"


def test_name_taken_twice_waits_for_both() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0), Program(takes=5.0))
    for _ in range(2):
        watcher = sim.add("web")
        watcher.waits_for_namesake = False
        sim.start(watcher)
        sim.remove(watcher)
    new = sim.add("web")
    sim.start(new)
    sim.advance(4.9)
    assert new.status == "stopped"
    sim.advance(0.1)
    assert new.status == "active"


def test_stop_of_a_watcher_that_waits_for_its_name_is_answered_at_once() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    old = sim.add("web")
    sim.start(old)
    sim.remove(old)
    new = sim.add("web")
    sim.start(new)
    ticket = sim.stop(new)
    assert ticket in sim.replies
    sim.rest()
    assert new.is_stopped


@pytest.mark.parametrize("verb", ["start", "restart", "reload"])
def test_any_request_to_run_waits_for_the_name(verb: str) -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0))
    old = sim.add("web")
    sim.start(old)
    sim.remove(old)
    new = sim.add("web")
    getattr(sim, verb)(new)
    assert new.status == "stopped"
    sim.rest()
    assert new.status == "active"


def test_removal_during_a_start_ends_with_nothing_left() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=1.0))
    web = sim.add("web", numprocesses=3, warmup_delay=1.0)
    start = sim.start(web)
    remove = sim.remove(web)
    sim.rest()
    assert sim.told()[-1] == "forget web"
    assert "superseded" in sim.replies[start].error
    assert sim.replies[remove].error == ""
