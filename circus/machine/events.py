"""Facts: what was seen. Each names its watcher by `key` and, where there is one, the process by `serial`."""

from __future__ import annotations

from typing import NamedTuple


class Spawned(NamedTuple):
    """The program was executed. `started` is wall-clock time, for people."""

    key: int
    serial: int
    pid: int
    started: float


class SpawnFailed(NamedTuple):
    """The program could not be executed; `text` says at which stage and why."""

    key: int
    serial: int
    text: str


class Exited(NamedTuple):
    """The process was reaped. `remains` are descendants that outlived it. `exit_code` is -N for signal N."""

    key: int
    serial: int
    exit_code: int | None
    remains: tuple[int, ...] = ()


class Remains(NamedTuple):
    """Answer to `Inspect`: descendants of a reaped process that are still there; `text` names them for people."""

    key: int
    serial: int
    pids: tuple[int, ...]
    text: str = ""


class Refused(NamedTuple):
    """The system does not permit us to signal the process, or anything of what it has left; `text` says which."""

    key: int
    serial: int
    text: str


class HookDone(NamedTuple):
    """A hook returned, failed or ran out of time; `ok` already takes into account whether failure is ignored."""

    key: int
    ticket: int
    ok: bool


class StreamsClosed(NamedTuple):
    """Everything the watcher's processes wrote has been handed to its streams."""

    key: int


class Connection(NamedTuple):
    """A connection, or a datagram, waits at a socket of the watcher. Its sockets are not watched any more."""

    key: int


class Looked(NamedTuple):
    """Answer to `Look`. `used` is the processor time of its processes and all below them, in seconds; `connected` how
    long ago there was a connection to its sockets: 0 if there is one, or if that is not known; None: none was seen."""

    key: int
    used: float
    connected: float | None


Event = Spawned | SpawnFailed | Exited | Remains | Refused | HookDone | StreamsClosed | Connection | Looked
