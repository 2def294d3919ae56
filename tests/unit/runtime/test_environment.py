"""The environment a watcher's processes start with."""

import os
import sys

import pytest

from circus.options.settings import watcher_spec
from circus.options.table import WatcherSpec
from circus.runtime.environment import python_paths, virtualenv_packages, watcher_env

OUTER = {"PATH": "/bin", "HOME": "/home/me"}


def test_a_watcher_that_asks_for_nothing_gets_nothing():
    assert watcher_env(WatcherSpec("w"), OUTER) == {}


def test_its_own_variables_are_all_it_gets_without_copy_env():
    assert watcher_env(watcher_spec("w", env={"A": "1"}), OUTER) == {"A": "1"}


def test_its_own_variables_lie_over_those_of_circusd():
    spec = watcher_spec("w", env={"A": "1", "PATH": "/x"}, copy_env=True)
    assert watcher_env(spec, OUTER) == {"PATH": "/x", "HOME": "/home/me", "A": "1"}
    assert OUTER["PATH"] == "/bin"


def test_the_python_path_is_copied_below_its_own_variables():
    spec = watcher_spec("w", copy_env=True, copy_path=True)
    assert watcher_env(spec, {}, python_path=["/a", "/b"]) == {"PYTHONPATH": "/a:/b"}
    assert watcher_env(spec, {}) == {"PYTHONPATH": os.pathsep.join(sys.path)}
    own = watcher_spec("w", copy_env=True, copy_path=True, env={"PYTHONPATH": "/own"})
    assert watcher_env(own, {}, python_path=["/a"]) == {"PYTHONPATH": "/own"}


def user(uid):
    return {"HOME": f"/home/{uid}", "USER": str(uid), "LOGNAME": str(uid)}


def test_home_and_name_of_the_user_are_set_if_wanted_over_those_of_circusd():
    spec = watcher_spec("w", uid="web", user_env=True, copy_env=True)
    assert watcher_env(spec, OUTER, find_user=user) == {"PATH": "/bin", **user("web")}
    assert watcher_env(watcher_spec("w", user_env=True), OUTER, find_user=user) == user(None)
    assert watcher_env(watcher_spec("w", uid="web", copy_env=True), OUTER, find_user=user) == OUTER


def test_its_own_variables_lie_over_those_of_the_user():
    spec = watcher_spec("w", uid=5, user_env=True, env={"HOME": "/srv"})
    assert watcher_env(spec, {}, find_user=user) == {**user(5), "HOME": "/srv"}


def with_virtualenv(**more):
    return WatcherSpec("w", {"virtualenv": "/venv", "copy_env": True, **more})


def packages(directory, version):
    return [f"{directory}/{version}", "/extra"]


def test_programs_and_packages_of_a_virtualenv_come_first():
    env = watcher_env(with_virtualenv(), {"PATH": "/bin:/venv/bin", "PYTHONPATH": "/lib"}, find_packages=packages)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert env == {"PATH": "/venv/bin:/bin", "PYTHONPATH": f"/venv/{version}:/extra:/lib"}


def test_a_virtualenv_may_have_another_python():
    env = watcher_env(with_virtualenv(virtualenv_py_ver="2.7"), {}, find_packages=packages)
    assert env == {"PATH": "/venv/bin", "PYTHONPATH": "/venv/2.7:/extra"}


def test_a_virtualenv_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"^virtualenv '/no/such/place' is not a directory$"):
        virtualenv_packages("/no/such/place", "3.9")


def test_packages_are_the_directory_and_what_its_path_files_name(tmp_path):
    site = tmp_path / "lib" / "python3.9" / "site-packages"
    (site / "sub").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (site / "b.pth").write_text(f"{outside}\n")
    (site / "a.pth").write_text("# comment\nimport os\nimport\tos\n\nsub\nmissing\nsub \n")
    (site / "notes.txt").write_text(str(outside))
    (site / "dir.pth").mkdir()
    found = virtualenv_packages(str(tmp_path), "3.9")
    assert found == [str(site), str(site / "sub"), str(site / "sub"), str(outside)]


def test_a_virtualenv_without_packages_says_where_they_were_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"has no packages for Python 3.9: .*lib/python3.9/site-packages"):
        virtualenv_packages(str(tmp_path), "3.9")


def test_directories_of_a_python_path():
    assert python_paths({"PYTHONPATH": "/a::/b"}) == ["/a", "/b"]
    assert python_paths({}) == []
