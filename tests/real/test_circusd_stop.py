"""How circusd ends: at any moment, with everything below it, and so that the next one can start at once."""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.real.proc import marked, patience
from tests.real.support import Daemon, ipc_endpoints, is_gone, tcp_endpoints, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

GRACE = 1.0


# ---- a signal at any moment ------------------------------------------------------------------------------------

SLOW_START = """
    warmup_delay = 0.1
    [env]
    PATH = $PATH
    {mark}
    [watcher:a-many]
    cmd = sleep 1000
    numprocesses = 20
    warmup_delay = 0.05
    graceful_timeout = {grace}
    priority = 9
    [watcher:b-hooks]
    cmd = sh -c 'sleep 1000 & sleep 1000'
    hooks.before_start = tests.real.programs.hooks.sleep_a_little
    hooks.before_spawn = tests.real.programs.hooks.sleep_a_little
    hooks.after_spawn = tests.real.programs.hooks.sleep_a_little
    numprocesses = 3
    graceful_timeout = {grace}
    [watcher:c-deaf]
    cmd = trap '' TERM; sleep 1000 & while :; do sleep 1000; done
    shell = True
    numprocesses = 2
    graceful_timeout = {grace}
    priority = 10
    [watcher:d-crashing]
    cmd = false
    priority = 10
    graceful_timeout = {grace}
    [watcher:e-missing]
    cmd = {directory}/missing
    max_retry = -1
    priority = 10
    graceful_timeout = {grace}
    [watcher:f-stuck]
    cmd = sleep 1000
    hooks.before_start = tests.real.programs.hooks.sleep_for_long
    graceful_timeout = {grace}
    """


def test_sigterm_at_any_instant_of_a_long_start_ends_all_of_it_in_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    with capsys.disabled():
        print(f" seed {seed} ", end="")
    instants = [random.Random(seed + number).uniform(0.0, 2.0) for number in range(24)]

    def once(number: int) -> float:
        directory = tmp_path / str(number)
        directory.mkdir()
        return end_after(directory, instants[number])

    with ThreadPoolExecutor(4) as pool:
        took = list(pool.map(once, range(len(instants))))
    late = [f"{sent:.3f}: {seconds:.1f} s" for sent, seconds in zip(instants, took, strict=True) if seconds > limit()]
    assert not late, f"seed {seed}"


def limit() -> float:
    """Far above what a busy machine adds, far below what anything here would take that is waited for by mistake."""
    return patience(GRACE + 10.0)


def end_after(directory: Path, seconds: float) -> float:
    """Start a daemon, send SIGTERM `seconds` later; how long it took to end."""
    mark = f"STOP_TEST={directory.name}-{os.getpid()}"
    config = SLOW_START.format(mark=mark, grace=GRACE, directory=directory)
    with Daemon(directory, config) as daemon:
        started = time.monotonic()
        wait_for(lambda: time.monotonic() >= started + seconds)
        daemon.signal(signal.SIGTERM)
        sent = time.monotonic()
        code = daemon.wait()
        took = time.monotonic() - sent
        # Before Python has come to our handlers, SIGTERM ends it in the usual way; then there is no child either.
        assert code in (0, -signal.SIGTERM), daemon.output
        assert marked(mark) == [], daemon.output
        assert "Traceback" not in daemon.output, daemon.output
    return took


# ---- one that takes long ---------------------------------------------------------------------------------------

DEAF = """
    [watcher:deaf]
    cmd = trap '' TERM; echo > {directory}/up; while :; do sleep 1000; done
    shell = True
    graceful_timeout = 1000
    """


def start_deaf(directory: Path, more: str = "") -> Daemon:
    daemon = Daemon(directory, DEAF.format(directory=directory) + more)
    daemon.wait_for((directory / "up").exists)
    return daemon


def test_second_sigterm_kills_what_is_left(tmp_path: Path) -> None:
    with start_deaf(tmp_path) as daemon:
        [pid] = daemon.pids("deaf")
        daemon.signal(signal.SIGTERM)
        daemon.wait_for(lambda: daemon.call("status", name="deaf")["status"] == "stopping")
        assert not is_gone(pid)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert is_gone(pid)
        assert f"deaf [{pid}] did not end after SIGTERM: sending SIGKILL" in daemon.output


def test_third_sigterm_leaves_at_once_also_when_a_stop_hook_never_returns(tmp_path: Path) -> None:
    hook = "hooks.before_stop = tests.real.programs.hooks.sleep_for_long\n"
    with start_deaf(tmp_path, hook) as daemon:
        [pid] = daemon.pids("deaf")
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_output("Got signal SIG_TERM")
        for count in (2, 3):
            daemon.signal(signal.SIGTERM)
            wait_for(lambda count=count: is_gone(daemon.pid) or daemon.output.count("Got signal") == count)
        daemon.wait()
        wait_for(lambda: is_gone(pid))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_each_signal_that_ends_it_ends_it_with_0(tmp_path: Path, signum: signal.Signals) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 60\nnumprocesses = 3\n") as daemon:
        daemon.wait_for_status("a", "active")
        pids = daemon.pids("a")
        daemon.signal(signum)
        assert daemon.wait() == 0
        assert all(map(is_gone, pids))
        assert f"Got signal {signum.name.replace('SIG', 'SIG_')}" in daemon.output
        assert "a stopped" in daemon.output


def test_quit_during_a_slow_stop_is_not_lost(tmp_path: Path) -> None:
    with start_deaf(tmp_path) as daemon:
        daemon.call("set", name="deaf", options={"graceful_timeout": 1})
        daemon.call("stop", name="deaf")
        assert daemon.call("quit", waiting=True)["status"] == "ok"
        assert daemon.wait() == 0


