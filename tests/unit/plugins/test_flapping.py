"""The flapping plugin: its options, and events made sentences."""

from __future__ import annotations

import json
import logging

import pytest

from circus.plugins.flapping import Flapping, sentence
from tests.unit.plugins.support import build, refuses

PAUSE = {
    "process_id": 2,
    "attempt": 1,
    "retry_in": 7.2,
    "max_retry": 5,
    "exit_code": 3,
    "given_up": False,
}
END = {"process_id": None, "attempt": 5, "retry_in": None, "max_retry": 5, "exit_code": -9, "given_up": True}


def event(name, payload):
    return [f"watcher.web.{name}".encode(), json.dumps(payload).encode()]


def test_options_have_defaults():
    plugin = build(Flapping)
    assert (plugin.attempts, plugin.window, plugin.retry_in, plugin.max_retry) == (2, 1, 7, 5)
    assert plugin.active is True


def test_options_come_from_text():
    plugin = build(Flapping, attempts="3", window="1.5", retry_in="2", max_retry="-1", active="no")
    assert (plugin.attempts, plugin.window, plugin.retry_in, plugin.max_retry) == (3, 1.5, 2, -1)
    assert plugin.active is False


@pytest.mark.parametrize("option", ["attempts", "window", "retry_in", "max_retry"])
@pytest.mark.parametrize("value", ["x", "-2"])
def test_bad_value_is_refused(option, value):
    refuses(Flapping, option, value)


def test_pause_is_logged_and_nothing_is_done(caplog):
    plugin = build(Flapping)
    with caplog.at_level(logging.WARNING, "circus"):
        plugin.handle_recv(event("flapping", PAUSE))
    assert caplog.messages == ["web: worker 2 is flapping, next try in 7.2 s (attempt 1 of 5), last exit code 3"]
    assert plugin.sent == []


def test_other_events_are_passed_over(caplog):
    with caplog.at_level(logging.DEBUG, "circus"):
        build(Flapping).handle_recv(event("reap", {"process_pid": 1}))
    assert caplog.messages == []


def test_given_up_watcher_is_a_sentence_of_its_own():
    assert sentence("web", END) == "web: given up after 5 retries, last signal SIGKILL"


def test_without_a_limit_none_is_told():
    assert "(attempt 1)" in sentence("web", {**PAUSE, "max_retry": -1})
    assert "(attempt 1)" in sentence("web", {key: value for key, value in PAUSE.items() if key != "max_retry"})
