"""redis and a worker that must not start before redis answers: the example of the hooks manual."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.real.proc import program
from tests.real.support import Daemon, free_port

redis = pytest.importorskip("redis")
pytestmark = [
    pytest.mark.untraced,
    pytest.mark.usefixtures("nobody_left"),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed"),
]

CONFIG = """
    [env]
    PATH = $PATH
    REDIS_PORT = {port}

    [watcher:queue-worker]
    cmd = {worker}
    hooks.before_start = tests.real.programs.hooks.check_redis
    priority = 1

    [watcher:redis]
    cmd = redis-server --port {port} --bind 127.0.0.1 --save "" --appendonly no --dir {directory}
    stdout_stream.class = FileStream
    stdout_stream.filename = {directory}/redis.log
    priority = 2
    autostart = {redis_starts}
"""


class Setup:
    def __init__(self, directory: Path, redis_starts: bool = True) -> None:
        port = free_port()
        self.queue: Any = redis.StrictRedis(host="127.0.0.1", port=port, decode_responses=True)
        config = CONFIG.format(
            port=port, worker=program("queue_worker.py"), directory=directory, redis_starts=redis_starts
        )
        self.daemon = Daemon(directory, config, env={"REDIS_PORT": str(port)})

    def __enter__(self) -> Setup:
        self.daemon.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.queue.close()
        self.daemon.__exit__(*error)

    def work(self, *jobs: str) -> list[str]:
        """What the worker makes of the jobs."""
        self.queue.rpush("jobs", *jobs)
        answers = (self.queue.blpop(["results"], timeout=20) for _ in jobs)
        return [answer[1] for answer in answers if answer]


def test_worker_starts_once_redis_answers(tmp_path: Path) -> None:
    with Setup(tmp_path) as setup:
        setup.daemon.wait_for_status("queue-worker", "active")
        assert setup.work("first", "second") == ["FIRST", "SECOND"]
        assert setup.queue.get("foo") == "bar"  # the hook was there
        assert setup.queue.get("workers started") == "1"


def test_worker_is_not_started_without_redis_and_works_when_started_by_hand_later(tmp_path: Path) -> None:
    with Setup(tmp_path, redis_starts=False) as setup:
        daemon = setup.daemon
        daemon.wait_for_output("Hook 'before_start' failed")
        status = daemon.wait_for(lambda: _down(daemon.call("status", name="queue-worker")))
        assert "before_start" in status["reason_text"], status
        assert "queue-worker: stopped (" in daemon.ctl("status").stdout

        assert daemon.call("start", name="queue-worker", waiting=True)["info"] == {"started": [], "kept": []}
        assert daemon.call("status", name="queue-worker")["status"] == "stopped"

        daemon.call("start", name="redis", waiting=True)
        assert daemon.ctl("start", "queue-worker", "--waiting").returncode == 0
        assert daemon.call("status", name="queue-worker")["status"] == "active"
        assert "reason_text" not in daemon.call("status", name="queue-worker")
        assert setup.work("late") == ["LATE"]


def _down(status: dict[str, Any]) -> dict[str, Any] | None:
    return status if status["status"] == "stopped" and "reason_text" in status else None


def test_worker_is_paced_while_redis_is_gone_and_works_again_when_it_is_back(tmp_path: Path) -> None:
    with Setup(tmp_path) as setup:
        daemon = setup.daemon
        daemon.wait_for_status("queue-worker", "active")
        # Its deaths are near to each other however long a busy machine takes to load Python and redis.
        options = {"flapping.window": 60, "flapping.retry_in": 0.2, "flapping.max_retry": -1}
        daemon.call("set", name="queue-worker", options=options)
        assert setup.work("before") == ["BEFORE"]
        daemon.call("stop", name="redis", waiting=True)
        daemon.wait_for_output("queue-worker: flapping detected: retry in")
        daemon.wait_for(lambda: "backing off" in daemon.call("status", name="queue-worker").get("reason_text", ""))
        daemon.call("start", name="redis", waiting=True)
        assert setup.work("after") == ["AFTER"]
