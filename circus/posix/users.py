"""User and group of a child: names or numbers in, the three things a process takes on out."""

from __future__ import annotations

import grp
import os
import pwd


def user_info(
    user: int | str | None, group: int | str | None = None
) -> tuple[int | None, int | None, tuple[int, ...] | None]:
    """(uid, gid, supplementary groups) for a `Launch`; None leaves that one as it is. ValueError names who is unknown.

    A user brings its gid and its groups along; `group` replaces the gid. A uid without a passwd entry has no
    supplementary groups and needs `group`: the program would else keep our own, which often is that of root.
    """
    gid = None if group is None else _gid(group)
    if user is None:
        return None, gid, None
    entry = _entry(user)
    if entry is not None:
        gid = entry.pw_gid if gid is None else gid
        return entry.pw_uid, gid, tuple(os.getgrouplist(entry.pw_name, gid))
    if gid is None:
        raise ValueError(f"uid {user} has no passwd entry that would name its group: set gid as well")
    return int(user), gid, ()


def user_id(user: int | str) -> int:
    """The uid of a user; any number the kernel takes is one. ValueError names who is unknown."""
    entry = _entry(user)
    return int(user) if entry is None else entry.pw_uid


def user_variables(user: int | str | None) -> dict[str, str]:
    """HOME, USER and LOGNAME as a login of `user`, or of ourselves, would set them (login(1)).

    ValueError for one without a passwd entry.
    """
    who = os.geteuid() if user is None else user
    entry = _entry(who)
    if entry is None:
        raise ValueError(f"uid {who} has no passwd entry that would name its home: set HOME in env instead of user_env")
    return {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}


def _entry(user: int | str) -> pwd.struct_passwd | None:
    """None for a uid without one. ValueError for a name without one, or what cannot be a uid."""
    uid = _number(user)
    try:
        if uid is None:
            return pwd.getpwnam(str(user))
        _check_range(uid, user, "user")
        return pwd.getpwuid(uid)
    except KeyError:
        if uid is None:
            raise ValueError(f"{user!r} isn't a valid user name") from None
        return None


def user_name(uid: int) -> str:
    """The name of a user, or the number of one without a passwd entry."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


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
