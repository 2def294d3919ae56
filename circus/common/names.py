"""Every string that crosses a boundary: endpoints, states, events, hooks. One place, so that none drifts."""

from __future__ import annotations

DEFAULT_ENDPOINT_DEALER = "tcp://127.0.0.1:5555"
DEFAULT_ENDPOINT_SUB = "tcp://127.0.0.1:5556"
DEFAULT_ENDPOINT_STATS = "tcp://127.0.0.1:5557"
DEFAULT_ENDPOINT_MULTICAST = "udp://237.219.251.97:12027"

# Bytes of the path of a unix socket: the kernel has room for 108 with the closing zero, unix(7).
MAX_SOCKET_PATH = 107

# Values of `stream_backend`.
THREAD = "thread"
GEVENT = "gevent"
NEEDS_GEVENT = "needs the package gevent: pip install 'circus[green]'"

# What `status` answers. A watcher with fewer processes than wanted is still active.
STOPPED = "stopped"
STARTING = "starting"
ACTIVE = "active"
STOPPING = "stopping"

# Third part of an event's topic, `watcher.<res name>.<event>`.
ADD = "add"
REMOVE = "remove"
START = "start"
STOP = "stop"
SPAWN = "spawn"
KILL = "kill"
REAP = "reap"
RELOAD = "reload"
UPDATED = "updated"
FLAPPING = "flapping"
HOOK_SUCCESS = "hook_success"
HOOK_FAILURE = "hook_failure"

BEFORE_START = "before_start"
AFTER_START = "after_start"
BEFORE_SPAWN = "before_spawn"
AFTER_SPAWN = "after_spawn"
BEFORE_STOP = "before_stop"
AFTER_STOP = "after_stop"
BEFORE_SIGNAL = "before_signal"
AFTER_SIGNAL = "after_signal"
BEFORE_REAP = "before_reap"
AFTER_REAP = "after_reap"
EXTENDED_STATS = "extended_stats"

HOOKS = (
    BEFORE_START,
    AFTER_START,
    BEFORE_SPAWN,
    AFTER_SPAWN,
    BEFORE_STOP,
    AFTER_STOP,
    BEFORE_SIGNAL,
    AFTER_SIGNAL,
    BEFORE_REAP,
    AFTER_REAP,
    EXTENDED_STATS,
)

# A failure of these says nothing about whether to go on, so it never counts unless asked for.
HOOKS_IGNORING_FAILURE = frozenset((BEFORE_STOP, AFTER_STOP, BEFORE_SIGNAL, AFTER_SIGNAL, EXTENDED_STATS))

# Of `loglevel` and `--log-level`, in any case.
LOG_LEVELS = ("critical", "error", "warning", "info", "debug")

# What `class` of a stream may name without a dot; those that append to `filename`, and all of them.
FILE_STREAM_CLASSES = ("FileStream", "WatchedFileStream", "TimedRotatingFileStream")
STREAM_CLASSES = (*FILE_STREAM_CLASSES, "QueueStream", "StdoutStream", "FancyStdoutStream")

# Watchers that run a part of Circus, beside those of plugins.
STATS_WATCHER = "circusd-stats"
OWN_WATCHERS = (STATS_WATCHER, "circushttpd")

# First part of the topics of the statistics stream, `stat.<res name>[.<process id>]`.
STATS_TOPIC = "stat"

# Stands for a figure that the system does not tell.
NOT_AVAILABLE = "N/A"

# Answered instead of a process' figures when it is gone; clients compare the text.
NO_SUCH_PROCESS = "No such process (stopped?)"


def res_name(name: str) -> str:
    """Watcher name as used in topics: lower case, blanks as underscores."""
    return name.lower().replace(" ", "_")


def topic(name: str, event: str) -> str:
    return f"watcher.{res_name(name)}.{event}"


def split_topic(text: str) -> tuple[str, str, str]:
    """The reverse: `watcher`, res name, event. The name is empty if there are no three parts.

    Taken apart from both ends: a name may hold dots, the others hold none.
    """
    kind, _, rest = text.partition(".")
    name, _, event = rest.rpartition(".")
    return kind, name, event


def is_own_watcher(name: str) -> bool:
    """Whether it runs a part of Circus: a plugin, the statistics daemon, the web console."""
    return name.lower().startswith("plugin:") or res_name(name) in OWN_WATCHERS
