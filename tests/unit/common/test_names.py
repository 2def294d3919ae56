"""Names that cross boundaries."""

import pytest

from circus.common import names


def test_names_in_topics_are_lower_case_without_blanks():
    assert names.res_name("My Web App") == "my_web_app"
    assert names.topic("My Web App", names.SPAWN) == "watcher.my_web_app.spawn"


def test_the_eleven_hooks():
    assert len(set(names.HOOKS)) == len(names.HOOKS) == 11
    assert names.HOOKS_IGNORING_FAILURE.issubset(names.HOOKS)


@pytest.mark.parametrize(
    ("topic", "parts"),
    [
        ("watcher.web.spawn", ("watcher", "web", "spawn")),
        ("watcher.web.one.two.spawn", ("watcher", "web.one.two", "spawn")),
        ("stat.web.12", ("stat", "web", "12")),
        ("watcher.web", ("watcher", "", "web")),
        ("watcher", ("watcher", "", "")),
        ("", ("", "", "")),
    ],
)
def test_topic_is_taken_apart_from_both_ends(topic, parts):
    assert names.split_topic(topic) == parts


@pytest.mark.parametrize("name", ["plugin:a", "Plugin:A b", "circusd-stats", "circushttpd", "CircusHTTPD"])
def test_parts_of_circus_are_its_own_programs(name):
    assert names.is_own_watcher(name)


@pytest.mark.parametrize("name", ["plugin", "my circusd-stats", "web"])
def test_other_watchers_are_not(name):
    assert not names.is_own_watcher(name)
