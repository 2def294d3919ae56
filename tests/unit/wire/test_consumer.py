"""An event as one object."""

import json

import pytest

from circus.wire.consumer import event_object


def test_event_has_the_parts_of_its_topic_and_then_its_payload():
    event = event_object(b"watcher.web.spawn", b'{"process_pid": 7, "time": 1.5}')
    assert json.dumps(event) == (
        '{"watcher": "web", "event": "spawn", "topic": "watcher.web.spawn", "process_pid": 7, "time": 1.5}'
    )


def test_name_with_dots_is_told_whole():
    event = event_object(b"watcher.my.web.app.reap", b"{}")
    assert (event["watcher"], event["event"]) == ("my.web.app", "reap")


def test_payload_does_not_replace_the_parts_of_the_topic():
    event = event_object(b"watcher.web.hook_success", b'{"topic": 1, "event": 2, "watcher": 3, "name": "before_start"}')
    assert event == {
        "watcher": "web", "event": "hook_success", "topic": "watcher.web.hook_success", "name": "before_start",
    }  # fmt: skip


@pytest.mark.parametrize("topic", ["", "watcher", "watcher.", "watcher.web", "stat.web.1"])
def test_topic_of_another_form_has_no_parts(topic):
    assert event_object(topic.encode(), b"{}") == {"watcher": None, "event": None, "topic": topic}


@pytest.mark.parametrize(
    ("payload", "text"),
    [(b"[1]", "[1]"), (b"", ""), (b"{", "{"), (b'"x"', '"x"'), (b"\xff", "\ufffd"), (b"[" * 100_000, "[" * 100_000)],
)
def test_payload_that_is_no_object_is_given_as_text(payload, text):
    assert event_object(b"watcher.web.kill", payload)["payload"] == text


def test_topic_that_is_not_utf8_is_readable_all_the_same():
    assert event_object(b"watcher.\xff.kill", b"{}")["watcher"] == "\ufffd"
