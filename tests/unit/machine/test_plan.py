"""The plan that takes what runs to what a file says: what, why, and at which price."""

from __future__ import annotations

import pytest

from circus.machine.plan import Price, Standing, State, What, plan, section_of
from circus.options.kinds import ARGS, OPTIONAL_TEXT, TEXT
from circus.options.option import Effect
from circus.options.own_programs import Daemon, own_programs, plugin_dict
from circus.options.table import CircusSpec, SocketSpec, WatcherSpec
from tests.unit.config.support import read

W = "[watcher:w]\ncmd = x\n"
S = "[socket:s]\nport = 80\n"
UNIX = "[socket:s]\npath = /s\n"
USER = "[watcher:w]\ncmd = x --fd $(circus.sockets.s)\n"
STREAM = "stdout_stream.class = FileStream\nstdout_stream.filename = "


def state(text, inherited=(), added=()):
    result = read(text, environ={})
    assert result.fatal == []
    circus = result.circus
    daemon = Daemon(circus.endpoint, circus.pubsub_endpoint, circus.stats_endpoint, statsd=circus.statsd)
    own = own_programs(daemon, [plugin_dict(plugin) for plugin in result.plugins.values()])
    standing = [Standing(spec, spec.name in added) for spec in (*own, *result.watchers.values())]
    return State(circus, {n: s for n, s in result.sockets.items() if n not in inherited}, standing, set(inherited))


def lines(before, after, **now):
    return [str(step) for step in plan(state(before, **now), state(after)).steps]


