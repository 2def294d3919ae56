"""User and group names to numbers, against the passwd and group files of this system."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from circus.posix.users import user_id, user_info, user_variables

ROOT = pwd.getpwuid(0)
FREE = next(number for number in range(54321, 60000) if number not in {entry.pw_uid for entry in pwd.getpwall()})


@pytest.mark.parametrize("user", [0, "0", ROOT.pw_name])
def test_user_brings_gid_and_groups_along(user: int | str) -> None:
    groups = tuple(os.getgrouplist(ROOT.pw_name, ROOT.pw_gid))
    assert user_info(user) == (0, ROOT.pw_gid, groups)


def test_group_replaces_the_gid_and_is_among_the_groups() -> None:
    group = grp.getgrall()[-1]
    for given in (group.gr_name, group.gr_gid, str(group.gr_gid)):
        uid, gid, groups = user_info(ROOT.pw_name, given)
        assert (uid, gid) == (0, group.gr_gid)
        assert groups is not None and group.gr_gid in groups


def test_group_alone_changes_the_gid_only() -> None:
    assert user_info(None, 7) == (None, 7, None)


def test_nobody_named_changes_nothing() -> None:
    assert user_info(None) == (None, None, None)


def test_uid_without_an_entry_needs_a_gid_and_has_no_groups() -> None:
    for uid in (FREE, str(FREE)):
        with pytest.raises(ValueError, match=f"^uid {FREE} has no passwd entry .* group: set gid as well$"):
            user_info(uid)
        assert user_info(uid, 7) == (FREE, 7, ())


@pytest.mark.parametrize(("user", "uid"), [(0, 0), (ROOT.pw_name, 0), (FREE, FREE), (str(FREE), FREE)])
def test_id_of_a_user_needs_no_entry(user: int | str, uid: int) -> None:
    assert user_id(user) == uid


def test_variables_of_a_user_are_those_of_a_login() -> None:
    expected = {"HOME": ROOT.pw_dir, "USER": ROOT.pw_name, "LOGNAME": ROOT.pw_name}
    assert user_variables(0) == user_variables("0") == user_variables(ROOT.pw_name) == expected
    assert user_variables(None) == user_variables(os.geteuid())


def test_nobody_knows_the_home_of_a_uid_without_an_entry() -> None:
    with pytest.raises(ValueError, match=f"^uid {FREE} has no passwd entry that would name its home: set HOME in env "):
        user_variables(FREE)


@pytest.mark.parametrize("user", ["no-such-user", "", "root:root"])
def test_unknown_user_is_named(user: str) -> None:
    with pytest.raises(ValueError, match=f"'{user}' isn't a valid user name"):
        user_info(user)


def test_unknown_group_is_named() -> None:
    with pytest.raises(ValueError, match="'no-such-group' isn't a valid group name"):
        user_info(0, "no-such-group")


@pytest.mark.parametrize("number", [-1, "-1", 2**32 - 1, 2**40])
def test_number_that_means_unchanged_to_the_system_is_refused(number: int | str) -> None:
    with pytest.raises(ValueError, match="isn't a valid user id"):
        user_info(number)
    with pytest.raises(ValueError, match="isn't a valid group id"):
        user_info(0, number)
