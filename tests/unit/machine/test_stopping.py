"""Stopping one watcher: gracefully, by force, at any instant of its start, and streams that do not close."""

from __future__ import annotations

import pytest

from circus.machine.phase import Phase
from circus.machine.progress_timeout import STOP_TIMEOUT
from circus.machine.stopping import CLOSE_STREAMS_TIMEOUT
from circus.machine.watcher import Watcher
from tests.sim import NEVER, TERM, Hook, Program, Sim


def test_stop_signals_all_at_once_and_says_so_when_all_are_reaped() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web", numprocesses=2)
    sim.start(web)
    sim.told()
    ticket = sim.stop(web)
    assert sim.told() == ["TERM web.1", "TERM web.2"]
    assert (web.status, ticket in sim.replies) == ("stopping", False)
    assert web.reason(sim.now) == "SIGKILL in 10 s"
    sim.advance(1.0)
    assert sim.told() == ["event web reap 1 (-15)", "event web reap 2 (-15)", "close web", "event web stop"]
    assert (web.status, sim.replies[ticket].result) == ("stopped", {"info": None})
    assert sim.next_at() == NEVER


def test_process_that_ignores_the_stop_signal_is_killed_with_all_below_it() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,)))
    web = sim.add("web", graceful_timeout=3.0)
    sim.start(web)
    sim.stop(web)
    sim.told()
    sim.advance(2.9)
    assert sim.told() == []
    assert web.reason(sim.now) == "SIGKILL in 0 s"
    sim.advance(0.1)
    assert sim.told() == ["KILL web.1 and all below", "event web reap 1 (-9)", "close web", "event web stop"]
    assert sim.logged("warning: web [10002] did not end after SIGTERM: sending SIGKILL")


def test_stop_tree_off_kills_only_the_process_itself() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,)))
    web = sim.add("web", stop_tree=False)
    sim.start(web)
    sim.stop(web)
    sim.told()
    sim.advance(10.0)
    assert sim.told()[0] == "KILL web.1"


def test_graceful_timeout_zero_is_sigkill_right_after_the_stop_signal() -> None:
    sim = Sim()
    sim.program("web", Program(ignores=(TERM,)))
    web = sim.add("web", graceful_timeout=0.0)
    sim.start(web)
    sim.told()
    sim.stop(web)
    assert sim.told()[:2] == ["TERM web.1", "KILL web.1 and all below"]


def test_stop_signal_and_stop_children_say_what_is_sent_to_whom() -> None:
    sim = Sim()
    web = sim.add("web", stop_signal=2, stop_children=True)
    sim.start(web)
    sim.told()
    sim.stop(web)
    assert sim.told()[0] == "INT web.1 and children"


def test_stop_of_a_stopped_watcher_is_answered_at_once() -> None:
    sim = Sim()
    web = sim.add("web")
    ticket = sim.stop(web)
    assert sim.told() == []
    assert sim.replies[ticket].result == {"info": None}


def test_second_stop_sends_no_second_signal_and_is_answered_with_the_first() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web")
    sim.start(web)
    first = sim.stop(web)
    sim.told()
    second = sim.stop(web)
    assert sim.told() == []
    sim.advance(1.0)
    assert first in sim.replies
    assert second in sim.replies


def test_stop_during_a_restart_ends_stopped() -> None:
    sim = Sim()
    sim.program("web", Program(takes=1.0))
    web = sim.add("web")
    sim.start(web)
    restart = sim.restart(web)
    stop = sim.stop(web)
    sim.rest()
    assert web.is_stopped
    assert sim.replies[restart].error == "superseded by a later stop of 'web'"
    assert sim.replies[stop].error == ""


def test_death_during_a_stop_is_not_a_crash() -> None:
    sim = Sim()
    sim.program("web", Program(takes=5.0))
    web = sim.add("web", flapping_attempts=1)
    sim.start(web)
    sim.stop(web)
    sim.told()
    sim.die(web, 1, code=3)
    assert sim.told() == ["event web reap 1 (3)", "close web", "event web stop"]


# ---- at any instant of a start -------------------------------------------------------------------------------------


def test_stop_while_before_start_runs_is_complete_at_once_and_its_answer_is_void() -> None:
    sim = Sim()
    sim.hook("web", "before_start", Hook(takes=NEVER))
    web = sim.add("web", hooks={"before_start": "x.y"})
    start = sim.start(web)
    assert web.status == "stopped"
    stop = sim.stop(web)
    assert sim.replies[start].error == "superseded by a later stop of 'web'"
    assert sim.replies[stop].error == ""
    sim.answer(web, True)
    assert sim.told() == ["hook web before_start"]
    assert web.is_stopped


def test_stop_while_a_program_is_being_executed_ends_it_as_soon_as_it_has_a_pid() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=0.5))
    web = sim.add("web")
    sim.start(web)
    ticket = sim.stop(web)
    assert (web.status, ticket in sim.replies) == ("stopping", False)
    sim.told()
    sim.advance(0.5)
    assert sim.told() == ["TERM web.1", "event web reap 1 (-15)", "close web", "event web stop"]
    assert ticket in sim.replies


def test_stop_while_execution_fails_ends_stopped_without_another_try() -> None:
    sim = Sim()
    sim.program("web", Program(forks_in=0.5, fails="no such file"))
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    sim.rest()
    assert web.is_stopped
    assert web.trouble == ""


def test_stop_during_warmup_starts_no_further_process() -> None:
    sim = Sim()
    web = sim.add("web", numprocesses=3, warmup_delay=2.0)
    sim.start(web)
    sim.told()
    sim.stop(web)
    sim.rest()
    assert sim.told() == ["TERM web.1", "event web reap 1 (-15)", "close web", "event web stop"]


