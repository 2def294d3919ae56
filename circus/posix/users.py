"""User and group of a child: names or numbers in, the three things a process takes on out."""

from __future__ import annotations

import grp
import os
import pwd


def user_info(
    user: int | str | None, group: int | str | None = None
) -> tuple[int | None, int | None, tuple[int, ...] | None]:
    """(uid, gid, supplementary groups) for a `Launch`; None leaves that one as it is. ValueError names who is unknown.

    A user brings its gid and its groups along; `group` replaces the gid. A uid without a passwd entry is fine: it
    has no supplementary groups, and without `group` the gid stays.
    """
    gid = None if group is None else _gid(group)
    if user is None:
        return None, gid, None
    uid = _number(user)
    try:
        if uid is None:
            entry = pwd.getpwnam(str(user))
        else:
            _check_range(uid, user, "user")
            entry = pwd.getpwuid(uid)
    except KeyError:
        if uid is None:
            raise ValueError(f"{user!r} isn't a valid user name") from None
        return uid, gid, ()
    gid = entry.pw_gid if gid is None else gid
    return entry.pw_uid, gid, tuple(os.getgrouplist(entry.pw_name, gid))


def _gid(group: int | str) -> int:
    gid = _number(group)
    if gid is not None:
        _check_range(gid, group, "group")
        return gid
    try:
        return grp.getgrnam(str(group)).gr_gid
    except KeyError:
        raise ValueError(f"{group!r} isn't a valid group name") from None


def _number(value: int | str) -> int | None:
    try:
        return int(value)
    except ValueError:
        return None


def _check_range(number: int, given: int | str, kind: str) -> None:
    """-1, also as 2**32 - 1, means "leave unchanged" to setuid(2): a section that says so must not run as root."""
    if not 0 <= number < 2**32 - 1:
        raise ValueError(f"{given!r} isn't a valid {kind} id")
