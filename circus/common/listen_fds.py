"""The variables by which listening sockets are handed from one program to the next, sd_listen_fds(3)."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping

FIRST = 3
"""Number of the first descriptor, SD_LISTEN_FDS_START."""

_DIGITS = 5
"""A number that has so many is nonsense: nobody hands over ten thousand sockets."""

FDS, PID, NAMES = VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def names_of(environ: Mapping[str, str]) -> list[str]:
    """Names of the descriptors from `FIRST` on, in lower case; empty if there are none.

    One without a name is `unknown`; of several of one name the later ones are NAME-2, NAME-3 and so on.
    """
    text = environ.get(FDS, "")
    count = int(text) if text.isdecimal() and len(text) < _DIGITS else 0
    given = environ.get(NAMES, "").lower().split(":") if environ.get(NAMES) else []
    names: dict[str, None] = {}  # a set that keeps its order
    numbers: dict[str, Iterator[int]] = {}  # by name: each is tried once, however many have that name
    for name in [*given, *["unknown"] * count][:count]:
        names[_free(name or "unknown", names, numbers)] = None
    return list(names)


def _free(name: str, taken: Container[str], numbers: dict[str, Iterator[int]]) -> str:
    free = name
    while free in taken:
        free = f"{name}-{next(numbers.setdefault(name, itertools.count(2)))}"
    return free
