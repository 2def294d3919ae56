"""Clients and consumer against a real ROUTER and a real PUB socket."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
import zmq

from circus.client import AsyncCircusClient, CallError, CircusClient, cast_message, make_message
from circus.consumer import CircusConsumer
from tests.real.fake_daemon import FakeDaemon, refused


def echo(request):
    return {"command": request["command"], "properties": request["properties"]}


def test_call_returns_the_reply_and_puts_an_id_into_the_request():
    with FakeDaemon(echo) as daemon, CircusClient(endpoint=daemon.endpoint) as client:
        request = make_message("list", name="a")
        reply = client.call(request)
        assert reply["properties"] == {"name": "a"}
        assert reply["id"] == request["id"] and len(request["id"]) == 32
        client.call(request)
        assert daemon.requests[0]["id"] != daemon.requests[1]["id"]


def test_send_message_puts_keywords_into_properties():
    with FakeDaemon(echo) as daemon, CircusClient(endpoint=daemon.endpoint) as client:
        assert client.send_message("rm", name="a")["properties"] == {"name": "a"}


@pytest.mark.parametrize("text", ['{"command": "list"}', b'{"command": "list"}'])
def test_json_text_is_taken_as_request(text):
    with FakeDaemon(lambda request: {"watchers": []}) as daemon, CircusClient(endpoint=daemon.endpoint) as client:
        assert client.call(text)["watchers"] == []


@pytest.mark.parametrize("text", ["list", "[]", b"\xff", "5"])
def test_text_that_is_no_request_is_a_call_error(text):
    with CircusClient(endpoint="tcp://127.0.0.1:1") as client, pytest.raises(CallError, match="request"):
        client.call(text)


def test_error_reply_is_returned_like_any_other():
    with FakeDaemon(lambda request: refused("no")) as daemon, CircusClient(endpoint=daemon.endpoint) as client:
        assert client.call(make_message("x"))["reason"] == "no"


def test_replies_to_other_requests_are_skipped():
    def answer(request):
        return [{"id": "older", "n": 1}, {"id": None, "n": 2}, {"n": 3}]

    with FakeDaemon(answer) as daemon, CircusClient(endpoint=daemon.endpoint) as client:
        assert client.call(make_message("list"))["n"] == 3


def test_reply_without_any_id_is_taken():
    with FakeDaemon(lambda r: b'{"status": "ok", "n": 1}') as daemon, CircusClient(endpoint=daemon.endpoint) as client:
        assert client.call(make_message("list"))["n"] == 1


def test_request_the_daemon_could_not_read_gets_its_error_reply():
    def answer(request):
        return {**refused("json invalid", 1), "id": None}

    with FakeDaemon(answer) as daemon, CircusClient(endpoint=daemon.endpoint) as client:
        assert client.call(make_message("list"))["reason"] == "json invalid"


def test_late_reply_of_a_timed_out_call_does_not_answer_the_next():
    held = []

    def answer(request):
        held.append(request["id"])
        return None if len(held) == 1 else [{"id": held[0], "n": "late"}, {"n": "right"}]

    with FakeDaemon(answer) as daemon, CircusClient(endpoint=daemon.endpoint, timeout=0.2) as client:
        with pytest.raises(CallError, match=r"^Timed out\.$"):
            client.call(make_message("slow"))
        client.timeout = 10_000
        assert client.call(make_message("list"))["n"] == "right"


def test_overlapping_requests_may_be_answered_in_any_order():
    held = []

    def answer(request):
        held.append({"id": request["id"], "command": request["command"]})
        return held[::-1] if len(held) == 2 else None

    with FakeDaemon(answer) as daemon, CircusClient(endpoint=daemon.endpoint, timeout=10) as client:
        client.send(make_message("first"))
        assert client.call(make_message("second"))["command"] == "second"


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"no json", b"[]", b"5", b"[" * 100_000])
def test_answer_that_is_no_reply_is_a_call_error(garbage):
    with (
        FakeDaemon(lambda r: garbage) as daemon,
        CircusClient(endpoint=daemon.endpoint, timeout=10) as client,
        pytest.raises(CallError, match="the answer is not"),
    ):
        client.call(make_message("list"))


def test_stream_of_foreign_replies_does_not_postpone_the_time_out():
    given_up = threading.Event()
    sent_until_then = []

    def answer(request):
        while not given_up.wait(0.01) and len(sent_until_then) < 1000:
            sent_until_then.append(1)
            yield {"id": "other"}

    with FakeDaemon(answer) as daemon, CircusClient(endpoint=daemon.endpoint, timeout=0.3) as client:
        with pytest.raises(CallError, match=r"^Timed out\.$"):
            client.call(make_message("list"))
        given_up.set()
    assert 0 < len(sent_until_then) < 1000


def test_nobody_there_is_a_time_out(tmp_path):
    with (
        CircusClient(endpoint=f"ipc://{tmp_path}/none", timeout=0.1) as client,
        pytest.raises(CallError, match=r"^Timed out\.$"),
    ):
        client.call(make_message("list"))


def test_request_that_timed_out_for_want_of_a_daemon_is_not_carried_out_later(tmp_path):
    endpoint = f"ipc://{tmp_path}/sock"
    with CircusClient(endpoint=endpoint, timeout=0.1) as client:
        with pytest.raises(CallError, match="Timed out"):
            client.call(make_message("quit"))
        with FakeDaemon(echo, endpoint) as daemon:
            client.timeout = 10_000
            assert client.call(make_message("list"))["command"] == "list"
            assert [request["command"] for request in daemon.requests] == ["list"]


def test_daemon_that_starts_meanwhile_is_found(tmp_path):
    endpoint = f"ipc://{tmp_path}/sock"
    with CircusClient(endpoint=endpoint, timeout=20) as client:
        replies = []
        caller = threading.Thread(target=lambda: replies.append(client.call(make_message("list"))))
        caller.start()
        with FakeDaemon(echo, endpoint):
            caller.join(20)
        assert replies[0]["command"] == "list"


def test_cast_is_sent_and_not_waited_for():
    done = threading.Event()

    def answer(request):
        done.set()

    with FakeDaemon(answer) as daemon, CircusClient(endpoint=daemon.endpoint, timeout=10) as client:
        assert client.call(cast_message("stop", name="a")) == {}
        assert done.wait(10)
        assert daemon.requests[0]["msg_type"] == "cast"


def test_cast_to_nobody_is_a_time_out_and_not_carried_out_later(tmp_path):
    endpoint = f"ipc://{tmp_path}/sock"
    with CircusClient(endpoint=endpoint, timeout=0.1) as client:
        with pytest.raises(CallError, match=r"^Timed out\.$"):
            client.call(cast_message("quit"))
        with FakeDaemon(echo, endpoint) as daemon:
            client.timeout = 10_000
            assert client.call(make_message("list"))["command"] == "list"
            assert [request["command"] for request in daemon.requests] == ["list"]


def test_cast_of_a_client_that_is_stopped_at_once_arrives():
    done = threading.Event()
    with FakeDaemon(lambda request: done.set()) as daemon:
        with CircusClient(endpoint=daemon.endpoint, timeout=10) as client:
            client.call(cast_message("stop", name="a"))
        assert done.wait(10)


def test_reply_of_a_daemon_that_ends_before_it_is_read_is_not_lost(tmp_path):
    endpoint = f"ipc://{tmp_path}/sock"
    with CircusClient(endpoint=endpoint, timeout=10) as client:
        monitor = client.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        with FakeDaemon(echo, endpoint):
            pending = client.send(make_message("quit"))
            assert client.socket.poll(10_000)
        assert monitor.poll(10_000)
        client.socket.disable_monitor()
        assert pending.receive(10)["command"] == "quit"


def test_client_works_in_a_context_of_the_caller_and_leaves_it_open():
    context = zmq.Context()
    try:
        with FakeDaemon(echo) as daemon, CircusClient(context, daemon.endpoint, 5.0) as client:
            assert client.context is context
            client.call(make_message("list"))
            assert (client.timeout, client.endpoint) == (5000.0, daemon.endpoint)
        assert client.socket.closed and not context.closed
    finally:
        context.destroy(linger=0)


def test_client_identity_is_32_hex_characters():
    with CircusClient() as client:
        assert len(bytes.fromhex(client.socket.identity.decode())) == 16


def test_ipv6_endpoint_is_reached():
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.IPV6, 1)
    try:
        port = router.bind_to_random_port("tcp://[::1]")
    except zmq.ZMQError:
        context.destroy(linger=0)
        pytest.skip("no IPv6 here")

    def serve():
        identity, body = router.recv_multipart()
        router.send_multipart([identity, json.dumps({"status": "ok", "id": json.loads(body)["id"]}).encode()])

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    with CircusClient(endpoint=f"tcp://[::1]:{port}", timeout=10) as client:
        assert client.call(make_message("list"))["status"] == "ok"
    server.join(10)
    context.destroy(linger=0)


def test_endpoint_that_is_none_is_a_call_error_that_names_it():
    with pytest.raises(CallError) as caught:
        CircusClient(endpoint="nonsense://x")
    assert str(caught.value).startswith("'nonsense://x' is not usable as an endpoint such as tcp://127.0.0.1:5555: ")


# ---- asyncio


def test_async_calls_overlap_and_each_gets_its_own_reply():
    held = []

    def answer(request):
        held.append({"id": request["id"], "n": request["properties"]["n"]})
        return held[::-1] if len(held) == 5 else None

    async def talk(endpoint):
        client = AsyncCircusClient(endpoint=endpoint)
        try:
            replies = await asyncio.gather(*(client.send_message("list", n=n) for n in range(5)))
        finally:
            client.stop()
        return [reply["n"] for reply in replies]

    with FakeDaemon(answer) as daemon:
        assert asyncio.run(asyncio.wait_for(talk(daemon.endpoint), 20)) == [0, 1, 2, 3, 4]


def test_async_calls_follow_each_other():
    async def talk(endpoint):
        client = AsyncCircusClient(endpoint=endpoint)
        try:
            assert await client.call(cast_message("stop")) == {}
            return [(await client.call(make_message("list", n=n)))["properties"]["n"] for n in range(3)]
        finally:
            client.stop()

    with FakeDaemon(echo) as daemon:
        assert asyncio.run(asyncio.wait_for(talk(daemon.endpoint), 20)) == [0, 1, 2]


def test_async_garbage_is_a_call_error():
    async def talk(endpoint):
        client = AsyncCircusClient(endpoint=endpoint)
        try:
            await client.call(make_message("list"))
        finally:
            client.stop()

    with FakeDaemon(lambda request: b"garbage") as daemon, pytest.raises(CallError, match="not JSON"):
        asyncio.run(asyncio.wait_for(talk(daemon.endpoint), 20))


def test_async_call_given_up_leaves_the_client_usable():
    def answer(request):
        return None if request["command"] == "slow" else {"n": 1}

    async def talk(endpoint):
        client = AsyncCircusClient(endpoint=endpoint)
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.send_message("slow"), 0.2)
            return (await client.send_message("fast"))["n"]
        finally:
            client.stop()

    with FakeDaemon(answer) as daemon:
        assert asyncio.run(asyncio.wait_for(talk(daemon.endpoint), 20)) == 1


# ---- events


class Publisher:
    """A PUB socket that can be made to wait until a subscription has arrived."""

    def __init__(self):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.endpoint = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"

    def wait_for_subscriber(self):
        assert self.socket.poll(10_000), "nobody subscribed"
        return self.socket.recv()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.context.destroy(linger=0)


def test_consumer_yields_events_of_its_topics():
    with Publisher() as publisher, CircusConsumer(["watcher.a."], endpoint=publisher.endpoint) as consumer:
        assert publisher.wait_for_subscriber() == b"\x01watcher.a."
        publisher.socket.send_multipart([b"watcher.b.kill", b"{}"])
        publisher.socket.send_multipart([b"watcher.a.kill", b'{"time": 1}'])
        assert next(iter(consumer)) == (b"watcher.a.kill", b'{"time": 1}')


@pytest.mark.parametrize("topic", ["watcher.", b"watcher."])
def test_single_topic_may_be_given_bare(topic):
    with Publisher() as publisher, CircusConsumer(topic, endpoint=publisher.endpoint):
        assert publisher.wait_for_subscriber() == b"\x01watcher."


def test_empty_topic_fits_everything():
    with Publisher() as publisher, CircusConsumer([""], endpoint=publisher.endpoint) as consumer:
        publisher.wait_for_subscriber()
        publisher.socket.send_multipart([b"anything", b"x"])
        assert next(consumer.iter_messages()) == (b"anything", b"x")


def test_message_of_another_shape_is_passed_over():
    with Publisher() as publisher, CircusConsumer("", endpoint=publisher.endpoint) as consumer:
        publisher.wait_for_subscriber()
        publisher.socket.send(b"one frame")
        publisher.socket.send_multipart([b"t", b"m"])
        assert next(iter(consumer)) == (b"t", b"m")


def test_stop_from_another_thread_ends_the_iteration():
    with Publisher() as publisher:
        consumer = CircusConsumer("", endpoint=publisher.endpoint, timeout=0.05)
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(consumer))
        reader.start()
        publisher.wait_for_subscriber()
        publisher.socket.send_multipart([b"t", b"m"])
        end_at = time.monotonic() + 10
        while not seen and time.monotonic() < end_at:
            time.sleep(0.01)
        consumer.stop()
        reader.join(10)
        assert not reader.is_alive()
        assert seen == [(b"t", b"m")]
        assert consumer.context.closed


def test_stop_twice_and_leaving_an_iteration_half_way_do_no_harm():
    with Publisher() as publisher:
        with CircusConsumer("", endpoint=publisher.endpoint) as consumer:
            publisher.wait_for_subscriber()
            publisher.socket.send_multipart([b"t", b"m"])
            for _ in consumer:
                break
        consumer.stop()
        assert consumer.context.closed


def test_consumer_keeps_a_context_that_is_not_its_own():
    context = zmq.Context()
    try:
        with Publisher() as publisher, CircusConsumer("", context, publisher.endpoint) as consumer:
            pass
        assert consumer.pubsub_socket.closed and not context.closed
    finally:
        context.destroy(linger=0)


def test_consumer_of_an_endpoint_that_is_none_is_a_call_error():
    with pytest.raises(CallError, match="'nowhere' is not usable"):
        CircusConsumer("", endpoint="nowhere")
