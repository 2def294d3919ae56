"""Options as requests, programs and command lines give them."""

import json
import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circus import config
from circus.common import names
from circus.exc import ArgumentError, MessageError
from circus.options.option import Effect
from circus.options.settings import (
    apply_options,
    check_options,
    contradiction,
    limit_names,
    lookup_value,
    option_values,
    parse_word,
    watcher_keys,
    watcher_spec,
)
from circus.options.table import StreamSpec, WatcherSpec


def a_hook(*args, **kwargs):
    return True


# ---- requests ----------------------------------------------------------------------------------------------------

INTEGERS = ["numprocesses", "max_retry", "max_age", "max_age_variance", "stop_signal"]
NUMBERS = ["warmup_delay", "retry_in", "graceful_timeout"]
BOOLEANS = [
    "send_hup", "shell", "copy_env", "respawn", "stop_children", "close_child_stdin", "close_child_stdout",
    "close_child_stderr",
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        *[({key: "nonsense"}, f"'{key}' isn't an integer") for key in INTEGERS],
        *[({key: [1]}, f"'{key}' isn't an integer") for key in INTEGERS],
        *[({key: "nonsense"}, f"'{key}' isn't a number") for key in NUMBERS],
        *[({key: 5}, f"'{key}' isn't a valid boolean") for key in BOOLEANS],
        ({"uid": 1.5}, "'uid' isn't an integer or string"),
        ({"gid": []}, "'gid' isn't an integer or string"),
        ({"env": ["A"]}, "'env' isn't a valid object"),
        ({"env": {"A": 1}}, "'A' isn't a string"),
        ({"hooks": "a.b"}, "'a.b' isn't a valid hook dict"),
        ({"hooks": {"before_lunch": "a.b"}}, "Unknown hook 'before_lunch'"),
        ({"hooks.before_lunch": "a.b"}, "Unknown hook 'before_lunch'"),
        ({"hooks.before_start": 5}, "'hooks.before_start' isn't a valid hook"),
        ({"stdout_stream": "x"}, "'stdout_stream' isn't a valid object"),
        ({"stderr_stream": {"filename": "x"}}, "'stderr_stream' must have a 'class' key"),
        ({"rlimit_lunch": 5}, "'rlimit_lunch' isn't a valid rlimit setting"),
        ({"rlimit_nofile": "x"}, "'x' rlimit value isn't a valid int"),
        ({"rlimit_nofile": 1.5}, "1.5 rlimit value isn't a valid int"),
        ({"cmd": 5}, "'cmd' isn't a string"),
        ({"args": 5}, "'args' isn't a list or string"),
        ({"lunch": 5}, "unknown key 'lunch'"),
        ({"stdout_stream.": 5}, "unknown key 'stdout_stream.'"),
        ({"name": "x"}, "unknown key 'name'"),
        (None, "'options' property should be an object"),
        (["cmd"], "'options' property should be an object"),
    ],
)
def test_a_wrong_option_is_refused_with_the_text_clients_know(options, text):
    with pytest.raises(MessageError) as caught:
        check_options(options)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("given_options", "checked"),
    [
        ({}, {}),
        ({"numprocesses": "3", "graceful_timeout": "0.5", "shell": "yes"}, None),
        ({"stop_signal": "HUP"}, {"stop_signal": 1}),
        ({"rlimit_NOFILE": 5, "rlimit_core": None}, {"rlimit_NOFILE": 5, "rlimit_core": None}),
        ({"rlimits": {"nofile": 5}}, {"rlimits": {"nofile": 5}}),
        ({"hooks": {"before_start": "a.b, true"}}, {"hooks": {"before_start": ("a.b", True)}}),
        ({"hooks": {"before_start": ["a.b", False]}}, {"hooks": {"before_start": ("a.b", False)}}),
        ({"hooks.before_start": None}, {"hooks.before_start": None}),
        ({"stdout_stream": {"class": "FileStream", "max_bytes": 5, "refresh_time": 0.3}}, None),
        ({"stdout_stream.max_bytes": 5}, {"stdout_stream.max_bytes": 5}),
        ({"env": "A=1"}, {"env": {"A": "1"}}),
        ({"uid": None, "gid": "www"}, {"uid": None, "gid": "www"}),
    ],
)
def test_right_options_come_back_as_values(given_options, checked):
    result = check_options(given_options)
    assert checked is None or result == checked
    assert check_options(result) == result, "checking twice changes nothing"


