"""Words of other supervisors, which people write by habit. As keys of a watcher they would only be data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# Read as data they would let another user, or something else, run than was meant.
_DECISIVE = {
    "user": "uid",
    "command": "cmd",
    "execstart": "cmd",
    "numprocs": "numprocesses",
    "autorestart": "respawn",
}

_OTHERS = {
    "group": "gid",
    "directory": "working_dir",
    "workingdirectory": "working_dir",
    "environment": "env",
    "stopsignal": "stop_signal",
    "killsignal": "stop_signal",
    "stopwaitsecs": "graceful_timeout",
    "timeoutstopsec": "graceful_timeout",
    "startretries": "max_retry",
    "stdout_logfile": "stdout_stream.filename",
    "stderr_logfile": "stderr_stream.filename",
}

# Kinds of sections.
SECTIONS = {"program": "watcher:NAME"}


def right_name(key: str) -> str | None:
    """What a key is called here, if another supervisor has it and it does less harm than those of `mistaken`."""
    return _OTHERS.get(key.lower())


def is_decisive(key: str) -> bool:
    """Whether `mistaken` looks after a key of that name."""
    return key.lower() in _DECISIVE


def mistaken(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Keys of a watcher that must not be taken for data, and why. One beside the right word may."""
    present = list(keys)
    for key in present:
        right = _DECISIVE.get(key.lower())
        if right and right not in present:
            yield key, f"is the word of another supervisor; here it is {right}, and {key} would have no effect"
