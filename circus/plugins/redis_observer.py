"""Sends figures of a redis server, and restarts its watcher if it does not answer. Needs `pip install circus[redis]`.

    [plugin:redis]
    use = circus.plugins.redis_observer.RedisObserver
    redis_url = redis://127.0.0.1:6379/0
    timeout = 5
    loop_rate = 30
    restart_on_timeout = redis

Every `loop_rate` seconds the server is asked for INFO; each key of `OBSERVE` that its version knows is sent as gauge
`redis_stats.KEY`. When it cannot be asked, `redis_stats.error` is counted; and if it is not there or does not answer
within `timeout` seconds, the watcher named by `restart_on_timeout` is restarted if it is active, and
`redis_stats.restart_on_error` counted. One that answers, if only that it still loads its data or that the password is
wrong, is not restarted.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from circus.options.kinds import TEXT
from circus.plugins.options import plugin_option, read_options, text_kind, understood
from circus.plugins.server_observer import Answer, ServerObserver, ServerOptions, seconds
from circus.plugins.statsd import count, gauge

DEFAULT_URL = "redis://localhost:6379/0"

NEEDED = "redis_observer needs the Python package redis: pip install circus[redis]"


class RedisOptions(ServerOptions):
    """Options of RedisObserver:"""

    __slots__ = ()

    timeout = plugin_option(text_kind("number", seconds), 5.0, "how long an answer may take", unit="s")
    redis_url = plugin_option(TEXT, DEFAULT_URL, "where the server is")
    restart_on_timeout = plugin_option(TEXT, "", "watcher to restart when there is no answer")


class RedisObserver(ServerObserver):
    name = "redis_observer"
    default_app_name = "redis_observer"
    option_table = RedisOptions
    restarted_bucket = "redis_stats.restart_on_error"

    OBSERVE = (
        "blocked_clients",
        "client_biggest_input_buf",
        "client_longest_output_list",
        "client_recent_max_input_buffer",  # what newer servers call the two above
        "client_recent_max_output_buffer",
        "connected_clients",
        "connected_slaves",
        "evicted_keys",
        "expired_keys",
        "keyspace_hits",
        "keyspace_misses",
        "lru_clock",
        "mem_fragmentation_ratio",
        "pubsub_channels",
        "pubsub_patterns",
        "total_commands_processed",
        "total_connections_received",
        "uptime_in_seconds",
        "used_cpu_sys",
        "used_cpu_sys_children",
        "used_cpu_user",
        "used_memory",
        "used_memory_peak",
        "used_memory_rss",
    )

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        options = read_options(self, RedisOptions)
        self.redis_url: str = options.redis_url
        self.restart_on_timeout: str = options.restart_on_timeout
        self._library = _library()
        self.redis: Any = understood(self, "redis_url", self.redis_url, self._client_for)

    def _client_for(self, url: str) -> Any:
        return self._library.Redis.from_url(url, socket_timeout=self.timeout, socket_connect_timeout=self.timeout)

    @property
    def target(self) -> str:
        parts = urlsplit(self.redis_url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))  # no password in the log

    @property
    def restarts(self) -> str:
        return self.restart_on_timeout

    def ask(self) -> Answer:
        try:
            return figures(self.redis.info(), self.OBSERVE)
        except Exception as exc:  # whatever the library comes up with
            return bad(str(exc), restart=is_down(exc, self._library))
        finally:
            # Each question on a connection of its own: one to a machine that was replaced would hang, and a server
            # that is well be restarted.
            self.redis.connection_pool.disconnect()

    def no_answer(self, trouble: str) -> Answer:
        return bad(trouble, restart=True)


# ---- outcomes in, answers out ------------------------------------------------------------------------------------


def figures(info: Mapping[str, Any], wanted: Iterable[str]) -> Answer:
    """Those of `wanted` that are there and numbers."""
    return Answer([gauge(f"redis_stats.{key}", info[key]) for key in wanted if isinstance(info.get(key), (int, float))])


def bad(trouble: str, restart: bool) -> Answer:
    return Answer([count("redis_stats.error")], trouble, restart)


def is_down(error: Exception, library: Any) -> bool:
    """Whether no server is there, or none that answers; False for an answer that says no."""
    its_answers = (library.AuthenticationError, library.BusyLoadingError)  # connection errors to the library
    is_lost = isinstance(error, (OSError, library.ConnectionError, library.TimeoutError))
    return is_lost and not isinstance(error, its_answers)


def _library() -> Any:
    try:
        return importlib.import_module("redis")  # here, because nothing else of Circus needs it
    except ImportError as exc:
        raise ImportError(NEEDED) from exc