def test_stop_while_before_spawn_runs_starts_nothing_whatever_it_says() -> None:
    sim = Sim()
    sim.hook("web", "before_spawn", Hook(takes=NEVER))
    web = sim.add("web", hooks={"before_spawn": "x.y"})
    sim.start(web)
    sim.stop(web)
    assert web.is_stopped
    sim.told()
    sim.answer(web, True)
    assert sim.told() == []


def test_stop_while_after_spawn_runs_ends_the_process_and_its_veto_is_void() -> None:
    sim = Sim()
    sim.hook("web", "after_spawn", Hook(takes=NEVER), Hook())
    sim.program("web", Program(takes=1.0), Program())
    web = sim.add("web", hooks={"after_spawn": "x.y"})
    sim.start(web)
    sim.told()
    sim.restart(web)
    assert sim.told() == ["TERM web.1"]
    sim.answer(web, False)
    sim.rest()
    assert web.status == "active"


def test_stop_while_after_start_runs_does_not_wait_for_it() -> None:
    sim = Sim()
    sim.hook("web", "after_start", Hook(takes=NEVER))
    web = sim.add("web", hooks={"after_start": "x.y"})
    sim.start(web)
    assert (web.phase, web.status) == (Phase.FINISHING, "starting")
    sim.told()
    sim.stop(web)
    assert sim.told() == ["TERM web.1", "event web reap 1 (-15)", "close web", "event web stop"]
    sim.answer(web, False)
    assert web.is_stopped


def in_a_slow_start(seconds: float) -> tuple[Sim, Watcher]:
    """A watcher of which everything takes its time, so long after its start was asked for."""
    sim = Sim()
    hooks = ("before_start", "after_start", "before_spawn", "after_spawn", "before_stop", "after_stop")
    for hook in hooks:
        sim.hook("web", hook, Hook(takes=0.3))
    sim.program("web", Program(forks_in=0.3, takes=0.3, leaves=1))
    web = sim.add("web", numprocesses=3, warmup_delay=1.0, hooks=dict.fromkeys(hooks, "x.y"))
    sim.start(web)
    sim.advance(seconds)
    return sim, web


@pytest.mark.parametrize("tenths", range(0, 60, 2))
def test_stop_at_any_instant_of_a_slow_start_ends_stopped(tenths: int) -> None:
    sim, web = in_a_slow_start(tenths / 10)
    ticket = sim.stop(web)
    sim.rest()
    assert web.is_stopped
    assert sim.alive(web) == []
    assert sim.replies[ticket] == (ticket, {"info": None}, "")
    assert sim.next_at() == NEVER


@pytest.mark.parametrize("tenths", range(0, 60, 2))
def test_restart_at_any_instant_of_a_slow_start_ends_active(tenths: int) -> None:
    sim, web = in_a_slow_start(tenths / 10)
    ticket = sim.restart(web)
    sim.rest()
    assert (web.status, len(sim.alive(web))) == ("active", 3)
    assert sim.replies[ticket].result["info"]["started"] == sim.pids(web)


# ---- streams -------------------------------------------------------------------------------------------------------


def test_stop_is_said_when_the_output_is_written() -> None:
    sim = Sim()
    sim.stream_delay = 2.0
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    assert sim.told()[-1] == "close web"
    sim.advance(2.0)
    assert sim.told() == ["event web stop"]


def test_streams_that_never_close_hold_up_the_stop_only_so_long() -> None:
    sim = Sim()
    sim.stream_delay = NEVER
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    sim.advance(CLOSE_STREAMS_TIMEOUT - 0.1)
    assert web.status == "stopping"
    sim.advance(0.1)
    assert web.is_stopped
    assert sim.logged("error: web: its output could not be written in time; some may be lost")


def test_streams_that_close_too_late_are_not_taken_for_those_of_the_next_round() -> None:
    sim = Sim()
    sim.stream_delay = NEVER
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    sim.advance(CLOSE_STREAMS_TIMEOUT)
    sim.start(web)
    sim.streams_closed(web)
    sim.told()
    sim.stop(web)
    assert sim.told() == ["TERM web.1", "event web reap 1 (-15)", "close web"]
    sim.streams_closed(web)
    assert sim.told() == ["event web stop"]


def test_streams_of_two_rounds_have_both_to_close() -> None:
    sim = Sim()
    sim.stream_delay = NEVER
    web = sim.add("web")
    sim.start(web)
    sim.stop(web)
    sim.advance(CLOSE_STREAMS_TIMEOUT)
    sim.start(web)
    sim.stop(web)
    sim.streams_closed(web)
    assert web.status == "stopping"
    sim.streams_closed(web)
    assert web.is_stopped


# ---- processes that do not even end by SIGKILL ---------------------------------------------------------------------


def test_process_that_hangs_in_the_kernel_is_reported_and_never_called_stopped() -> None:
    sim = Sim()
    sim.program("web", Program(stuck=True))
    web = sim.add("web")
    sim.start(web)
    ticket = sim.stop(web)
    sim.advance(14.9)
    assert not sim.logged("hangs in the kernel")
    sim.advance(0.1)
    assert sim.logged("error: web: SIGKILL has not ended [10002]; it hangs in the kernel")
    assert (web.status, web.reason(sim.now)) == ("stopping", "SIGKILL does not end 10002")
    sim.advance(STOP_TIMEOUT)
    assert sim.next_at() == NEVER
    sim.unstick()
    assert (web.status, web.reason(sim.now)) == ("stopped", "")
    assert ticket in sim.replies
