"""Which watchers a name or a pattern means. A res name, the only one that readers of events know, works as well."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from circus.exc import MessageError
from circus.watcher import Watcher

METHODS = ("simple", "glob", "regex")


def by_name(watchers: Sequence[Watcher], name: str) -> Watcher:
    """By name, ignoring case; else by res name. KeyError if there is none."""
    lower = name.lower()
    for names in ({w.name.lower(): w for w in watchers}, {w.res_name: w for w in watchers}):
        if lower in names:
            return names[lower]
    raise KeyError(name)


def matching(watchers: Sequence[Watcher], pattern: str, method: str) -> list[Watcher]:
    """Those whose name matches, in their order. MessageError if none does, or the method or the pattern is wrong."""
    if method not in METHODS:
        raise MessageError(f"unknown match method {method}")
    try:
        found = [watcher for watcher in watchers if _matches(watcher, pattern, method)]
    except re.error as exc:
        raise MessageError(f"{pattern!r} is not a regular expression: {exc}") from None
    if not found:
        raise MessageError(f"program {pattern} not found")
    return found


def _matches(watcher: Watcher, pattern: str, method: str) -> bool:
    name = watcher.name.lower()
    if method == "regex":
        return re.match(pattern, name, re.IGNORECASE) is not None
    if method == "simple":
        return pattern.lower() in (name, watcher.res_name)
    return fnmatch.fnmatchcase(name, pattern.lower()) or fnmatch.fnmatchcase(watcher.res_name, pattern.lower())
