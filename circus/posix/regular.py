"""Files that may be renamed, replaced or made anew: regular ones, and nothing in /dev or /proc.

As root a rename of `/dev/null` works, and takes it away from the whole machine.
"""

from __future__ import annotations

import os
import stat

_SYSTEM = ("/dev", "/proc")
_ORDINARY = ("/dev/shm",)  # noqa: S108  # a file system of regular files, which happens to lie in /dev

_LINKS = 40  # as many as the kernel follows (path_resolution(7))


def is_replaceable(path: str) -> bool:
    """Whether another file may take the place of what is at `path`, or be made there if there is nothing yet."""
    if leads_into_system(path):
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # nothing there, or nothing that can be looked at: then it cannot be renamed either


def leads_into_system(path: str) -> bool:
    """Whether the path, or a link on its way, lies in /dev or /proc: `/dev/stdout`, or a link to it."""
    for _ in range(_LINKS):
        folder, name = os.path.split(os.path.abspath(path))
        folder = os.path.realpath(folder)
        if _is_in(folder, _SYSTEM) and not _is_in(folder, _ORDINARY):
            return True
        path = os.path.join(folder, name)
        if not os.path.islink(path):
            return False
        path = os.path.join(folder, os.readlink(path))
    return True  # in circles


def _is_in(folder: str, places: tuple[str, ...]) -> bool:
    return any(folder == place or folder.startswith(place + "/") for place in places)
