"""What older programs import from circus.config."""

import os

import pytest

from circus import config
from circus.exc import ConfigError
from circus.options.settings import watcher_spec

from .support import DATA, read_file


def in_data(name):
    return str(DATA / name)


def test_a_configuration_as_dictionaries():
    loaded = config.get_config(in_data("documented.ini"))
    assert (loaded["check_delay"], loaded["endpoint"], loaded["statsd"]) == (5.0, "tcp://127.0.0.1:5555", False)
    assert (loaded["plugins"], loaded["sockets"]) == ([], [])
    (watcher,) = loaded["watchers"]
    assert watcher == {
        **config.watcher_defaults(),
        "name": "myprogram",
        "cmd": "python",
        "args": "-u myprogram.py $WID",
        "numprocesses": 5,
        "env": {},
        "stdout_stream": {"class": "FileStream", "filename": "test.log", "refresh_time": "0.3"},
    }


@pytest.mark.parametrize(
    "name", ["hooks.ini", "env_sections.ini", "rlimits.ini", "flapping_plugin.ini", "stream_without_filename.ini"]
)
def test_a_watcher_made_from_its_dictionary_is_the_same(name, monkeypatch):
    monkeypatch.setenv("PATH", "/bin")
    expected = read_file(name).watchers
    for items in config.get_config(in_data(name))["watchers"]:
        spec = watcher_spec(items.pop("name"), **items)
        assert spec.replace(env=None) == expected[spec.name].replace(env=None)
        assert (spec.env or {}) == (expected[spec.name].env or {})


def loaded(tmp_path, text):
    path = tmp_path / "c.ini"
    path.write_text(text)
    return config.get_config(str(path))


@pytest.mark.parametrize(
    "options",
    [
        {"virtualenv": "/no/such/place", "copy_env": True},
        {"singleton": True, "numprocesses": 3},
        {"copy_path": True},
        {"rlimits": {"nothing": 5}},
        {"stdout_stream": {"class": "NoSuchStream"}},
    ],
)
def test_a_watcher_that_cannot_be_built_here_is_returned_too(tmp_path, options):
    lines = {
        "rlimits": "rlimit_nothing = 5",
        "stdout_stream": "stdout_stream.class = NoSuchStream",
    }
    text = "\n".join(lines.get(key, f"{key} = {value}") for key, value in options.items())
    last, first = loaded(tmp_path, f"[watcher:z]\ncmd = x\n{text}\n[watcher:a]\ncmd = y\n")["watchers"][::-1]
    assert (first["name"], last["name"]) == ("a", "z")
    assert {key: last[key] for key in options} == options


def test_of_two_watchers_with_one_name_the_first_is_returned(tmp_path):
    watchers = loaded(tmp_path, "[watcher:a]\ncmd = x\n[watcher:b]\nname = a\ncmd = y\n")["watchers"]
    assert [watcher["cmd"] for watcher in watchers] == ["x"]


def test_names_after_a_dollar_are_left_to_whoever_builds_the_watcher(tmp_path, monkeypatch):
    monkeypatch.setenv("HERE", "/srv")
    (watcher,) = loaded(
        tmp_path,
        "[env]\nA = $HERE/a\n[watcher:w]\ncmd = x $(circus.env.A)\nenv = B=$HERE\n"
        "[env:w]\nC = $(circus.env.here) $$HERE $LATER\n",
    )["watchers"]
    assert watcher["env"] == {"A": "$HERE/a", "B": "$HERE", "C": "/srv $$HERE $LATER"}
    assert watcher["cmd"] == "x /srv/a"


def test_hooks_are_lists_and_infinite_limits_numbers():
    (hooked,) = config.get_config(in_data("hooks.ini"))["watchers"]
    assert hooked["hooks"]["before_start"] == ["hooks.before", True]
    (limited,) = config.get_config(in_data("rlimits.ini"))["watchers"]
    assert limited["rlimits"] == {"nofile": 500, "core": -1, "as": -1}


