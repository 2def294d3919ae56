"""circus.stats: the names that existing programs import."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from circus.loop import Loop
from circus.stats.client import StatsClient
from circus.stats.collector import SocketStatsCollector, WatcherStatsCollector
from circus.stats.publisher import StatsPublisher
from circus.stats.streamer import StatsStreamer
from circus.wire.endpoint import EndpointError
from tests.real.support import PATIENCE, Daemon, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")


class Known:
    """What a collector asks of a streamer, with this process as the only one."""

    def __init__(self, publisher: StatsPublisher, sockets: list[tuple[socket.socket, str, int]] | None = None) -> None:
        self.publisher = publisher
        self.sockets = sockets or []

    def get_pids(self, name: str) -> list[int]:
        return [os.getpid()]

    def get_circus_pids(self) -> dict[int, str]:
        return {os.getpid(): "circusd"}


@pytest.mark.parametrize(("watcher", "name"), [("web", None), ("circus", "circusd")])
def test_collector_publishes_processes_and_their_sum(tmp_path: Path, watcher: str, name: str | None) -> None:
    endpoint = f"ipc://{tmp_path}/stats"
    publisher, loop = StatsPublisher(endpoint), Loop()
    with pytest.raises(EndpointError):
        StatsPublisher(endpoint)
    collectors = [kind(Known(publisher), watcher, 0.02, loop) for kind in (WatcherStatsCollector, SocketStatsCollector)]
    for collector in collectors:
        collector.start()
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        with StatsClient(endpoint) as client:
            found = [client.receive(PATIENCE) for _ in range(2)]
    finally:
        loop.stop()
        thread.join()
        publisher.stop()
        loop.close()
    publisher.publish(watcher, {})  # after the stop nothing happens
    assert {(each[0], each[1]) for each in found if each} == {(watcher, str(os.getpid())), (watcher, None)}
    assert [each[2]["name"] for each in found if each and each[1]] == [name]


def test_collector_of_sockets_publishes_how_often_each_was_ready(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/stats"
    publisher, loop = StatsPublisher(endpoint), Loop()
    with socket.create_server(("127.0.0.1", 0)) as busy, socket.create_server(("127.0.0.1", 0)) as idle:
        closed = socket.create_server(("127.0.0.1", 0))
        closed.close()
        sockets = [(busy, "busy", 5), (idle, "idle", 6), (closed, "closed", 7)]
        collector = SocketStatsCollector(Known(publisher, sockets), "sockets", 0.1, loop)
        collector.start()
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            with StatsClient(endpoint) as client, socket.create_connection(busy.getsockname()):
                wait_for(lambda: (client.receive(PATIENCE) or ("", "", {"reads": 0}))[2]["reads"] > 0)
                found = {subtopic: figures for _, subtopic, figures in (client.receive(PATIENCE) for _ in range(6))}
        finally:
            loop.call(collector.stop)
            loop.stop()
            thread.join()
            publisher.stop()
            loop.close()
    assert set(found) == {"5", "6", None}
    assert found["6"] == {"fd": 6, "subtopic": 6, "reads": 0, "address": "idle"}
    assert found[None]["addresses"] == ["busy", "idle"] and found[None]["reads"] > 0


def test_streamer_is_a_statistics_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:My web]\ncmd = sleep 60\n") as daemon:
        where = daemon.endpoints.control, daemon.endpoints.pubsub, f"ipc://{tmp_path}/own-stats"
        streamer = StatsStreamer(*where, delay=0.05)
        thread = threading.Thread(target=streamer.start)
        thread.start()
        try:
            with StatsClient(where[2]) as client:
                wait_for(lambda: (figures := client.receive(PATIENCE)) and figures[0] == "my_web" and figures[1])
            assert streamer.get_pids("My web") == streamer.get_pids() == daemon.pids("My web")
            assert streamer.get_watchers() == ["circus", "my_web"]
            wait_for(lambda: "circusd" in streamer.get_circus_pids().values())  # answered apart from the watchers
            assert streamer.sockets == []
        finally:
            streamer.stop()
            thread.join()
