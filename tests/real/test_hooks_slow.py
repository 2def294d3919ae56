"""Hooks that take their time, never return, start programs or write: only their own watcher notices."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from circus.client import CircusClient
from tests.real.support import Daemon, Events, background, is_gone, threads_named, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]


class Gate:
    """A hook that returns when the test says so."""

    def __init__(self, answer: object = True) -> None:
        self.answer = answer
        self.entered = threading.Event()
        self.go = threading.Event()
        self.calls = 0

    def __call__(self, *_: object, **__: object) -> object:
        self.calls += 1
        self.entered.set()
        assert self.go.wait(60)
        return self.answer

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()


def slow(gate: Gate, name: str, **options: Any) -> dict[str, Any]:
    return {"name": "slow", "cmd": "sleep 60", "autostart": False, "hooks": {name: gate}, **options}


OTHER = {"name": "other", "cmd": "sleep 60", "autostart": False}


def use_others(arbiter, client: CircusClient) -> None:
    """All that must go on while a hook of another watcher does not return."""
    other = arbiter.get_watcher("other")
    assert client.send_message("start", name="other", waiting=True)["status"] == "ok"
    (pid,) = client.send_message("list", name="other")["pids"]
    assert client.send_message("status")["statuses"]["other"] == "active"
    assert client.send_message("stats", name="other")["info"][str(pid)]["pid"] == pid
    assert other.restart().result(20)["stopped"] == [pid]
    assert arbiter.stats(["other"], None, True).result(20)
    assert client.send_message("stop", name="other", waiting=True)["status"] == "ok"
    assert other.status() == "stopped"


@pytest.mark.parametrize(
    ("hook", "status"),
    [
        ("before_start", "stopped"),
        ("before_spawn", "starting"),
        ("after_spawn", "starting"),
        ("after_start", "starting"),
    ],
)
def test_hook_that_sleeps_at_the_start_holds_up_its_own_watcher_only(tmp_path, hook, status):
    with Gate() as gate, background(tmp_path, slow(gate, hook), OTHER) as arbiter:
        client = CircusClient(endpoint=arbiter.endpoint, timeout=20)
        up = arbiter.get_watcher("slow").start()
        assert gate.entered.wait(20)
        use_others(arbiter, client)
        assert client.send_message("status", name="slow")["status"] == status
        assert not up.done()
        gate.go.set()
        assert len(up.result(20)["started"]) == 1
        client.stop()


@pytest.mark.parametrize(
    "hook", ["before_stop", "before_signal", "after_signal", "before_reap", "after_reap", "after_stop"]
)
def test_hook_that_sleeps_at_the_end_holds_up_its_own_watcher_only(tmp_path, hook):
    with Gate() as gate, background(tmp_path, slow(gate, hook), OTHER) as arbiter:
        client = CircusClient(endpoint=arbiter.endpoint, timeout=20)
        watcher = arbiter.get_watcher("slow")
        (pid,) = watcher.start().result(20)["started"]
        down = watcher.stop()
        assert gate.entered.wait(20)
        use_others(arbiter, client)
        if hook in ("before_stop", "before_signal", "after_stop"):
            assert watcher.status() == "stopping"
            assert is_gone(pid) is (hook == "after_stop")
        gate.go.set()
        assert down.result(20) is None
        assert is_gone(pid)
        client.stop()


def test_extended_stats_that_sleeps_holds_up_nobody_elses_figures(tmp_path):
    with Gate() as gate, background(tmp_path, slow(gate, "extended_stats"), OTHER) as arbiter:
        client = CircusClient(endpoint=arbiter.endpoint, timeout=20)
        arbiter.get_watcher("slow").start().result(20)
        waiting = arbiter.stats(["slow"], None, True)
        assert gate.entered.wait(20)
        use_others(arbiter, client)
        assert arbiter.stats(["slow"], None, False).result(20)
        assert arbiter.dstats().result(20)
        assert not waiting.done()
        gate.go.set()
        assert waiting.result(20)
        client.stop()


def test_stop_during_a_sleeping_before_start_wins(tmp_path):
    with Gate() as gate, background(tmp_path, slow(gate, "before_start")) as arbiter:
        watcher = arbiter.get_watcher("slow")
        up = watcher.start()
        assert gate.entered.wait(20)
        assert watcher.stop().result(20) is None
        assert watcher.status() == "stopped"
        gate.go.set()
        assert up.exception(20) is not None
        assert len(watcher) == 0


def test_hooks_of_one_watcher_never_run_at_the_same_time(tmp_path):
    running, most = [], []
    lock = threading.Lock()

    def hook(**_):
        with lock:
            running.append(1)
            most.append(len(running))
        threading.Event().wait(0.001)
        with lock:
            running.pop()
        return True

    names = ("before_spawn", "after_spawn", "before_signal", "after_signal", "before_reap", "after_reap")
    watcher = {"name": "w", "cmd": "sleep 60", "numprocesses": 5, "hooks": dict.fromkeys(names, hook)}
    with background(tmp_path, watcher) as arbiter:
        wait_for(arbiter.get_watcher("w").is_active)
        arbiter.get_watcher("w").restart().result(20)
        wait_for(lambda: len(most) >= 40)
    assert max(most) == 1


# ---- hooks that never return -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignored", [True, False])
def test_hook_that_never_returns_counts_as_failed_after_its_timeout(tmp_path, ignored):
    with Gate() as gate:
        hooks = {"before_start": (gate, ignored)}
        with background(tmp_path, slow(gate, "x", hooks=hooks, hooks_timeout=0.2)) as arbiter:
            watcher = arbiter.get_watcher("slow")
            with Events(arbiter.pubsub_endpoint) as events:
                events.sync(lambda: watcher.notify_event("probe", {}))
                started = watcher.start().result(20)["started"]
                assert len(started) == (1 if ignored else 0)
                assert "did not return within 0.2 s" in events.wait("slow.hook_failure")[0]["error"]


def test_hook_after_one_that_never_returned_runs_in_a_fresh_thread(tmp_path):
    with Gate() as gate:
        seen = []
        hooks = {"before_start": (gate, True), "after_start": lambda **_: seen.append(1) or True}
        with background(tmp_path, slow(gate, "x", hooks=hooks, hooks_timeout=0.2)) as arbiter:
            assert len(arbiter.get_watcher("slow").start().result(20)["started"]) == 1
            assert seen == [1]
        gate.go.set()
        wait_for(lambda: not threads_named("hooks of slow"))  # the stuck one ends as well


def test_timeout_counts_from_when_a_hook_begins_and_not_while_it_waits_for_another(tmp_path):
    """Six hooks of 0.3 s at once in one thread, each allowed 1.5 s: none of them is late."""
    failures = []

    def hook(**_):
        threading.Event().wait(0.3)
        return True

    watcher = {
        "name": "w",
        "cmd": "sleep 60",
        "numprocesses": 6,
        "hooks": {"before_signal": hook},
        "hooks_timeout": 1.5,
    }
    with background(tmp_path, watcher) as arbiter:
        wait_for(lambda: arbiter.numprocesses() == 6)
        with Events(arbiter.pubsub_endpoint) as events:
            events.sync(lambda: arbiter.get_watcher("w").notify_event("probe", {}))
            arbiter.get_watcher("w").stop().result(20)
            events.wait("w.stop")
            failures += [topic for topic in events.topics() if "failure" in topic]
    assert failures == []


def test_end_of_everything_does_not_wait_for_a_hook_longer_than_the_graceful_timeout(tmp_path):
    with Gate() as gate:
        with background(tmp_path, slow(gate, "before_stop", graceful_timeout=0.2)) as arbiter:
            (pid,) = arbiter.get_watcher("slow").start().result(20)["started"]
        assert gate.entered.is_set()
        assert is_gone(pid)


# ---- hooks of a daemon: programs, paths, output ------------------------------------------------------------------

HOOKS = """
import os, subprocess, sys, threading