# (before, after, the plan)
CHANGES = [
    # nothing
    (W, W, []),
    (W, "[watcher:W]\ncmd = x\n", []),
    (W + S, S + W, []),
    # watchers come and go
    ("", W, ["[watcher:w] is new: start"]),
    (W, "", ["[watcher:w] is not wanted any more: stop"]),
    ("", W + "autostart = false", ["[watcher:w] is new: nothing"]),
    (W, "[watcher:v]\ncmd = x\n", ["[watcher:w] is not wanted any more: stop", "[watcher:v] is new: start"]),
    (
        "",
        "[watcher:a]\ncmd = x\n[watcher:b]\ncmd = x\npriority = 5",
        ["[watcher:b] is new: start", "[watcher:a] is new: start"],
    ),
    (
        "[watcher:a]\ncmd = x\n[watcher:b]\ncmd = x\npriority = 5",
        "",
        ["[watcher:b] is not wanted any more: stop", "[watcher:a] is not wanted any more: stop"],
    ),
    # in place
    (W, W + "numprocesses = 4", ["[watcher:w] changes (numprocesses): in place"]),
    (W + "numprocesses = 4", W, ["[watcher:w] changes (numprocesses): in place"]),
    (W, W + "warmup_delay = 2", ["[watcher:w] changes (warmup_delay): in place"]),
    (W, W + "graceful_timeout = 2", ["[watcher:w] changes (graceful_timeout): in place"]),
    (W, W + "stop_signal = INT", ["[watcher:w] changes (stop_signal): in place"]),
    (W, W + "priority = 2", ["[watcher:w] changes (priority): in place"]),
    (W, W + "hooks.before_start = a.b", ["[watcher:w] changes (hooks): in place"]),
    (W, W + "flapping.window = 9", ["[watcher:w] changes (flapping.window): in place"]),
    (W, W + "max_age = 60", ["[watcher:w] changes (max_age): in place"]),
    (W, W + "autostart = false", ["[watcher:w] changes (autostart): in place"]),
    (W, W + "respawn = false", ["[watcher:w] changes (respawn): in place"]),
    (W, W + "colour = red", ["[watcher:w] changes (colour): in place"]),
    (W + STREAM + "/a", W + STREAM + "/b", ["[watcher:w] changes (stdout_stream): in place"]),
    (
        W + "max_age = 1",
        W + "priority = 1\nnumprocesses = 2",
        ["[watcher:w] changes (max_age, numprocesses, priority): in place"],
    ),
    # new processes
    (W, "[watcher:w]\ncmd = y\n", ["[watcher:w] changes (cmd): graceful reload"]),
    (W, W + "args = --new", ["[watcher:w] changes (args): graceful reload"]),
    (W, W + "[env:w]\nA = 1", ["[watcher:w] changes (env): graceful reload"]),
    (W, W + "working_dir = /", ["[watcher:w] changes (working_dir): graceful reload"]),
    (W, W + "rlimit_nofile = 500", ["[watcher:w] changes (rlimit): graceful reload"]),
    (W, W + "uid = nobody", ["[watcher:w] changes (uid): graceful reload"]),
    (W, W + STREAM + "/a", ["[watcher:w] changes (stdout_stream): graceful reload"]),
    (W + STREAM + "/a", W, ["[watcher:w] changes (stdout_stream): graceful reload"]),
    (W + "singleton = 1", W + "singleton = 1\nargs = y", ["[watcher:w] changes (args): stop and start"]),
    (W + "numprocesses = 2", W + "args = y", ["[watcher:w] changes (args, numprocesses): graceful reload"]),
    # sockets
    ("", S, ["[socket:s] is new: bind"]),
    (S, "", ["[socket:s] is not wanted any more: close"]),
    (S + W, S.replace("80", "81") + W, ["[socket:s] changes (port): bind anew"]),
    (
        S + USER,
        S.replace("80", "81") + USER,
        ["[socket:s] changes (port): bind anew", "[watcher:w] changes (socket s): graceful reload"],
    ),
    (
        S + W + "args = $(circus.sockets.s.port)",
        S.replace("80", "81") + W + "args = $(circus.sockets.s.port)",
        ["[socket:s] changes (port): bind anew", "[watcher:w] changes (socket s): graceful reload"],
    ),
    (S + USER, S + "backlog = 5\n" + USER, ["[socket:s] changes (backlog): in place"]),
    (S + USER, S + "backlog = 5\nblocking = yes\n" + USER, ["[socket:s] changes (backlog, blocking): in place"]),
    (UNIX + USER, UNIX + "umask = 077\n" + USER, ["[socket:s] changes (umask): in place"]),
    (
        UNIX + "umask = 077\n" + USER,
        UNIX + USER,
        ["[socket:s] changes (umask): bind anew", "[watcher:w] changes (socket s): stop and start"],
    ),
    (
        S + USER,
        S + "host = 0.0.0.0\n" + USER,
        ["[socket:s] changes (host): bind anew", "[watcher:w] changes (socket s): stop and start"],
    ),
    (
        S + "host = 127.0.0.1\n" + USER,
        S + "host = 127.0.0.2\n" + USER,
        ["[socket:s] changes (host): bind anew", "[watcher:w] changes (socket s): graceful reload"],
    ),
    (
        S + USER,
        UNIX + USER,
        ["[socket:s] changes (path, port): bind anew", "[watcher:w] changes (socket s): graceful reload"],
    ),
    (
        S + W,
        "[socket:t]\nport = 80\n" + W + "stdin_socket = t",
        [
            "[socket:s] is not wanted any more: close",
            "[socket:t] is new: bind",
            "[watcher:w] changes (stdin_socket; socket t): stop and start",
        ],
    ),
    (
        "[socket:s]\nport = 80\n[socket:t]\nport = 81\n" + W + "use_sockets = 1",
        "[socket:s]\nport = 81\n[socket:t]\nport = 80\n" + W + "use_sockets = 1",
        [
            "[socket:s] changes (port): bind anew",
            "[socket:t] changes (port): bind anew",
            "[watcher:w] changes (socket s, t): stop and start",
        ],
    ),
    (
        W + "use_sockets = 1",
        S + W + "use_sockets = 1",
        ["[socket:s] is new: bind", "[watcher:w] changes (socket s): graceful reload"],
    ),
    (
        S + W + "use_sockets = 1",
        W + "use_sockets = 1",
        ["[socket:s] is not wanted any more: close", "[watcher:w] changes (socket s): graceful reload"],
    ),
    (S + W, S + USER, ["[watcher:w] changes (cmd): graceful reload"]),
    (
        S + "so_reuseport = 1\n" + USER,
        S + USER,
        ["[socket:s] changes (so_reuseport): bind anew", "[watcher:w] changes (socket s): stop and start"],
    ),
    (
        S + "so_reuseport = 1\n" + USER,
        S + "so_reuseport = 1\nhost = 0.0.0.0\n" + USER,
        ["[socket:s] changes (host): bind anew", "[watcher:w] changes (socket s): graceful reload"],
    ),
    (
        S + USER,
        S + "type = SOCK_DGRAM\n" + USER,
        ["[socket:s] changes (type): bind anew", "[watcher:w] changes (socket s): graceful reload"],
    ),
    (
        "[socket:a]\nport = 1\n[socket:b]\nport = 2\n" + W,
        "[socket:a]\nport = 1\n[socket:b]\nport = 3\n" + W,
        ["[socket:b] changes (port): bind anew"],
    ),
    (S + "colour = 1\n" + W, S + "colour = 2\n" + W, []),
    # [circus]
    ("", "[circus]\ncheck_delay = 1", ["[circus] changes (check_delay): in place"]),
    ("", "[circus]\nloglevel = debug\nwarmup_delay = 1", ["[circus] changes (loglevel, warmup_delay): in place"]),
    ("", "[circus]\nendpoint = ipc:///x", ["[circus] changes (endpoint): restart of circusd"]),
    (
        W,
        "[circus]\npidfile = /x\ncheck_delay = 1\numask = 022\n" + W,
        ["[circus] changes (check_delay): in place", "[circus] changes (pidfile, umask): restart of circusd"],
    ),
    ("", "[circus]\nstatsd = true", ["[circus] changes (statsd): in place", "[circusd-stats] is new: start"]),
    # plugins
    ("", "[plugin:p]\nuse = a.B", ["[plugin:p] is new: start"]),
    ("[plugin:p]\nuse = a.B\nx = 1", "[plugin:p]\nuse = a.B\nx = 2", ["[plugin:p] changes (env, x): stop and start"]),
    ("[plugin:p]\nuse = a.B", "[plugin:p]\nuse = a.C", ["[plugin:p] changes (args): stop and start"]),
    (
        "[circus]\nstatsd = true\n" + S,
        "[circus]\nstatsd = true\n" + S.replace("80", "81"),
        ["[socket:s] changes (port): bind anew", "[circusd-stats] changes (socket s): stop and start"],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_change_of_a_file(before, after, expected):
    assert lines(before, after) == expected


def test_way_back_costs_the_same_for_what_changes():
    """Adding and taking away are opposites; a change of options is one in both directions."""
    for before, after, _ in CHANGES:
        there, back = plan(state(before), state(after)), plan(state(after), state(before))
        changed, changed_back = (
            {step.section: step.options for step in steps if step.what is What.CHANGE and step.options}
            for steps in (there.steps, back.steps)
        )
        assert changed_back == changed


# ---- what was added by command -----------------------------------------------------------------------------------


def test_watcher_added_by_command_stays_and_the_plan_says_so():
    assert lines(W, "", added={"w"}) == ["[watcher:w] stays (added by command): nothing"]


def test_watcher_added_by_command_becomes_that_of_the_file():
    why = "was added by command, is of the file now"
    assert lines(W, W, added={"w"}) == [f"[watcher:w] changes ({why}): nothing"]
    assert lines(W, W + "args = y", added={"w"}) == [f"[watcher:w] changes (args; {why}): graceful reload"]


def test_watcher_added_by_command_follows_its_sockets():
    assert lines(S + USER, S.replace("80", "81"), added={"w"}) == [
        "[socket:s] changes (port): bind anew",
        "[watcher:w] stays (added by command; socket s): graceful reload",
    ]
    assert lines(S + USER, "", added={"w"}) == [
        "[socket:s] is not wanted any more: close",
        "[watcher:w] is not wanted any more (added by command, but uses socket s): stop",
    ]


# ---- sockets that circusd was started with -----------------------------------------------------------------------


def test_socket_that_circusd_was_started_with_stays_whatever_the_file_says():
    expected = ["[socket:s] stays (circusd was started with it, and its address is not ours to choose): nothing"]
    assert lines(S, S.replace("80", "81"), inherited={"s"}) == expected


def test_socket_that_circusd_was_started_with_needs_no_section():
    assert lines(S + W, W, inherited={"s"}) == []


# ---- sockets as they have become ---------------------------------------------------------------------------------


def steps_of(before, after, **now):
    return plan(state(before)._replace(**now), state(after))


def test_port_that_was_left_to_the_system_can_be_written_down():
    free = S.replace("80", "0")
    [step] = steps_of(free + USER, S + USER, ports={"s": 80}).steps
    assert str(step) == "[socket:s] changes (port): in place"
    assert steps_of(free + USER, free + USER, ports={"s": 80}).steps == []
    moved = steps_of(free, S.replace("80", "81"), ports={"s": 80})
    assert ([*map(str, moved.steps)], moved.blocked) == (["[socket:s] changes (port): bind anew"], set())


def test_port_that_was_left_to_the_system_is_taken_until_its_users_have_stopped():
    assert steps_of(S.replace("80", "0"), "[socket:t]\nport = 80\n", ports={"s": 80}).blocked == {"s", "t"}


def test_socket_that_nobody_can_connect_to_any_more_is_bound_anew():
    lost = {"s": "its file was removed"}
    user = UNIX + "[watcher:w]\ncmd = x\nstdin_socket = s\n"
    made = steps_of(user, user, lost=lost)
    assert [*map(str, made.steps)] == [
        "[socket:s] changes (its file was removed): bind anew",
        "[watcher:w] changes (socket s): graceful reload",
    ]
    assert made.blocked == set()
    assert str(steps_of(user, W, lost=lost).steps[0]) == "[socket:s] is not wanted any more: close"
    assert steps_of(S, S, lost={"s": "it was closed"}).blocked == {"s"}  # its users may hold the address


# ---- the parts ---------------------------------------------------------------------------------------------------


def test_what_is_blocked_is_what_another_holds():
    def blocked(before, after):
        return plan(state(before + W), state(after + W)).blocked

    assert blocked(S, S + "host = ::\n") == {"s"}
    assert blocked(S, "[socket:t]\nport = 80\n") == {"s", "t"}
    assert blocked(S, S.replace("80", "0")) == set()
    assert blocked(S + "host = 127.0.0.1\n", S + "host = 127.0.0.2\n") == set()
    assert blocked(S + "host = ::ffff:127.0.0.1\n", S + "host = 127.0.0.1\n") == {"s"}
    assert blocked(S + "host = ::1\n", S + "host = 0:0::1\n") == {"s"}
    assert blocked(S + "host = localhost\n", S + "host = ::1\n") == {"s"}
    assert blocked(UNIX, UNIX + "type = SOCK_DGRAM\n") == {"s"}
    assert blocked(UNIX, UNIX.replace("/s", "/t")) == set()


def test_steps_of_one_kind_and_what_needs_a_restart():
    made = plan(state(S + W), state("[circus]\numask = 022\nendpoint = ipc:///x\n[plugin:p]\nuse = a.B"))
    assert [step.name for step in made.of("watcher")] == ["w", "plugin:p"]
    assert [step.name for step in made.of("socket")] == ["s"]
    assert made.needs_restart == ["endpoint", "umask"]


def test_step_in_words_of_json():
    (step,) = plan(state(W), state(W + "args = y")).steps
    assert step.as_dict() == {
        "section": "watcher:w",
        "what": "change",
        "options": ["args"],
        "why": "",
        "price": "graceful reload",
    }


def test_own_programs_go_by_their_own_names():
    names = ("w", "plugin:p", "circusd-stats")
    assert [section_of(WatcherSpec(name)) for name in names] == ["watcher:w", "plugin:p", "circusd-stats"]


@pytest.mark.parametrize("option", list(WatcherSpec.options()), ids=lambda option: option.name)
def test_processes_go_on_exactly_if_the_table_says_so(option):
    def standing(**values):
        return State(CircusSpec(), {}, [Standing(WatcherSpec("a", values))])

    values = {"listen_fds": ("web",), "env": {"A": "1"}}
    value = values.get(option.attribute, "77" if option.kind in (TEXT, OPTIONAL_TEXT, ARGS) else 77)
    (step,) = plan(standing(), standing(**{option.attribute: value})).steps
    goes_on = option.effect in (Effect.NOTHING, Effect.MANAGE, Effect.FIXED)
    assert (step.price is Price.IN_PLACE) is goes_on


@pytest.mark.parametrize("option", list(SocketSpec.options()), ids=lambda option: option.name)
def test_every_option_of_a_socket_is_planned(option):
    def standing(**values):
        return State(CircusSpec(), {"s": SocketSpec("s", values)}, [])

    value = {"path": "/s", "family": "AF_INET6", "type": "SOCK_DGRAM", "host": "::1"}.get(option.attribute, 77)
    (step,) = plan(standing(), standing(**{option.attribute: value})).steps
    assert step.options == (option.name,)
    assert step.price in (Price.IN_PLACE, Price.REBIND)
