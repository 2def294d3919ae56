"""Events to subscribers that are slow, stopped or gone: the others get all of them, and what is missed is counted."""

import signal
import sys
import time
from pathlib import Path

import pytest
import zmq

from circus.wire import publisher as module
from circus.wire.publisher import Publisher
from tests.real.support import Daemon, Program, descriptors, free_port, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

# Prints how many events it got before one that is called "end".
SUBSCRIBER = """
import sys, zmq
sock = zmq.Context().socket(zmq.SUB)
sock.connect(sys.argv[1])
sock.setsockopt(zmq.SUBSCRIBE, b"watcher.")
count = 0
while True:
    topic, payload = sock.recv_multipart()
    if topic == b"watcher.hello":
        print("hello", flush=True)
    elif topic == b"watcher.end":
        break
    else:
        count += 1
print("got %d" % count, flush=True)
"""

BIG = b"x" * 10_000  # so that few events fill the megabytes that the kernel holds


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture(params=["tcp", "ipc"])
def publisher(request, context, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 100)
    endpoint = f"tcp://127.0.0.1:{free_port()}" if request.param == "tcp" else f"ipc://{tmp_path}/pub"
    publisher = Publisher(context, endpoint)
    publisher.start()
    yield publisher
    publisher.close()


class Reader:
    """A subscriber in this process, which reads whenever it is asked to."""

    def __init__(self, context, publisher):
        self.socket = context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.connect(publisher.endpoint)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"watcher.")
        self.seen = []
        wait_for(lambda: (publisher.send([b"watcher.hello", b""]), self.socket.poll(20))[1])
        while self.socket.poll(50):
            self.socket.recv_multipart()

    def read_until(self, payload):
        """The event with this payload is the last one read."""
        while not self.seen or self.seen[-1] != payload:
            assert self.socket.poll(20_000), f"{payload!r} has not come"
            topic, data = self.socket.recv_multipart()
            if topic == b"watcher.a.updated":
                self.seen.append(data[:20])


def subscriber(publisher, tmp_path):
    """A process that has subscribed, and will not get anything before it is read."""
    program = Program([sys.executable, "-c", SUBSCRIBER, publisher.endpoint], tmp_path)
    program.wait_for(lambda: (publisher.send([b"watcher.hello", b""]), "hello" in program.output)[1])
    return program