codes = []

def runs_programs(watcher, arbiter, hook_name):
    for number in range(40):
        late = subprocess.Popen(["sh", "-c", "exit 8"])
        codes.append(subprocess.run(["sh", "-c", "exit 7"]).returncode)
        codes.append(late.wait())
    codes.append(os.waitstatus_to_exitcode(os.system("exit 9")))
    print("codes", sorted(set(codes)), flush=True)
    return True

def leaves_an_orphan(watcher, arbiter, hook_name):
    program = subprocess.Popen(["sh", "-c", "sleep 0.2 & echo $!"], stdout=subprocess.PIPE)
    print("orphan", program.communicate()[0].decode().strip(), flush=True)
    return True

def writes_much(watcher, arbiter, hook_name):
    for _ in range(200):
        sys.stderr.write("x" * 100_000 + "\\n")
    return True

go = threading.Event()

def sleeps(watcher, arbiter, hook_name):
    print("sleeps", flush=True)
    go.wait(60)
    return True

def wakes(watcher, arbiter, hook_name):
    go.set()
    return True
"""


@pytest.fixture
def hooks_folder(tmp_path):
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "our_hooks.py").write_text(HOOKS)
    return folder


def test_exit_codes_of_programs_that_a_hook_runs_are_its_own(tmp_path, hooks_folder):
    config = f"""
        [watcher:busy]
        cmd = sh -c 'exit 3'
        numprocesses = 4
        flapping.active = false
        [watcher:web]
        cmd = sleep 60
        hooks.before_start = our_hooks.runs_programs
        [env:web]
        PYTHONPATH = {hooks_folder}
    """
    with Daemon(tmp_path, config) as daemon:
        assert daemon.wait_for_output("codes") == "codes [7, 8, 9]"
        daemon.wait_for_status("web", "active")


def test_orphan_of_a_hook_becomes_no_zombie(tmp_path, hooks_folder):
    config = f"""
        [watcher:web]
        cmd = sleep 60
        hooks.before_start = our_hooks.leaves_an_orphan
        [env:web]
        PYTHONPATH = {hooks_folder}
    """
    with Daemon(tmp_path, config) as daemon:
        pid = int(daemon.wait_for_output("orphan").split()[1])
        daemon.wait_for_status("web", "active")
        daemon.wait_for(lambda: not _entry(pid))


def _entry(pid: int) -> bool:
    """Whether the process table knows it, dead or alive."""
    try:
        with open(f"/proc/{pid}/stat"):
            return True
    except OSError:
        return False


def test_hook_that_writes_much_does_not_keep_the_daemon_from_answering(tmp_path, hooks_folder):
    config = f"""
        [watcher:web]
        cmd = sleep 60
        hooks.before_start = our_hooks.writes_much
        [watcher:other]
        cmd = sleep 60
        [env:web]
        PYTHONPATH = {hooks_folder}
    """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("other", "active")
        daemon.wait_for_status("web", "active")


def test_hook_that_sleeps_does_not_keep_the_daemon_from_answering_or_ending(tmp_path, hooks_folder):
    config = f"""
        [watcher:sleepy]
        cmd = sleep 60
        graceful_timeout = 1
        hooks.before_start = our_hooks.sleeps
        [watcher:other]
        cmd = sleep 60
        priority = -1
        autostart = false
        [env:sleepy]
        PYTHONPATH = {hooks_folder}
    """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("sleeps")
        assert daemon.call("status")["statuses"] == {"sleepy": "stopped", "other": "stopped"}
        assert daemon.ctl("start", "other", "--waiting").returncode == 0
        assert daemon.call("status")["statuses"]["other"] == "active"
        daemon.call("quit")
        assert daemon.wait() == 0


def test_hook_is_set_at_run_time_and_read_anew(tmp_path, hooks_folder):
    config = f"""
        [watcher:web]
        cmd = sleep 60
        hooks.before_start = our_hooks.leaves_an_orphan
        [env:web]
        PYTHONPATH = {hooks_folder}
    """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("web", "active")
        (hooks_folder / "our_hooks.py").write_text(HOOKS + "\n\ndef fresh(**_):\n    print('fresh', flush=True)\n")
        reply = daemon.call("set", name="web", options={"hooks.after_stop": "our_hooks.fresh"})
        assert reply["status"] == "ok", reply
        daemon.call("stop", name="web", waiting=True)
        daemon.wait_for_output("fresh")
        reply = daemon.call("set", name="web", options={"hooks.after_stop": "our_hooks.nothing"})
        assert reply["status"] == "error"
        assert "our_hooks.nothing" in reply["reason"]


def test_watcher_that_cannot_be_built_is_listed_with_its_reason_and_can_be_started_later(tmp_path):
    """And holds up no other."""
    config = f"""
        [watcher:hook]
        cmd = sleep 60
        hooks.before_start = later.hook
        copy_env = true
        env = PYTHONPATH={tmp_path}
        [watcher:log]
        cmd = sleep 60
        stdout_stream.class = FileStream
        stdout_stream.filename = {tmp_path}/none/log
        [watcher:directory]
        cmd = sleep 60
        stderr_stream.class = FileStream
        stderr_stream.filename = {tmp_path}
        [watcher:other]
        cmd = sleep 60
    """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("other", "active")
        reply = daemon.call("status")
        assert reply["statuses"] == {"hook": "stopped", "log": "stopped", "directory": "stopped", "other": "active"}
        assert reply["reasons"]["hook"] == "cannot import 'later.hook': No module named 'later'"
        assert f"{tmp_path}/none/log" in reply["reasons"]["log"]
        assert str(tmp_path) in reply["reasons"]["directory"]
        daemon.wait_for_output("hook is not started: cannot import 'later.hook'")

        (tmp_path / "later.py").write_text("def hook(**_):\n    return True\n")
        (tmp_path / "none").mkdir()
        for name in ("hook", "log"):
            daemon.call("start", name=name, waiting=True)
            assert daemon.call("status", name=name)["status"] == "active"
        assert set(daemon.call("status")["reasons"]) == {"directory"}
