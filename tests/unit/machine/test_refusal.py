"""Processes we may not signal: said, not waited for, and left behind when circusd ends."""

from __future__ import annotations

import pytest

from tests.sim import TERM, Hook, Program, Sim


@pytest.fixture
def sim() -> Sim:
    sim = Sim()
    sim.program("web", Program(foreign=True))
    return sim


def reason(sim: Sim, name: str = "web") -> str:
    return next(watcher.reason(sim.now) for watcher in sim.arbiter.everyone() if watcher.name == name)


def test_stop_that_is_waited_for_is_an_error_and_status_says_why(sim: Sim) -> None:
    web = sim.add("web", graceful_timeout=1.0)
    sim.start(web)
    ticket = sim.stop(web)
    sim.advance(0.1)
    assert sim.replies[ticket].error == "'web': may not signal 10002"
    assert reason(sim) == "may not signal 10002"
    sim.advance(60)
    assert not sim.logged("hangs in the kernel")
    assert web.status == "stopping"


def test_process_may_still_end_by_itself(sim: Sim) -> None:
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    sim.advance(1)
    sim.die(web, 1)
    sim.advance(1)
    assert web.is_stopped
    assert reason(sim) == ""


@pytest.mark.parametrize("verb", ["restart", "reload"])
def test_other_requests_that_need_its_end_are_errors_too(sim: Sim, verb: str) -> None:
    sim.program("web", Program(foreign=True))
    web = sim.add("web", graceful_timeout=1.0)
    sim.start(web)
    ticket = getattr(sim, verb)(web)
    sim.advance(2)
    assert "may not signal" in sim.replies[ticket].error


def test_kill_of_it_is_an_error(sim: Sim) -> None:
    web = sim.add("web", graceful_timeout=1.0)
    sim.start(web)
    ticket = sim.kill(web)
    sim.advance(0.1)
    assert "may not signal" in sim.replies[ticket].error


def test_shutdown_leaves_it_behind_with_a_warning(sim: Sim) -> None:
    web = sim.add("web", graceful_timeout=30.0)
    sim.start(web)
    sim.quit()
    sim.advance(0.1)
    assert sim.exit is not None
    assert sim.logged("warning: web: leaving [10002] behind")


def test_shutdown_leaves_behind_what_a_stop_waits_for_already(sim: Sim) -> None:
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    sim.advance(5)
    sim.quit()
    sim.advance(0.1)
    assert sim.exit is not None


def test_descendants_of_a_dead_process_are_left_behind_in_the_same_way() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="foreign"))
    web = sim.add("web")
    sim.start(web)
    sim.quit()
    sim.advance(0.1)
    assert sim.exit is not None


def test_refusal_of_a_process_that_is_gone_means_nothing() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    web.refused(999, "too late")
    assert web.refusal == ""


def test_signal_that_was_refused_is_told_by_status_of_a_running_process_too() -> None:
    sim = Sim()
    sim.program("web", Program(foreign=True))
    web = sim.add("web")
    sim.start(web)
    sim.signal(web, 1, 10)
    sim.advance(0.1)
    assert web.status == "active"
    assert reason(sim) == "may not signal 10002"


def test_shutdown_leaves_nothing_behind_before_it_was_asked_to_end() -> None:
    sim = Sim()
    sim.program("web", Program(foreign=True))
    sim.hook("web", "before_stop", Hook(takes=1.0))
    web = sim.add("web", hooks={"before_stop": "x.y"})
    sim.start(web)
    sim.quit()
    sim.signal(web, 1, TERM)
    assert (web.status, sim.exit) == ("stopping", None)
    sim.advance(1.0)
    assert sim.exit is not None
