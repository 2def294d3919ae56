"""circusd that starts anew: whoever speaks to it meanwhile is heard."""

from __future__ import annotations

import signal
import threading

import pytest

from circus.client import CircusClient
from tests.real.support import (
    Daemon,
    Endpoints,
    Events,
    free_port,
    host_program,
    ipc_endpoints,
    tcp_endpoints,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("nobody_left")

CONFIG = "[watcher:a]\ncmd = sleep 60\n"


@pytest.fixture(params=["tcp", "ipc"])
def endpoints(request, tmp_path) -> Endpoints:
    return tcp_endpoints() if request.param == "tcp" else ipc_endpoints(tmp_path)


def test_requests_right_after_a_restart_are_answered(tmp_path, endpoints):
    with Daemon(tmp_path, CONFIG, endpoints=endpoints) as daemon:
        for _ in range(20):
            for command in ("restart", "status"):
                with CircusClient(endpoint=endpoints.control, timeout=20) as client:
                    assert client.send_message(command, waiting=True)["status"] == "ok"
        assert daemon.process.poll() is None


def test_subscribers_stay_connected_over_a_restart(tmp_path, endpoints):
    with Daemon(tmp_path, CONFIG, endpoints=endpoints) as daemon, Events(endpoints.pubsub) as events:
        events.sync(lambda: daemon.call("set", name="a", options={"priority": 1}))
        daemon.call("restart", waiting=True)
        events.wait("a.start")
        assert events.topics() == ["a.kill", "a.reap", "a.stop", "a.spawn", "a.start"]


def test_restart_with_other_endpoints_moves_to_them(tmp_path, endpoints):
    with Daemon(tmp_path, CONFIG, endpoints=endpoints) as daemon:
        daemon.wait_for_status("a", "active")
        moved = Endpoints(f"tcp://127.0.0.1:{free_port()}", endpoints.pubsub)
        daemon.endpoints = moved
        daemon.write_config(CONFIG)
        daemon.call("restart", waiting=True)
        with CircusClient(endpoint=moved.control, timeout=20) as client:
            assert client.send_message("numwatchers")["numwatchers"] == 1
            wait_for(lambda: client.send_message("status", name="a")["status"] == "active")


@pytest.mark.parametrize("delay", [0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1])
def test_sigterm_at_any_moment_of_a_restart_is_heard(tmp_path, delay):
    with Daemon(tmp_path, CONFIG) as daemon:
        daemon.wait_for_status("a", "active")
        daemon.call("restart")
        threading.Event().wait(delay)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


LIBRARY = """
    import sys
    from circus import get_arbiter

    arbiter = get_arbiter("sleep 60", **dict(zip(("controller", "pubsub_endpoint"), sys.argv[1:])))
    starts, restart = 0, True
    while restart:
        starts += 1
        if starts == 5:
            print("again and again", flush=True)
        future = arbiter.start(lambda _: arbiter.restart())
        assert future.exception() is None
        restart = arbiter._restarting
"""


def test_sigterm_between_two_starts_of_one_arbiter_is_heard(tmp_path):
    """It restarts without a pause, so that the signal comes at no chosen moment."""
    with host_program(LIBRARY, tmp_path, *ipc_endpoints(tmp_path)) as program:
        program.wait_for_output("again and again")
        program.signal(signal.SIGTERM)
        assert program.wait() in (0, -signal.SIGTERM)  # between two starts the program has no handler