def test_signals_that_mean_nothing_to_it_do_not_disturb(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 60\n") as daemon:
        daemon.wait_for_status("a", "active")
        pids = daemon.pids("a")
        for _ in range(20):
            for signum in (signal.SIGWINCH, signal.SIGCHLD, signal.SIGPIPE, signal.SIGCONT):
                daemon.signal(signum)
            assert daemon.pids("a") == pids


def test_hangup_reloads_every_watcher_gracefully(tmp_path: Path) -> None:
    config = "[watcher:a]\ncmd = sleep 60\nnumprocesses = 2\n[watcher:b]\ncmd = sleep 60\n[watcher:c]\ncmd = sleep 60\n"
    with Daemon(tmp_path, config + "send_hup = True\n") as daemon, daemon.events() as events:
        for name in "abc":
            daemon.wait_for_status(name, "active")
        events.sync(lambda: daemon.call("set", name="a", options={"priority": 0}))
        before = {name: daemon.pids(name) for name in "abc"}
        daemon.signal(signal.SIGHUP)
        for name in "abc":
            events.wait(f"{name}.reload")
        topics = events.topics()
        daemon.wait_for(lambda: len(daemon.pids("c")) == 1 and daemon.pids("c") != before["c"])
        assert set(daemon.pids("a")).isdisjoint(before["a"])
        assert set(daemon.pids("b")).isdisjoint(before["b"])
        assert topics.index("b.spawn") < topics.index("b.kill")
        assert {"a.stop", "b.stop", "c.stop"}.isdisjoint(topics)


@pytest.mark.parametrize("how", ["SIGHUP", "reload", "reload --terminate"])
def test_reload_of_all_leaves_alone_what_does_not_run(tmp_path: Path, how: str) -> None:
    config = "[watcher:web]\ncmd = sleep 60\n[watcher:by-hand]\ncmd = sleep 60\n"
    config += "[watcher:nightly]\ncmd = sleep 60\nautostart = False\n"
    with Daemon(tmp_path, config) as daemon:
        for name in ("web", "by-hand"):
            daemon.wait_for_status(name, "active")
        daemon.call("stop", name="by-hand", waiting=True)
        before = daemon.pids("web")
        if how == "SIGHUP":
            daemon.signal(signal.SIGHUP)
        else:
            daemon.call("reload", graceful="terminate" not in how, waiting=True)
        daemon.wait_for(lambda: daemon.pids("web") and set(daemon.pids("web")).isdisjoint(before))
        statuses = daemon.call("status")["statuses"]
        assert statuses == {"by-hand": "stopped", "nightly": "stopped", "web": "active"}
        daemon.call("reload", name="nightly", waiting=True)
        assert daemon.call("status", name="nightly")["status"] == "active"


STORE_AND_WORKERS = """
    [watcher:store]
    cmd = sleep 60
    priority = 5
    [watcher:worker-a]
    cmd = trap 'sleep 0.3; exit' TERM; while :; do sleep 0.01; done
    shell = True
    [watcher:worker-b]
    cmd = sleep 60
    """


@pytest.mark.parametrize("how", ["quit", "SIGTERM", "stop", "stop by pattern", "restart"])
def test_what_started_first_is_stopped_when_all_that_started_later_is_down(tmp_path: Path, how: str) -> None:
    with Daemon(tmp_path, STORE_AND_WORKERS) as daemon, daemon.events() as events:
        for name in ("store", "worker-a", "worker-b"):
            daemon.wait_for_status(name, "active")
        events.sync(lambda: daemon.call("set", name="store", options={"graceful_timeout": 30}))
        if how == "SIGTERM":
            daemon.signal(signal.SIGTERM)
        else:
            daemon.call(how.split()[0], **({"name": "*"} if "pattern" in how else {}))
        events.wait("store.stop")
        topics = events.topics()
        assert topics.index("store.kill") > topics.index("worker-a.stop")
        assert topics.index("store.kill") > topics.index("worker-b.stop")
        assert topics.index("worker-b.kill") < topics.index("worker-a.stop")


def test_second_sigterm_kills_also_what_has_yet_to_be_asked_to_end(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    config = "[watcher:store]\ncmd = sleep 60\npriority = 5\n"
    config += f"[watcher:deaf]\ncmd = trap '' TERM; touch {ready}; sleep 60\nshell = True\n"
    with Daemon(tmp_path, config) as daemon, daemon.events() as events:
        events.sync(lambda: daemon.call("set", name="store", options={"graceful_timeout": 30}))
        daemon.wait_for(ready.exists)
        daemon.signal(signal.SIGTERM)
        events.wait("deaf.kill")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


# ---- and starts again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("addresses", ["tcp", "ipc"])
def test_daemon_started_right_after_quit_waiting_finds_its_addresses_free(tmp_path: Path, addresses: str) -> None:
    pidfile = tmp_path / "pid"
    endpoints = tcp_endpoints() if addresses == "tcp" else ipc_endpoints(tmp_path)
    with ExitStack() as daemons:
        for _ in range(8):
            daemon = Daemon(tmp_path, f"pidfile = {pidfile}\n[watcher:a]\ncmd = sleep 60\n", endpoints=endpoints)
            daemons.enter_context(daemon)
            daemon.wait_for_output("Arbiter now waiting for commands")
            daemon.wait_for_status("a", "active")
            assert pidfile.read_text() == f"{daemon.pid}\n"
            done = daemon.ctl("quit", "--waiting")
            assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
        assert daemon.wait() == 0
        assert not pidfile.exists()


def test_reply_to_quit_always_comes(tmp_path: Path) -> None:
    for _ in range(8):
        with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 60\n") as daemon:
            daemon.wait_for_status("a", "active")
            assert daemon.call("quit", waiting=True)["status"] == "ok"
            assert daemon.wait() == 0
