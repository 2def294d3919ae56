"""Events and figures as statsd understands them. Nothing is sent here."""

from __future__ import annotations

import json
from socket import AF_INET, AF_INET6
from typing import Any

import pytest

from circus.plugins import _statsd, statsd
from circus.plugins.datagrams import datagram, preferred
from circus.plugins.statsd import BaseObserver, FullStats, Metric, StatsdClient, StatsdEmitter, usage
from tests.unit.plugins.support import build, refuses

# ---- datagrams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "bucket", "value", "rate", "data"),
    [
        (None, "web.spawn", "1|c", 1, b"web.spawn:1|c"),
        ("circus.app.watcher", "web.spawn", "1|c", 1, b"circus.app.watcher.web.spawn:1|c"),
        (None, "a", "1|c", 0.25, b"a:1|c|@0.25"),
        (None, "a", "7|ms", 1.0, b"a:7|ms"),
        ("my:app", "a|b@c d\ne", "1|c", 1, b"my_app.a_b_c_d_e:1|c"),
        (None, "plugin:http.spawn", "1|c", 1, b"plugin_http.spawn:1|c"),
        (None, "büro", "1|g", 1, "büro:1|g".encode()),
        (None, "a\udcff", "1|g", 1, b"a?:1|g"),
    ],
)
def test_datagram(prefix: str | None, bucket: str, value: str, rate: float, data: bytes) -> None:
    assert datagram(prefix, bucket, value, rate) == data


@pytest.mark.parametrize("families", [(AF_INET6, AF_INET), (AF_INET, AF_INET6)])
def test_server_with_two_kinds_of_addresses_is_sent_to_by_ipv4(families: tuple[int, ...]) -> None:
    assert preferred((family, ("x", 1)) for family in families) == (AF_INET, ("x", 1))


def test_server_without_ipv4_is_sent_to_at_its_first_address() -> None:
    assert preferred([(AF_INET6, ("a", 1)), (AF_INET6, ("b", 1))]) == (AF_INET6, ("a", 1))


