"""Directories in sys.path for hooks: as long as a watcher needs them, and no longer."""

from __future__ import annotations

import sys

import pytest

from circus.options.settings import watcher_spec
from circus.runtime import search_path
from circus.runtime.live_watcher import LiveWatcher


@pytest.fixture(autouse=True)
def the_same_afterwards():
    before = list(sys.path)
    yield
    assert sys.path == before


def test_directory_stays_until_the_last_one_that_needs_it_has_gone():
    search_path.add(["/a/b"])
    search_path.add(["/a/b"])
    assert sys.path.count("/a/b") == 1
    assert "/a/b" not in search_path.own()
    search_path.remove(["/a/b"])
    assert "/a/b" in sys.path
    search_path.remove(["/a/b"])


def test_directory_that_was_there_before_stays():
    ours = sys.path[-1]
    search_path.add([ours])
    search_path.remove([ours])
    assert ours in search_path.own()


def test_hooks_are_found_in_the_path_of_their_watcher_which_leaves_with_it(tmp_path):
    (tmp_path / "only_here.py").write_text("def hook(**_):\n    return True\n")
    spec = watcher_spec("w", "true", hooks={"before_start": "only_here.hook"}, env={"PYTHONPATH": str(tmp_path)})
    watcher = LiveWatcher(spec)
    watcher.build()
    assert watcher.hooks["before_start"].function.__module__ == "only_here"
    assert str(tmp_path) in sys.path
    other = LiveWatcher(watcher_spec("o", "true", copy_env=True, copy_path=True))
    other.build()
    assert str(tmp_path) not in other.env["PYTHONPATH"]
    watcher.retire()


def test_watcher_without_hooks_and_streams_needs_no_path(tmp_path):
    LiveWatcher(watcher_spec("w", "true", env={"PYTHONPATH": str(tmp_path)})).build()


def test_preparing_leaves_nothing_behind(tmp_path):
    watcher = LiveWatcher(watcher_spec("w", "true"))
    watcher.build()
    spec = watcher_spec("w", "true", hooks={"before_start": "not.there"}, env={"PYTHONPATH": str(tmp_path)})
    with pytest.raises(ImportError):
        watcher.prepare(spec)
