"""The option table itself."""

import pytest

from circus import stream
from circus.common import names
from circus.common.names import STREAM_CLASSES
from circus.options.kinds import HOOK, RLIMIT, STREAM_VALUE
from circus.options.option import Effect, Family
from circus.options.table import CircusSpec, ConfigSpec, PluginSpec, SocketSpec, StreamSpec, WatcherSpec

ALL = [CircusSpec, WatcherSpec, SocketSpec, PluginSpec, StreamSpec]


@pytest.mark.parametrize("spec", ALL)
def test_no_name_is_used_twice(spec):
    written = [name for option in spec.options() for name in (option.name, *option.aliases)]
    assert len(written) == len(set(written))


@pytest.mark.parametrize("spec", ALL)
def test_every_option_has_one_line_of_manual(spec):
    for option in spec.options():
        assert option.doc and "\n" not in option.doc and "|" not in option.doc, option.name


@pytest.mark.parametrize("spec", ALL)
def test_every_default_is_a_value_of_its_kind(spec):
    for option in spec.options():
        if not isinstance(option, Family) and option.default is not None:
            assert option.kind.check(option.name, option.default) == option.default


@pytest.mark.parametrize("spec", ALL)
def test_only_durations_and_sizes_have_a_unit(spec):
    for option in spec.options():
        if option.name.endswith(("_delay", "_timeout", "max_age", "max_age_variance", "retry_in", "window")):
            assert option.unit == "s", option.name


def test_endpoints_have_their_documented_defaults():
    spec = CircusSpec()
    assert spec.endpoint == names.DEFAULT_ENDPOINT_DEALER == "tcp://127.0.0.1:5555"
    assert spec.pubsub_endpoint == names.DEFAULT_ENDPOINT_SUB == "tcp://127.0.0.1:5556"
    assert spec.stats_endpoint == names.DEFAULT_ENDPOINT_STATS == "tcp://127.0.0.1:5557"
    assert spec.check_delay == 5.0


def test_discovery_is_off_unless_configured():
    assert CircusSpec().multicast_endpoint == ""


def test_a_watcher_has_its_documented_defaults():
    spec = WatcherSpec("w")
    assert (spec.cmd, spec.numprocesses, spec.max_retry, spec.stop_signal, spec.graceful_timeout) == ("", 1, 5, 15, 30)
    assert (spec.autostart, spec.respawn, spec.close_child_stdin, spec.max_age_variance) == (True, True, True, 30)
    assert (spec.copy_env, spec.shell, spec.singleton, spec.on_demand, spec.priority) == (False, False, False, False, 0)
    assert (spec.flapping_attempts, spec.flapping_window, spec.flapping_retry_in) == (2, 1, 7)
    assert (spec.flapping_max_retry, spec.priority) == (5, 0)
    assert (spec.flapping_active, spec.flapping_backoff, spec.flapping_max_retry_in) == (True, 2, 300)


def test_the_families_of_a_watcher_hold_what_they_should():
    kinds = {option.prefix: option.item for option in WatcherSpec.options() if isinstance(option, Family)}
    assert kinds == {"rlimit_": RLIMIT, "stdout_stream.": STREAM_VALUE, "stderr_stream.": STREAM_VALUE, "hooks.": HOOK}


def test_the_old_flat_names_of_flapping_are_aliases():
    for old, name in (("flapping_attempts", "flapping.attempts"), ("retry_in", "flapping.retry_in")):
        assert WatcherSpec.lookup(old) is WatcherSpec.lookup(name) is not None


def names_by_effect(spec, effect):
    return {option.name for option in spec.options() if option.effect is effect}


def test_only_what_changes_how_many_processes_there_are_has_them_counted_anew():
    assert names_by_effect(WatcherSpec, Effect.MANAGE) == {"numprocesses", "singleton", "respawn", "on_demand"}


def test_every_option_of_a_watcher_can_be_changed_while_it_runs():
    assert names_by_effect(WatcherSpec, Effect.FIXED) == set()


def test_what_shapes_the_program_costs_a_reload():
    shaping = {
        *("cmd", "args", "executable", "shell", "shell_args", "working_dir", "uid", "gid", "rlimit_"),
        *("env", "copy_env", "copy_path", "virtualenv", "virtualenv_py_ver", "use_sockets", "user_env"),
            *("stdin_socket", "listen_fds"),
        *("close_child_stdin", "close_child_stdout", "close_child_stderr"),
    }
    assert names_by_effect(WatcherSpec, Effect.RELOAD) == shaping


def test_streams_are_swapped():
    assert names_by_effect(WatcherSpec, Effect.STREAM) == {"stdout_stream.", "stderr_stream."}


def test_what_of_the_circus_section_a_running_daemon_cannot_change():
    needs_restart = {
        *("endpoint", "endpoint_owner", "pubsub_endpoint", "multicast_endpoint", "umask", "pidfile", "debug_gc"),
        *("stream_backend", "httpd", "httpd_host", "httpd_port", "httpd_close_outputs"),
    }
    assert names_by_effect(CircusSpec, Effect.RESTART) == needs_restart
    assert names_by_effect(CircusSpec, Effect.NOTHING) == {o.name for o in CircusSpec.options()} - needs_restart


def test_a_configuration_without_sockets_and_plugins_has_empty_lists():
    config = ConfigSpec(CircusSpec(), [])
    assert (config.watchers, config.sockets, config.plugins) == ([], [], [])


@pytest.mark.parametrize("name", STREAM_CLASSES)
def test_the_stream_classes_known_to_the_checks_exist(name):
    assert isinstance(getattr(stream, name), type)


def test_no_stream_class_is_unknown_to_the_checks():
    assert {name for name in dir(stream) if name.endswith("Stream")} - {"Stream"} == set(STREAM_CLASSES)
