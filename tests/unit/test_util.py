"""The names that existing programs import from `circus.util`."""

from __future__ import annotations

import grp
import logging
import os
import pwd
import sys
import threading

import pytest

from circus import util
from circus.common.future import Future, failed, finished
from circus.loop import Loop
from circus.watcher import Watcher


def test_every_documented_name_is_there():
    for name in (*util.__all__, "StrictConfigParser"):
        assert getattr(util, name) is not None
    with pytest.raises(AttributeError, match=r"circus\.util"):
        util.no_such_thing  # noqa: B018  # the access is what is tested


def test_faces_are_the_functions_that_do_the_work():
    from circus.common import convert, names
    from circus.posix import info, logs
    from circus.runtime import launching

    assert util.to_bool is convert.to_bool
    assert util.resolve_name is convert.resolve_name
    assert util.configure_logger is logs.configure_logger
    assert util.get_info is info.get_info
    assert util.get_working_dir is launching.working_dir
    assert names.DEFAULT_ENDPOINT_DEALER == util.DEFAULT_ENDPOINT_DEALER
    constants = util.MAXFD, util.REDIRECT_TO, util.IS_WINDOWS
    assert constants == (1024, os.devnull, False)
    assert util.get_python_version() == sys.version_info[:3]


# ---- users -------------------------------------------------------------------------------------------------------


def test_users_and_groups_are_known_by_name_and_number():
    user = pwd.getpwuid(os.getuid())
    group = grp.getgrgid(user.pw_gid)
    assert util.to_uid(user.pw_name) == util.to_uid(str(user.pw_uid)) == util.to_uid(user.pw_uid) == user.pw_uid
    assert util.to_gid(group.gr_name) == util.to_gid(group.gr_gid) == group.gr_gid
    assert util.get_username_from_uid(user.pw_uid) == util.get_username_from_uid(user.pw_name) == user.pw_name
    assert util.get_default_gid(user.pw_uid) == util.get_default_gid(user.pw_name) == user.pw_gid


@pytest.mark.parametrize("nobody", ["no-such-name", 4_000_000_001, -1])
def test_unknown_user_or_group_is_a_value_error(nobody):
    for function in (util.to_uid, util.to_gid):
        with pytest.raises(ValueError, match=str(nobody)):
            function(nobody)


@pytest.mark.parametrize("value", [None, b"root", [0]])
def test_what_can_be_no_user_or_group_is_a_type_error(value):
    for function in (util.to_uid, util.to_gid):
        with pytest.raises(TypeError):
            function(value)


# ---- text and environments ---------------------------------------------------------------------------------------


def test_environments_take_variables_from_our_own(monkeypatch):
    monkeypatch.setenv("HERE", "/srv")
    assert util.parse_env_str("A=1,B=$HERE/x") == {"A": "1", "B": "/srv/x"}
    assert util.parse_env_dict({" A ": " $HERE "}) == {"A": "/srv"}
    assert util.env_to_str({"B": "2", "A": "1"}) == "A=1,B=2"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [("env", {"A": "1"}, "A=1"), ("shell", True, "True"), ("uid", None, "")],
)
def test_option_is_told_as_text(key, value, text):
    assert util.convert_opt(key, value) == text


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("x $(circus.wid)", {"wid": 3}, "x 3"),
        ("((circus.env.home))", {"env": {"HOME": "/srv"}}, "/srv"),
        ("$(circus.unknown)", {}, "$(circus.unknown)"),
        ("$(own.wid) ((OWN.Wid)) $(circus.wid)", {"prefix": "own", "wid": 3}, "3 3 $(circus.wid)"),
        ("x $(me)", {"prefix": None, "me": 2}, "x 2"),
        ("((me)) $(else) ((circus.me))", {"prefix": None, "me": 2}, "2 $(else) ((circus.me))"),
        ("$(env.home)", {"prefix": None, "env": {"HOME": "/srv"}}, "/srv"),
        ("$(a.b.c)", {"prefix": "a.b", "C": "dots are no wildcards"}, "dots are no wildcards"),
        ("$(axb.c)", {"prefix": "a.b", "c": 1}, "$(axb.c)"),
        ("$(circus.me)", {"me": None}, "None"),
        (7, {}, "7"),
    ],
)
def test_variables_are_replaced(text, options, expected):
    assert util.replace_gnu_args(text, **options) == expected


def test_virtualenv_is_put_first_in_the_environment_of_a_watcher(tmp_path):
    packages = tmp_path / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    watcher = Watcher("w", "true", copy_env=True, virtualenv=str(tmp_path))
    watcher.env.clear()
    util.load_virtualenv(watcher)
    assert watcher.env["PATH"].startswith(f"{tmp_path}/bin:")
    assert watcher.env["PYTHONPATH"].split(":")[0] == str(packages)
    with pytest.raises(ValueError, match=r"Python 1\.5"):
        util.load_virtualenv(watcher, py_ver="1.5")


# ---- dicts and parsers -------------------------------------------------------------------------------------------


def test_dicts_are_compared_by_key():
    differ = util.DictDiffer({"new": 1, "same": 2, "other": 3}, {"gone": 1, "same": 2, "other": 4})
    assert (differ.added(), differ.removed()) == ({"new"}, {"gone"})
    assert (differ.changed(), differ.unchanged()) == ({"other"}, {"same"})
    assert util.dict_differ({"a": 1}, {"a": 2})
    assert not util.dict_differ({"a": 1}, {"b": 2})


