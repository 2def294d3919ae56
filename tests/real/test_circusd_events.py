"""What subscribers are told, and in which order."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.support import Daemon, Events

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]


class Told:
    """A daemon with one watcher and a subscriber that missed nothing since the last `forget`."""

    def __init__(self, daemon: Daemon, events: Events) -> None:
        self.daemon = daemon
        self.events = events

    def forget(self) -> None:
        """`priority` means nothing to a running watcher: it serves to see an event come through."""
        self.events.sync(lambda: self.daemon.call("set", name="My Web", options={"priority": 1}))

    def kinds(self, last: str) -> list[str]:
        """The events so far, once `last` has come."""
        self.events.wait(f"my_web.{last}")
        return [topic.removeprefix("my_web.") for topic in self.events.topics()]

    def pids(self, kind: str) -> list[int]:
        return [payload["process_pid"] for topic, payload in self.events.seen if topic == f"watcher.my_web.{kind}"]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    config = "[watcher:My Web]\ncmd = sleep 1000\nnumprocesses = 3\n"
    with Daemon(tmp_path, config) as daemon, daemon.events() as events:
        daemon.wait_for_status("My Web", "active")
        told = Told(daemon, events)
        told.forget()
        yield told


def test_stop_is_kills_then_reaps_then_stop_and_start_is_spawns_then_start(told: Told) -> None:
    pids = told.daemon.pids("My Web")
    told.daemon.call("stop", name="My Web", waiting=True)
    assert told.kinds("stop") == ["kill"] * 3 + ["reap"] * 3 + ["stop"]
    assert sorted(told.pids("kill")) == sorted(told.pids("reap")) == sorted(pids)

    told.forget()
    told.daemon.call("start", name="My Web", waiting=True)
    assert told.kinds("start") == ["spawn"] * 3 + ["start"]
    assert told.pids("spawn") == told.daemon.pids("My Web")


def test_restart_is_a_stop_and_a_start(told: Told) -> None:
    told.daemon.call("restart", name="My Web", waiting=True)
    assert told.kinds("start") == ["kill"] * 3 + ["reap"] * 3 + ["stop"] + ["spawn"] * 3 + ["start"]


def test_graceful_reload_is_spawns_then_kills_then_reload(told: Told) -> None:
    before = told.daemon.pids("My Web")
    told.daemon.call("reload", name="My Web", waiting=True)
    kinds = [kind for kind in told.kinds("reload") if kind != "reap"]
    assert kinds == ["spawn"] * 3 + ["kill"] * 3 + ["reload"]
    told.events.wait("my_web.reap", 3)
    assert sorted(told.pids("kill")) == sorted(told.pids("reap")) == sorted(before)
    assert told.pids("spawn") == told.daemon.pids("My Web")


def test_sequential_reload_replaces_one_after_the_other(told: Told) -> None:
    before = told.daemon.pids("My Web")
    told.daemon.call("reload", name="My Web", sequential=True, waiting=True)
    assert told.kinds("reload") == ["kill", "reap", "spawn"] * 3 + ["reload"]
    assert told.pids("kill") == told.pids("reap") == before


def test_reload_without_grace_is_a_restart_without_a_reload_event(told: Told) -> None:
    told.daemon.call("reload", name="My Web", graceful=False, waiting=True)
    assert told.kinds("start") == ["kill"] * 3 + ["reap"] * 3 + ["stop"] + ["spawn"] * 3 + ["start"]


def test_decr_ends_the_oldest_with_one_kill_and_one_reap(told: Told) -> None:
    oldest = told.daemon.pids("My Web")[0]
    told.daemon.call("decr", name="My Web", waiting=True)
    told.kinds("reap")
    assert told.pids("kill") == told.pids("reap") == [oldest]


def test_kill_command_gives_kill_reap_and_the_successors_spawn(told: Told) -> None:
    victim = told.daemon.pids("My Web")[1]
    told.daemon.call("kill", name="My Web", pid=victim, waiting=True)
    assert told.kinds("spawn") == ["kill", "reap", "spawn"]
    assert told.pids("kill") == told.pids("reap") == [victim]


def test_signal_command_publishes_no_kill(told: Told) -> None:
    victim = told.daemon.pids("My Web")[0]
    told.daemon.call("signal", name="My Web", pid=victim, signum="KILL")
    assert told.kinds("spawn") == ["reap", "spawn"]
    assert told.pids("reap") == [victim]


def test_death_is_a_reap_with_the_exit_code_and_the_number_of_the_worker(told: Told) -> None:
    pids = told.daemon.pids("My Web")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    told.events.wait("my_web.spawn", 3)
    reaps = [payload for topic, payload in told.events.seen if topic.endswith("reap")]
    assert sorted(payload["process_pid"] for payload in reaps) == sorted(pids)
    assert {payload["exit_code"] for payload in reaps} == {-signal.SIGKILL}
    assert {payload["process_id"] for payload in reaps} == {1, 2, 3}
    spawns = [payload for topic, payload in told.events.seen if topic.endswith("spawn")]
    assert {payload["process_id"] for payload in spawns} == {1, 2, 3}


def test_exit_code_is_the_programs_own(told: Told) -> None:
    told.daemon.call("add", name="once", cmd="sh -c 'exit 7'", options={"respawn": False}, start=True)
    [reap] = told.events.wait("once.reap")
    assert reap["exit_code"] == 7
    assert reap["process_id"] == 1
    assert isinstance(reap["time"], float)


def test_add_and_rm_are_told(told: Told) -> None:
    told.daemon.call("add", name="Other One", cmd="sleep 1000", start=True, waiting=True)
    told.daemon.call("rm", name="other one", waiting=True)
    told.events.wait("other_one.stop")
    topics = [topic.removeprefix("other_one.") for topic in told.events.topics() if topic.startswith("other_one.")]
    assert topics == ["add", "spawn", "start", "remove", "kill", "reap", "stop"]


def test_every_option_set_is_told(told: Told) -> None:
    told.daemon.call("set", name="My Web", options={"priority": 2, "max_retry": 3, "graceful_timeout": 1}, waiting=True)
    told.events.wait("my_web.updated", 3)
    assert told.events.topics() == ["my_web.updated"] * 3


def test_hooks_are_told_by_name(told: Told) -> None:
    hooks = {"before_start": "tests.real.programs.hooks.accept", "after_stop": "tests.real.programs.hooks.fail"}
    told.daemon.call("add", name="hooked", cmd="sleep 1000", options={"hooks": hooks}, start=True, waiting=True)
    told.daemon.call("stop", name="hooked", waiting=True)
    [good], [bad] = told.events.wait("hooked.hook_success"), told.events.wait("hooked.hook_failure")
    assert good["name"] == "before_start"
    assert (bad["name"], bad["error"]) == ("after_stop", "this hook fails on purpose")


def test_every_process_is_spawned_once_and_reaped_once_whatever_happens_to_it(told: Told) -> None:
    """Deaths from outside, stops, kills, reloads and resizing, without waiting in between."""
    daemon = told.daemon
    daemon.call("set", name="My Web", options={"flapping.attempts": 100000})
    before = daemon.pids("My Web")
    for number in range(12):
        for pid in daemon.pids("My Web")[number % 2 :: 2]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        daemon.call(("stop", "restart", "reload", "incr", "kill", "decr")[number % 6], name="My Web")
        daemon.call("start", name="My Web", waiting=number % 3 == 0)
    daemon.call("stop", name="My Web", waiting=True)
    told.events.wait("my_web.stop")
    daemon.wait_for(lambda: daemon.call("status", name="My Web")["status"] == "stopped")
    told.events.topics()
    spawned, reaped = [*before, *told.pids("spawn")], told.pids("reap")
    assert len(set(spawned)) == len(spawned) > 2 * len(before)
    assert sorted(reaped) == sorted(spawned)
