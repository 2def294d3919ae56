"""Which processes we may not signal (kill(2)): those of other users, unless we are root with CAP_KILL."""

from __future__ import annotations

import os

from circus.posix.users import user_name


def refusal(pid: int) -> str:
    """Why we may not signal a process, for people; empty if we may, or if it is gone."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return f"not permitted to signal pid {pid}, it runs as {_owner(pid)}"
    except ProcessLookupError:
        return ""
    return ""


def _owner(pid: int) -> str:
    try:
        return user_name(os.stat(f"/proc/{pid}").st_uid)
    except OSError:
        return "another user"  # no /proc here
