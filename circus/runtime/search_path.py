"""Where hooks and stream classes are found: directories of a watcher's PYTHONPATH, in `sys.path` while it needs them.

A hook may import more when it runs, so they stay as long as their watcher does, and no longer.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# How many watchers need each of those that were not there before.
_needed: Counter[str] = Counter()


def add(paths: Iterable[str]) -> None:
    for path in paths:
        if _needed[path] or path not in sys.path:
            if not _needed[path]:
                sys.path.append(path)
            _needed[path] += 1


def remove(paths: Iterable[str]) -> None:
    """What `add` was called with before."""
    for path in paths:
        if _needed[path]:
            _needed[path] -= 1
            if not _needed[path] and path in sys.path:
                sys.path.remove(path)


@contextmanager
def searched(paths: Iterable[str]) -> Iterator[None]:
    found = list(paths)
    add(found)
    try:
        yield
    finally:
        remove(found)


def own() -> list[str]:
    """`sys.path` as it is without any watcher."""
    return [path for path in sys.path if not _needed[path]]
