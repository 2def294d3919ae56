"""The live watchers by key, name and pattern."""

from __future__ import annotations

import pytest

from circus.control.registry import Registry
from circus.exc import MessageError
from circus.machine.arbiter import Arbiter as Decided
from circus.options.settings import watcher_spec
from circus.runtime.live_watcher import LiveWatcher


@pytest.fixture
def decided() -> Decided:
    return Decided(lambda: 0.5)


@pytest.fixture
def registry(decided) -> Registry:
    registry = Registry(decided)
    for name, priority in (("Web", 0), ("my prog", 5), ("worker", 0)):
        registry.admit(LiveWatcher(watcher_spec(name, "true", priority=priority)))
    return registry


def names(watchers: list[LiveWatcher]) -> list[str]:
    return [watcher.name for watcher in watchers]


def test_watchers_are_listed_as_they_came_and_by_priority(registry):
    assert names(registry.all()) == ["Web", "my prog", "worker"]
    assert names(registry.in_order()) == ["my prog", "Web", "worker"]


@pytest.mark.parametrize("name", ["my prog", "MY PROG", "my_prog"])
def test_watcher_is_found_in_any_case_and_by_its_res_name(registry, name):
    assert registry.get(name).name == "my prog"


def test_name_that_nobody_has_is_a_key_error_and_in_a_command_a_message_error(registry):
    with pytest.raises(KeyError):
        registry.get("nobody")
    with pytest.raises(MessageError, match="program nobody not found"):
        registry.find("nobody")


def test_removed_watcher_has_a_key_until_it_is_forgotten_and_no_name(registry, decided):
    web = registry.get("web")
    decided.remove(0.0, 0, web.key)
    assert registry.by_key[web.key] is web
    assert names(registry.all()) == ["my prog", "worker"]
    with pytest.raises(KeyError):
        registry.get("web")
    registry.forget(web.key)
    registry.forget(web.key)  # twice does no harm
    assert web.key not in registry.by_key


def test_name_of_a_removed_watcher_is_free_for_another(registry, decided):
    first = registry.get("web")
    decided.remove(0.0, 0, first.key)
    second = LiveWatcher(watcher_spec("WEB", "true"))
    registry.admit(second)
    assert registry.get("web") is second
    registry.forget(first.key)
    assert registry.get("web") is second


@pytest.mark.parametrize(
    ("pattern", "method", "found"),
    [
        ("w*", "glob", ["Web", "worker"]),
        ("MY_*", "glob", ["my prog"]),
        ("w.b", "regex", ["Web"]),
        ("my_prog", "simple", ["my prog"]),
        ("*", "glob", ["my prog", "Web", "worker"]),
    ],
)
def test_patterns_choose_by_name_and_res_name(registry, pattern, method, found):
    assert names(registry.matching(pattern, method)) == found


@pytest.mark.parametrize(
    ("pattern", "method", "reason"),
    [
        ("nope*", "glob", "program nope.* not found"),
        ("web", "magic", "unknown match method magic"),
        ("(", "regex", "is not a regular expression"),
    ],
)
def test_pattern_that_means_nobody_is_a_message_error(registry, pattern, method, reason):
    with pytest.raises(MessageError, match=reason):
        registry.matching(pattern, method)
