"""The resource watcher, started by circusd: who uses too much is replaced, and nobody else is."""

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

# The first of them, while the file is not there, takes more than it should; the next one has learnt.
EATER = """
import sys, pathlib, time
flag = pathlib.Path(sys.argv[1])
if not flag.exists():
    flag.touch()
    food = bytearray(200_000_000)
time.sleep(1000)
"""

# Two children: one takes more than it should. All three note the signals they get.
PARENT = """
import os, signal, sys, time
def note(signum, frame):
    with open(sys.argv[1], "a") as file:
        file.write(f"{role} {signum}\\n")
role = "parent"
signal.signal(signal.SIGUSR1, note)
for role in ("modest", "eater", "parent"):
    if role == "parent" or os.fork() == 0:
        break
food = bytearray(200_000_000 if role == "eater" else 1)
while True:
    time.sleep(0.1)  # Python notes a signal that comes just before it sleeps, and handles it afterwards
"""


def script(directory: Path, text: str, *words: object) -> str:
    path = directory / "worker.py"
    path.write_text(text)
    return " ".join([sys.executable, str(path), *map(str, words)])


class Udp:
    """A port where datagrams arrive."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._texts: list[str] = []

    def received(self) -> list[str]:
        """All up to now."""
        try:
            while True:
                self._texts.append(self._socket.recv(1000).decode())
        except BlockingIOError:
            return self._texts

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def udp() -> Iterator[Udp]:
    port = Udp()
    yield port
    port.close()


def plugin(watcher: str, *options: str) -> str:
    use = "circus.plugins.resource_watcher.ResourceWatcher"
    return "\n".join([f"[plugin:{watcher}]", f"use = {use}", f"watcher = {watcher}", "loop_rate = 0.1", *options, ""])


def test_memory_eater_is_restarted_and_its_modest_neighbour_is_not(tmp_path: Path) -> None:
    fed, also_fed = tmp_path / "fed", tmp_path / "also_fed"
    also_fed.touch()
    config = (
        f"[watcher:hungry]\ncmd = {script(tmp_path, EATER, fed)}\n"
        f"[watcher:other]\ncmd = {script(tmp_path, EATER, also_fed)}\n"
        + plugin("hungry", "max_mem = 100M", "max_count = 2")
        + plugin("other", "max_mem = 100M", "min_mem = 1M", "max_count = 2")
    )
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("resource_watcher: hungry is restarted")
        daemon.wait_for_output("plugin:other: Starting")
        before = daemon.pids("other")
        daemon.wait_for_output("hungry stopped")  # the plugin's request is carried out
        daemon.call("stop", name="hungry", waiting=True)
        fed.unlink()
        daemon.call("start", name="hungry", waiting=True)  # hungry again
        daemon.wait_for(lambda: daemon.output.count("hungry is restarted") == 2)
        assert daemon.pids("other") == before
        assert "other is restarted" not in daemon.output


def test_watcher_below_a_size_is_restarted_until_it_is_above(tmp_path: Path) -> None:
    fed, cmd = tmp_path / "fed", script(tmp_path, EATER, tmp_path / "fed")
    fed.touch()
    config = f"[watcher:small]\ncmd = {cmd}\n" + plugin("small", "min_mem = 64M", "max_count = 1")
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("resource_watcher: small is restarted")
        fed.unlink()
        daemon.wait_for(fed.exists)


def test_child_that_uses_too_much_gets_the_signal_and_nobody_else(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    config = f"[watcher:family]\ncmd = {script(tmp_path, PARENT, notes)}\n" + plugin(
        "family", "max_mem = 100M", "max_count = 1", "process_children = 1", "child_signal = USR1"
    )
    with Daemon(tmp_path, config) as daemon:
        pids = daemon.wait_for(lambda: daemon.pids("family"))
        daemon.wait_for(lambda: text_of(notes).count("\n") >= 3)
        assert set(text_of(notes).splitlines()) == {f"eater {int(signal.SIGUSR1)}"}
        assert daemon.pids("family") == pids


def test_figures_are_counted_at_the_statsd_server(tmp_path: Path, udp: Udp) -> None:
    cmd = script(tmp_path, EATER, tmp_path / "fed")
    config = f"[watcher:hungry]\ncmd = {cmd}\n" + plugin(
        "hungry", "max_mem = 100M", "max_count = 1", f"port = {udp.port}", "application_name = shop"
    )
    prefix = "circus.shop.watcher._resource_watcher.hungry"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: f"{prefix}.restarting:1|c" in udp.received())
    assert f"{prefix}.over_memory:1|c" in udp.received()


def test_watcher_that_is_not_there_is_said_and_counted(tmp_path: Path, udp: Udp) -> None:
    config = plugin("nobody", f"port = {udp.port}")
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("resource_watcher: nobody cannot be looked after: program nobody not found")
        daemon.wait_for(lambda: "circus.app.watcher._resource_watcher.nobody.error:1|c" in udp.received())


def test_bad_option_is_one_line_in_the_log(tmp_path: Path) -> None:
    with Daemon(tmp_path, plugin("web", "max_mem = lots")) as daemon:
        line = daemon.wait_for_output("plugin:web: max_mem = lots")
        assert "Traceback" not in daemon.output, line
