"""Termination single processes: the kill and signal commands, descendants that stay behind, what hangs."""

from __future__ import annotations

import pytest

from circus.machine.termination import STUCK_TIMEOUT
from tests.sim import HUP, KILL, NEVER, TERM, USR1, Hook, Program, Sim

# ---- the kill command ----------------------------------------------------------------------------------------------


def test_kill_ends_gracefully_and_the_process_is_replaced() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web", numprocesses=2)
    sim.start(web)
    sim.told()
    ticket = sim.kill(web, 2)
    assert sim.told() == ["TERM web.2"]
    assert ticket not in sim.replies
    sim.advance(1.0)
    assert sim.told() == ["event web reap 2 (-15)", "spawn web.2", "event web spawn 2"]
    assert sim.replies[ticket] == (ticket, {}, "")


def test_kill_with_signal_and_timeout_uses_those() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(USR1,)))
    web = sim.add("web")
    sim.start(web)
    sim.told()
    sim.kill(web, signum=USR1, timeout=2.0)
    sim.advance(2.0)
    assert sim.told()[:3] == ["USR1 web.1", "KILL web.1 and all below", "event web reap 1 (-9)"]
    assert sim.logged("did not end after SIGUSR1")


def test_kill_of_a_process_that_is_ending_only_makes_it_sooner() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,)))
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    sim.told()
    sim.kill(web, timeout=60.0)
    sim.kill(web, timeout=1.0)
    assert sim.told() == []
    sim.advance(1.0)
    assert sim.told()[0] == "KILL web.1 and all below"


def test_kill_of_nobody_is_answered_at_once() -> None:
    sim = Sim()
    web = sim.add("web")
    ticket = sim.kill(web)
    assert sim.replies[ticket] == (ticket, {}, "")


def test_kill_of_a_process_that_was_reaped_since_is_answered_at_once() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    serial = sim.child(web, 1).serial
    sim.die(web, 1)
    sim.told()
    sim.arbiter.kill(sim.now, 0, web.key, [serial], None, None)
    sim.settle()
    assert sim.told() == []


# ---- the signal command --------------------------------------------------------------------------------------------


def test_signal_goes_out_without_a_kill_event() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    sim.told()
    sim.signal(web, 1, USR1)
    assert sim.told() == ["USR1 web.1 quietly"]
    sim.signal(web, 1, USR1, recursive=True)
    assert sim.told() == ["USR1 web.1 and all below quietly"]


def test_signal_reaches_a_process_that_is_ending_and_one_whose_watcher_was_removed() -> None:
    sim = Sim()
    sim.program("web", Program(takes=5.0))
    web = sim.add("web")
    sim.start(web)
    sim.remove(web)
    sim.told()
    sim.signal(web, 1, HUP)
    assert sim.told() == ["HUP web.1 quietly"]


def test_signal_to_a_process_or_watcher_that_is_gone_is_nothing() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    serial = sim.child(web, 1).serial
    sim.die(web, 1)
    sim.told()
    sim.arbiter.signal(web.key, serial, USR1, False)
    sim.arbiter.signal(999, serial, USR1, False)
    sim.settle()
    assert sim.told() == []


# ---- what a dead process leaves behind -----------------------------------------------------------------------------


def test_descendants_of_a_crashed_process_end_before_its_place_is_filled() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=2))
    web = sim.add("web")
    sim.start(web)
    sim.told()
    sim.die(web, 1)
    assert sim.told() == ["event web reap 1 (1)", "TERM web.1 remains"]
    assert sim.wids(web) == []
    sim.advance(0.01)
    assert sim.told() == ["inspect web.1", "spawn web.1", "event web spawn 1"]
    assert sim.logged("[10002] ended (exit code 1) but left 2 descendant(s): ending them (let the program stay in")


def test_descendants_that_ignore_the_stop_signal_are_killed_when_time_is_up() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=3.0)
    sim.start(web)
    sim.die(web, 1)
    sim.told()
    sim.advance(2.9)
    assert set(sim.told()) == {"inspect web.1"}
    sim.advance(0.2)
    told = sim.told()
    assert "KILL web.1 remains" in told
    assert told[-1] == "event web spawn 1"
    assert sim.logged("warning: web: descendants of [10002] outlived the graceful timeout")


def test_descendants_are_looked_at_less_and_less_often() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=60.0)
    sim.start(web)
    sim.die(web, 1)
    sim.advance(59.0)
    assert 10 < sim.told().count("inspect web.1") < 25


def test_stop_says_stopped_only_when_descendants_are_gone_too() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=3.0)
    sim.start(web)
    ticket = sim.stop(web)
    sim.advance(2.9)
    assert (web.status, ticket in sim.replies) == ("stopping", False)
    sim.advance(0.2)
    assert (web.status, ticket in sim.replies) == ("stopped", True)


