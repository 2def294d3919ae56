"""The variables by which listening sockets are handed from one program to the next, sd_listen_fds(3)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

FIRST = 3
"""Number of the first descriptor, SD_LISTEN_FDS_START."""

FDS, PID, NAMES = VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def names_of(environ: Mapping[str, str]) -> list[str]:
    """Names of the descriptors from `FIRST` on, in lower case; empty if there are none.

    One without a name is `unknown`; of several of one name the later ones are NAME-2, NAME-3 and so on.
    """
    text = environ.get(FDS, "")
    count = int(text) if text.isdecimal() else 0
    given = environ.get(NAMES, "").lower().split(":") if environ.get(NAMES) else []
    names: list[str] = []
    for name in [*given, *["unknown"] * count][:count]:
        names.append(_free(name or "unknown", names))
    return names


def _free(name: str, taken: list[str]) -> str:
    candidates = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)
