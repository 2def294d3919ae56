"""Datagrams of the plugins arrive at a listener; nothing that is wrong with it ends a plugin."""

from __future__ import annotations

import logging
import socket
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from circus.plugins.datagrams import DatagramSender
from circus.plugins.statsd import StatsdClient
from tests.real.support import Daemon, wait_for
from tests.real.udp import Listener

pytestmark = pytest.mark.usefixtures("nobody_left")

WEB = "[watcher:web]\ncmd = sleep 60\nnumprocesses = 2\n"

# getaddrinfo(3) says no to it without asking anybody.
NOBODY = "fe80::1%nosuch"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as here:
        yield here


def plugin(use: str, port: int | str, *options: str) -> str:
    return "\n".join(["[plugin:p]", f"use = {use}", "host = 127.0.0.1", f"port = {port}", *options, WEB])


# ---- the client --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", None])
def test_what_is_sent_arrives_in_order(listener: Listener, host: str | None) -> None:
    client = StatsdClient(host, listener.port, "p")
    for number in range(100):
        client.increment(str(number))
    client.stop()
    assert listener.seen == [f"p.{number}:1|c" for number in range(100)]


def test_server_that_comes_late_gets_what_is_sent_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    with Listener() as gone:
        port = gone.port
    client = StatsdClient("127.0.0.1", port)
    wait_for(lambda: (client.increment("lost"), caplog.records)[1])
    client.increment("lost")
    client.increment("lost")
    with Listener(port) as listener:
        client.increment("found")
        listener.wait("found:1|c")
    client.stop()
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"127.0.0.1:{port}: nobody listens there" in record.getMessage()


def test_refusal_of_an_earlier_datagram_does_not_cost_the_next() -> None:
    with Listener() as gone:
        port = gone.port
    sender = DatagramSender("127.0.0.1", port, "statsd server")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.send(b"lost")  # the refusal waits at the socket
        with Listener(port) as listener:
            sender._send(sock, b"found")
            listener.wait("found")
    sender.close()


@pytest.mark.parametrize("host", [NOBODY, "a..b", "a\0b"])
def test_host_that_is_not_found_is_said_once_and_raises_nothing(caplog: pytest.LogCaptureFixture, host: str) -> None:
    sender = DatagramSender(host, 8125, "statsd server")
    for _ in range(10):
        sender.put(b"a:1|c")
    sender.close()
    assert len(caplog.records) == 1
    assert f"statsd server {host}:8125: " in caplog.records[0].getMessage()


# ---- the plugins -------------------------------------------------------------------------------------------------


def test_events_are_counted(tmp_path: Path, listener: Listener) -> None:
    with Daemon(tmp_path, plugin("circus.plugins.statsd.StatsdEmitter", listener.port)) as daemon:
        daemon.wait_for_output("plugin:p: Starting")
        daemon.wait_for(lambda: daemon.call("set", name="web", options={"max_retry": 5}) and listener.seen)
        listener.forget()
        daemon.call("restart", name="web", waiting=True)
        listener.wait("web.start:1|c")
        names = [text for text in listener.seen if "updated" not in text]
        assert sorted(names) == sorted(
            ["web.stop:1|c", "web.start:1|c", *2 * ["web.kill:1|c", "web.reap:1|c", "web.spawn:1|c"]]
        )


def test_sample_says_what_it_stands_for(tmp_path: Path, listener: Listener) -> None:
    options = ("sample_rate = 0.5", "application_name = shop")
    with Daemon(tmp_path, plugin("circus.plugins._statsd.StatsdEmitter", listener.port, *options)) as daemon:
        daemon.wait_for_output("plugin:p: Starting")
        daemon.wait_for(lambda: daemon.call("set", name="web", options={"max_retry": 5}) and listener.seen)
        assert set(listener.seen) == {"circus.shop.watcher.web.updated:1|c|@0.5"}


def test_figures_of_all_watchers_arrive(tmp_path: Path, listener: Listener) -> None:
    config = (
        plugin("circus.plugins.statsd.FullStats", listener.port, "loop_rate = 0.1")
        + "[watcher:My App]\ncmd = sleep 60\n"
    )

    def number(name: str) -> float:
        return float(listener.value(f"_stats.web.{name}").removesuffix("|g"))

    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("web", "active")
        listener.wait("_stats.web.watchers_num:2|g")
        resident = number("mem_max")
        assert resident > 100_000
        assert resident <= number("mem_sum")
        for name in ("cpu_max", "cpu_sum", "mem_pct_max", "mem_pct_sum"):
            assert 0 <= number(name) <= 100
        assert listener.value("_stats.My_App.watchers_num") == "1|g"
        assert not [text for text in listener.seen if "plugin" in text]
        listener.forget()
        daemon.call("incr", name="web", waiting=True)
        listener.wait("_stats.web.watchers_num:3|g")


OBSERVER = """
from circus.plugins.statsd import BaseObserver

class Mine(BaseObserver):
    name = "mine"
    default_app_name = "mine"

    def __init__(self, *args, **config):
        super().__init__(*args, **config)
        self.watcher = config["watcher"]
        self.looks = 0

    def look_after(self):
        self.looks += 1
        if self.looks == 1:
            raise ValueError("a slip")
        self.statsd.gauge("_mine.%s" % self.watcher, self.call("numprocesses", name=self.watcher)["numprocesses"])
"""


def test_observer_of_somebody_looks_after_a_watcher_and_survives_its_slips(tmp_path: Path, listener: Listener) -> None:
    (tmp_path / "mine.py").write_text(textwrap.dedent(OBSERVER))
    with Daemon(tmp_path, plugin("mine.Mine", listener.port, "loop_rate = 0.05", "watcher = web")) as daemon:
        daemon.wait_for_output("plugin:p: ValueError: a slip")
        listener.wait("circus.mine.watcher._mine.web:2|g")


def test_plugin_without_a_server_goes_on(tmp_path: Path) -> None:
    config = plugin("circus.plugins.statsd.FullStats", 8125, "loop_rate = 0.05").replace("127.0.0.1", NOBODY)
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output(f"plugin:p: statsd server {NOBODY}:8125: ")
        [pid] = daemon.pids("plugin:p")
        daemon.call("restart", name="web", waiting=True)
        assert daemon.pids("plugin:p") == [pid]
        daemon.call("stop", name="plugin:p", waiting=True)
        daemon.wait_for_output("plugin:p: Stopping")
    assert daemon.output.count("statsd server") == 1
    assert "Traceback" not in daemon.output


def test_option_that_means_nothing_is_one_line(tmp_path: Path) -> None:
    with Daemon(tmp_path, plugin("circus.plugins.statsd.FullStats", "abc")) as daemon:
        daemon.wait_for_output(
            "cannot be started: ValueError: plugin:p: port = abc: a number from 1 to 65535 is needed"
        )
        daemon.call("set", name="plugin:p", options={"flapping.window": 60})  # a busy machine loads slowly
        daemon.wait_for(lambda: "port = abc" in daemon.call("status", name="plugin:p").get("reason_text", ""))
    assert "Traceback" not in daemon.output
