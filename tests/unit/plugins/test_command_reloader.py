"""The command reloader: which files a command runs, when they have changed, and who is restarted."""

from __future__ import annotations

import os

import pytest

from circus.plugins.command_reloader import Command, CommandReloader, Followed, Print, command_of, look, take
from tests.unit.plugins.support import build, daemon, refuses

# ---- options -----------------------------------------------------------------------------------------------------


def test_loop_rate_is_a_second_unless_it_is_said():
    assert build(CommandReloader).loop_rate == 1
    assert build(CommandReloader, loop_rate="0.5").loop_rate == 0.5


@pytest.mark.parametrize("value", ["0", "often"])
def test_bad_value_is_refused(value):
    refuses(CommandReloader, "loop_rate", value)


# ---- which files -------------------------------------------------------------------------------------------------


def command(text, directory="/d", **options):
    return command_of({"cmd": text, "working_dir": directory, **options}, {"PATH": "/b1:/b2"})


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"text": "/x/run"}, ["/x/run"]),
        ({"text": "run"}, ["/d/run"]),
        ({"text": "python app.py -v"}, ["/d/python app.py -v", "/d/python", "/d/app.py", "/d/-v"]),
        ({"text": "python", "args": "/a/b.py 'c d'"}, ["/d/python", "/a/b.py", "/d/c d"]),
        ({"text": "python", "args": ["b.py", "c d"]}, ["/d/python", "/d/b.py", "/d/c d"]),
        ({"text": "a", "executable": "bin/b"}, ["/d/a", "/d/bin/b"]),
        ({"text": "a 'b"}, ["/d/a 'b"]),
        ({"text": ""}, []),
        ({"text": None}, []),
        ({"text": "a", "directory": None}, ["a"]),
        ({"text": "a b.LOG c.pid"}, ["/d/a b.LOG c.pid", "/d/a"]),
        ({"text": "a > b 2>> c d"}, ["/d/a > b 2>> c d", "/d/a", "/d/>", "/d/2>>", "/d/d"]),
    ],
)
def test_places_where_a_file_of_the_command_may_lie(options, places):
    assert command(**options).places() == places


@pytest.mark.parametrize(
    ("options", "alternatives"),
    [
        ({"text": "run x", "copy_env": True}, ["/b1/run", "/b2/run"]),
        ({"text": "run x", "copy_env": True, "env": {"PATH": "/own"}}, ["/own/run"]),
        ({"text": "run x", "executable": "other", "env": {"PATH": "/own"}}, ["/own/other"]),
        ({"text": "run x", "env": None}, [f"{path}/run" for path in os.defpath.split(":")]),
        ({"text": "bin/run x"}, []),
        ({"text": ""}, []),
    ],
)
def test_program_without_a_slash_is_looked_for_where_circusd_looks(options, alternatives):
    assert command(**options).alternatives() == alternatives


# ---- when they have changed --------------------------------------------------------------------------------------


def history(*looks):
    """What each look finds; a look is a dict of path to (real path, time)."""
    followed = Followed(Command("", (), "", "", ()))
    return [followed.compare({path: Print(*seen) for path, seen in prints.items()}) for prints in looks]


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([{"a": ("a", 1)}, {"a": ("a", 1)}], [[], []]),
        ([{"a": ("a", 1)}, {"a": ("a", 2)}, {"a": ("a", 2)}], [[], ["a"], []]),
        ([{"a": ("a", 2)}, {"a": ("a", 1)}], [[], ["a"]]),  # an older version was put back
        ([{"a": ("v1/a", 1)}, {"a": ("v2/a", 1)}], [[], ["a"]]),
        ([{"a": ("a", 1)}, {}, {}, {"a": ("a", 1)}], [[], [], [], []]),
        ([{"a": ("a", 1)}, {}, {"a": ("a", 2)}, {"a": ("a", 2)}], [[], [], ["a"], []]),
        ([{}, {"a": ("a", 1)}, {"a": ("a", 2)}], [[], [], ["a"]]),
        ([{"a": ("a", 1), "b": ("b", 1)}, {"a": ("a", 1), "b": ("b", 2)}], [[], ["b"]]),
    ],
)
def test_file_has_changed_if_it_is_there_and_not_what_it_was(looks, found):
    assert history(*looks) == found


def test_only_regular_files_are_known_by_something(tmp_path):
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.touch()
    os.utime(file, ns=(1, 2))
    link.symlink_to(file)
    os.mkfifo(pipe)
    real = os.path.realpath(file)
    assert take(str(file)) == take(str(link)) == Print(real, 2)
    for path in (tmp_path, pipe, "/dev/null", tmp_path / "none", "a\0b"):
        assert take(str(path)) is None


