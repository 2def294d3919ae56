"""The watchdog, started by circusd: who sends no heartbeats is ended and replaced, and nobody else is."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.proc import text_of
from tests.real.support import Daemon

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

# Notes its pid and the signals it gets; talks every 20 ms while the file `talk` is there.
WORKER = """
import os, pathlib, signal, socket, sys, time
directory, port, word = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
def end(signum, frame):
    with open(directory / f"signals-{word}", "a") as file:
        file.write(f"{signum}\\n")
    sys.exit(0)
for signum in (signal.SIGTERM, signal.SIGINT):
    signal.signal(signum, end)
with open(directory / f"pids-{word}", "a") as file:
    file.write(f"{os.getpid()}\\n")
mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    if (directory / f"talk-{word}").exists():
        mouth.sendto(f"{os.getpid()};{time.time()}".encode(), ("127.0.0.1", port))
    time.sleep(0.02)
"""


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A UDP port in use."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        yield opened


@pytest.fixture
def port(taken: socket.socket) -> int:
    """A UDP port nobody uses."""
    number: int = taken.getsockname()[1]
    taken.close()
    return number


def watcher(directory: Path, port: int, word: str) -> str:
    path = directory / "worker.py"
    path.write_text(WORKER)
    return f"[watcher:{word}]\ncmd = {sys.executable} {path} {directory} {port} {word}\n"


def plugin(port: int, *options: str) -> str:
    use = "circus.plugins.watchdog.WatchDog"
    return "\n".join(["[plugin:dog]", f"use = {use}", f"port = {port}", "loop_rate = 0.1", *options, ""])


def noted(directory: Path, what: str) -> list[int]:
    return [int(line) for line in text_of(directory / what).splitlines()]


def test_silent_worker_is_killed_again_and_again_while_a_talking_one_and_a_stranger_live(
    tmp_path: Path, port: int
) -> None:
    (tmp_path / "talk-talking").touch()
    config = "".join(watcher(tmp_path, port, word) for word in ("silent", "talking", "stranger"))
    config += plugin(port, "watchers_regex = silent|talking", "max_count = 20")
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: len(noted(tmp_path, "pids-silent")) >= 3)
        assert len(noted(tmp_path, "pids-talking")) == len(noted(tmp_path, "pids-stranger")) == 1
        assert set(noted(tmp_path, "signals-silent")) == {signal.SIGTERM}
        first = noted(tmp_path, "pids-silent")[0]
        assert daemon.wait_for_output(f"watchdog: silent: process {first} has been silent for too long and is killed")
        # It does not kill its own plugin, which matches nothing here, nor is it replaced itself.
        assert daemon.output.count("plugin:dog: Starting") == 1


def test_worker_that_falls_silent_is_ended_in_the_way_that_was_configured(tmp_path: Path, port: int) -> None:
    talk = tmp_path / "talk-web"
    talk.touch()
    config = watcher(tmp_path, port, "web") + plugin(port, "max_count = 20", "watchers_stop_signal = INT")
    config += "watchers_graceful_timeout = 20\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("plugin:dog: Starting")
        [pid] = daemon.pids("web")
        talk.unlink()
        daemon.wait_for(lambda: noted(tmp_path, "signals-web"))
        talk.touch()
        assert noted(tmp_path, "signals-web") == [signal.SIGINT]
        daemon.wait_for(lambda: daemon.pids("web") and daemon.pids("web") != [pid])


def test_all_watchers_match_unless_told_and_yet_no_plugin_is_killed(tmp_path: Path, port: int) -> None:
    idle = "[plugin:idle]\nuse = circus.plugins.flapping.Flapping\nactive = false\n"
    config = watcher(tmp_path, port, "web") + plugin(port, "max_count = 5")
    config += "[plugin:other]\nuse = circus.plugins.command_reloader.CommandReloader\n" + idle
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("plugin:other: Starting")
        plugins = [daemon.pids(name) for name in ("plugin:dog", "plugin:other")]
        daemon.wait_for(lambda: len(noted(tmp_path, "pids-web")) >= 3)
        assert [daemon.pids(name) for name in ("plugin:dog", "plugin:other")] == plugins


def test_while_its_port_is_taken_nobody_is_killed(tmp_path: Path, taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    config = watcher(tmp_path, port, "web") + plugin(port, "max_count = 1")
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("watchdog: no heartbeats can be heard")
        # The worker's own datagrams show that it has lived for many times the patience of the plugin.
        (tmp_path / "talk-web").touch()
        for _ in range(50):
            taken.recv(1000)
        (tmp_path / "talk-web").unlink()
        assert len(noted(tmp_path, "pids-web")) == 1
        taken.close()
        daemon.wait_for(lambda: len(noted(tmp_path, "pids-web")) >= 2)
        assert daemon.output.count("no heartbeats can be heard") == 1


def test_stopped_watcher_stays_stopped(tmp_path: Path, port: int) -> None:
    config = "".join(watcher(tmp_path, port, word) for word in ("one", "two")) + plugin(port, "max_count = 3")
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: len(noted(tmp_path, "pids-one")) >= 2)
        daemon.call("stop", name="one", waiting=True)
        ended, of_other = noted(tmp_path, "pids-one"), len(noted(tmp_path, "pids-two"))
        daemon.wait_for(lambda: len(noted(tmp_path, "pids-two")) >= of_other + 3)  # the plugin goes on
        assert noted(tmp_path, "pids-one") == ended
        assert daemon.call("status", name="one")["status"] == "stopped"