def stop(program):
    program.signal(signal.SIGSTOP)
    wait_for(lambda: Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")


def publish(publisher, readers, numbers):
    for number in numbers:
        publisher.send([b"watcher.a.updated", b"%019d." % number + BIG])
        for reader in readers:
            reader.read_until(b"%019d." % number)


def end(program, publisher):
    """How many events it got."""
    program.wait_for(lambda: (publisher.send([b"watcher.end", b""]), "got " in program.output)[1])
    program.wait()
    return int(program.output.split()[-1])


def test_stopped_subscriber_misses_events_which_are_counted_and_the_others_get_all(publisher, context, tmp_path):
    readers = [Reader(context, publisher) for _ in range(3)]
    total = 2000
    with subscriber(publisher, tmp_path) as program:
        stop(program)
        publish(publisher, readers, range(total))
        dropped = publisher.dropped
        program.signal(signal.SIGCONT)
        missed = total - end(program, publisher)
    assert all(reader.seen == [b"%019d." % number for number in range(total)] for reader in readers)
    assert missed > total / 3
    assert 0.9 * missed <= dropped <= 1.1 * missed  # the moment in which its connection fills is not seen exactly


def test_subscriber_that_goes_on_gets_events_again(publisher, context, tmp_path):
    reader = Reader(context, publisher)
    with subscriber(publisher, tmp_path) as program:
        stop(program)
        publish(publisher, [reader], range(1500))
        assert publisher.dropped
        program.signal(signal.SIGCONT)

        def nothing_is_dropped():
            before = publisher.dropped
            publish(publisher, [reader], [1500])
            return publisher.dropped == before

        wait_for(nothing_is_dropped)
        assert end(program, publisher) > 0


def test_subscriber_that_dies_while_it_is_behind_is_no_longer_counted(publisher, context, tmp_path):
    reader = Reader(context, publisher)
    publish(publisher, [reader], [0])
    before = descriptors()
    with subscriber(publisher, tmp_path) as program:
        stop(program)
        publish(publisher, [reader], range(1500))
        assert publisher.dropped
        program.signal(signal.SIGKILL)
        program.wait()
    wait_for(lambda: len(descriptors()) == len(before))
    dropped = publisher.dropped
    publish(publisher, [reader], range(1500, 1600))
    assert publisher.dropped == dropped


def test_two_that_stand_still_are_counted_twice(publisher, tmp_path, context):
    reader = Reader(context, publisher)
    with subscriber(publisher, tmp_path) as first, subscriber(publisher, tmp_path) as second:
        stop(first)
        stop(second)
        publish(publisher, [reader], range(2000))
        before = publisher.dropped
        publish(publisher, [reader], range(2000, 2100))
        assert publisher.dropped - before == 200
        first.signal(signal.SIGCONT)
        second.signal(signal.SIGCONT)
        end(first, publisher)
        end(second, publisher)


def test_socket_that_somebody_else_has_closed_raises_nothing(publisher):
    publisher.socket.close(0)
    publisher.send([b"watcher.a.spawn", b"{}"])


def test_events_without_a_subscriber_are_sent_and_not_dropped(publisher):
    for number in range(1000):
        publisher.send([b"watcher.a.spawn", b"%d" % number])
    assert (publisher.sent, publisher.dropped) == (1000, 0)


def test_queue_that_is_emptied_as_fast_as_it_fills_drops_nothing(context, monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 5)
    publisher = Publisher(context, "inproc://events")
    publisher.start()
    reader = context.socket(zmq.SUB)
    reader.rcvhwm = 5
    reader.connect("inproc://events")
    reader.setsockopt(zmq.SUBSCRIBE, b"")
    for number in range(1000):  # many more in a millisecond than the queue holds
        publisher.send([b"t", b"%d" % number])
        if number:  # the first is lost if it is sent before the subscription is heard
            assert reader.poll(1000)
            while reader.poll(0):
                last = reader.recv_multipart()[1]
            assert last == b"%d" % number
    assert publisher.dropped == 0
    publisher.close()


def test_full_queue_without_a_connection_to_look_at_is_counted_when_it_is_found_full(context, monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 5)
    publisher = Publisher(context, "inproc://events")
    publisher.start()
    reader = context.socket(zmq.SUB)
    reader.rcvhwm = 5
    reader.connect("inproc://events")
    reader.setsockopt(zmq.SUBSCRIBE, b"")
    wait_for(lambda: (publisher.send([b"t", b""]), reader.poll(1))[1])
    for _ in range(100):
        publisher.send([b"t", b""])
    assert publisher.dropped == 1
    publisher.close()


def test_sockets_are_not_looked_at_when_that_would_change_them(publisher, context, monkeypatch):
    reader = Reader(context, publisher)
    assert len(module.connections(publisher.endpoint)) == 1
    monkeypatch.setattr(module.socket, "getdefaulttimeout", lambda: 5.0)
    assert module.connections(publisher.endpoint) == {}
    reader.socket.close()


# ---- as the daemon tells it --------------------------------------------------------------------------------------

CONFIG = "[watcher:a]\ncmd = sleep 60\n"

KEYS = ("max_retry", "warmup_delay", "graceful_timeout", "max_age", "max_age_variance", "priority")


def set_often(daemon, times):
    """Each key gives an event."""
    for number in range(times):
        options = dict.fromkeys(KEYS, number % 5 + 1)
        assert daemon.call("set", name="a", options=options)["status"] == "ok"


def test_dstats_counts_events_and_its_text_is_as_ever_when_none_was_dropped(tmp_path):
    with Daemon(tmp_path, CONFIG) as daemon:
        daemon.wait_for_status("a", "active")
        before = daemon.call("dstats")["events"]
        set_often(daemon, 2)
        wait_for(lambda: daemon.call("dstats")["events"] == {"sent": before["sent"] + 2 * len(KEYS), "dropped": 0})
        text = daemon.ctl("dstats").stdout
        assert text.startswith("Main Process:\n    ") and text.count("\n") == 2


def test_stopped_subscriber_of_a_daemon_shows_in_dstats_and_costs_it_little(tmp_path):
    with (
        Daemon(tmp_path, CONFIG) as daemon,
        Program(
            [sys.executable, "-c", SUBSCRIBER.replace("watcher.hello", "watcher.a.start"), daemon.endpoints.pubsub],
            tmp_path,
        ) as program,
    ):
        program.wait_for(lambda: (daemon.call("restart", name="a", waiting=True), "hello" in program.output)[1])
        stop(program)
        set_often(daemon, module.QUEUE // len(KEYS) // 2)
        before, began_at = rss(daemon.pid), time.monotonic()
        while not daemon.call("dstats")["events"]["dropped"]:
            set_often(daemon, 100)
            assert time.monotonic() - began_at < 60
        set_often(daemon, 500)
        assert rss(daemon.pid) - before < 4096
        lines = daemon.ctl("dstats").stdout.splitlines()
        assert lines[2].startswith("Events: ") and lines[2].endswith(" dropped")
        program.signal(signal.SIGKILL)
        program.wait()


def rss(pid):
    """Resident memory in KiB."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
