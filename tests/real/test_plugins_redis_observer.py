"""Figures of a real redis, and what happens when it is stopped, frozen, or says no."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from circus.plugins.redis_observer import NEEDED, RedisObserver
from tests.real.support import Daemon, Program, free_port, ipc_endpoints, is_gone, wait_for
from tests.real.udp import Listener

redis = pytest.importorskip("redis")
pytestmark = [
    pytest.mark.usefixtures("nobody_left"),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed"),
]

PLUGIN = """
    [plugin:redis]
    use = circus.plugins.redis_observer.RedisObserver
    application_name = app
    redis_url = redis://127.0.0.1:{port}/0
    restart_on_timeout = redis
    host = 127.0.0.1
    port = {statsd}
    loop_rate = {loop_rate}
    timeout = {timeout}
"""


def command(port: int, directory: Path, *words: str) -> list[str]:
    fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(directory)]
    return ["redis-server", "--port", str(port), *fixed, *words]


class Setup:
    """`config` is added to that of the plugin; in it `REDIS` stands for a command that runs redis."""

    def __init__(self, directory: Path, config: str, loop_rate: float = 0.2, timeout: float = 5) -> None:
        self.port = free_port()
        self.directory = directory
        self.listener = Listener()
        plugin = PLUGIN.format(port=self.port, statsd=self.listener.port, loop_rate=loop_rate, timeout=timeout)
        words = " ".join(word or '""' for word in command(self.port, directory))
        self.daemon = Daemon(directory, plugin + config.replace("REDIS", words))

    def __enter__(self) -> Setup:
        self.daemon.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.daemon.__exit__(*error)
        self.listener.close()

    def server(self, *words: str) -> Program:
        """redis outside circusd."""
        return Program(command(self.port, self.directory, *words), self.directory)


STAND_IN = """
    [watcher:redis]
    cmd = sleep 60
"""


def test_figures_arrive_and_a_stopped_server_is_an_error_that_restarts_the_watcher(tmp_path: Path) -> None:
    with Setup(tmp_path, STAND_IN) as setup:
        daemon, listener = setup.daemon, setup.listener
        with setup.server():
            assert float(listener.value("redis_stats.used_memory").removesuffix("|g")) > 100_000
            assert listener.value("redis_stats.connected_slaves") == "0|g"
            for key in ("uptime_in_seconds", "used_cpu_user", "mem_fragmentation_ratio", "lru_clock"):
                assert listener.value(f"redis_stats.{key}").endswith("|g")
            [before] = daemon.pids("redis")
            listener.forget()
        assert listener.value("redis_stats.error") == "1|c"
        assert listener.value("redis_stats.restart_on_error") == "1|c"
        daemon.wait_for(lambda: (pids := daemon.pids("redis")) and pids != [before])
        assert f"plugin:redis: redis://127.0.0.1:{setup.port}/0: " in daemon.output
        with setup.server():
            daemon.wait_for_output("answers again")
            listener.forget()
            listener.value("redis_stats.used_memory")
            assert "redis_stats.error:1|c" not in listener.seen


FROZEN = """
    [watcher:redis]
    cmd = REDIS
    graceful_timeout = 0.2
"""


def test_server_that_hangs_is_restarted_and_watched_on(tmp_path: Path) -> None:
    with Setup(tmp_path, FROZEN, loop_rate=1, timeout=0.5) as setup:
        daemon, listener = setup.daemon, setup.listener
        listener.value("redis_stats.used_memory")
        client = redis.Redis(port=setup.port)
        pid = client.info("server")["process_id"]
        client.close()
        daemon.call("signal", name="redis", signum=int(signal.SIGSTOP))
        listener.forget()
        listener.value("redis_stats.restart_on_error")
        daemon.wait_for(lambda: is_gone(pid))
        daemon.wait_for_output("answers again")
        listener.forget()
        listener.value("redis_stats.used_memory")


def test_server_that_wants_a_password_is_not_restarted(tmp_path: Path) -> None:
    with Setup(tmp_path, STAND_IN) as setup:
        daemon, listener = setup.daemon, setup.listener
        with setup.server("--requirepass", "secret"):
            daemon.wait_for_output("uthenticat")
            listener.forget()
            before = daemon.pids("redis")
            daemon.wait_for(lambda: listener.seen.count("redis_stats.error:1|c") > 3)
            assert daemon.pids("redis") == before
            assert not [text for text in listener.seen if "restart" in text]


def test_each_question_has_a_connection_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    observer = RedisObserver(*ipc_endpoints(tmp_path), 5.0, redis_url=f"redis://127.0.0.1:{port}/0")

    def connections() -> float:
        """All so far."""
        answer = observer.ask()
        assert answer.trouble == ""
        return {metric.bucket: metric.value for metric in answer.metrics}["redis_stats.total_connections_received"]

    try:
        for _ in range(2):  # the second is not the server that answered before
            with Program(command(port, tmp_path), tmp_path) as server:
                server.wait_for_output("Ready to accept connections")
                assert [connections(), connections()] == [1, 2]
            assert observer.ask().restart
    finally:
        observer.loop.close()


def test_without_the_library_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "redis.py").write_text("raise ModuleNotFoundError('No module named redis')\n")
    with Setup(tmp_path, "") as setup:
        line = setup.daemon.wait_for_output("cannot be started")
        assert line.endswith(NEEDED)
        assert "Traceback" not in setup.daemon.output
        setup.daemon.call("set", name="plugin:redis", options={"flapping.window": 60})  # a busy machine loads slowly
        wait_for(lambda: NEEDED in setup.daemon.call("status", name="plugin:redis").get("reason_text", ""))
