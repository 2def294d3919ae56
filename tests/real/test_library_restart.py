"""circusd that starts anew: whoever speaks to it meanwhile is heard."""

from __future__ import annotations

import pytest

from circus.client import CircusClient
from tests.real.support import Daemon, Endpoints, Events, free_port, ipc_endpoints, tcp_endpoints, wait_for

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