@pytest.mark.parametrize(
    "key",
    [
        "priority", "use_sockets", "executable", "virtualenv", "autostart", "on_demand", "stdin_socket", "copy_path",
        "shell_args", "flapping_attempts", "flapping_window", "retry_in", "flapping.max_retry", "flapping.active",
        "cmd", "args", "working_dir", "singleton", "stdout_stream.filename", "stderr_stream.anything",
    ],
)  # fmt: skip
def test_keys_beyond_the_first_clients_are_known(key):
    try:
        check_options({key: "1"})
    except MessageError as exc:
        assert "unknown key" not in str(exc)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(watcher_keys()) | st.text(max_size=5), JSON, max_size=4))
def test_no_options_raise_anything_but_their_errors(options):
    try:
        spec, effects = apply_options(WatcherSpec("w"), options)
    except (MessageError, ValueError):
        return
    assert set(effects) == set(options)
    json.dumps(option_values(spec))


# ---- applying ----------------------------------------------------------------------------------------------------


def changed(spec, options):
    return apply_options(spec, options)[0]


def test_a_change_gives_a_new_spec_and_what_it_costs():
    spec = WatcherSpec("w", {"cmd": "sleep 1"}, {"mine": "x"})
    new, effects = apply_options(spec, {"numprocesses": 3, "cmd": "sleep 2", "priority": 4, "max_retry": 9})
    assert (spec.numprocesses, spec.cmd) == (1, "sleep 1")
    assert (new.numprocesses, new.cmd, new.priority, new.max_retry, new.extras) == (3, "sleep 2", 4, 9, {"mine": "x"})
    assert effects == {
        "numprocesses": Effect.MANAGE,
        "cmd": Effect.RELOAD,
        "priority": Effect.NOTHING,
        "max_retry": Effect.NOTHING,
    }


def test_a_value_set_to_its_default_says_nothing():
    spec = changed(WatcherSpec("w", {"numprocesses": 3}), {"numprocesses": 1})
    assert spec == WatcherSpec("w")
    assert spec.values == {}


def test_a_negative_number_of_processes_is_none():
    assert changed(WatcherSpec("w"), {"numprocesses": -3}).numprocesses == 0


def test_old_names_change_the_option():
    new, effects = apply_options(WatcherSpec("w"), {"retry_in": 3, "flapping_attempts": 4})
    assert (new.flapping_retry_in, new.flapping_attempts) == (3, 4)
    assert set(effects) == {"retry_in", "flapping_attempts"}


def test_a_second_process_for_a_singleton_is_refused():
    spec = WatcherSpec("w", {"singleton": True})
    with pytest.raises(ValueError, match=r"^Singleton watcher has a single process$"):
        apply_options(spec, {"numprocesses": 2})
    assert changed(spec, {"numprocesses": 2, "singleton": False}).numprocesses == 2


def test_a_contradiction_that_was_there_before_does_not_stop_other_changes():
    spec = WatcherSpec("w", {"copy_path": True})
    assert changed(spec, {"numprocesses": 2}).numprocesses == 2


def test_one_wrong_option_changes_nothing():
    with pytest.raises(MessageError):
        apply_options(WatcherSpec("w"), {"numprocesses": 3, "max_age": "old"})


def test_members_of_families_are_changed_one_by_one():
    spec = WatcherSpec("w", {"rlimits": {"core": 1}, "hooks": {"after_stop": ("a.b", False)}})
    new = changed(spec, {"rlimit_NOFILE": 5, "rlimit_core": None, "hooks.before_start": "c.d,true"})
    assert new.rlimits == {"core": None, "nofile": 5}
    assert new.hooks == {"after_stop": ("a.b", False), "before_start": ("c.d", True)}
    assert spec.rlimits == {"core": 1}


def test_a_whole_family_replaces_what_was_there():
    spec = WatcherSpec("w", {"hooks": {"after_stop": ("a.b", False)}, "rlimits": {"core": 1}})
    new = changed(spec, {"hooks": {"before_start": ["c.d", True], "after_start": None}, "rlimits": {"NOFILE": 3}})
    assert new.hooks == {"before_start": ("c.d", True)}
    assert new.rlimits == {"nofile": 3}