def test_items_of_an_object_dict_are_attributes():
    found = util.ObjectDict(a=1)
    assert (found.a, found["a"]) == (1, 1)
    with pytest.raises(AttributeError, match="b"):
        found.b  # noqa: B018  # the access is what is tested


def test_strict_parser_keeps_case_and_refuses_doubles():
    import configparser

    parser = util.StrictConfigParser()
    parser.read_string("[a]\nKey = %x\n")
    assert parser.items("a") == [("Key", "%x")]
    with pytest.raises(configparser.DuplicateOptionError):
        util.StrictConfigParser().read_string("[a]\nb = 1\nb = 2\n")


# ---- descriptors -------------------------------------------------------------------------------------------------


def test_descriptor_is_closed_on_exec():
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)
    util.close_on_exec(read_end)
    assert not os.get_inheritable(read_end)
    os.close(read_end)
    os.close(write_end)


# ---- loops and futures -------------------------------------------------------------------------------------------


def test_error_of_a_future_is_returned_and_logged(caplog):
    error = OSError("address in use")
    with caplog.at_level(logging.ERROR, "circus"):
        assert util.check_future_exception_and_log(failed(error)) is error
    assert "exception address in use caught" in caplog.text
    assert util.check_future_exception_and_log(finished(1)) is None
    assert util.check_future_exception_and_log("no future") is None


def test_synchronized_leaves_a_method_as_it_is():
    def method(self):
        return self

    assert util.synchronized("arbiter_stop")(method) is method


@pytest.mark.parametrize("debug", ["", "1"])
def test_calls_are_logged_if_debug_is_set(monkeypatch, caplog, debug):
    monkeypatch.setenv("DEBUG", debug)

    class Thing:
        @util.debuglog
        def add(self, a, b=0):
            return a + b

    with caplog.at_level(logging.DEBUG, "circus"):
        assert Thing().add(1, b=2) == 3
    assert ("Thing.add" in caplog.text) is bool(debug)
    assert Thing.add.__name__ == "add"


def test_sleep_is_a_future_that_is_settled_later():
    assert util.tornado_sleep(0.001).result(20) is None


def test_future_can_be_made_from_another_one():
    upstream = Future()
    future = util.TransformableFuture()
    future.set_upstream_future(upstream)
    future.set_transform_function(lambda value: value * 2)
    upstream.set_result(21)
    assert future.result(0) == 42
    plain = util.TransformableFuture()
    plain.set_upstream_future(failed(LookupError()))
    assert isinstance(plain.exception(0), LookupError)


def test_periodic_callback_runs_again_and_again_until_it_is_stopped():
    loop = Loop()
    calls = []

    def call():
        calls.append(threading.get_ident())
        if len(calls) == 3:
            periodic.stop()
            loop.stop()

    periodic = util.AsyncPeriodicCallback(call, 1, loop)
    periodic.start()
    assert periodic.is_running()
    loop.run()
    assert calls == [threading.get_ident()] * 3
    assert not periodic.is_running()
    loop.close()


def test_periodic_callback_waits_for_what_it_has_begun():
    loop = Loop()
    futures = []

    def call():
        futures.append(Future())
        if len(futures) == 2:
            loop.stop()
        else:
            loop.call_later(0.005, lambda: (order.append("settled"), futures[0].set_result(None)))
        order.append("called")
        return futures[-1]

    order = []
    util.AsyncPeriodicCallback(call, 1, loop).start()
    loop.run()
    assert order == ["called", "settled", "called"]
    loop.close()


def test_periodic_callback_that_fails_is_called_again(caplog):
    loop = Loop()
    calls = []

    def call():
        calls.append(1)
        if len(calls) == 2:
            loop.stop()
        raise ValueError("no luck")

    loop.post(lambda: util.AsyncPeriodicCallback(call, 1).start())  # in the loop that runs
    loop.run()
    assert len(calls) == 2
    assert "no luck" in caplog.text
    loop.close()


def test_periodic_callback_started_before_a_loop_runs_ticks_in_the_one_that_runs_then():
    calls = []
    periodic = util.AsyncPeriodicCallback(lambda: (calls.append(1), loop.stop()), 1)
    periodic.start()
    assert periodic.is_running()
    elsewhere = Loop()
    elsewhere.call_later(0.005, elsewhere.stop)
    thread = threading.Thread(target=elsewhere.run)
    thread.start()
    thread.join()
    assert calls == []  # another thread's loop is none of ours
    loop = Loop()
    loop.run()
    assert calls == [1] and periodic.io_loop is loop
    periodic.stop()
    loop.close()
    elsewhere.close()


def test_periodic_callback_stopped_before_a_loop_runs_never_ticks():
    periodic = util.AsyncPeriodicCallback(lambda: pytest.fail("it was stopped"), 0)
    periodic.start()
    periodic.stop()
    assert not periodic.is_running()
    loop = Loop()
    loop.call_later(0.005, loop.stop)
    loop.run()
    loop.close()


def test_periodic_callback_started_twice_ticks_once_a_period():
    loop = Loop()
    calls = []
    periodic = util.AsyncPeriodicCallback(lambda: calls.append(1), 1, loop)
    periodic.start()
    periodic.start()
    assert len([timer for _, _, timer in loop._timers if not timer.cancelled]) == 1
    periodic.stop()
    assert not [timer for _, _, timer in loop._timers if not timer.cancelled]
    loop.close()