def test_copy_env_puts_the_environment_of_circusd_below(tmp_path, monkeypatch):
    monkeypatch.setenv("OUTER", "1")
    path = tmp_path / "c.ini"
    path.write_text("[env]\nA = 1\n[watcher:w]\ncmd = x\ncopy_env = true\n")
    (watcher,) = config.get_config(str(path))["watchers"]
    assert watcher["env"] == {**os.environ, "A": "1"}


def test_sockets_and_plugins_are_dictionaries_of_text_sorted_by_name(tmp_path):
    path = tmp_path / "c.ini"
    path.write_text(
        "[socket:Z]\nport = 1\nreplace = yes\n[socket:a]\nport = $(circus.env.P)\n[socket:empty]\n"
        "[plugin:p]\nuse = a.b\npriority = 3\n[plugin:a]\nuse = c.d\n[env]\nP = 2\n"
    )
    loaded = config.get_config(str(path))
    assert loaded["sockets"] == [
        {"name": "a", "port": "2", "so_reuseport": False, "replace": False},
        {"name": "z", "port": "1", "so_reuseport": False, "replace": True},
    ]
    assert loaded["plugins"] == [
        {"name": "plugin:a", "use": "c.d"},
        {"name": "plugin:p", "use": "a.b", "priority": 3},
    ]


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="the configuration file does not exist"):
        config.get_config(str(tmp_path / "gone.ini"))
    with pytest.raises(FileNotFoundError):
        config.read_config(str(tmp_path / "gone.ini"))


def test_a_broken_file_is_an_error_with_all_problems():
    with pytest.raises(ConfigError) as caught:
        config.get_config(in_data("many_problems.ini"))
    assert len(caught.value.problems) == 7
    with pytest.raises(ConfigError) as caught:
        config.read_config(in_data("many_problems.ini"))
    assert len(caught.value.problems) == 1, "the syntax only"


def test_defaults_are_fresh_for_everybody():
    config.watcher_defaults()["rlimits"]["nofile"] = 1
    assert config.watcher_defaults()["rlimits"] == {}
    assert config.watcher_defaults()["stop_signal"] == 15


def test_limits_from_text():
    assert config.rlimit_value("500") == 500
    assert config.rlimit_value("") == -1


def test_a_parser_holds_a_file_and_its_includes():
    parser, files = config.read_config(in_data("includes/main.ini"))
    names = [os.path.relpath(name, DATA) for name in files]
    assert names == [f"includes/{name}.ini" for name in ("main", "second", "third", "conf.d/x", "conf.d/y")]
    assert parser.sections() == ["circus", "watcher:a", "watcher:b", "watcher:c"]
    assert parser.get("watcher:a", "args") == "second"


def test_a_parser_answers_like_the_one_of_the_standard_library():
    parser = config.DefaultConfigParser()
    assert parser.read(in_data("variables.ini")) == [in_data("variables.ini")]
    assert parser.read([in_data("default_section.ini"), "/no/such/file"]) == [in_data("default_section.ini")]
    parser.set_env({"Greeting": "hi"})
    assert parser.has_section("watcher:a") and not parser.has_section("watcher:z")
    assert parser.options("watcher:b") == ["working_dir", "numprocesses", "cmd"]
    assert parser.has_option("watcher:b", "cmd") and not parser.has_option("watcher:b", "uid")
    assert parser.get("watcher:variables", "stdout_stream.filename") == "/var/log/hi.log"
    assert ("stdout_stream.filename", "/var/log/hi.log") in parser.items("watcher:variables")
    raw = dict(parser.items("watcher:variables", noreplace=True))
    assert raw["stdout_stream.filename"] == "/var/log/$(circus.env.greeting).log"
    assert parser.dget("watcher:b", "numprocesses", 1, int) == 3
    assert parser.dget("watcher:b", "uid", "nobody") == "nobody"
    assert parser.dget("circus", "check_delay", type=bool) is True
    with pytest.raises(ValueError, match="invalid literal"):
        parser.dget("watcher:b", "cmd", type=int)
    with pytest.raises(KeyError):
        parser.get("watcher:b", "uid")


def test_a_parser_refuses_a_broken_file():
    with pytest.raises(ConfigError):
        config.DefaultConfigParser().read(in_data("many_problems.ini"))
