"""The objects that programs, hooks and plugins hold: their names, arguments, results and errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

import circus
from circus import get_arbiter
from circus.arbiter import Arbiter, ThreadedArbiter
from circus.commands import get_commands
from circus.common.future import Future
from circus.exc import AlreadyExist, ConfigError, MessageError
from circus.loop import Loop
from circus.options.option import Option
from circus.options.settings import NOT_OPTIONS
from circus.options.table import WatcherSpec
from circus.process import DEAD_OR_ZOMBIE, RUNNING, UNEXISTING, Process
from circus.watcher import POSITIONAL, Watcher
from tests.real.support import background, ipc_endpoints, is_gone, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")

SLEEP = {"name": "Sleeper", "cmd": "sleep 60"}


def arbiter_of(tmp_path, *watchers, **options) -> Arbiter:
    return get_arbiter([dict(watcher) for watcher in watchers], **{**ipc_endpoints(tmp_path).arguments, **options})


# ---- get_arbiter -------------------------------------------------------------------------------------------------


def test_dicts_become_watchers_with_any_option(tmp_path):
    arbiter = arbiter_of(tmp_path, {"cmd": "/bin/sleep 60", "numprocesses": 3, "priority": 2, "my.own": "x"}, SLEEP)
    first, second = arbiter.iter_watchers()
    assert (first.name, first.numprocesses, first.priority, first._options) == ("sleep", 3, 2, {"my.own": "x"})
    assert (second.name, second.res_name, second.cmd) == ("Sleeper", "sleeper", "sleep 60")


@pytest.mark.parametrize(
    ("args", "options"),
    [(("prog -x", 4), {}), (("prog -x",), {"numprocesses": 4}), (("prog -x", None), {"numprocesses": 4})],
)
def test_one_program_and_a_number_is_enough(args, options):
    (watcher,) = get_arbiter(*args, **options).watchers
    assert (watcher.name, watcher.cmd, watcher.numprocesses) == ("prog", "prog -x", 4)


def test_endpoints_that_are_not_given_are_the_usual_ones():
    arbiter = get_arbiter([])
    assert arbiter.global_options() == {
        "endpoint": "tcp://127.0.0.1:5555",
        "stats_endpoint": "tcp://127.0.0.1:5557",
        "pubsub_endpoint": "tcp://127.0.0.1:5556",
        "check_delay": 1.0,
        "multicast_endpoint": "udp://237.219.251.97:12027",
    }


def test_watcher_without_a_command_is_refused():
    with pytest.raises(ValueError, match="needs a cmd"):
        get_arbiter([{"name": "nothing"}])


def test_what_is_not_there_yet_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="the web console is not available"):
        get_arbiter([], httpd=True)


@pytest.mark.parametrize("options", [{"statsd": True}, {"stats_endpoint": "tcp://127.0.0.1:5999"}])
def test_statistics_are_a_watcher_of_their_own(options):
    [watcher] = get_arbiter([], **options).watchers
    assert watcher.name == "circusd-stats"
    assert watcher.args[-2:] == ["--statspoint", options.get("stats_endpoint", "tcp://127.0.0.1:5557")]


def test_background_chooses_the_arbiter_with_a_thread():
    assert type(get_arbiter([], background=True)) is ThreadedArbiter
    assert type(get_arbiter([], background=False)) is Arbiter


def test_another_kind_of_arbiter_can_be_chosen_by_a_subclass():
    class Mine(Arbiter):
        pass

    class Handler(circus.ArbiterHandler):
        def _get_arbiter_klass(self, background):
            return Mine

    assert type(Handler()([])) is Mine
    assert isinstance(circus.get_arbiter, circus.ArbiterHandler)


def test_loop_of_another_make_is_refused():
    with pytest.raises(TypeError, match=r"circus\.loop\.Loop"):
        get_arbiter([], loop=object())


# ---- Arbiter -----------------------------------------------------------------------------------------------------


def test_arguments_may_be_given_by_position():
    loop = Loop()
    arbiter = Arbiter([], "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", 3.0, None, None, loop, False, "tcp://127.0.0.1:4")
    assert (arbiter.endpoint, arbiter.pubsub_endpoint, arbiter.check_delay) == (
        "tcp://127.0.0.1:1",
        "tcp://127.0.0.1:2",
        3.0,
    )
    assert arbiter.loop is loop
    assert arbiter.stats_endpoint == "tcp://127.0.0.1:4"
    loop.close()


def test_text_in_the_place_of_statsd_is_a_stats_endpoint():
    arbiter = Arbiter([], "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", 3.0, None, None, None, "tcp://127.0.0.1:4")
    assert arbiter.stats_endpoint == "tcp://127.0.0.1:4"
    assert [watcher.name for watcher in arbiter.watchers] == ["circusd-stats"]


def test_plugins_in_the_place_after_it_are_plugins():
    where = ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", 3.0, None, None, None, "tcp://127.0.0.1:4")
    arbiter = Arbiter([], *where, [{"use": "a.B"}])
    assert [watcher.name for watcher in arbiter.watchers] == ["circusd-stats", "plugin:a-B"]


def test_flapping_plugin_sets_the_defaults_of_watchers_that_say_nothing():
    flapping = {"use": "circus.plugins.flapping.Flapping", "attempts": "5", "window": 9}
    watchers = [{"name": "a", "cmd": "true"}, {"name": "b", "cmd": "true", "flapping.attempts": 3}]
    a, b = get_arbiter(watchers, plugins=[flapping]).watchers
    assert (a.spec.flapping_attempts, a.spec.flapping_window) == (5, 9)
    assert (b.spec.flapping_attempts, b.spec.flapping_window) == (3, 9)


def test_arbiter_of_a_file_keeps_its_dictionaries(tmp_path):
    path = tmp_path / "c.ini"
    path.write_text("[circus]\nmulticast_endpoint =\n[watcher:a]\ncmd = true\n")
    arbiter = Arbiter.load_from_config(str(path))
    assert [watcher["name"] for watcher in arbiter._cfg["watchers"]] == ["a"]
    assert get_arbiter([])._cfg is None


def test_settings_are_kept_as_attributes():
    arbiter = get_arbiter([], pidfile="/x/pid", loglevel="debug", logoutput="-", loggerconfig="l.ini", umask=0o22)
    assert (arbiter.pidfile, arbiter.loglevel, arbiter.logoutput) == ("/x/pid", "debug", "-")
    assert (arbiter.loggerconfig, arbiter.umask, arbiter.pid) == ("l.ini", 0o22, os.getpid())
    assert (arbiter.running, arbiter._restarting, arbiter._stopping) == (False, False, False)
    assert (arbiter.sockets, arbiter.socket_event, arbiter._exclusive_running_command) == ({}, False, None)
    assert arbiter.ctrl.endpoint == arbiter.endpoint
    assert get_arbiter([], fqdn_prefix="me").fqdn.startswith("me@")


def test_watchers_are_found_by_name_in_any_case_and_by_res_name(tmp_path):
    arbiter = arbiter_of(tmp_path, {"name": "My Prog", "cmd": "true"}, {"name": "other", "cmd": "true", "priority": 1})
    mine, other = arbiter.watchers
    assert [arbiter.get_watcher(name) for name in ("My Prog", "my prog", "MY_PROG")] == [mine] * 3
    assert arbiter._watchers_names == {"my prog": mine, "other": other}
    assert list(arbiter.iter_watchers()) == [other, mine]
    assert list(arbiter.iter_watchers(reverse=False)) == [mine, other]
    with pytest.raises(KeyError):
        arbiter.get_watcher("nobody")
    assert arbiter.numwatchers() == 2


@pytest.mark.parametrize(
    ("pattern", "method", "found"),
    [
        ("WEB-1", "simple", ["web-1"]),
        ("web-*", "glob", ["web-1", "web-2"]),
        ("*", "glob", ["web-1", "web-2", "Big One"]),
        ("big_one", "glob", ["Big One"]),
        (r"WEB-\d", "regex", ["web-1", "web-2"]),
        (r"\D+$", "regex", ["Big One"]),
    ],
)
def test_patterns_match_ignoring_case(pattern, method, found):
    arbiter = get_arbiter([{"name": name, "cmd": "true"} for name in ("web-1", "web-2", "Big One")])
    assert [watcher.name for watcher in arbiter.match(pattern, method)] == found


@pytest.mark.parametrize(
    ("pattern", "method", "words"),
    [("x", "glob", "program x not found"), ("x", "fuzzy", "unknown match method fuzzy"), ("(", "regex", "regular exp")],
)
def test_pattern_that_matches_nothing_or_is_wrong_says_so(pattern, method, words):
    with pytest.raises(MessageError, match=words):
        get_arbiter([{"name": "web", "cmd": "true"}]).match(pattern, method)


def test_watcher_whose_name_is_taken_in_another_case_is_refused(tmp_path):
    arbiter = arbiter_of(tmp_path, SLEEP)
    with pytest.raises(AlreadyExist, match="'SLEEPER' already exist"):
        arbiter.add_watcher("SLEEPER", "true")
    with pytest.raises(ValueError, match="needs a name"):
        arbiter.add_watcher("", "true")
    assert arbiter.add_watcher("fresh", "true", numprocesses=2).numprocesses == 2
    assert arbiter.numwatchers() == 2


def test_name_of_a_removed_watcher_is_free_and_not_found(tmp_path):
    arbiter = get_arbiter([SLEEP, {"name": "sleeper", "cmd": "true"}])
    first, last = arbiter.watchers
    assert arbiter.get_watcher("SLEEPER") is last  # of names that differ in case only the last one counts
    arbiter.rm_watcher("sleeper")
    arbiter.forget(last.machine.key)
    assert arbiter.get_watcher("SLEEPER") is first
    arbiter.rm_watcher("sleeper")
    with pytest.raises(KeyError):
        arbiter.get_watcher("sleeper")
    with pytest.raises(MessageError, match="program sleeper not found"):
        arbiter.rm_watcher("sleeper")
    assert arbiter.add_watcher("sleeper", "true") is arbiter.get_watcher("sleeper")


def test_added_watcher_must_run_as_the_owner_of_the_endpoint():
    arbiter = get_arbiter([], endpoint_owner="nobody")
    add = get_commands()["add"]
    for options in ({}, {"uid": 0}):
        with pytest.raises(MessageError, match="uid does not match endpoint_owner"):
            add.execute(arbiter, {"name": "x", "cmd": "true", "options": options})
    add.execute(arbiter, {"name": "x", "cmd": "true", "options": {"uid": "nobody"}})
    assert arbiter.get_watcher("x").uid == "nobody"


def test_configuration_is_loaded_and_read_again_when_wanted(tmp_path):
    path = tmp_path / "circus.ini"
    head = "".join(ipc_endpoints(tmp_path).section)
    path.write_text(head + "[watcher:a]\ncmd = sleep 60\n[watcher:b]\ncmd = sleep 60\n")
    arbiter = ThreadedArbiter.load_from_config(str(path))
    assert arbiter.config_file == str(path)
    arbiter.start().result(20)
    try:
        kept = arbiter.get_watcher("a").get_active_pids()
        path.write_text(head + "[watcher:a]\ncmd = sleep 60\n[watcher:c]\ncmd = sleep 60\n")
        arbiter.reload_from_config().result(20)
        assert arbiter.statuses() == {"a": "active", "c": "active"}
        assert arbiter.get_watcher("a").get_active_pids() == kept
        path.write_text("[watcher:a]\ncmd = sleep 60\nnumprocesses = many\n")
        with pytest.raises(MessageError, match="many"):
            arbiter.reload_from_config()
        assert arbiter.statuses() == {"a": "active", "c": "active"}
    finally:
        arbiter.stop()
    with pytest.raises(ConfigError, match="many"):
        ThreadedArbiter.load_from_config(str(path))


def test_loop_can_be_taken_away_and_is_made_anew(tmp_path):
    arbiter = arbiter_of(tmp_path)
    first = arbiter.loop
    arbiter.loop = None
    arbiter._ensure_ioloop()
    assert isinstance(arbiter.loop, Loop)
    assert arbiter.loop is not first


# ---- Watcher -----------------------------------------------------------------------------------------------------


def test_every_positional_argument_is_an_option_or_known_not_to_be_one():
    for name in POSITIONAL:
        assert WatcherSpec.lookup(name) or name in NOT_OPTIONS, name


def test_watcher_takes_its_arguments_by_position():
    watcher = Watcher("web", "prog", "-x", 2, 0.5, "/tmp", True, "a b", None, 7, None, True, signal.SIGINT, True)
    assert (watcher.args, watcher.numprocesses, watcher.warmup_delay, watcher.working_dir) == ("-x", 2, 0.5, "/tmp")
    assert (watcher.shell, watcher.shell_args, watcher.uid, watcher.max_retry) == (True, "a b", None, 7)
    assert (watcher.gid, watcher.send_hup, watcher.stop_signal, watcher.stop_children) == (
        None,
        True,
        signal.SIGINT,
        True,
    )
    with pytest.raises(TypeError, match="'args' twice"):
        Watcher("web", "prog", "-x", args="-y")
    with pytest.raises(TypeError, match="positional"):
        Watcher("web", "prog", *[None] * 50)


def test_watcher_has_every_option_as_an_attribute_and_the_usual_defaults():
    watcher = Watcher("web", "prog")
    for option in WatcherSpec.options():
        assert isinstance(option, Option)
        getattr(watcher, option.attribute)
    assert (watcher.numprocesses, watcher.warmup_delay, watcher.graceful_timeout) == (1, 0, 30.0)
    assert (watcher.stop_signal, watcher.max_retry, watcher.max_age_variance) == (signal.SIGTERM, 5, 30)
    assert (watcher.respawn, watcher.autostart, watcher.close_child_stdin) == (True, True, True)
    assert watcher.working_dir == os.getcwd()
    assert repr(watcher) == "<circus.Watcher name=web numprocesses=1>"
    assert len(watcher) == 0
    assert bool(watcher)
    with pytest.raises(AttributeError):
        watcher.no_such_thing  # noqa: B018  # the access is what is tested


def test_unknown_keywords_are_kept_as_data():
    watcher = Watcher("web", "prog", stopped=True, stream_backend="gevent", user="me")
    assert watcher._options == {"stopped": True, "stream_backend": "gevent", "user": "me"}
    assert dict(watcher.options())["user"] == "me"
    assert "user" in watcher.optnames


@pytest.mark.parametrize(
    "options",
    [
        {"singleton": True, "numprocesses": 2},
        {"copy_path": True},
        {"virtualenv": "/tmp"},
        {"virtualenv": "/no/such/place", "copy_env": True},
        {"stop_signal": "NONSENSE"},
        {"numprocesses": "many"},
    ],
)
def test_what_cannot_be_is_a_value_error(options):
    with pytest.raises(ValueError):  # the texts are tested with the options
        Watcher("web", "prog", **options)


def test_watcher_of_nobody_can_be_changed_and_not_started():
    watcher = Watcher("web", "prog")
    watcher.numprocesses = 4
    watcher.env["X"] = "1"
    assert (watcher.numprocesses, watcher.env, watcher.status()) == (4, {"X": "1"}, "stopped")
    assert (watcher.is_stopped(), watcher.is_active(), watcher.is_stopping()) == (True, False, False)
    assert (watcher.processes, watcher.get_active_pids()) == ({}, [])
    with pytest.raises(RuntimeError, match="belongs to no arbiter"):
        watcher.start()


def test_hooks_may_be_callables_names_and_pairs():
    def mine(**_):
        return True

    watcher = Watcher("web", "prog", hooks={"before_start": (mine, True), "after_stop": "os.path.exists"})
    assert watcher.hooks == {"before_start": mine, "after_stop": os.path.exists}
    assert sorted(watcher.ignore_hook_failure) == ["after_stop", "before_start"]


def test_verbs_of_a_watcher_answer_what_they_did(tmp_path):
    with background(tmp_path, {**SLEEP, "numprocesses": 2, "autostart": False}) as arbiter:
        watcher = arbiter.get_watcher("sleeper")
        begun = watcher.start().result(20)
        assert begun == {"started": watcher.get_active_pids(), "kept": []}
        assert len(begun["started"]) == len(watcher) == arbiter.numprocesses() == 2
        assert watcher.start().result(20) == {"started": [], "kept": begun["started"]}
        assert watcher.incr().result(20) == 3
        assert watcher.decr(2).result(20) == 1
        assert watcher.set_numprocesses(2).result(20) == 2
        before = watcher.get_active_pids()
        again = watcher.restart().result(20)
        assert (again["stopped"], again["kept"]) == (before, [])
        renewed = watcher.reload().result(20)
        assert renewed == {"stopped": again["started"], "started": watcher.get_active_pids(), "kept": []}
        one_by_one = watcher.reload(sequential=True).result(20)
        assert sorted(one_by_one["stopped"]) == sorted(renewed["started"])
        assert arbiter.statuses() == {"Sleeper": "active"}
        assert watcher.stop().result(20) is None
        assert (watcher.status(), len(watcher)) == ("stopped", 0)


def test_verbs_of_the_arbiter_reach_every_watcher_or_those_of_a_function(tmp_path):
    with background(tmp_path, {**SLEEP, "autostart": False}, {"name": "b", "cmd": "sleep 60"}) as arbiter:
        wait_for(lambda: arbiter.statuses() == {"Sleeper": "stopped", "b": "active"})
        arbiter.stop_watchers().result(20)
        assert arbiter.statuses()["b"] == "stopped"
        arbiter.start_watchers(lambda reverse=True: [arbiter.get_watcher("b")]).result(20)
        assert arbiter.statuses() == {"Sleeper": "stopped", "b": "active"}
        assert arbiter.start_watcher(arbiter.get_watcher("sleeper")).result(20)["info"]["started"]
        before = arbiter.get_watcher("b").get_active_pids()
        arbiter.reload().result(20)
        assert arbiter.get_watcher("b").get_active_pids() != before
        added = arbiter.add_watcher("c", "sleep 60")
        added.start().result(20)
        (pid,) = added.get_active_pids()
        arbiter.rm_watcher("c").result(20)
        assert is_gone(pid)
        assert sorted(arbiter.statuses()) == ["Sleeper", "b"]


def test_process_that_outlives_its_removed_watcher_is_left_alone(tmp_path):
    with background(tmp_path, SLEEP) as arbiter:
        (pid,) = wait_for(arbiter.get_watcher("sleeper").get_active_pids)
        arbiter.rm_watcher("sleeper", nostop=True).result(20)
        assert arbiter.numwatchers() == 0
        assert not is_gone(pid)
    assert not is_gone(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_kill_process_ends_one_and_knows_one_that_is_dead(tmp_path):
    with background(tmp_path, {**SLEEP, "numprocesses": 2}) as arbiter:
        watcher = arbiter.get_watcher("sleeper")
        wait_for(lambda: len(watcher) == 2)
        first, second = watcher.get_active_processes()
        assert first < second
        assert watcher.kill_process(first).result(20) is True
        assert (first.is_alive(), first.status, first.returncode()) == (False, UNEXISTING, -signal.SIGTERM)
        assert watcher.kill_process(first).result(20) is False
        assert second.is_alive()
        watcher.kill_processes(stop_signal=signal.SIGKILL).result(20)
        assert (second.is_alive(), second.returncode()) == (False, -signal.SIGKILL)


def test_option_that_is_set_on_a_running_watcher_takes_effect(tmp_path):
    with background(tmp_path, SLEEP) as arbiter:
        watcher = arbiter.get_watcher("sleeper")
        (pid,) = wait_for(watcher.get_active_pids)
        assert watcher.set_opt("numprocesses", 2) == 0
        wait_for(lambda: len(watcher) == 2)
        assert watcher.set_opt("env", {"A": "1"}) == 1
        assert watcher.set_opt("priority", 3) == -1
        assert watcher.get_active_pids()[0] == pid
        watcher.do_action(1).result(20)
        assert pid not in watcher.get_active_pids()
        watcher.numprocesses = 1
        wait_for(lambda: len(watcher) == 1)
        with pytest.raises(MessageError, match="isn't an integer"):
            watcher.set_opt("numprocesses", "many")
        assert watcher.option("numprocesses") == 1


def test_prereload_functions_are_called_before_a_reload(tmp_path):
    seen = []
    with background(tmp_path, {**SLEEP, "prereload_fn": seen.append}, prereload_fn=seen.append) as arbiter:
        watcher = arbiter.get_watcher("sleeper")
        wait_for(watcher.is_active)
        watcher.reload().result(20)
        assert seen == [watcher]
        arbiter.reload().result(20)
        assert seen == [watcher, arbiter, watcher]


# ---- Process -----------------------------------------------------------------------------------------------------


def test_process_of_a_watcher_tells_about_itself(tmp_path):
    with background(tmp_path, {**SLEEP, "copy_env": True}) as arbiter:
        watcher = arbiter.get_watcher("sleeper")
        (pid,) = wait_for(watcher.get_active_pids)
        process = watcher.processes[pid]
        assert watcher.processes[pid] is process
        assert (process.pid, process.wid, process.name, process.watcher) == (pid, 1, "Sleeper", watcher)
        assert (process.cmd, process.status, process.is_alive()) == ("sleep 60", RUNNING, True)
        assert process.format_args() == ["sleep", "60"]
        # For an instant after exec a process has no command line yet.
        info = wait_for(lambda: found if (found := process.info())["cmdline"] != "N/A" else None)
        assert (info["pid"], info["wid"], info["cmdline"], info["started"]) == (pid, 1, "sleep", process.started)
        assert {key: sorted(value) for key, value in watcher.info().items()} == {pid: sorted(info)}
        assert process.username == psutil.Process(pid).username()
        assert (process.children(), process.is_child(1), process.poll()) == ([], False, None)
        with pytest.raises(psutil.NoSuchProcess):
            process.send_signal_child(1, signal.SIGTERM)
        with pytest.raises(MessageError, match="process 1 not found in 'Sleeper'"):
            watcher.process_info(1)


def test_signal_to_a_process_that_was_reaped_goes_nowhere(tmp_path):
    with background(tmp_path, SLEEP) as arbiter:
        watcher = arbiter.get_watcher("sleeper")
        wait_for(watcher.is_active)
        (process,) = watcher.get_active_processes()
        process.send_signal(signal.SIGKILL)
        wait_for(lambda: process.returncode() == -signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        assert process.info() == "No such process (stopped?)"
        assert wait_for(watcher.get_active_pids) != [process.pid]


def test_family_of_a_process_can_be_seen_and_signalled(tmp_path):
    script = "sleep 61 & sleep 62 & wait"
    with background(tmp_path, {"name": "family", "cmd": script, "shell": True}) as arbiter:
        watcher = arbiter.get_watcher("family")
        (pid,) = wait_for(watcher.get_active_pids)
        process = watcher.processes[pid]
        first, second = wait_for(lambda: children if len(children := process.children()) == 2 else None)
        assert process.is_child(first)
        watcher.send_signal_child(pid, first, signal.SIGKILL)
        wait_for(lambda: is_gone(first))
        watcher.send_signal_children(pid, signal.SIGKILL)
        wait_for(lambda: is_gone(second))
        with pytest.raises(MessageError, match="no child process 1"):
            watcher.send_signal_child(pid, 1, signal.SIGTERM)


def test_process_of_ones_own_is_started_asked_and_stopped():
    process = Process("Top", 1, "sleep", args=["60"])
    assert (process.name, process.wid, process.status, process.is_alive()) == ("Top", 1, RUNNING, True)
    assert wait_for(lambda: process.info()["cmdline"] == "sleep")
    assert process.age() >= 0
    process.stop()
    assert (process.status, process.is_alive(), process.returncode()) == (UNEXISTING, False, -signal.SIGTERM)
    assert process.info() == "No such process (stopped?)"
    assert (process.stdout.closed, process.stderr.closed) == (True, True)


def test_early_form_of_a_process_may_name_the_worker_number_first():
    process = Process(3, "prog $WID", ["a b"], spawn=False)
    assert (process.wid, process.format_args()) == (3, ["prog", "3", "a b"])


def test_early_form_of_a_process_has_no_worker_number():
    process = Process("Top", "sleep 60", shell=True)
    assert (process.name, process.wid, process.cmd) == ("Top", 1, "sleep 60")
    process.stop()
    assert process.status == UNEXISTING


def test_output_and_exit_code_of_a_process_of_ones_own():
    process = Process("Echo", 1, "echo out; echo err >&2; exit 3", shell=True)
    assert process.stdout.read() == b"out\n"
    assert process.stderr.read() == b"err\n"
    assert (process.wait(20), process.poll(), process.returncode()) == (3, 3, 3)
    process.close_output_channels()


def test_stop_of_a_stubborn_process_of_ones_own_ends_its_family_too():
    script = "trap '' TERM; sleep 1001 & echo up; while :; do sleep 0.01; done"
    process = Process("Stubborn", 1, script, shell=True, graceful_timeout=0.2)
    assert process.stdout.readline() == b"up\n"
    family = process.children()
    process.stop()
    assert process.returncode() == -signal.SIGKILL
    assert all(map(is_gone, family))


def test_dead_process_that_nobody_has_reaped_is_a_zombie_until_it_is_stopped():
    process = Process("Quick", 1, "true")
    wait_for(lambda: process.status == DEAD_OR_ZOMBIE)
    process.stop()
    assert (process.status, process.returncode()) == (UNEXISTING, 0)


def test_wait_that_takes_too_long_is_a_timeout():
    process = Process("Slow", 1, "sleep 60")
    with pytest.raises(TimeoutError, match="still runs"):
        process.wait(0.01)
    process.stop()


def test_process_that_is_not_spawned_has_no_pid_and_gets_no_signal():
    process = Process("Later", 2, "sleep $(circus.wid)", spawn=False)
    assert (process.pid, process.status, process.is_alive(), process.children()) == (0, UNEXISTING, False, [])
    assert process.format_args() == ["sleep", "2"]
    process.send_signal(signal.SIGKILL)
    process.stop()


# ---- import ------------------------------------------------------------------------------------------------------


@pytest.mark.untraced
def test_importing_the_arbiter_loads_nothing_expensive():
    expensive = {"dataclasses", "inspect", "asyncio", "concurrent.futures", "psutil", "configparser", "uuid", "ctypes"}
    script = "import sys; before = set(sys.modules); import circus.arbiter; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert expensive.isdisjoint(loaded), expensive.intersection(loaded)


def test_future_is_what_every_verb_returns(tmp_path):
    arbiter = arbiter_of(tmp_path, SLEEP)
    for verb in (arbiter.start_watchers, arbiter.stop, arbiter._emergency_stop, arbiter.manage_watchers):
        assert isinstance(verb(), Future)
