"""The runtime over a simulated system: actions performed, facts told, and an answer to whatever promises one."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from circus.exc import ConflictError, SpawnError
from circus.machine import actions
from circus.machine.phase import Phase
from circus.runtime.hooks import Outcome
from circus.runtime.live_watcher import LiveWatcher
from circus.runtime.runtime import STOPPED

from .simulated import SimulatedSocket, Simulation, entry


@pytest.fixture
def sim() -> Simulation:
    return Simulation()


# ---- birth -------------------------------------------------------------------------------------------------------


def test_watcher_that_is_started_has_its_processes_and_says_so(sim):
    web = sim.add(numprocesses=2)
    sim.start(web)
    assert web.status == "active"
    assert sim.pids(web) == [10, 11]
    assert sim.publisher.events == [b"watcher.web.spawn", b"watcher.web.spawn", b"watcher.web.start"]


def test_umask_of_the_settings_of_this_moment_is_that_of_the_next_process(sim):
    web = sim.add()
    sim.settings = sim.settings.replace(umask=0o27)
    sim.start(web)
    assert [launch.umask for launch in sim.system.launched] == [0o27]


def test_spawn_that_fails_is_a_fact_with_its_reason_and_is_tried_again(sim):
    web = sim.add()
    sim.system.spawn_error = SpawnError("exec", 2, "there is no /bin/true")
    sim.start(web)
    assert "there is no /bin/true" in web.decided.reason(sim.system.now)
    sim.system.spawn_error = None
    sim.turn(60)
    assert web.status == "active"


@pytest.mark.parametrize("error", [OSError("no memory"), RuntimeError("a bug")])
def test_spawn_that_fails_in_another_way_is_told_as_well(sim, error, caplog):
    web = sim.add(max_retry=1)
    sim.system.spawn_error = error
    sim.start(web)
    assert web.status == "stopped"
    assert str(error) in web.decided.trouble


# ---- death -------------------------------------------------------------------------------------------------------


def test_process_that_dies_is_replaced_in_the_same_turn(sim):
    web = sim.add()
    told: list[Any] = []
    web.on_exit = lambda pid, code: told.append((pid, code))
    sim.start(web)
    sim.turn(5)
    sim.system.die(10, 3)
    sim.turn()
    assert sim.pids(web) == [11]
    assert told == [(10, 3)]
    assert b"watcher.web.reap" in sim.publisher.events


def test_dead_process_with_descendants_keeps_its_place_until_they_are_gone(sim):
    web = sim.add()
    sim.start(web)
    sim.turn(5)
    sim.system.kin[10] = [entry(500, "helper")]
    sim.system.die(10)
    sim.turn()
    assert sim.pids(web) == []  # not replaced yet
    assert sim.system.signals == [(500, 15)]
    sim.system.kin.clear()
    sim.turn(1)
    assert sim.pids(web) == [11]


def test_descendants_that_outlive_the_graceful_timeout_are_killed(sim):
    web = sim.add(graceful_timeout=3)
    sim.start(web)
    sim.turn(5)
    sim.system.kin[10] = [entry(500)]
    sim.system.die(10)
    sim.turn()
    sim.turn(3.5)
    assert (500, 9) in sim.system.signals


def test_descendants_that_died_by_themselves_free_the_place_at_the_next_look(sim):
    web = sim.add()
    sim.start(web)
    sim.turn(5)
    sim.system.kin[10] = [entry(500)]
    sim.system.die(10)
    sim.turn()
    sim.system.kin[10] = [entry(500, state="Z")]
    sim.runtime.workers.child_signalled()
    sim.turn()
    assert sim.pids(web) == [11]


def test_signals_that_came_with_deaths_are_heard_before_the_look_around(sim):
    heard: list[str] = []
    sim.runtime.workers.hear_signals = lambda: heard.append("now")
    web = sim.add()
    sim.start(web)
    assert heard == []
    sim.system.die(10)
    sim.turn()
    assert heard == ["now"]


def test_where_nobody_tells_of_deaths_one_looks_every_check_delay_of_this_moment(sim):
    sim.system.needs_polling = True
    sim.settings = sim.settings.replace(check_delay=2.0)
    assert sim.turn() == sim.system.now + 2.0
    sim.settings = sim.settings.replace(check_delay=5.0)
    assert sim.turn(2.0) == sim.system.now + 5.0
    assert sim.system.polls == 2
    sim.settings = sim.settings.replace(check_delay=0)
    assert sim.turn(100.0) is None


def test_processes_of_a_watcher_that_is_removed_without_a_stop_live_on(sim):
    web = sim.add()
    sim.start(web)
    key = web.key
    sim.decided.remove(sim.system.now, 0, key, nostop=True)
    sim.turn()
    assert sim.forgotten == [key]
    assert sim.system.live == {10}
    sim.system.die(10)
    sim.turn()


# ---- signals -----------------------------------------------------------------------------------------------------


def test_stop_signals_and_kills_after_the_graceful_timeout(sim):
    web = sim.add(graceful_timeout=2)
    sim.start(web)
    sim.system.kin[10] = [entry(77)]
    sim.decided.stop(sim.system.now, 0, [web.key])
    sim.turn()
    assert sim.system.signals == [(10, 15)]
    sim.turn(2.5)
    assert set(sim.system.signals) == {(10, 15), (10, 9), (77, 9)}
    sim.system.kin.clear()
    sim.system.die(10, -9)
    sim.turn()
    assert web.status == "stopped"


def test_stop_signal_reaches_direct_children_if_wanted(sim):
    web = sim.add(stop_children=True)
    sim.start(web)
    sim.system.kin[10] = [entry(77)]
    sim.decided.stop(sim.system.now, 0, [web.key])
    sim.turn()
    assert sim.system.signals == [(10, 15), (77, 15)]


def test_process_that_may_not_be_signalled_is_a_fact_and_no_traceback(sim, caplog):
    web = sim.add()
    sim.start(web)
    sim.system.refused.add(10)
    sim.decided.stop(sim.system.now, 0, [web.key])
    sim.turn()
    assert web.decided.reason(sim.system.now) == "not permitted to signal pid 10, it runs as root"
    assert "Traceback" not in caplog.text
    sim.decided.quit(sim.system.now, 0)
    sim.turn()
    assert sim.downs == [False]


@pytest.mark.parametrize(("others", "refusal"), [([], True), ([501], False)])
def test_descendants_of_which_none_may_be_signalled_are_a_fact_too(sim, others, refusal):
    web = sim.add()
    sim.start(web)
    sim.turn(5)
    sim.system.refused.add(500)
    sim.system.kin[10] = [entry(pid) for pid in (500, *others)]
    sim.system.die(10)
    sim.turn()
    assert ("not permitted to signal pid 500" in web.decided.reason(sim.system.now)) == refusal


def test_last_resort_passes_over_what_may_not_be_signalled(sim, caplog):
    web, other = sim.add("web"), sim.add("other")
    sim.start(web, other)
    sim.system.refused.add(10)
    sim.runtime.give_up()
    assert sim.system.signals == [(11, 9)]


def test_last_resort_kills_every_process_and_what_is_below_it(sim):
    web, other = sim.add("web"), sim.add("other")
    sim.start(web, other)
    sim.system.kin[10] = [entry(77)]
    sim.runtime.give_up()
    assert set(sim.system.signals) == {(10, 9), (11, 9), (77, 9)}
    assert sim.downs == [False]


# ---- hooks -------------------------------------------------------------------------------------------------------


def without_threads(watcher: LiveWatcher) -> list[tuple[Any, ...]]:
    """Hooks are called at once instead; what they were called with."""
    calls: list[tuple[Any, ...]] = []

    def submit(loop: Any, hook: Any, args: Any, kwargs: Any, done: Any) -> None:
        calls.append((hook.name, kwargs))
        done(hook.call(*args, **kwargs))

    watcher.submit_hook = submit  # type: ignore[method-assign]  # a thread has no place here
    return calls


def test_hook_is_handed_the_faces_and_its_outcome_is_published(sim):
    web = sim.add(hooks=["before_start", "after_reap"])
    calls = without_threads(web)
    sim.start(web)
    sim.turn(5)
    sim.system.die(10)
    sim.turn()
    (first, given), (second, later) = calls
    assert (first, given["watcher"], given["arbiter"]) == ("before_start", "face of web", "the arbiter")
    assert (second, later["time"], later["exit_code"]) == ("after_reap", 1_000_105.0, 0)
    assert sim.publisher.events[0] == b"watcher.web.hook_success"


# ---- an action that cannot be performed --------------------------------------------------------------------------


def test_hook_that_returns_after_its_watcher_was_forgotten_is_still_published(sim):
    web = sim.add(hooks=["after_reap"])
    returns: list[Any] = []
    web.submit_hook = lambda loop, hook, args, kwargs, done: returns.append(done)
    sim.start(web)
    sim.decided.remove(sim.system.now, 0, web.key)
    sim.turn()
    sim.system.die(10)
    sim.turn()
    assert sim.forgotten == [web.key]
    returns[-1](Outcome(True))
    assert sim.publisher.events[-1] == b"watcher.web.hook_success"


def breaks(*_: Any, **__: Any) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(("ignored", "status"), [(False, "stopped"), (True, "active")])
def test_hook_that_cannot_be_called_counts_as_failed_and_holds_up_nothing(sim, ignored, status, caplog):
    web = sim.add(hooks=["before_start"])
    web.hooks["before_start"].ignore_failure = ignored
    web.submit_hook = breaks
    sim.start(web)
    assert web.status == status
    assert "cannot perform RunHook" in caplog.text


def test_streams_that_cannot_be_closed_hold_up_no_stop(sim, caplog):
    web = sim.add()
    sim.start(web)
    web.close_streams = breaks
    sim.decided.stop(sim.system.now, 0, [web.key])
    sim.turn()
    sim.system.die(10)
    sim.turn()
    assert web.decided.phase is Phase.STOPPED


def test_descendants_that_cannot_be_looked_for_are_looked_for_again(sim, caplog):
    web = sim.add()
    sim.start(web)
    sim.turn(5)
    sim.system.kin[10] = [entry(500)]
    sim.system.die(10)
    sim.turn()
    looks, sim.system.left_by = sim.system.left_by, breaks
    sim.turn(1)
    assert sim.pids(web) == []
    sim.system.left_by = looks
    sim.system.kin.clear()
    sim.turn(10)
    assert sim.pids(web) == [11]


def test_spawn_of_a_watcher_that_nobody_knows_is_answered_too(sim, caplog):
    web = sim.add(max_retry=1)
    sim.decided.start(sim.system.now, 0, [web.key])
    del sim.watchers[web.key]
    sim.turn()
    assert web.status == "stopped"


def test_action_that_fails_does_not_take_the_others_of_its_turn_with_it(sim, caplog):
    web, other = sim.add("web"), sim.add("other")
    sim.publisher.send = breaks
    sim.start(web, other)
    assert web.status == other.status == "active"
    assert "cannot perform Publish" in caplog.text


def test_answer_that_fails_as_well_is_logged(sim, caplog):
    sim.runtime.perform(actions.Spawn(999, 1, 1))
    sim.runtime.tell = breaks
    sim.runtime.perform(actions.CloseStreams(999))
    assert "cannot answer for CloseStreams" in caplog.text


# ---- requests and the end ----------------------------------------------------------------------------------------


def test_request_is_answered_once_and_an_error_is_its_exception(sim):
    ticket, future = sim.runtime.ticket()
    sim.runtime.perform(actions.Reply(ticket, {"a": 1}))
    sim.runtime.perform(actions.Reply(ticket, {"a": 2}))
    assert future.result(0) == {"a": 1}
    ticket, future = sim.runtime.ticket()
    sim.runtime.perform(actions.Reply(ticket, {}, "superseded"))
    assert isinstance(future.exception(0), ConflictError)


def test_open_requests_and_later_ones_learn_that_it_is_closed(sim):
    _, open_one = sim.runtime.ticket()
    sim.runtime.close()
    _, later = sim.runtime.ticket()
    for future in (open_one, later):
        with pytest.raises(ConflictError, match=STOPPED):
            future.result(0)


def test_machine_that_is_down_says_so_once(sim):
    web = sim.add()
    sim.start(web)
    sim.decided.quit(sim.system.now, 0, restart=True)
    sim.turn()
    sim.system.die(10)
    sim.turn()
    sim.turn()
    assert sim.downs == [True]


def test_words_of_the_machine_go_to_the_log_at_their_level(sim, caplog):
    with caplog.at_level(logging.DEBUG, "circus"):
        sim.runtime.perform(actions.Log("warning", "mind the gap"))
    assert ("circus", logging.WARNING, "mind the gap") in caplog.record_tuples


# ---- on demand ---------------------------------------------------------------------------------------------------


def idle(sim: Simulation) -> LiveWatcher:
    """A watcher that runs since a connection came, and is looked at now."""
    sim.sockets["web"] = SimulatedSocket(5)
    web = sim.add(on_demand=True, idle_timeout=40.0, stdin_socket="web")
    sim.start(web)
    sim.connect(5)
    return web


def wait_for_look(sim: Simulation) -> None:
    for thread in threading.enumerate():
        if thread.name == "idle look":
            thread.join()
    sim.loop.run_posted()
    sim.turn()


def test_idle_watcher_is_stopped_and_its_sockets_are_watched_again(sim):
    web = idle(sim)
    for _ in range(4):
        assert web.status == "active"
        sim.turn(10.0)
        wait_for_look(sim)
    assert sim.system.signals == [(10, 15)]
    sim.system.die(10, -15)
    sim.turn()
    assert web.status == "stopped"
    sim.connect(5)
    assert sim.pids(web) == [11]


def test_look_that_cannot_be_made_is_answered_as_not_known(sim, monkeypatch, caplog):
    web = idle(sim)
    monkeypatch.setattr("circus.runtime.idle_looks.sockets_of", lambda *_: 1 / 0)
    for _ in range(8):
        sim.turn(10.0)
    assert web.status == "active"
    assert "cannot perform Look" in caplog.text
