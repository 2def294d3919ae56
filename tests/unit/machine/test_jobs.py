"""Requests that wait: answered once, with what happened, however they meet others."""

from __future__ import annotations

import pytest

from tests.sim import NEVER, TERM, Hook, Program, Sim


def test_start_tells_started_and_kept() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2, flapping_attempts=1)
    sim.start(web)
    kept = sim.pids(web)[1]
    sim.die(web, 1)
    ticket = sim.start(web)
    assert sim.replies[ticket].result == {"info": {"started": [sim.pids(web)[1]], "kept": [kept]}}


def test_add_and_start_tells_pids_at_top_level() -> None:
    sim = Sim()
    web = sim.add("web")
    ticket = sim.add_and_start(web)
    assert sim.replies[ticket].result == {"started": sim.pids(web), "kept": []}


def test_reload_tells_who_was_kept() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=2)
    sim.start(web)
    before = sim.pids(web)
    sim.program("web", Program(fails="no such file"))
    ticket = sim.reload(web)
    sim.rest()
    assert sim.replies[ticket].result == {"info": {"stopped": [], "started": [], "kept": before}}


def test_what_ended_before_the_answer_is_not_told_as_started() -> None:
    sim = Sim()
    sim.program("web", Program(lives=0.5, code=1), Program())
    web = sim.add("web", numprocesses=2, warmup_delay=1.0)
    ticket = sim.start(web)
    sim.rest()
    assert sim.replies[ticket].result["info"]["started"] == sim.pids(web)


def test_request_that_nobody_waits_for_is_carried_out_and_not_answered() -> None:
    sim = Sim()
    web = sim.add("web")
    for request in (sim.arbiter.start, sim.arbiter.restart, sim.arbiter.reload, sim.arbiter.stop):
        request(sim.now, 0, [web.key], True)
        sim.settle()
        request(sim.now, 0, [web.key], False)
        sim.settle()
    sim.arbiter.change(sim.now, 0, web.key, web.spec, False)
    sim.arbiter.quit(sim.now, 0)
    sim.settle()
    assert sim.exit is not None
    assert sim.replies == {}


def test_many_who_wait_for_the_same_are_all_answered() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=1.0))
    web = sim.add("web")
    tickets = [sim.start(web) for _ in range(20)]
    sim.advance(1.0)
    assert all(ticket in sim.replies for ticket in tickets)


def test_start_that_waits_is_answered_by_a_stop_that_overtakes_it() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=1.0))
    web = sim.add("web")
    ticket = sim.start(web)
    sim.stop(web)
    assert sim.replies[ticket].error == "superseded by a later stop of 'web'"


def test_start_overtaken_by_a_restart_is_answered_when_it_is_up() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=1.0))
    web = sim.add("web")
    ticket = sim.start(web)
    sim.restart(web)
    assert ticket not in sim.replies
    sim.rest()
    assert (web.status, sim.replies[ticket].error) == ("active", "")


def test_stop_overtaken_by_a_start_is_answered_when_it_was_down() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web")
    sim.start(web)
    ticket = sim.stop(web)
    sim.start(web)
    sim.advance(1.0)
    assert (web.status, sim.replies[ticket].error) == ("active", "")


def test_requests_within_one_pass_are_all_answered_and_the_last_one_counts() -> None:
    sim = Sim()
    web = sim.add("web")
    with sim.at_once():
        tickets = [sim.start(web), sim.stop(web), sim.restart(web), sim.reload(web), sim.stop(web)]
    sim.rest()
    assert web.is_stopped
    assert sim.told() == []
    assert all(ticket in sim.replies for ticket in tickets)


def test_change_is_answered_when_the_watcher_goes_down_instead() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=NEVER))
    web = sim.add("web")
    sim.start(web)
    ticket = sim.change(web, numprocesses=3)
    sim.stop(web)
    assert ticket not in sim.replies
    for _ in range(3):
        sim.executed(web)
    assert sim.replies[ticket].result == {"numprocesses": 3}


def test_reload_is_answered_when_the_watcher_goes_down_by_itself() -> None:
    sim = Sim()
    sim.program("job", Program(lives=2.0, code=0))
    job = sim.add("job", respawn=False, numprocesses=2, warmup_delay=1.5)
    sim.start(job)
    sim.advance(1.6)
    ticket = sim.reload(job)
    sim.rest()
    assert job.is_stopped
    assert sim.replies[ticket].error == ""


def test_waiting_start_is_answered_when_its_start_fails() -> None:
    sim = Sim()
    sim.hook("web", "after_start", Hook(ok=False))
    sim.program("web", Program(takes=1.0))
    web = sim.add("web", hooks={"after_start": "x.y"})
    ticket = sim.start(web)
    sim.advance(1.0)
    assert sim.replies[ticket].result == {
        "info": {"started": [], "kept": []},
        "reason": "web: not started: stopped by its after_start hook",
    }


def test_jobs_of_a_watcher_that_is_removed_are_answered() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=NEVER))
    web = sim.add("web")
    start, change = sim.start(web), sim.change(web, numprocesses=2)
    remove = sim.remove(web, nostop=True)
    assert sim.replies[start].error == sim.replies[change].error == "'web' was removed"
    assert sim.replies[remove].error == ""


