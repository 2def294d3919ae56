"""Which files may be renamed or replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from circus.posix.regular import is_replaceable, leads_into_system


@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "/dev/new"])
def test_nothing_in_dev_or_proc_is_replaced_or_made(path: str) -> None:
    assert leads_into_system(path)
    assert not is_replaceable(path)


def test_link_into_dev_or_proc_is_not_replaced_however_long_the_way(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "again").symlink_to("null")
    (tmp_path / "devices").symlink_to("/dev")
    for path in (tmp_path / "null", tmp_path / "again", tmp_path / "devices" / "null"):
        assert not is_replaceable(str(path))


def test_link_to_a_regular_file_by_way_of_dev_is_not_replaced(tmp_path: Path) -> None:
    """`/dev/stdout` may lead to a regular file."""
    (tmp_path / "log").touch()
    (tmp_path / "out").symlink_to("/proc/self/fd/1")
    assert not is_replaceable(str(tmp_path / "out"))


def test_regular_file_a_link_to_one_and_what_is_not_there_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    (tmp_path / "link").symlink_to(tmp_path / "log")
    for name in ("log", "link", "new", "no/such/folder/log"):
        assert is_replaceable(str(tmp_path / name))


def test_pipe_a_folder_and_links_in_circles_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for name in ("pipe", "a", ""):
        assert not is_replaceable(str(tmp_path / name))


def test_memory_file_system_of_dev_holds_regular_files() -> None:
    assert is_replaceable("/dev/shm/circus-test-that-is-not-there")