def test_a_hook_of_nothing_is_taken_away():
    spec = WatcherSpec("w", {"hooks": {"after_stop": ("a.b", False)}})
    assert changed(spec, {"hooks.after_stop": None}) == WatcherSpec("w")


def test_a_stream_is_swapped_unless_it_is_the_first_one_or_the_last():
    bare = WatcherSpec("w")
    first, effects = apply_options(bare, {"stdout_stream": {"class": "FileStream", "filename": "a"}})
    assert effects == {"stdout_stream": Effect.RELOAD}
    second, effects = apply_options(first, {"stdout_stream.filename": "b"})
    assert effects == {"stdout_stream.filename": Effect.STREAM}
    assert second.stdout_stream == {"class": "FileStream", "filename": "b"}
    last, effects = apply_options(second, {"stdout_stream.filename": None, "stdout_stream.class": None})
    assert effects["stdout_stream.class"] is Effect.RELOAD
    assert last == bare


# ---- programs ----------------------------------------------------------------------------------------------------


def test_keyword_arguments_make_a_spec():
    spec = watcher_spec(
        "web",
        "run",
        args=["-u", 1],
        numprocesses=2,
        env=os.environ,
        working_dir=PurePosixPath("/srv"),
        shell=1,
        rlimits={"NOFILE": 5},
        rlimit_core=None,
        hooks={"before_start": (a_hook, True), "after_start": a_hook, "after_stop": "a.b", "before_stop": None},
        stdout_stream={"stream": a_hook},
        stop_signal="HUP",
        flapping_active=False,
        stopped=True,
        loop=object(),
        prereload_fn=a_hook,
        **{"flapping.window": "3", "stderr_stream.class": "FileStream"},
    )
    assert (spec.name, spec.cmd, spec.args, spec.numprocesses) == ("web", "run", ["-u", "1"], 2)
    assert (spec.env, spec.working_dir, spec.shell, spec.stop_signal) == (dict(os.environ), "/srv", True, 1)
    assert spec.rlimits == {"nofile": 5, "core": None}
    assert spec.hooks == {"before_start": (a_hook, True), "after_start": (a_hook, False), "after_stop": ("a.b", False)}
    assert (spec.stdout_stream, spec.stderr_stream) == ({"stream": a_hook}, {"class": "FileStream"})
    assert (spec.flapping_active, spec.flapping_window) == (False, 3.0)
    assert spec.extras == {"stopped": True}


def test_nothing_given_means_the_defaults():
    everything = {option.attribute: None for option in WatcherSpec.options() if "." not in option.name}
    assert watcher_spec("web", **everything) == watcher_spec("web") == WatcherSpec("web")


def test_cmd_may_be_a_keyword_as_in_dictionaries():
    assert watcher_spec("web", **{"cmd": "run"}) == watcher_spec("web", "run")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"singleton": True, "numprocesses": 2}, "single process"),
        ({"copy_path": True}, "copy_path needs copy_env"),
        ({"virtualenv": "/"}, "virtualenv needs copy_env"),
        ({"numprocesses": "many"}, "'numprocesses' isn't an integer"),
        ({"hooks": {"before_lunch": a_hook}}, "Unknown hook 'before_lunch'"),
        ({"stdout_stream": "FileStream"}, "'stdout_stream' isn't a valid object"),
        ({"env": {"A": 1}}, "'A' isn't a string"),
    ],
)
def test_arguments_that_cannot_be_right_are_value_errors(arguments, text):
    with pytest.raises(ValueError, match=text):
        watcher_spec("web", "run", **arguments)


def test_a_spec_that_can_be_has_no_contradiction():
    assert contradiction(watcher_spec("w", copy_env=True, copy_path=True, virtualenv="/", singleton=True)) is None


# ---- reading back ------------------------------------------------------------------------------------------------

