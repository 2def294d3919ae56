"""StatsClient against a real PUB socket."""

from __future__ import annotations

import json
import threading

import pytest
import zmq

from circus.exc import CallError
from circus.stats.client import StatsClient


class Publisher:
    """A PUB socket that knows when somebody listens."""

    def __init__(self):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.endpoint = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.context.destroy(linger=0)

    def subscription(self):
        assert self.socket.poll(30_000), "nobody subscribed"
        return self.socket.recv()

    def send(self, topic, figures):
        self.socket.send_multipart([topic, figures if isinstance(figures, bytes) else json.dumps(figures).encode()])


@pytest.fixture
def publisher():
    with Publisher() as running:
        yield running


def test_figures_come_with_watcher_and_process(publisher):
    with StatsClient(publisher.endpoint) as client:
        assert publisher.subscription() == b"\x01stat."
        publisher.send(b"stat.web.12", {"pid": 12, "subtopic": 12})
        publisher.send(b"stat.web", {"pid": [12]})
        messages = iter(client)
        assert next(messages) == ("web", "12", {"pid": 12, "subtopic": 12})
        assert next(messages) == ("web", None, {"pid": [12]})


def test_what_is_no_figures_is_skipped(publisher):
    with StatsClient(publisher.endpoint) as client:
        publisher.subscription()
        publisher.send(b"stat.web.12", b"nonsense")
        publisher.send(b"stat.a.b.c", {})
        publisher.socket.send_multipart([b"stat.web.1", b"{}", b"one too many"])
        publisher.send(b"stat.web.13", {"pid": 13})
        assert next(client.iter_messages()) == ("web", "13", {"pid": 13})


def test_receive_waits_no_longer_than_told(publisher):
    with StatsClient(publisher.endpoint) as client:
        publisher.subscription()
        assert client.receive() is None
        assert client.receive(0.01) is None
        publisher.send(b"stat.web.13", {"pid": 13})
        assert client.receive(30) == ("web", "13", {"pid": 13})


def test_stop_from_another_thread_ends_the_iteration(publisher):
    client = StatsClient(publisher.endpoint)
    seen = []

    def read():
        for stat in client:
            seen.append(stat)
            arrived.set()

    arrived = threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    publisher.subscription()
    publisher.send(b"stat.web.13", {"pid": 13})
    assert arrived.wait(30)
    client.stop()
    reader.join(30)
    assert not reader.is_alive()
    assert seen == [("web", "13", {"pid": 13})]
    assert client.context.closed


def test_given_context_stays_open(publisher):
    context = zmq.Context()
    with StatsClient(publisher.endpoint, context=context):
        publisher.subscription()
    assert not context.closed
    context.term()


def test_endpoint_that_cannot_be_one_is_a_call_error():
    with pytest.raises(CallError, match="'nonsense' is not usable"):
        StatsClient("nonsense")
