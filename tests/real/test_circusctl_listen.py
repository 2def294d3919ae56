"""`circusctl listen` and CircusConsumer with JSON, on a real daemon: what they tell, and the ways they end."""

import json
import os
import select
import signal
import subprocess
import sys

import pytest

from circus.consumer import CircusConsumer
from tests.real.support import PATIENCE, ROOT, Daemon, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

CONFIG = "[watcher:My.Web]\ncmd = sleep 60\n"


@pytest.fixture
def daemon(tmp_path):
    with Daemon(tmp_path, CONFIG) as daemon:
        daemon.wait_for_status("my.web", "active")
        yield daemon


def cause_event(daemon):
    assert daemon.call("set", name="my.web", options={"priority": 1})["status"] == "ok"


class Listener:
    """A circusctl that has printed its first line, into a pipe of ours."""

    def __init__(self, daemon, *words):
        self._reads, writes = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "circus.circusctl", "--endpoint", daemon.endpoints.control, *words],
            cwd=ROOT, stdout=writes, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.close(writes)
        self.text = ""
        wait_for(lambda: (cause_event(daemon), self._read(20))[1])
        while self._read(100):
            pass

    def _read(self, milliseconds):
        """As soon as something is there: lines must not wait for more of them."""
        poll = select.poll()
        poll.register(self._reads, select.POLLIN)
        if not poll.poll(milliseconds):
            return False
        data = os.read(self._reads, 65536)
        self.text += data.decode()
        return bool(data)

    def lines(self, count):
        """All lines so far, at least so many; whole ones."""
        wait_for(lambda: (self._read(10), self.text.count("\n") >= count)[1])
        assert self.text.endswith("\n")
        return self.text.splitlines()

    def close_pipe(self):
        if self._reads >= 0:
            os.close(self._reads)
            self._reads = -1

    def end(self):
        """Exit code and what it complained of."""
        _, complaint = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, complaint

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close_pipe()
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("words", [("listen", "--json"), ("listen", "watcher.my.", "--json"), ("--json", "listen")])
def test_json_is_one_object_a_line_with_the_parts_of_the_topic(daemon, words):
    with Listener(daemon, *words) as listener:
        before = len(listener.lines(1))
        for _ in range(20):
            cause_event(daemon)
        lines = listener.lines(before + 20)
    assert len(lines) == before + 20
    for line in lines:
        event = json.loads(line)
        assert list(event) == ["watcher", "event", "topic", "time"]
        assert (event["watcher"], event["event"], event["topic"]) == ("my.web", "updated", "watcher.my.web.updated")


def test_plain_form_is_topic_and_payload(daemon):
    with Listener(daemon, "listen") as listener:
        assert listener.lines(1)[0].startswith('watcher.my.web.updated: {"time": ')


@pytest.mark.parametrize("words", [("listen",), ("listen", "--json")])
def test_interrupt_ends_it_with_1_and_no_word(daemon, words):
    with Listener(daemon, *words) as listener:
        listener.process.send_signal(signal.SIGINT)
        assert listener.end() == (1, "")


@pytest.mark.parametrize("words", [("listen",), ("listen", "--json")])
def test_pipe_closed_by_its_reader_ends_it_at_once_with_no_word(daemon, words):
    with Listener(daemon, *words) as listener:
        listener.close_pipe()  # and no event comes
        assert listener.end() == (1, "")


def test_unknown_flag_is_a_usage_error(daemon):
    run = daemon.ctl("listen", "--jsn")
    assert run.returncode == 2 and "--jsn" in run.stderr


def test_consumer_with_json_iterates_dictionaries(daemon):
    with CircusConsumer("watcher.", endpoint=daemon.endpoints.pubsub, json=True) as consumer:
        wait_for(lambda: (cause_event(daemon), consumer.pubsub_socket.poll(20))[1])
        event = next(iter(consumer))
    assert (event["watcher"], event["event"], event["topic"]) == ("my.web", "updated", "watcher.my.web.updated")
    assert event["time"] > 0