def test_descendants_get_what_is_left_of_the_graceful_timeout_and_no_more() -> None:
    sim = Sim()
    sim.program("web", Program(takes=2.0, leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=3.0)
    sim.start(web)
    sim.stop(web)
    sim.advance(2.0)
    assert "TERM web.1 remains" in sim.told()
    sim.advance(0.99)
    assert "KILL web.1 remains" not in sim.told()
    sim.advance(0.01)
    assert "KILL web.1 remains" in sim.told()


def test_descendants_of_a_killed_process_are_killed_at_once() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,), leaves=1, below="growing"))
    web = sim.add("web", graceful_timeout=1.0)
    sim.start(web)
    sim.stop(web)
    sim.told()
    sim.advance(1.0)
    assert sim.told()[:3] == ["KILL web.1 and all below", "event web reap 1 (-9)", "KILL web.1 remains"]
    sim.advance(1.0)
    assert web.is_stopped


def test_descendants_that_appear_after_the_sigkill_get_one_too() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="growing"))
    web = sim.add("web", graceful_timeout=0.0)
    sim.start(web)
    sim.told()
    sim.die(web, 1)
    sim.advance(0.01)
    told = sim.told()
    assert told[1:3] == ["TERM web.1 remains", "KILL web.1 remains"]
    assert told[-1] == "event web spawn 1"


def test_stop_tree_off_lets_descendants_live_on() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=2))
    web = sim.add("web", stop_tree=False)
    sim.start(web)
    sim.told()
    sim.die(web, 1)
    assert sim.told() == ["event web reap 1 (1)", "spawn web.1", "event web spawn 1"]
    sim.stop(web)
    assert sim.told() == ["TERM web.1", "event web reap 1 (-15)", "close web", "event web stop"]


def test_pause_and_descendants_hold_the_number_together() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=3.0, flapping_attempts=1)
    sim.start(web)
    sim.die(web, 1)
    sim.told()
    sim.advance(6.9)
    assert "spawn web.1" not in sim.told()
    sim.advance(0.1)
    assert sim.told() == ["spawn web.1", "event web spawn 1"]


def test_pause_that_is_over_before_the_descendants_are_gone_is_not_prolonged() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=9.0, flapping_attempts=1)
    sim.start(web)
    sim.die(web, 1)
    sim.advance(8.9)
    assert sim.wids(web) == []
    sim.advance(0.2)
    assert sim.wids(web) == [1]


def test_max_age_of_a_dead_process_with_descendants_says_nothing() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stubborn"), Program())
    web = sim.add("web", max_age=5, max_age_variance=0)
    sim.start(web)
    sim.advance(4.0)
    sim.die(web, 1)
    sim.advance(9.0)
    assert not sim.logged("reached its max_age")


def test_kill_command_waits_for_the_descendants_too() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stubborn"))
    web = sim.add("web", graceful_timeout=3.0)
    sim.start(web)
    ticket = sim.kill(web)
    sim.advance(2.0)
    assert ticket not in sim.replies
    sim.advance(2.0)
    assert ticket in sim.replies


def test_answer_that_comes_late_is_ignored() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    web.remaining(sim.now, 999, (1, 2), "")
    web.remaining(sim.now, sim.child(web, 1).serial, (1, 2), "")
    sim.settle()
    assert sim.wids(web) == [1]


# ---- what hangs ----------------------------------------------------------------------------------------------------


def test_descendant_that_hangs_in_the_kernel_is_named_and_its_place_is_not_filled() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1, below="stuck"), Program())
    web = sim.add("web", graceful_timeout=1.0)
    sim.start(web)
    sim.die(web, 1)
    sim.advance(1.0 + STUCK_TIMEOUT)
    assert sim.logged("error: web: SIGKILL has not ended pids (110002,); it hangs in the kernel")
    assert web.reason(sim.now) == "SIGKILL does not end pids (110002,)"
    assert sim.wids(web) == []
    sim.unstick()
    sim.advance(5.1)
    assert (web.reason(sim.now), sim.wids(web)) == ("", [1])


def test_process_that_hangs_in_the_kernel_is_replaced_when_it_ends_at_last() -> None:
    sim = Sim()
    sim.program("web", Program(stuck=True), Program())
    web = sim.add("web", graceful_timeout=1.0)
    sim.start(web)
    sim.kill(web)
    sim.advance(1.0 + STUCK_TIMEOUT)
    assert web.reason(sim.now) == "SIGKILL does not end 10002"
    assert [process.pid for process in web.table.live()] == [10002]
    sim.unstick()
    assert (web.reason(sim.now), sim.wids(web)) == ("", [1])


