"""Figures for a statsd server: how often which event happens, and what the processes of each watcher use.

    [plugin:events]
    use = circus.plugins.statsd.StatsdEmitter
    application_name = shop
    host = 127.0.0.1
    port = 8125

    [plugin:figures]
    use = circus.plugins.statsd.FullStats
    application_name = shop
    loop_rate = 10

`StatsdEmitter` counts each event in `circus.APPLICATION.watcher.WATCHER.EVENT`. `FullStats` sends gauges every
`loop_rate` seconds, `circus.APPLICATION.watcher._stats.WATCHER.` and `watchers_num` (processes), `cpu_max`, `cpu_sum`,
`mem_pct_max`, `mem_pct_sum` (percent), `mem_max`, `mem_sum` (resident bytes). `sample_rate` is the share of counts and
times that is sent; the server multiplies again.

Derive from `BaseObserver` to look after something else: `look_after` is called every `loop_rate` seconds, and `statsd`
takes what it finds.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from circus.options.kinds import TEXT
from circus.options.option import Spec
from circus.plugins.base import CircusPlugin, Repeated
from circus.plugins.datagrams import DatagramSender, datagram
from circus.plugins.figures import number_in, size_in
from circus.plugins.options import POSITIVE, plugin_option, positive, read_options, text_kind

__all__ = ["BaseObserver", "FullStats", "Metric", "StatsdClient", "StatsdEmitter"]

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 8125


class Metric(NamedTuple):
    """What one looking has found; `kind` is the method of `StatsdClient` that sends it."""

    kind: str
    bucket: str
    value: float = 1


def count(bucket: str) -> Metric:
    return Metric("increment", bucket)


def gauge(bucket: str, value: float) -> Metric:
    return Metric("gauge", bucket, value)


def timed(bucket: str, milliseconds: int) -> Metric:
    return Metric("timed", bucket, milliseconds)


class StatsdClient:
    """Sends to a statsd server by UDP: nothing waits, nothing fails, and whether it arrives is not known.

    Buckets are put behind `prefix` and a dot. `sample_rate` (0 to 1) is the share of counts and times that is sent.
    """

    def __init__(
        self, host: str | None = None, port: int = DEFAULT_PORT, prefix: str | None = None, sample_rate: float = 1
    ) -> None:
        self.host = host or DEFAULT_HOST
        self.port = port
        self.prefix = prefix
        self.sample_rate = sample_rate
        self.trouble_level = logging.WARNING
        """Of the log lines about figures that are lost."""
        self._sender: DatagramSender | None = None

    def increment(self, bucket: str, delta: int = 1) -> None:
        self.send(bucket, f"{int(delta)}|c")

    def decrement(self, bucket: str, delta: int = 1) -> None:
        self.increment(bucket, -abs(delta))

    def gauge(self, bucket: str, value: float) -> None:
        """Sent whatever the sample rate: a server cannot make up for a state it was not told."""
        if str(value).startswith("-"):
            self.send(bucket, "0|g", 1)  # with a sign in front it would be a change of the gauge
        self.send(bucket, f"{value}|g", 1)

    def timed(self, bucket: str, value: float) -> None:
        """`value` in milliseconds."""
        self.send(bucket, f"{value}|ms")

    def send(self, bucket: str, value: str, sample_rate: float | None = None) -> None:
        """`value` with its unit, as `1|c`."""
        rate = sample_rate or self.sample_rate
        if rate >= 1 or random.random() < rate:  # noqa: S311 -- a sample, not a secret
            self.put(datagram(self.prefix, bucket, value, rate))

    def put(self, data: bytes) -> None:
        if self._sender is None:
            self._sender = DatagramSender(self.host, self.port, "statsd server", self.trouble_level)
        self._sender.put(data)

    def stop(self) -> None:
        """Let what was given so far leave."""
        if self._sender is not None:
            self._sender.close()


def port_number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:6]) < 65536:
        raise ValueError("a number from 1 to 65535 is needed")
    return int(text)


def share(text: str) -> float:
    value = positive(text)
    if value > 1:
        raise ValueError("a number above 0, and not above 1, is needed")
    return value


class StatsdOptions(Spec):
    """Options of StatsdEmitter, and of everything that counts:"""

    __slots__ = ()

    application_name = plugin_option(TEXT, "", "part of the names of what is counted; empty: that of the plugin")
    host = plugin_option(TEXT, DEFAULT_HOST, "where the statsd server is")
    port = plugin_option(text_kind("integer", port_number), DEFAULT_PORT, "its port")
    sample_rate = plugin_option(text_kind("number", share), 1.0, "share of what is counted that is sent")


class ObserverOptions(StatsdOptions):
    """Options of FullStats, and of everything that looks again and again:"""

    __slots__ = ()

    loop_rate = plugin_option(POSITIVE, 60.0, "time between two looks", unit="s")


class StatsdEmitter(CircusPlugin):
    """Counts events."""

    name = "statsd"
    option_table: type[StatsdOptions] = StatsdOptions
    default_app_name = "app"
    is_for_statsd = True
    """Whether it is of no use without a statsd server; else one that was not named is not missed."""

    def __init__(
        self,
        endpoint: str,
        pubsub_endpoint: str,
        check_delay: float,
        ssh_server: str | None = None,
        **config: Any,
    ) -> None:
        super().__init__(endpoint, pubsub_endpoint, check_delay, ssh_server, **config)
        options = read_options(self, self.option_table)
        self.application_name = self.app = options.application_name or self.default_app_name
        self.prefix = f"circus.{self.application_name}.watcher"
        self.statsd = StatsdClient(
            host=options.host,
            port=options.port,
            prefix=self.prefix,
            sample_rate=options.sample_rate,
        )
        if not self.is_for_statsd and not {"host", "port"} & config.keys():
            self.statsd.trouble_level = logging.DEBUG

    def handle_recv(self, data: list[bytes]) -> None:
        watcher, event, _ = self.split_data(data)
        self.statsd.increment(f"{watcher}.{event}")

    def handle_stop(self) -> None:
        self.statsd.stop()

    def emit(self, metrics: Iterable[Metric]) -> None:
        for kind, bucket, value in metrics:
            getattr(self.statsd, kind)(bucket, value)


class BaseObserver(StatsdEmitter):
    """Calls `look_after` every `loop_rate` seconds, the first time after as many."""

    option_table: type[ObserverOptions] = ObserverOptions

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        self.loop_rate = read_options(self, self.option_table).loop_rate
        self.period: Repeated | None = None

    def handle_init(self) -> None:
        self.period = self.every(self.loop_rate, self.look_after)

    def handle_stop(self) -> None:
        if self.period is not None:
            self.period.cancel()
        super().handle_stop()

    def handle_recv(self, data: list[bytes]) -> None:
        """Events are nothing to an observer."""

    def look_after(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no look_after")


class FullStats(BaseObserver):
    """What the processes of each watcher use, taken together."""

    name = "full_stats"

    def look_after(self) -> None:
        self.emit(usage(self.call("stats")))


# ---- figures in, metrics out -------------------------------------------------------------------------------------


def usage(reply: Mapping[str, Any]) -> list[Metric]:
    """Of the reply to `stats`. What the system did not tell of a process counts for nothing."""
    if reply.get("status") == "error":
        return [count("_stats.error")]
    found = []
    for name, processes in reply.get("infos", {}).items():
        if not name.lower().startswith("plugin:"):
            living = [info for info in processes.values() if isinstance(info, Mapping)]
            found.append(gauge(f"_stats.{name}.watchers_num", len(living)))
            found += _most_and_all(f"_stats.{name}.cpu", living, "cpu", number_in)
            found += _most_and_all(f"_stats.{name}.mem_pct", living, "mem", number_in)
            found += _most_and_all(f"_stats.{name}.mem", living, "mem_info1", size_in)
    return found


def _most_and_all(
    bucket: str, living: Iterable[Mapping[str, Any]], key: str, read: Callable[[object], float | None]
) -> list[Metric]:
    values = [value for info in living if (value := read(info.get(key))) is not None]
    if not values:
        return []
    # Rounded, because 0.1 + 0.2 is 0.30000000000000004.
    return [gauge(f"{bucket}_max", max(values)), gauge(f"{bucket}_sum", round(sum(values), 6))]
