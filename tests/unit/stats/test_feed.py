"""What a message of the stats stream says."""

from __future__ import annotations

import json

import pytest

from circus.stats.feed import parse


def parsed(topic, figures):
    return parse(topic.encode(), json.dumps(figures).encode())


@pytest.mark.parametrize(
    ("topic", "figures", "expected"),
    [
        ("stat.web.12", {"pid": 12, "subtopic": 12}, ("web", "12")),
        ("stat.web.12", {"pid": 12, "subtopic": "12"}, ("web", "12")),
        ("stat.web.12", {"pid": 12}, ("web", "12")),  # early versions
        ("stat.web", {"pid": [12, 13]}, ("web", None)),
        ("stat.web", {"cpu": 1.5}, ("web", None)),
        ("stat.circus.1", {"pid": 1, "subtopic": 1, "name": "circusd"}, ("circus", "1")),
        ("stat.sockets.5", {"fd": 5, "subtopic": 5, "address": "localhost:80"}, ("sockets", "5")),
        ("stat.sockets", {"addresses": [], "reads": 0}, ("sockets", None)),
    ],
)
def test_topic_is_split_into_watcher_and_process(topic, figures, expected):
    assert parsed(topic, figures) == (*expected, figures)


def test_name_with_dots_is_known_by_its_figures():
    assert parsed("stat.a.b.12", {"pid": 12, "subtopic": 12}) == ("a.b", "12", {"pid": 12, "subtopic": 12})
    assert parsed("stat.a.b", {"pid": [12]}) == ("a.b", None, {"pid": [12]})
    assert parsed("stat.3.12", {"pid": [12]}) == ("3.12", None, {"pid": [12]})


def test_name_that_is_a_number_is_no_process():
    assert parsed("stat.12", {"pid": 12, "subtopic": 12}) == ("12", None, {"pid": 12, "subtopic": 12})


@pytest.mark.parametrize("topic", ["stat", "watcher.web.start", "stats.web.12", "stat.a.b.c"])
def test_topics_of_something_else_are_dropped(topic):
    assert parsed(topic, {"cpu": 1.0}) is None


@pytest.mark.parametrize("payload", [b"", b"nonsense", b"\xff", b"[]", b"5", b"[" * 100_000])
def test_payload_that_is_no_object_is_dropped(payload):
    assert parse(b"stat.web.12", payload) is None


def test_topic_that_is_no_text_is_dropped():
    assert parse(b"stat.\xff.12", b"{}") is None