# ---- facts that cannot be ------------------------------------------------------------------------------------------


def test_fact_about_an_unknown_process_is_refused() -> None:
    sim = Sim()
    web = sim.add("web")
    sim.start(web)
    with pytest.raises(ValueError, match="web: a fact about process 999, which is not there"):
        web.exited(sim.now, 999, 0, ())
    with pytest.raises(ValueError, match="which runs"):
        web.spawned(sim.now, sim.child(web, 1).serial, 5, 0.0)


# ---- signals through hooks -----------------------------------------------------------------------------------------

BOTH = {"before_signal": "x.y", "after_signal": "x.y"}


def test_signal_command_asks_the_hooks() -> None:
    sim = Sim()
    web = sim.add("web", hooks=BOTH)
    sim.start(web)
    sim.told()
    sim.signal(web, 1, USR1)
    assert sim.told() == ["hook web before_signal", "USR1 web.1 quietly", "hook web after_signal"]


def test_before_signal_hook_may_hold_back_a_signal_of_the_signal_command() -> None:
    sim = Sim()
    sim.hook("web", "before_signal", Hook(ok=False))
    web = sim.add("web", hooks=BOTH)
    sim.start(web)
    sim.told()
    sim.signal(web, 1, USR1)
    assert sim.told() == ["hook web before_signal"]


def test_stop_signal_held_back_by_its_hook_is_announced_and_sigkill_is_always_sent() -> None:
    sim = Sim()
    sim.hook("web", "before_signal", Hook(ok=False))
    web = sim.add("web", graceful_timeout=2.0, hooks=BOTH)
    sim.start(web)
    sim.told()
    sim.stop(web)
    assert sim.told() == ["hook web before_signal", "TERM web.1 held back"]
    sim.advance(2.0)
    assert sim.told()[:3] == ["hook web before_signal", "KILL web.1 and all below", "hook web after_signal"]
    assert web.is_stopped


def test_before_signal_hook_that_never_returns_only_costs_the_graceful_timeout() -> None:
    sim = Sim()
    sim.hook("web", "before_signal", Hook(takes=NEVER))
    web = sim.add("web", graceful_timeout=2.0, hooks=BOTH)
    sim.start(web)
    sim.stop(web)
    sim.advance(2.0)
    assert web.is_stopped
    sim.told()
    sim.answer(web, True)
    assert not any(line.startswith("TERM") for line in sim.told())


def test_before_signal_hook_that_answers_after_the_sigkill_is_too_late() -> None:
    sim = Sim()
    sim.hook("web", "before_signal", Hook(takes=NEVER))
    sim.program("web", Program(stuck=True))
    web = sim.add("web", graceful_timeout=2.0, hooks={"before_signal": "x.y"})
    sim.start(web)
    sim.stop(web)
    sim.advance(2.0)
    sim.told()
    sim.answer(web, True)
    assert sim.told() == []


def test_signal_held_by_its_hook_while_the_process_dies_is_not_sent() -> None:
    sim = Sim()
    sim.hook("web", "before_signal", Hook(takes=NEVER), Hook())
    web = sim.add("web", hooks={"before_signal": "x.y"})
    sim.start(web)
    sim.signal(web, 1, USR1)
    sim.die(web, 1)
    sim.told()
    sim.answer(web, True)
    assert sim.told() == []


def test_signals_held_for_one_process_go_out_in_order_and_are_announced_each_for_itself() -> None:
    sim = Sim()
    sim.hook("web", "before_signal", Hook(takes=1.0))
    sim.program("web", Program(ignores=(TERM,)))
    web = sim.add("web", hooks={"before_signal": "x.y"})
    sim.start(web)
    sim.signal(web, 1, TERM)
    sim.stop(web)
    sim.told()
    sim.advance(2.0)
    assert sim.told() == ["TERM web.1 quietly", "TERM web.1"]


def test_descendants_are_signalled_without_asking_hooks() -> None:
    sim = Sim()
    sim.program("web", Program(leaves=1))
    web = sim.add("web", hooks=BOTH)
    sim.start(web)
    sim.told()
    sim.die(web, 1)
    assert sim.told() == ["event web reap 1 (1)", "TERM web.1 remains"]


def test_kill_by_sigkill_of_what_is_ending_already_does_not_wait_for_its_time() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,)))
    web = sim.add("web", graceful_timeout=30.0)
    sim.start(web)
    sim.stop(web)
    sim.advance(1)
    ticket = sim.kill(web, 1, signum=KILL)
    sim.advance(0.1)
    assert sim.replies[ticket].error == ""
    assert web.is_stopped
