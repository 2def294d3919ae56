"""Specs of the watchers that belong to Circus itself."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

from circus.options.own_programs import (
    CONFIG_VARIABLE,
    FLAPPING,
    Daemon,
    flapping_defaults,
    own_programs,
    plugin_dict,
    plugin_watcher,
)
from circus.options.table import PluginSpec
from circus.plugins import get_plugin_cmd
from circus.runtime.launching import command_line

DAEMON = Daemon("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557")
AWKWARD = "a 'b' \"c\" $(circus.wid) $WID ::: key:value \\n \n ü"


def config_of(spec):
    return json.loads(spec.env[CONFIG_VARIABLE])


def test_plugin_is_one_process_that_begins_before_ordinary_watchers():
    spec = plugin_watcher(DAEMON, {"use": "my.plugins.Log", "name": "plugin:log"})
    assert (spec.name, spec.cmd, spec.priority, spec.singleton) == ("plugin:log", sys.executable, 1, True)
    assert (spec.copy_env, spec.copy_path, spec.autostart) == (True, True, True)
    assert spec.args == [
        "-c", "from circus import plugins; plugins.main()",
        "--endpoint", DAEMON.endpoint, "--pubsub", DAEMON.pubsub_endpoint,
        "--check-delay", "5.0", "my.plugins.Log",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/tmp/my dir/bin/python3", "/tmp/it's/python", "/tmp/a\\b/python", '/tmp/"x"/python'])
def test_interpreter_is_one_word_whatever_its_path_is(monkeypatch, path):
    monkeypatch.setattr(sys, "executable", path)
    daemon = DAEMON._replace(statsd=True)
    for spec in own_programs(daemon, [{"use": "a.B"}]):
        assert command_line(spec, 1, dict)[0] == path
    assert shlex.split(get_plugin_cmd({"use": "a.B"}, *DAEMON[:2], 5.0))[0] == path


@pytest.mark.parametrize(("level", "words"), [("Info", ["info"]), ("ERROR", ["error"]), ("loud", []), (None, [])])
def test_log_level_is_passed_on_as_the_programs_take_it(level, words):
    daemon = DAEMON._replace(loglevel=level, statsd=True)
    for spec in own_programs(daemon, [{"use": "a.B"}]):
        given = spec.args[spec.args.index("--log-level") + 1 :][:1] if "--log-level" in spec.args else []
        assert given == words


def test_values_reach_the_plugin_as_they_are_written_and_not_by_the_command_line():
    spec = plugin_watcher(DAEMON, {"use": "a.B", "name": "plugin:b", "text": AWKWARD, "password": "secret"})
    assert config_of(spec) == {"text": AWKWARD, "password": "secret", "name": "plugin:b"}
    assert "secret" not in str(spec.args)


def test_values_that_are_no_json_are_passed_as_text():
    assert config_of(plugin_watcher(DAEMON, {"use": "a.B", "path": sys}))["path"] == str(sys)


def test_plugin_without_a_name_is_called_after_its_class():
    assert plugin_watcher(DAEMON, {"use": "a.b.C"}).name == "plugin:a-b-C"


def test_plugin_without_a_class_is_refused():
    with pytest.raises(ValueError, match="needs `use`"):
        plugin_watcher(DAEMON, {"name": "plugin:x"})


def test_keys_that_a_watcher_knows_are_options_of_its_watcher_too():
    options = {"priority": "7", "graceful_timeout": "2", "stdout_stream.class": "StdoutStream", "odd": "x"}
    spec = plugin_watcher(DAEMON, {"use": "a.B", **options})
    assert (spec.priority, spec.graceful_timeout) == (7, 2.0)
    assert dict(spec.stdout_stream) == {"class": "StdoutStream"}
    assert spec.extras["odd"] == "x"
    assert config_of(spec)["priority"] == "7"


def test_key_with_another_meaning_for_the_plugin_is_left_to_the_plugin():
    spec = plugin_watcher(DAEMON, {"use": "a.B", "priority": "urgent", "numprocesses": "3", "cmd": "ls"})
    assert (spec.priority, spec.numprocesses, spec.cmd) == (1, 1, sys.executable)
    assert config_of(spec)["priority"] == "urgent"


def test_environment_of_a_plugin_is_added_to():
    spec = plugin_watcher(DAEMON, {"use": "a.B", "env": {"A": 1}})
    assert spec.env["A"] == "1"


@pytest.mark.parametrize(("active", "starts"), [("no", False), (False, False), ("yes", True), ("maybe", True)])
def test_inactive_plugin_is_not_started(active, starts):
    assert plugin_watcher(DAEMON, {"use": "a.B", "active": active}).autostart is starts


def test_output_goes_nowhere_and_errors_to_the_log():
    spec = plugin_watcher(DAEMON, {"use": "a.B", "name": "plugin:b"})
    assert spec.close_child_stdout
    assert not spec.close_child_stderr
    assert dict(spec.stderr_stream) == {"class": "circus.stream.log_stream.LogStream", "label": "plugin:b"}


def test_debug_shows_output_and_raises_the_level():
    spec = plugin_watcher(DAEMON._replace(debug=True, loglevel="error"), {"use": "a.B"})
    assert not spec.close_child_stdout
    assert spec.args[spec.args.index("--log-level") + 1] == "debug"


def test_level_of_the_log_and_ssh_server_are_passed_on():
    spec = plugin_watcher(DAEMON._replace(ssh_server="me@there", loglevel="error"), {"use": "a.B"})
    assert spec.args[spec.args.index("--log-level") + 1] == "error"
    assert spec.args[spec.args.index("--ssh") + 1] == "me@there"


def test_nothing_is_wanted():
    assert own_programs(DAEMON, []) == []


def test_statistics_come_first_and_know_where_to_publish():
    stats, plugin = own_programs(DAEMON._replace(statsd=True), [{"use": "a.B"}])
    assert (stats.name, plugin.name) == ("circusd-stats", "plugin:a-B")
    assert stats.args[-2:] == ["--statspoint", DAEMON.stats_endpoint]
    assert stats.use_sockets
    assert not stats.close_child_stderr


def test_statistics_can_be_silent():
    [stats] = own_programs(DAEMON._replace(statsd=True, statsd_close_outputs=True), [])
    assert stats.close_child_stdout
    assert stats.close_child_stderr
    assert not stats.stderr_stream


def test_flapping_plugin_is_built_in_and_only_sets_defaults():
    flapping = {"use": FLAPPING, "name": "plugin:flapping", "attempts": "5", "retry_in": 3, "unknown": "x"}
    plugins = [flapping, {"use": "a.B"}]
    assert [spec.name for spec in own_programs(DAEMON, plugins)] == ["plugin:a-B"]
    assert flapping_defaults(plugins) == {"flapping_attempts": 5, "flapping_retry_in": 3}


def test_section_is_passed_on_with_its_full_name():
    spec = PluginSpec("log", {"use": "a.B"}, {"filename": "x y"})
    assert plugin_dict(spec) == {"name": "plugin:log", "use": "a.B", "filename": "x y"}