def test_kill_that_waits_is_answered_when_the_watcher_is_removed() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,)))
    web = sim.add("web", graceful_timeout=2.0)
    sim.start(web)
    kill = sim.kill(web)
    remove = sim.remove(web)
    sim.advance(2.0)
    assert (sim.replies[kill].error, sim.replies[remove].error) == ("", "")


# ---- what did not come about says so -------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["start", "restart", "reload"])
def test_request_that_waits_says_of_each_watcher_why_it_does_not_run(verb: str) -> None:
    sim = Sim()
    for name in "ab":
        sim.program(name, Program(fails=f"there is no {name}"))
    a, b, web = sim.add("a", max_retry=1), sim.add("b", max_retry=2), sim.add("web")
    ticket = getattr(sim, verb)(a)
    reason = "a: not started: there is no a; given up after 1 attempts"
    assert (sim.replies[ticket].error, sim.replies[ticket].result["reason"]) == ("", reason)
    ticket = sim.start(a, b, web)
    sim.rest()
    both = f"{reason}; b: not started: there is no b; given up after 2 attempts"
    assert sim.replies[ticket] == (ticket, {"reason": both}, "")


@pytest.mark.parametrize("respawn", [True, False])
def test_request_that_waits_tells_of_a_process_that_ends_in_its_first_moment(respawn: bool) -> None:
    sim = Sim(early_exit_delay=0.1)
    sim.program("web", Program(lives=0.05, code=3), Program())
    web = sim.add("web", respawn=respawn)
    ticket = sim.start(web)
    assert ticket not in sim.replies
    sim.advance(0.1)
    reason = "web: a process ended: exit code 3" if respawn else "web: not started: ended: exit code 3"
    assert sim.replies[ticket].result["reason"] == reason
    assert sim.replies[ticket].result["info"]["started"] == sim.pids(web)


def test_process_that_ended_early_before_the_request_is_not_told_of() -> None:
    sim = Sim(early_exit_delay=0.1)
    sim.program("web", Program(lives=0.05, code=3), Program())
    web = sim.add("web")
    first = sim.start(web)
    sim.advance(0.06)
    second = sim.reload(web)
    sim.rest()
    assert sim.replies[first].result["reason"] == "web: a process ended: exit code 3"
    assert "reason" not in sim.replies[second].result


def test_process_that_did_its_work_in_its_first_moment_is_no_failure() -> None:
    sim = Sim(early_exit_delay=0.1)
    sim.program("job", Program(lives=0.05, code=0))
    ticket = sim.start(sim.add("job", respawn=False))
    sim.advance(0.1)
    assert sim.replies[ticket].result == {"info": {"started": [], "kept": []}}


def test_process_that_ends_after_its_first_moment_is_not_told_of() -> None:
    sim = Sim(early_exit_delay=0.1)
    sim.program("web", Program(lives=0.15, code=3), Program())
    web = sim.add("web")
    ticket = sim.start(web)
    sim.advance(0.1)
    assert sim.replies[ticket].result == {"info": {"started": [10002], "kept": []}}
    sim.advance(0.1)
    kept = sim.start(web)
    assert sim.replies[kept].result == {"info": {"started": [], "kept": sim.pids(web)}}


def test_crash_loop_is_no_reason_to_wait_for_ever() -> None:
    sim = Sim(early_exit_delay=0.1)
    sim.program("web", Program(lives=0.03, code=3))
    web = sim.add("web", flapping_attempts=1000)
    ticket = sim.start(web)
    sim.advance(0.2)
    assert sim.replies[ticket].result["reason"] == "web: a process ended: exit code 3"
    sim.stop(web)


@pytest.mark.parametrize("options", [{"numprocesses": 2}, {"numprocesses": 1, "graceful_timeout": 3.0}])
def test_change_that_waits_says_that_what_it_started_cannot_run(options: dict[str, object]) -> None:
    sim = Sim()
    sim.program("web", Program(fails="no such file"))
    web = sim.add("web", numprocesses=0, max_retry=3)
    sim.start(web)
    ticket = sim.change(web, **options)
    sim.rest()
    reason = "web: not started: no such file; given up after 3 attempts"
    assert sim.replies[ticket].result == {"numprocesses": options["numprocesses"], "reason": reason}


def test_incr_that_waits_says_that_the_watcher_went_down() -> None:
    sim = Sim()
    web = sim.add("web", max_retry=3)
    sim.start(web)
    sim.program("web", Program(fails="no such file"))
    ticket = sim.change(web, numprocesses=2)
    sim.rest()
    reason = "web: not started: no such file; given up after 3 attempts"
    assert sim.replies[ticket].result == {"numprocesses": 2, "reason": reason}


def test_change_of_a_watcher_that_is_stopped_meanwhile_has_nothing_to_say() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=1.0))
    web = sim.add("web")
    sim.start(web)
    ticket = sim.change(web, numprocesses=2)
    sim.stop(web)
    sim.rest()
    assert sim.replies[ticket].result == {"numprocesses": 2}