LISTED = [
    "numprocesses", "warmup_delay", "working_dir", "uid", "gid", "send_hup", "stop_signal", "stop_children", "shell",
    "shell_args", "env", "max_retry", "cmd", "args", "respawn", "graceful_timeout", "executable", "use_sockets",
    "priority", "copy_env", "singleton", "stdout_stream_conf", "stderr_stream_conf", "on_demand", "max_age",
    "max_age_variance", "close_child_stdin", "close_child_stdout", "close_child_stderr", "mine",
]  # fmt: skip
NOT_LISTED = ["autostart", "virtualenv", "rlimits", "hooks", "stdin_socket", "copy_path", "name", "__name__"]


def test_options_lists_what_clients_expect_sorted():
    values = option_values(WatcherSpec("w", {"cmd": "run"}, {"mine": "x"}), working_dir="/here")
    keys = [key for key, _ in values]
    assert set(LISTED) <= set(keys)
    assert not set(NOT_LISTED) & set(keys)
    assert keys == sorted(keys)
    listed = dict(values)
    assert (listed["cmd"], listed["working_dir"], listed["mine"], listed["stop_signal"]) == ("run", "/here", "x", 15)
    assert listed["flapping.max_retry"] == 5
    assert type(listed["graceful_timeout"]) is float


def test_a_working_dir_of_its_own_is_listed():
    assert dict(option_values(WatcherSpec("w", {"working_dir": "/x"}), "/here"))["working_dir"] == "/x"


def test_streams_are_listed_without_their_class():
    spec = watcher_spec("w", stdout_stream={"class": "FileStream", "filename": "a", "stream": a_hook})
    listed = dict(option_values(spec))
    assert listed["stdout_stream_conf"] == {"filename": "a", "stream": f"{__name__}.a_hook"}
    assert listed["stderr_stream_conf"] == {}


def test_everything_listed_can_be_sent_as_json():
    spec = watcher_spec("w", args=("a", "b"), hooks={"before_start": a_hook}, mine=object(), also=[(1, 2, {3: a_hook})])
    json.dumps(option_values(spec))
    json.dumps(lookup_value(spec, "hooks"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("numprocesses", 1),
        ("autostart", True),
        ("flapping.window", 1),
        ("flapping_window", 1),
        ("rlimits", {"nofile": 5}),
        ("rlimit_NOFILE", 5),
        ("hooks", {"before_start": "a.b, true", "after_start": f"{__name__}.a_hook"}),
        ("hooks.before_start", "a.b, true"),
        ("hooks.after_start", f"{__name__}.a_hook"),
        ("stdout_stream", {"class": "FileStream", "filename": "a"}),
        ("stdout_stream.filename", "a"),
        ("stdout_stream_conf", {"filename": "a"}),
        ("mine", "x"),
    ],
)
def test_any_option_can_be_looked_up(key, value):
    spec = watcher_spec(
        "w",
        rlimit_nofile=5,
        hooks={"before_start": "a.b, true", "after_start": a_hook},
        stdout_stream={"class": "FileStream", "filename": "a"},
        mine="x",
    )
    assert lookup_value(spec, key) == value


@pytest.mark.parametrize("key", ["lunch", "rlimit_core", "hooks.before_start", "stdout_stream.filename", "name", ""])
def test_what_is_not_there_is_a_key_error(key):
    with pytest.raises(KeyError):
        lookup_value(WatcherSpec("w"), key)


# ---- command lines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("numprocesses", "3", 3),
        ("graceful_timeout", "0.5", 0.5),
        ("shell", "yes", True),
        ("stop_signal", "hup", 1),
        ("uid", "1000", 1000),
        ("uid", "www", "www"),
        ("env", "A=1,B=2", {"A": "1", "B": "2"}),
        ("cmd", "sleep 1", "sleep 1"),
        ("rlimit_nofile", "500", 500),
        ("rlimit_nofile", "", None),
        ("rlimit_NOFILE", "infinity", None),
        ("hooks", "before_start:a.b,after_start:c.d,true", {"before_start": "a.b", "after_start": "c.d,true"}),
        ("hooks", "before_start:pack.mod:fn", {"before_start": "pack.mod:fn"}),
        ("hooks.before_start", "a.b, true", "a.b, true"),
        ("stdout_stream.filename", "/x", "/x"),
        ("flapping.window", "2", 2.0),
    ],
)
def test_a_word_becomes_a_json_value_that_is_accepted(key, word, value):
    assert parse_word(key, word) == value
    check_options({key: parse_word(key, word)})


