"""What an observer of a web server makes of its answers, and when it gives up. Nothing is asked here."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from circus.plugins.http_observer import HttpObserver, bad, good, split_login, web_address
from circus.plugins.server_observer import Answer
from circus.plugins.statsd import Metric
from tests.unit.plugins.support import build, daemon, refuses

ERROR = Metric("increment", "http_stats.error")
RESTARTED = Metric("increment", "http_stats.restart_on_error")


def told(*statuses: str, **config: Any) -> Any:
    """An observer whose circusd tells these statuses of `web`, each once and the last for ever."""
    left = list(statuses) or ["active"]

    def answer(command: str, **props: Any) -> dict[str, Any]:
        status = left.pop(0) if len(left) > 1 else left[0]
        return daemon({"web": (status, [])})(command, **props)

    plugin = build(HttpObserver, answer, **config)
    plugin.emitted = []
    plugin.emit = plugin.emitted.extend
    return plugin


# ---- answers -----------------------------------------------------------------------------------------------------


def test_page_is_a_time_in_milliseconds() -> None:
    assert good(0.1239) == ([Metric("timed", "http_stats.request_time", 123)], "", False)


def test_error_is_counted_twice_and_may_need_a_restart() -> None:
    answer = bad(503, "status 503 Service Unavailable")
    assert answer.metrics == [ERROR, Metric("increment", "http_stats.error.503")]
    assert answer.restart


def test_error_restarts_the_watcher_that_was_named(caplog: pytest.LogCaptureFixture) -> None:
    plugin = told(restart_on_error="web")
    plugin.judge(bad(500, "status 500"))
    assert plugin.sent == [("restart", {"name": "web"})]
    assert plugin.emitted == [ERROR, Metric("increment", "http_stats.error.500"), RESTARTED]
    assert [record.getMessage() for record in caplog.records] == [
        "http://localhost/: status 500",
        "http://localhost/: web is restarted",
    ]


def test_error_restarts_nothing_when_nothing_is_named() -> None:
    plugin = told()
    plugin.judge(bad(500, "status 500"))
    assert plugin.sent == []
    assert RESTARTED not in plugin.emitted


def test_page_restarts_nothing() -> None:
    plugin = told(restart_on_error="web")
    plugin.judge(good(0.1))
    assert plugin.sent == []


@pytest.mark.parametrize("status", ["stopped", "starting", "stopping"])
def test_watcher_that_is_not_active_is_left_alone(status: str) -> None:
    plugin = told(status, restart_on_error="web")
    plugin.judge(bad(500, "status 500"))
    assert plugin.sent == []
    assert RESTARTED not in plugin.emitted


def test_name_that_stands_for_several_is_passed_on() -> None:
    plugin = told(restart_on_error="web-*")
    plugin.judge(bad(500, "status 500"))
    assert plugin.sent == [("restart", {"name": "web-*"})]


def test_trouble_is_said_when_it_begins_changes_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    plugin = told()
    caplog.set_level(logging.WARNING)
    for answer in (good(0.1), bad(500, "a"), bad(500, "a"), bad(599, "b"), good(0.1), good(0.1)):
        plugin.judge(answer)
    shown = [record.getMessage() for record in caplog.records]
    assert shown == ["http://localhost/: a", "http://localhost/: b", "http://localhost/: answers again"]


# ---- one question at a time --------------------------------------------------------------------------------------


class Asked(HttpObserver):
    """Its questions are answered by the test, whenever it likes."""

    def look_after(self) -> None:
        self._work = lambda timer: None  # type: ignore[method-assign]  # the thread ends at once and posts nothing
        super().look_after()


def test_answer_in_time_is_judged_and_its_timer_cancelled() -> None:
    plugin = build(Asked)
    judged: list[Any] = []
    plugin.judge = judged.append
    plugin.look_after()
    timer = plugin._timer
    plugin._answered(timer, good(0.1))
    assert judged == [good(0.1)]
    assert timer.cancelled


def test_answer_after_its_time_is_not_judged_again() -> None:
    plugin = build(Asked, timeout="2")
    judged: list[Any] = []
    plugin.judge = judged.append
    plugin.look_after()
    timer = plugin._timer
    timer.call()
    plugin._answered(timer, good(3))
    assert judged == [bad(599, "no answer within 2 s")]


def test_nothing_is_asked_while_an_answer_may_still_come() -> None:
    plugin = build(Asked)
    plugin.look_after()
    timer = plugin._timer
    plugin.look_after()
    assert plugin._timer is timer


def test_question_that_hangs_beyond_its_time_is_not_asked_twice() -> None:
    release = threading.Event()

    class Hanging(HttpObserver):
        def ask(self) -> Answer:
            release.wait(60)
            return good(1)

    plugin = build(Hanging, timeout="2")
    judged: list[Any] = []
    plugin.judge = judged.append
    try:
        plugin.look_after()
        thread = plugin._thread
        plugin._timer.call()
        plugin.look_after()
        assert plugin._thread is thread
        assert judged == [bad(599, "no answer within 2 s"), bad(599, "still does not answer")]
    finally:
        release.set()
        thread.join()
    plugin.look_after()
    assert plugin._thread is not thread


# ---- options -----------------------------------------------------------------------------------------------------


def test_defaults_of_the_options() -> None:
    plugin = build(HttpObserver)
    assert (plugin.check_url, plugin.timeout, plugin.restart_on_error) == ("http://localhost/", 10.0, "")
    assert (plugin.prefix, plugin.loop_rate) == ("circus.http_observer.watcher", 60.0)


@pytest.mark.parametrize("url", ["http://localhost/", "https://a.b:8443/x?y=%20z", "http://[::1]:80/", "http://u:p@h/"])
def test_address_of_a_page(url: str) -> None:
    assert web_address(url) == url


@pytest.mark.parametrize(
    "url",
    ["localhost", "ftp://a/", "file:///etc/passwd", "http://", "http://:80/", "http://a:99999/", "http://a:0/",
     "http://a:b/", "http://[::1/", "http://a/b c", "http://a/\tb", "http://a/ü"],
)  # fmt: skip
def test_what_is_no_address_of_a_page_is_refused(url: str) -> None:
    refuses(HttpObserver, "check_url", url)


@pytest.mark.parametrize("value", ["0", "-1", "x", "inf"])
def test_timeout_that_is_none_is_refused(value: str) -> None:
    refuses(HttpObserver, "timeout", value)


def test_login_is_no_part_of_what_is_shown() -> None:
    assert split_login("http://me:s%40cret@host:80/x?y") == ("http://host:80/x?y", "me:s@cret")
    assert split_login("http://host/") == ("http://host/", "")
    assert build(HttpObserver, check_url="http://me:secret@host/").target == "http://host/"