def test_program_once_found_stays_that_file_while_it_is_away(tmp_path):
    first, second = tmp_path / "1" / "run", tmp_path / "2" / "run"
    for path in (first, second):
        path.parent.mkdir()
        path.touch(0o755)
    first.chmod(0o644)  # no program
    followed = Followed(command("run", str(tmp_path), env={"PATH": f"{first.parent}:{second.parent}"}))
    assert list(look(followed)) == [str(second)]
    second.unlink()
    first.chmod(0o755)
    assert look(followed) == {}
    second.touch()
    assert list(look(followed)) == [str(second)]


def test_program_that_is_nowhere_yet_is_looked_for_again(tmp_path):
    followed = Followed(command("run", "/nowhere", env={"PATH": str(tmp_path)}))
    assert look(followed) == {}
    (tmp_path / "run").touch(0o755)
    assert list(look(followed)) == [f"{tmp_path}/run"]


# ---- who is restarted --------------------------------------------------------------------------------------------

RESTART = [("restart", {"name": "Web", "match": "simple"})]


class Scene:
    """Watcher `Web`, its script and the plugin."""

    def __init__(self, directory, name="Web"):
        self.path = directory / "app.py"
        self.path.touch()
        self._time = 1
        self.change()
        self.watchers = {name: ("active", [1])}
        self.options = {"cmd": "app.py", "working_dir": str(directory)}
        self.plugin = build(CommandReloader, daemon(self.watchers, self.options))
        self.plugin.look_after()

    def change(self):
        self._time += 1
        os.utime(self.path, ns=(self._time, self._time))

    def look(self, status="active"):
        """What is sent now."""
        self.watchers["Web"] = (status, [1])
        self.plugin.look_after()
        sent, self.plugin.sent = self.plugin.sent, []
        return sent

    def event(self, name, watcher="web"):
        self.plugin.handle_recv([f"watcher.{watcher}.{name}".encode(), b"{}"])


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_watcher_of_a_changed_file_is_restarted_once(scene):
    assert scene.look() == []
    scene.change()
    assert scene.look() == RESTART
    assert scene.look() == []


def test_file_that_vanishes_and_returns_as_it_was_restarts_nobody(scene):
    kept = scene.path.rename(scene.path.with_suffix(".kept"))
    assert scene.look() == []
    kept.rename(scene.path)
    assert scene.look() == []


def test_file_that_is_replaced_is_a_change_when_it_is_there_again(scene):
    scene.path.unlink()
    assert scene.look() == []
    scene.path.touch()
    assert scene.look() == RESTART


@pytest.mark.parametrize("status", ["starting", "stopping"])
def test_change_while_it_comes_or_goes_waits_until_it_is_active(scene, status):
    scene.change()
    assert scene.look(status) == []
    assert scene.look() == RESTART


def test_watcher_stopped_by_hand_stays_so_and_is_compared_with_what_it_is_started_with(scene):
    scene.change()
    assert scene.look("stopped") == []
    scene.change()
    assert scene.look() == []
    scene.change()
    assert scene.look() == RESTART


def test_watcher_that_is_first_seen_while_it_starts_is_compared_from_then_on(tmp_path):
    scene = Scene(tmp_path, name="other")
    del scene.watchers["other"]
    assert scene.look("starting") == []
    scene.change()
    assert scene.look() == RESTART


def test_other_command_is_followed_without_a_restart_after_an_event(scene, tmp_path):
    other = tmp_path / "other.py"
    other.touch()
    scene.look()
    scene.options["cmd"] = "other.py"
    scene.event("spawn")
    scene.event("updated", "another")
    scene.look()
    assert scene.plugin.followed["Web"].command.text == "app.py"
    scene.event("updated")
    scene.change()
    assert scene.look() == []
    assert scene.plugin.followed["Web"].command.text == "other.py"
    os.utime(other, ns=(5, 5))
    assert scene.look() == RESTART


def test_command_changed_before_events_were_heard_is_found_at_the_next_look(scene):
    scene.plugin.handle_init()
    scene.options["cmd"] = "other.py"
    scene.look()
    assert scene.plugin.followed["Web"].command.text == "other.py"


def test_event_without_another_command_forgets_nothing(scene):
    scene.look()
    scene.event("updated")
    scene.change()
    assert scene.look() == RESTART


@pytest.mark.parametrize("name", ["plugin:x", "circusd-stats"])
def test_own_programs_are_not_asked_for(name):
    plugin = build(CommandReloader, lambda command, **props: {"statuses": {name: "active"}} if not props else {}[name])
    plugin.look_after()
    assert plugin.followed == {}


def test_watcher_removed_meanwhile_is_nobody():
    plugin = build(CommandReloader, lambda command, **props: {"statuses": {"a": "active"}} if not props else {})
    plugin.look_after()
    assert plugin.followed == {}