@pytest.mark.parametrize(
    ("key", "word", "text"),
    [
        ("numproceses", "3", "^unknown key 'numproceses'; did you mean 'numprocesses'\\?$"),
        ("lunch", "3", "^unknown key 'lunch'$"),
        ("numprocesses", "many", "numprocesses: 'many' is not a whole number"),
        ("stop_signal", "nope", "stop_signal: signal invalid"),
        ("env", "A", "env: 'A' is not of the form NAME=VALUE"),
        ("rlimit_nofle", "3", "rlimit_nofle: 'rlimit_nofle' isn't a valid rlimit setting"),
        ("rlimit_nofile", "x", "rlimit_nofile: 'x' rlimit value isn't a valid int"),
        ("rlimits", "3", "set its parts one by one, such as rlimit_nofile"),
        ("stdout_stream", "x", "set its parts one by one, such as stdout_stream.filename"),
        ("hooks", "a.b", "hooks: 'a.b' isn't a valid hook dict"),
        ("hooks", "before_lunch:a.b", "hooks: Unknown hook 'before_lunch'"),
        ("hooks.before_lunch", "a.b", "Unknown hook 'before_lunch'"),
        ("hooks.before_start", "a.b,perhaps", "isn't a valid hook"),
    ],
)
def test_a_wrong_word_is_refused_before_it_is_sent(key, word, text):
    with pytest.raises(ArgumentError, match=text):
        parse_word(key, word)


def test_completion_knows_every_key():
    keys = watcher_keys()
    some = {"cmd", "flapping.window", "retry_in", "rlimit_nofile", "stdout_stream.class", "stderr_stream.utc"}
    assert some <= set(keys)
    assert {f"hooks.{name}" for name in names.HOOKS} <= set(keys)
    assert len(keys) == len(set(keys))


def test_limits_are_those_of_the_system():
    assert {"nofile", "core", "as"} <= limit_names()


# ---- bounds: the same by file and by wire --------------------------------------------------------------------------


def by_wire(key, value):
    options = {"stdout_stream.class": "FileStream", key: value}
    try:
        apply_options(WatcherSpec("w", {"cmd": "x"}), options)
    except (MessageError, ValueError):
        return False
    return True


def by_file(key, value):
    text = f"[watcher:w]\ncmd = x\nstdout_stream.class = FileStream\n{key} = {value}"
    _, problems = config.read("c.ini", {}, lambda path: text, lambda pattern: [])
    return not [problem for problem in problems if problem.fatal or problem.skips]


def numbers(spec):
    return [option.name for option in spec.options() if option.kind.name in ("integer", "number")]


NUMBERS = [*numbers(WatcherSpec), *(f"stdout_stream.{name}" for name in numbers(StreamSpec))]


@pytest.mark.parametrize("key", NUMBERS)
def test_a_bound_is_the_same_by_file_and_by_wire(key):
    for value in (-1, 0, 1, 10**9, 2**22, 2**22 + 1, 10**10, 2**63 - 1, 2**63, 10**30):
        assert by_wire(key, value) == by_wire(key, str(value)) == by_file(key, value), value


@pytest.mark.parametrize("key", NUMBERS)
def test_only_the_number_of_processes_is_bounded_below_what_a_64_bit_system_counts(key):
    assert by_file(key, 2**62) is (key != "numprocesses")


@pytest.mark.parametrize("key", ["uid", "gid"])
def test_an_id_is_bounded_where_the_kernel_does_it(key):
    for value, right in ((0, True), (2**32 - 2, True), (2**32 - 1, False), (-1, False), (2**40, False)):
        assert by_wire(key, value) is by_wire(key, str(value)) is by_file(key, value) is right, value


def test_a_value_no_stream_can_take_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^stdout_stream\.max_bytes: 'lots' is not a whole number$"):
        apply_options(WatcherSpec("w"), {"stdout_stream": {"class": "FileStream", "max_bytes": "lots"}})


def test_values_of_a_stream_class_of_ones_own_are_its_own():
    spec, _ = apply_options(WatcherSpec("w"), {"stdout_stream": {"class": "my.Stream", "max_bytes": "lots"}})
    assert spec.stdout_stream["max_bytes"] == "lots"