class Kept(StatsdClient):
    """Keeps what would be sent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sent: list[bytes] = []

    def put(self, data: bytes) -> None:
        self.sent.append(data)


def test_client_sends_counts_gauges_and_times() -> None:
    client = Kept(prefix="p")
    client.increment("a")
    client.increment("a", 3)
    client.decrement("a")
    client.decrement("a", 2)
    client.gauge("b", 1.5)
    client.timed("c", 20)
    client.send("d", "1|s")
    assert client.sent == [b"p.a:1|c", b"p.a:3|c", b"p.a:-1|c", b"p.a:-2|c", b"p.b:1.5|g", b"p.c:20|ms", b"p.d:1|s"]


def test_negative_gauge_is_not_taken_for_a_change() -> None:
    client = Kept()
    client.gauge("a", -5)
    assert client.sent == [b"a:0|g", b"a:-5|g"]


def test_gauges_are_sent_whatever_the_sample_rate() -> None:
    client = Kept(sample_rate=1e-12)
    client.gauge("a", 1)
    assert client.sent == [b"a:1|g"]


def test_sample_holds_about_as_many_as_asked_for_and_says_so() -> None:
    client = Kept(sample_rate=0.5)
    for _ in range(1000):
        client.increment("a")
    assert set(client.sent) == {b"a:1|c|@0.5"}
    assert 300 < len(client.sent) < 700  # fails by chance once in 10^35 runs


def test_rate_of_one_call_goes_before_that_of_the_client() -> None:
    client = Kept(sample_rate=1e-12)
    client.send("a", "1|c", 1)
    assert client.sent == [b"a:1|c"]


def test_client_that_sent_nothing_can_be_stopped() -> None:
    StatsdClient().stop()


def test_client_without_host_means_this_machine() -> None:
    client = StatsdClient()
    assert (client.host, client.port, client.prefix, client.sample_rate) == ("localhost", 8125, None, 1)


# ---- plugins -----------------------------------------------------------------------------------------------------


def event(topic: str) -> list[bytes]:
    return [topic.encode(), json.dumps({"time": 1.0}).encode()]


def kept(plugin: Any) -> list[bytes]:
    """The list in which what it sends is found."""
    plugin.statsd = Kept(prefix=plugin.prefix)
    sent: list[bytes] = plugin.statsd.sent
    return sent


def test_each_event_is_counted() -> None:
    plugin = build(StatsdEmitter)
    sent = kept(plugin)
    for topic in ("watcher.web.spawn", "watcher.my_app.reap", "watcher.plugin:http.start", "watcher.a.b.stop"):
        plugin.handle_recv(event(topic))
    assert sent == [
        b"circus.app.watcher.web.spawn:1|c",
        b"circus.app.watcher.my_app.reap:1|c",
        b"circus.app.watcher.plugin_http.start:1|c",
        b"circus.app.watcher.a.b.stop:1|c",
    ]


def test_defaults_of_the_options() -> None:
    plugin = build(BaseObserver)
    client = plugin.statsd
    assert (client.host, client.port, client.sample_rate, plugin.loop_rate) == ("localhost", 8125, 1.0, 60.0)
    assert plugin.application_name == plugin.app == plugin.default_app_name == "app"
    assert plugin.prefix == client.prefix == "circus.app.watcher"


def test_options_are_taken_from_text() -> None:
    options = {"host": "10.0.0.1", "port": "8126", "sample_rate": "0.5", "loop_rate": "0.5", "application_name": "shop"}
    plugin = build(BaseObserver, **options)
    client = plugin.statsd
    assert (client.host, client.port, client.sample_rate, plugin.loop_rate) == ("10.0.0.1", 8126, 0.5, 0.5)
    assert plugin.prefix == "circus.shop.watcher"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("port", "abc"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "9" * 5000),
        ("port", "-1"),
        ("sample_rate", "0"),
        ("sample_rate", "1.5"),
        ("sample_rate", "nan"),
        ("loop_rate", "0"),
        ("loop_rate", "-1"),
        ("loop_rate", "inf"),
        ("loop_rate", "often"),
    ],
)
def test_option_that_means_nothing_is_named(option: str, value: str) -> None:
    refuses(BaseObserver, option, value)


def test_observer_without_look_after_says_so() -> None:
    with pytest.raises(NotImplementedError, match="look_after"):
        build(BaseObserver).look_after()


def test_observer_of_somebody_looks_after_what_it_likes() -> None:
    class Queue(BaseObserver):
        name = "queue"
        default_app_name = "queue"

        def __init__(self, *args: Any, **config: Any) -> None:
            super().__init__(*args, **config)
            self.key = config.get("key", "jobs")

        def look_after(self) -> None:
            self.statsd.gauge(f"_queue.{self.key}", 3)

    plugin = build(Queue, key="mails")
    sent = kept(plugin)
    plugin.handle_recv(event("watcher.web.spawn"))
    plugin.look_after()
    assert sent == [b"circus.queue.watcher._queue.mails:3|g"]


def test_period_begins_with_the_plugin_and_ends_with_it() -> None:
    plugin = build(FullStats)
    plugin.handle_stop()  # it may end before it began
    plugin.handle_init()
    assert plugin.period is not None
    plugin.handle_stop()
    assert plugin.period._timer.cancelled


def test_old_import_path_has_the_same_classes() -> None:
    for name in _statsd.__all__:
        assert getattr(_statsd, name) is getattr(statsd, name)


# ---- figures -----------------------------------------------------------------------------------------------------


def info(cpu: Any = 1.0, mem: Any = 2.0, mem_info1: Any = "1.50K") -> dict[str, Any]:
    return {"cpu": cpu, "mem": mem, "mem_info1": mem_info1, "children": []}


def values(infos: dict[str, Any]) -> dict[str, float]:
    found = usage({"status": "ok", "infos": infos})
    assert {metric.kind for metric in found} <= {"gauge"}
    return {metric.bucket.removeprefix("_stats."): metric.value for metric in found}


def test_figures_are_the_most_and_the_sum_of_all_processes() -> None:
    web = {"1": info(0.1, 5.0, "1023B"), "2": info(0.2, 1.0, "2.00K")}
    assert values({"web": web}) == {
        "web.watchers_num": 2,
        "web.cpu_max": 0.2,
        "web.cpu_sum": 0.3,
        "web.mem_pct_max": 5.0,
        "web.mem_pct_sum": 6.0,
        "web.mem_max": 2048,
        "web.mem_sum": 3071,
    }


def test_watcher_without_processes_has_only_their_number() -> None:
    assert values({"web": {}, "Api": {}}) == {"web.watchers_num": 0, "Api.watchers_num": 0}


def test_plugins_are_left_out_and_other_programs_are_not() -> None:
    assert values({"plugin:http": {"1": info()}, "circusd-stats": {}}) == {"circusd-stats.watchers_num": 0}


def test_process_that_is_gone_is_not_counted() -> None:
    found = values({"web": {"1": info(), "2": "No such process (stopped?)"}})
    assert (found["web.watchers_num"], found["web.cpu_sum"]) == (1, 1.0)


def test_figure_that_is_not_told_counts_for_nothing() -> None:
    hidden = info("N/A", "N/A", "N/A")
    assert values({"web": {"1": hidden}}) == {"web.watchers_num": 1}
    found = values({"web": {"1": hidden, "2": info(), "3": {}}})
    assert (found["web.watchers_num"], found["web.cpu_sum"], found["web.mem_sum"]) == (3, 1.0, 1536)


def test_error_instead_of_figures_is_counted() -> None:
    assert usage({"status": "error", "reason": "x"}) == [Metric("increment", "_stats.error", 1)]


def test_full_stats_asks_and_sends() -> None:
    plugin = build(FullStats, lambda command, **props: {"status": "ok", "infos": {"my app": {}}})
    sent = kept(plugin)
    plugin.look_after()
    assert sent == [b"circus.app.watcher._stats.my_app.watchers_num:0|g"]
