"""Actions: what the runtime is asked to do. Performing one never decides anything."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple


class Scope(Enum):
    """Which processes a signal is for."""

    PROCESS = "the process"
    CHILDREN = "the process and its direct children"
    TREE = "the process and all its descendants"
    REMAINS = "descendants of a process that is already reaped"


class Spawn(NamedTuple):
    """Answered by `Spawned` or `SpawnFailed`."""

    key: int
    serial: int
    wid: int


class Signal(NamedTuple):
    """Send a signal; `announce` publishes a `kill` event for each process signalled.

    `sent` is false when a hook held the signal back: only the event goes out.
    """

    key: int
    serial: int
    pid: int
    wid: int
    signum: int
    scope: Scope
    announce: bool
    sent: bool = True


class Inspect(NamedTuple):
    """Answered by `Remains`."""

    key: int
    serial: int


class RunHook(NamedTuple):
    """Answered by `HookDone` if `ticket` is not 0."""

    key: int
    ticket: int
    hook: str
    arguments: Mapping[str, Any]


class OpenStreams(NamedTuple):
    key: int


class CloseStreams(NamedTuple):
    """Answered by `StreamsClosed`."""

    key: int


class Listen(NamedTuple):
    """Tell of the next connection that waits at a socket of the watcher, once, by `Connection`; or no more."""

    key: int
    wanted: bool


class Look(NamedTuple):
    """See whether the watcher is at work. Answered by `Looked`."""

    key: int


class Publish(NamedTuple):
    """An event for subscribers. The runtime adds `time` unless it is there."""

    key: int
    event: str
    payload: Mapping[str, Any]


class Log(NamedTuple):
    level: str
    text: str


class Forget(NamedTuple):
    """The watcher is gone. With `keep`, its processes live on and are only reaped when they end."""

    key: int
    keep: bool


class Reply(NamedTuple):
    """The request behind `ticket` is settled: `result` holds the reply's keys, or `error` says why not."""

    ticket: int
    result: Mapping[str, Any]
    error: str = ""


class Exit(NamedTuple):
    """Everything is down; leave, or come back with a fresh configuration."""

    restart: bool


Action = (
    Spawn | Signal | Inspect | RunHook | OpenStreams | CloseStreams | Listen | Look | Publish | Log
    | Forget | Reply | Exit
)
