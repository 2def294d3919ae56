"""From the words of a command line to a plugin."""

from __future__ import annotations

import json
import shlex
from types import SimpleNamespace

import pytest

from circus import plugins
from circus.options.own_programs import CONFIG_VARIABLE
from circus.plugins import CircusPlugin, get_plugin_cmd, runner

OPTIONS = SimpleNamespace(endpoint="tcp://127.0.0.1:1", pubsub="tcp://127.0.0.1:2", check_delay=3.0, ssh=None)


class Usual(CircusPlugin):
    def handle_recv(self, data):
        pass


class Early(Usual):
    """Knows no ssh_server."""

    def __init__(self, endpoint, pubsub_endpoint, check_delay, **config):
        super().__init__(endpoint, pubsub_endpoint, check_delay, **config)


class Sample(Usual):
    """As in the documentation of the first versions."""

    def __init__(self, filename, **kwargs):
        super().__init__(**kwargs)
        self.filename = filename


class Raises(Usual):
    def __init__(self, *args, **config):
        raise TypeError("of its own")


@pytest.mark.parametrize("klass", [Usual, Early, Sample])
def test_every_signature_is_served(klass):
    plugin = runner.build(klass, OPTIONS, {"filename": "x", "name": "plugin:p"})
    assert (plugin.endpoint, plugin.pubsub_endpoint, plugin.check_delay) == (OPTIONS.endpoint, OPTIONS.pubsub, 3.0)
    assert plugin.config["name"] == "plugin:p"
    plugin.loop.close()


class Keywords(Usual):
    """Takes nothing but keywords, and not all of those."""

    def __init__(self, a):
        super().__init__(OPTIONS.endpoint, OPTIONS.pubsub, OPTIONS.check_delay)
        self.a = a


def test_class_with_options_of_its_own_only_gets_these():
    plugin = runner.build(Keywords, OPTIONS, {"a": "b"})
    assert plugin.a == "b"
    plugin.loop.close()


def test_error_inside_the_class_is_not_taken_for_a_wrong_signature():
    with pytest.raises(TypeError, match="of its own"):
        runner.build(Raises, OPTIONS, {})


@pytest.mark.parametrize(("factory", "text"), [(3, "no class"), (lambda x: x, "does not take")])
def test_what_cannot_be_a_plugin_is_refused(factory, text):
    with pytest.raises(TypeError, match=text):
        runner.build(factory, OPTIONS, {})


@pytest.mark.parametrize("config", [{}, {"a": "b"}, {"url": "redis://x:1/0", "b": "c d 'e'", "c": ""}])
def test_config_survives_the_command_line(config):
    words = shlex.split(get_plugin_cmd({"use": "a.B", **config}, "tcp://a:1", "tcp://b:2", 5, None))
    options = runner._parser().parse_args(words[3:])
    assert runner.split_config(options.config) == config
    assert (options.plugin, options.endpoint, options.pubsub) == ("a.B", "tcp://a:1", "tcp://b:2")


def test_command_passes_log_and_ssh_server_on():
    text = get_plugin_cmd({"use": "a.B"}, "tcp://a:1", "tcp://b:2", 5, "there", loglevel="error", logoutput="x y")
    options = runner._parser().parse_args(shlex.split(text)[3:])
    assert (options.ssh, options.log_level, options.log_output) == ("there", "error", "x y")


@pytest.mark.parametrize("config", [{"a": "x:::y"}, {"a:b": "c"}, {"a": ":b"}, {"a": "b:"}])
def test_config_that_cannot_be_written_is_refused(config):
    with pytest.raises(ValueError, match="cannot be written"):
        runner.join_config(config)


def test_pair_without_a_colon_is_refused():
    with pytest.raises(ValueError, match="'b' is not KEY:VALUE"):
        runner.split_config("a:1:::b")


def test_config_of_the_daemon_is_taken_out_of_the_environment(monkeypatch):
    monkeypatch.setenv(CONFIG_VARIABLE, json.dumps({"a": "b"}))
    assert runner.config_of_daemon() == {"a": "b"}
    assert runner.config_of_daemon() == {}


def test_without_a_class_usage_is_printed(capsys):
    assert plugins.main([]) == 0
    assert "usage: circus-plugin" in capsys.readouterr().out


def test_events_are_taken_apart():
    watcher, event, message = CircusPlugin.split_data([b"watcher.web.spawn", b'{"process_pid": 3}'])
    assert (watcher, event, CircusPlugin.load_message(message)) == ("web", "spawn", {"process_pid": 3})


def test_name_with_dots_stays_in_one_piece():
    assert CircusPlugin.split_data([b"watcher.a.b.c.spawn", b"{}"])[:2] == ("a.b.c", "spawn")


def test_inactive_plugin_does_not_start():
    plugin = Usual("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", 1.0, active="no")
    with pytest.raises(ValueError, match="inactive"):
        plugin.start()
    plugin.loop.close()


def test_handler_must_be_written():
    plugin = CircusPlugin("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", 1.0)
    with pytest.raises(NotImplementedError, match="CircusPlugin has no handle_recv"):
        plugin.handle_recv([])
    plugin.loop.close()
