"""What an observer of redis makes of INFO and of errors. Neither redis nor its library is needed."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from circus.plugins.redis_observer import RedisObserver, bad, figures, is_down
from circus.plugins.statsd import Metric
from tests.unit.plugins.support import build, daemon, refuses


class Lost(Exception):
    """The library's ConnectionError, which its users import under that name."""


class Late(Exception):
    pass


class Denied(Lost):
    pass


class Loading(Lost):
    pass


class Library(SimpleNamespace):
    """As much of the library as is used."""

    ConnectionError = Lost
    TimeoutError = Late
    AuthenticationError = Denied
    BusyLoadingError = Loading

    class Redis:
        def __init__(self, url: str, **options: Any) -> None:
            self.url = url
            self.options = options

        @classmethod
        def from_url(cls, url: str, **options: Any) -> Library.Redis:
            if not url.startswith("redis://"):
                raise ValueError("one of redis://, rediss://, unix:// is needed")
            return cls(url, **options)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", Library())


def test_numbers_that_are_there_are_gauges() -> None:
    info = {"used_memory": 2048, "mem_fragmentation_ratio": 1.5, "redis_version": "7.0.15", "other": 1}
    answer = figures(info, ["used_memory", "mem_fragmentation_ratio", "redis_version", "lru_clock"])
    assert answer == (
        [Metric("gauge", "redis_stats.used_memory", 2048), Metric("gauge", "redis_stats.mem_fragmentation_ratio", 1.5)],
        "",
        False,
    )


@pytest.mark.parametrize(
    ("error", "down"),
    [
        (Lost("refused"), True),
        (Late("slow"), True),
        (OSError("no route"), True),
        (Denied("password"), False),
        (Loading("the dataset"), False),
        (RuntimeError("a slip"), False),
    ],
)
def test_server_that_answers_is_not_down(error: Exception, down: bool) -> None:
    assert is_down(error, Library) is down


def test_trouble_is_counted() -> None:
    assert bad("x", restart=True) == ([Metric("increment", "redis_stats.error")], "x", True)


def judged(answer: Any, **config: Any) -> tuple[list[Any], list[Any]]:
    """What is cast and what is sent to statsd."""
    plugin = build(RedisObserver, daemon({"redis": ("active", [])}), **config)
    emitted: list[Any] = []
    plugin.emit = emitted.extend
    plugin.judge(answer)
    return plugin.sent, emitted


def test_server_that_is_down_is_restarted() -> None:
    cast, emitted = judged(bad("x", restart=True), restart_on_timeout="redis")
    assert cast == [("restart", {"name": "redis"})]
    assert emitted[-1] == Metric("increment", "redis_stats.restart_on_error")


def test_server_that_says_no_is_not_restarted() -> None:
    cast, emitted = judged(bad("wrong password", restart=False), restart_on_timeout="redis")
    assert cast == []
    assert emitted == [Metric("increment", "redis_stats.error")]


def test_defaults_of_the_options() -> None:
    plugin = build(RedisObserver)
    assert (plugin.redis_url, plugin.timeout, plugin.restart_on_timeout) == ("redis://localhost:6379/0", 5.0, "")
    assert (plugin.prefix, plugin.loop_rate) == ("circus.redis_observer.watcher", 60.0)
    assert plugin.redis.url == plugin.redis_url
    assert plugin.redis.options == {"socket_timeout": 5.0, "socket_connect_timeout": 5.0}


@pytest.mark.parametrize(("option", "value"), [("redis_url", "localhost"), ("timeout", "0"), ("port", "abc")])
def test_option_that_means_nothing_is_named(option: str, value: str) -> None:
    refuses(RedisObserver, option, value)


def test_password_is_not_shown() -> None:
    plugin = build(RedisObserver, redis_url="redis://me:secret@host:6380/1?password=secret")
    assert plugin.target == "redis://host:6380/1"


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"^[^\n]*pip install circus\[redis\]$"):
        build(RedisObserver)
