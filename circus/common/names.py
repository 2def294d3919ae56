"""Every string that crosses a boundary: endpoints, states, events, hooks. One place, so that none drifts."""

from __future__ import annotations

DEFAULT_ENDPOINT_DEALER = "tcp://127.0.0.1:5555"
DEFAULT_ENDPOINT_SUB = "tcp://127.0.0.1:5556"
DEFAULT_ENDPOINT_STATS = "tcp://127.0.0.1:5557"
DEFAULT_ENDPOINT_MULTICAST = "udp://237.219.251.97:12027"

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

# Answered instead of a process' figures when it is gone; clients compare the text.
NO_SUCH_PROCESS = "No such process (stopped?)"


def res_name(name: str) -> str:
    """Watcher name as used in topics: lower case, blanks as underscores."""
    return name.lower().replace(" ", "_")


def topic(name: str, event: str) -> str:
    return f"watcher.{res_name(name)}.{event}"
