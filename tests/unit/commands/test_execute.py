"""The daemon halves against an arbiter that only notes what it is asked."""

from __future__ import annotations

import inspect
import signal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circus.commands import Answer, Pending, get_command, get_commands
from circus.commands.protocols import Operations
from circus.common.future import Future, finished
from circus.common.names import NO_SUCH_PROCESS
from circus.exc import MessageError
from circus.machine.plan import Plan, Price, Step, What
from circus.options.settings import watcher_spec

WEB, DB = 3, 2  # keys


class FakeWatcher:
    def __init__(self, name: str, pids: list[int], numprocesses: int = 2, singleton: bool = False) -> None:
        self.name = name
        self.pids = pids
        self.numprocesses = numprocesses
        self.singleton = singleton
        self.key = len(name)

    def status(self) -> str:
        return "active" if self.pids else "stopped"

    def get_active_pids(self) -> list[int]:
        return self.pids

    def options(self) -> list[tuple[str, Any]]:
        return [("cmd", "sleep"), ("numprocesses", self.numprocesses)]

    def option(self, key: str) -> Any:
        return {**dict(self.options()), "free-form": "x", "env": None}[key]

class FakeOperations:
    """Notes the name of each operation, its positional arguments, and those by name."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        assert callable(getattr(Operations, name)), name

        def ask(*arguments: Any, **named: Any) -> Future[Any]:
            inspect.signature(getattr(Operations, name)).bind(self, *arguments, **named)
            self.asked.append((name, *arguments, named) if named else (name, *arguments))
            return finished({"done": name})

        return ask


class FakeArbiter:
    def __init__(self) -> None:
        self.watchers = [FakeWatcher("Web", [12, 11]), FakeWatcher("db", [], 1, singleton=True)]
        self.operations = FakeOperations()
        self.asked = self.operations.asked
        self.endpoint_owner: str | int | None = None
        self.trouble: dict[str, str] = {}
        self.figures: Future[Any] = finished({"Web": {11: {"pid": 11, "wid": 1}, 12: NO_SUCH_PROCESS}})

    def find(self, name: str) -> FakeWatcher:
        for watcher in self.watchers:
            if watcher.name.lower() == name.lower():
                return watcher
        raise MessageError(f"program {name} not found")

    def match(self, pattern: str, method: str) -> list[FakeWatcher]:
        if method not in ("simple", "glob", "regex"):
            raise MessageError(f"unknown match method {method}")
        return self.watchers if pattern == "*" else [self.find(pattern)]

    def iter_watchers(self, reverse: bool = True) -> list[FakeWatcher]:
        return self.watchers

    def statuses(self) -> dict[str, str]:
        return {watcher.name: watcher.status() for watcher in self.watchers}

    def reasons(self) -> dict[str, str]:
        return self.trouble

    def numprocesses(self) -> int:
        return 2

    def numwatchers(self) -> int:
        return 2

    def global_options(self) -> dict[str, Any]:
        return {"endpoint": "e", "stats_endpoint": None, "check_delay": 5.0}

    def sockets_info(self) -> list[dict[str, Any]]:
        return [{"fd": 9, "name": "b"}, {"fd": 8, "name": "a"}]

    def dstats(self) -> Future[dict[str, Any]]:
        return finished({"pid": 1})

    def event_counts(self) -> dict[str, int]:
        return {"sent": 9, "dropped": 1}

    def stats(self, names: list[str] | None, pid: int | None, extended: bool) -> Future[Any]:
        self.asked.append(("stats", names, pid, extended))
        return self.figures

    def reload_from_config(self, *, restart: bool = False) -> Future[Any]:
        self.asked.append(("reload_from_config", restart))
        return finished({"done": "reload_from_config"})

    def plan_config(self, config_file: str | None = None) -> Plan:
        self.asked.append(("plan_config", config_file))
        return Plan([Step("watcher:web", "web", What.ADD, Price.START)])


@pytest.fixture
def arbiter() -> FakeArbiter:
    return FakeArbiter()


def execute(arbiter: FakeArbiter, command_name: str, /, **props: Any) -> Any:
    command = get_command(command_name)
    command.validate(props)
    return command.execute(arbiter, props)


# ---- questions that are answered at once


@pytest.mark.parametrize(
    ("name", "props", "reply"),
    [
        ("get", {"name": "web", "keys": ["numprocesses", "cmd"]}, {"options": {"numprocesses": 2, "cmd": "sleep"}}),
        ("get", {"name": "web", "keys": "cmd free-form"}, {"options": {"cmd": "sleep", "free-form": "x"}}),
        ("globaloptions", {}, {"options": {"endpoint": "e", "stats_endpoint": None, "check_delay": 5.0}}),
        ("globaloptions", {"option": None}, {"options": {"endpoint": "e", "stats_endpoint": None, "check_delay": 5.0}}),
        ("globaloptions", {"option": "check_delay"}, {"options": {"check_delay": 5.0}}),
        ("globaloptions", {"keys": ["check_delay", "endpoint"]}, {"options": {"check_delay": 5.0, "endpoint": "e"}}),
        ("ipython", {}, {"shell": False, "msg": "Could not start ipython kernel"}),
        ("list", {}, {"watchers": ["db", "web"]}),
        ("list", {"name": "web"}, {"pids": [12, 11]}),
        ("list", {"name": None}, {"watchers": ["db", "web"]}),
        ("listpids", {"name": "web"}, {"pids": [11, 12]}),
        ("listsockets", {}, {"sockets": [{"fd": 8, "name": "a"}, {"fd": 9, "name": "b"}]}),
        ("numprocesses", {}, {"numprocesses": 2}),
        ("numprocesses", {"name": "WEB"}, {"numprocesses": 2, "watcher_name": "WEB"}),
        ("numwatchers", {}, {"numwatchers": 2}),
        ("options", {"name": "web"}, {"options": {"cmd": "sleep", "numprocesses": 2}}),
        ("status", {}, {"statuses": {"Web": "active", "db": "stopped"}}),
        ("status", {"name": "db"}, {"status": "stopped"}),
    ],
)
def test_question_is_answered_at_once(arbiter, name, props, reply):
    assert execute(arbiter, name, **props) == reply


def test_status_of_watcher_in_trouble_has_the_reason(arbiter):
    arbiter.trouble = {"db": "given up: exit code 1"}
    assert execute(arbiter, "status", name="db") == {"status": "stopped", "reason_text": "given up: exit code 1"}
    assert execute(arbiter, "status", name="web") == {"status": "active"}
    assert execute(arbiter, "status") == {
        "statuses": {"Web": "active", "db": "stopped"},
        "reasons": {"db": "given up: exit code 1"},
    }


# ---- questions that take a moment


def answer(arbiter: FakeArbiter, name: str, /, **props: Any) -> Any:
    result = execute(arbiter, name, **props)
    assert isinstance(result, Answer)
    return result.later.result(0)


def test_dstats_wraps_the_figures(arbiter):
    assert answer(arbiter, "dstats") == {"info": {"pid": 1}, "events": {"sent": 9, "dropped": 1}}


def test_stats_of_all_are_infos(arbiter):
    infos = {"Web": {11: {"pid": 11, "wid": 1}, 12: NO_SUCH_PROCESS}}
    assert answer(arbiter, "stats", extended=True) == {"infos": infos}
    assert arbiter.asked == [("stats", None, None, False)]


def test_stats_of_a_watcher_keep_the_name_as_sent(arbiter):
    reply = answer(arbiter, "stats", name="WEB", extended="yes")
    assert reply == {"name": "WEB", "info": {11: {"pid": 11, "wid": 1}, 12: NO_SUCH_PROCESS}}
    assert arbiter.asked == [("stats", ["Web"], None, True)]


@pytest.mark.parametrize("process", [11, "11"])
def test_stats_of_a_process_keep_it_as_sent(arbiter, process):
    assert answer(arbiter, "stats", name="web", process=process) == {"process": process, "info": {"pid": 11, "wid": 1}}
    assert arbiter.asked == [("stats", ["Web"], 11, False)]


def test_stats_of_a_worker_number_find_its_process(arbiter):
    assert answer(arbiter, "stats", name="web", process=1) == {"process": 1, "info": {"pid": 11, "wid": 1}}


def test_stats_of_a_process_that_vanishes_meanwhile_say_so(arbiter):
    arbiter.figures = finished({"Web": {}})
    assert answer(arbiter, "stats", name="web", process=11) == {"process": 11, "info": NO_SUCH_PROCESS}


@pytest.mark.parametrize(("process", "shown"), [(99, "99"), ("99", "'99'")])
def test_stats_of_an_unknown_process_are_an_error(arbiter, process, shown):
    with pytest.raises(MessageError) as caught:
        answer(arbiter, "stats", name="Web", process=process)
    assert str(caught.value) == f"process {shown} not found in 'Web'"


def test_stats_wait_for_the_figures(arbiter):
    arbiter.figures = Future()
    later = execute(arbiter, "stats").later
    assert not later.done()
    arbiter.figures.set_exception(OSError("no /proc"))
    assert isinstance(later.exception(0), OSError)


# ---- requests


@pytest.mark.parametrize(
    ("name", "props", "asked"),
    [
        ("start", {}, ("start", None, {"single": False})),
        ("start", {"name": "web"}, ("start", [WEB], {"single": True})),
        ("start", {"name": None, "match": None}, ("start", None, {"single": False})),
        ("stop", {"name": "*", "match": "glob"}, ("stop", [WEB, DB], {"single": False})),
        ("restart", {"name": "db", "match": "simple", "terminate": True}, ("restart", [DB], {"single": True})),
        ("restart", {}, ("restart_daemon",)),
        ("reload", {}, ("reload", None, {"graceful": True, "sequential": False, "single": False})),
        (
            "reload",
            {"name": "web", "graceful": "no"},
            ("reload", [WEB], {"graceful": False, "sequential": False, "single": True}),
        ),
        (
            "reload",
            {"name": "web", "sequential": True},
            ("reload", [WEB], {"graceful": True, "sequential": True, "single": True}),
        ),
        ("reloadconfig", {}, ("reload_from_config", False)),
        ("reloadconfig", {"restart": True}, ("reload_from_config", True)),
        ("quit", {"waiting": True}, ("quit",)),
        ("rm", {"name": "web"}, ("remove", WEB, {"nostop": False})),
        ("rm", {"name": "web", "nostop": True}, ("remove", WEB, {"nostop": True})),
        ("kill", {"name": "web"}, ("kill", WEB, None, None, None)),
        (
            "kill",
            {"name": "web", "pid": "11", "signum": "int", "graceful_timeout": "0.5"},
            ("kill", WEB, 11, signal.SIGINT, 0.5),
        ),
        ("set", {"name": "web", "options": {"max_age": 5}}, ("set", WEB, {"max_age": 5})),
        ("set", {"name": "web", "max_age": 5, "waiting": True}, ("set", WEB, {"max_age": 5})),
        ("add", {"name": "New", "cmd": "sleep"}, ("add", watcher_spec("New", "sleep"), {"start": False})),
        (
            "add",
            {"name": "n", "cmd": "sleep", "args": ["5"], "options": {"copy_env": True}, "start": "true"},
            ("add", watcher_spec("n", "sleep", args=["5"], copy_env=True), {"start": True}),
        ),
    ],
)
def test_request_becomes_an_operation(arbiter, name, props, asked):
    future = execute(arbiter, name, **props)
    assert arbiter.asked == [asked]
    assert future.result(0) == {"done": asked[0]}


def test_added_watcher_must_run_as_the_owner_of_the_endpoint(arbiter):
    arbiter.endpoint_owner = "www-data"
    for options in ({}, {"uid": "root"}):
        with pytest.raises(MessageError, match="uid does not match endpoint_owner"):
            execute(arbiter, "add", name="n", cmd="sleep", options=options)
    execute(arbiter, "add", name="n", cmd="sleep", options={"uid": "www-data"})
    assert [asked[0] for asked in arbiter.asked] == ["add"]


@pytest.mark.parametrize(
    ("name", "nb", "number"),
    [("incr", None, 3), ("incr", 3, 5), ("incr", "2", 4), ("decr", 1, 1), ("decr", 5, 0), ("incr", -9, 0)],
)
def test_incr_and_decr_tell_the_new_number_at_once(arbiter, name, nb, number):
    result = execute(arbiter, name, name="web", nb=nb)
    assert isinstance(result, Pending)
    assert result.now == {"numprocesses": number}
    assert result.later.result(0) == {"done": "incr"}
    assert arbiter.asked == [("incr", WEB, (1 if nb is None else int(nb)) * (1 if name == "incr" else -1))]


@pytest.mark.parametrize("name", ["incr", "decr"])
def test_singleton_is_left_alone(arbiter, name):
    assert execute(arbiter, name, name="db") == {"numprocesses": 1, "singleton": True}
    assert arbiter.asked == []


# ---- signal


@pytest.mark.parametrize(
    ("props", "sent"),
    [
        ({"signum": 15}, (None, 15, {})),
        ({"signum": "hup", "pid": 11}, (11, 1, {})),
        ({"signum": "1", "pid": "11"}, (11, 1, {})),
        ({"signum": 15, "pid": None, "childpid": None}, (None, 15, {})),
        ({"signum": 15, "pid": 11, "childpid": 30}, (11, 15, {"childpid": 30})),
        ({"signum": 15, "pid": 11, "child_pid": 30}, (11, 15, {"childpid": 30})),
        ({"signum": 15, "childpid": 30}, (None, 15, {"childpid": 30})),
        ({"signum": 15, "children": True, "recursive": "yes"}, (None, 15, {"children": True, "recursive": True})),
        ({"signum": 15, "process": 11}, (11, 15, {})),
        ({"signum": 15, "process": 1}, (None, 15, {"wid": 1})),
        ({"signum": 15, "process": 1, "pid": 30}, (None, 15, {"wid": 1, "childpid": 30})),
        ({"signum": 15, "process": 11, "pid": 30}, (11, 15, {"childpid": 30})),
        ({"signum": 15, "process": None, "pid": 11}, (11, 15, {})),
    ],
)
def test_signal_goes_to_whom_old_and_new_requests_mean(arbiter, props, sent):
    assert execute(arbiter, "signal", name="web", **props) == {}
    ((_, key, signum, pid, named),) = arbiter.asked
    assert (key, pid, signum, {key: value for key, value in named.items() if value}) == (WEB, *sent)


# ---- requests that are wrong


@pytest.mark.parametrize(
    ("name", "props", "reason"),
    [
        ("stop", {"name": "nope"}, "program nope not found"),
        ("stop", {"name": "web", "match": "magic"}, "unknown match method magic"),
        ("stop", {"name": 5}, "'name' isn't a string"),
        ("status", {"name": "nope"}, "program nope not found"),
        ("kill", {"name": "nope"}, "program nope not found"),
        ("kill", {"name": "web", "pid": "x"}, "'pid' isn't a process id"),
        ("kill", {"name": "web", "pid": 0}, "'pid' isn't a process id"),
        ("kill", {"name": "web", "pid": -1}, "'pid' isn't a process id"),
        ("kill", {"name": "web", "pid": True}, "'pid' isn't a process id"),
        ("kill", {"name": "web", "pid": 10**400}, "'pid' isn't a process id"),
        ("kill", {"name": "web", "graceful_timeout": "soon"}, "'graceful_timeout' isn't a number"),
        ("kill", {"name": "web", "graceful_timeout": 10**400}, "'graceful_timeout' isn't a number"),
        ("signal", {"name": "web", "signum": 15, "children": "some"}, "'children' isn't a valid boolean"),
        ("incr", {"name": "web", "nb": "x"}, "'nb' isn't an integer"),
        ("incr", {"name": "web", "nb": 1.5}, "'nb' isn't an integer"),
        ("incr", {"name": "web", "nb": []}, "'nb' isn't an integer"),
        ("get", {"name": "web", "keys": ["cmd", "nope"]}, "'nope' option not found"),
        ("get", {"name": "web", "keys": [["cmd"]]}, "'['cmd']' option not found"),
        ("get", {"name": "web", "keys": 5}, "'keys' isn't a list"),
        ("globaloptions", {"option": "nope"}, "'nope' not an existing option"),
        ("globaloptions", {"keys": [{}]}, "'{}' not an existing option"),
        ("listen", {}, "invalid message. use a pub/sub socket"),
        ("set", {"name": "web", "options": 5}, "'options' property should be an object"),
        ("set", {"name": "web", "options": []}, "'options' property should be an object"),
        ("set", {"name": "web", "options": {}}, "message invalid 'options' is missing"),
        ("set", {"name": "web", "options": {"nope": 1}}, "unknown key 'nope'"),
        ("set", {"name": "web", "options": {"numprocesses": "x"}}, "'numprocesses' isn't an integer"),
        ("set", {"name": "web", "nope": 1}, "unknown key 'nope'"),
        ("add", {"name": "n", "cmd": "c", "options": 5}, "'options' property should be an object"),
        ("add", {"name": "n", "cmd": "c", "options": {"nope": 1}}, "unknown key 'nope'"),
        ("add", {"name": " ", "cmd": "c"}, "'name' is empty"),
        ("add", {"name": "n", "cmd": ""}, "'cmd' is empty"),
        ("stats", {"name": "nope"}, "program nope not found"),
        ("stats", {"name": "web", "process": "x"}, "'process' isn't a process id"),
    ],
)
def test_wrong_request_is_a_message_error(arbiter, name, props, reason):
    with pytest.raises(MessageError) as caught:
        execute(arbiter, name, **props)
    assert str(caught.value) == reason
    assert arbiter.asked == []


@pytest.mark.parametrize("value", ["FOO", 0, 65, -9, True, [], 1.5, "", "SIG_IGN"])
@pytest.mark.parametrize("name", ["kill", "signal"])
def test_wrong_signal_is_a_message_error(arbiter, name, value):
    with pytest.raises(MessageError, match="signal invalid: "):
        execute(arbiter, name, name="web", signum=value)


def test_every_required_property_is_missed_by_name(arbiter):
    known = {"name": "web", "keys": ["cmd"], "options": {"max_age": 1}, "signum": 15, "cmd": "sleep"}
    checked = 0
    for command in get_commands().values():
        for missing in command.properties:
            for absent in ({}, {missing: None}):
                props = {key: known[key] for key in command.properties if key != missing} | absent
                with pytest.raises(MessageError) as caught:
                    command.validate(props)
                assert str(caught.value) == f"message invalid '{missing}' is missing"
                checked += 1
    assert checked >= 20


property_names = sorted({p.name for command in get_commands().values() for p in command.takes})
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["web", "nope", "TERM", "9", "glob", "cmd", "hooks", "rlimit_nofile", "stdout_stream", "env"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["cmd", "env", "hooks", "rlimits", "stdout_stream", "uid"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(deadline=None)
@given(
    st.sampled_from(sorted(get_commands())),
    st.dictionaries(st.sampled_from(property_names) | st.text(max_size=5), json_values, max_size=6),
)
def test_any_properties_are_carried_out_or_a_message_error(name, props):
    try:
        result = execute(FakeArbiter(), name, **{**({"name": "web"} if len(props) % 2 else {}), **props})
        if isinstance(result, Answer):
            result.later.result(0)
    except MessageError as error:
        assert str(error)


def test_dry_run_answers_with_the_plan_and_changes_nothing(arbiter: FakeArbiter) -> None:
    reply = get_command("reloadconfig").execute(arbiter, {"dry_run": True, "file": "/x.ini"})
    assert reply == {
        "plan": [
            {
                **{"section": "watcher:web", "what": "add", "options": [], "why": "", "price": "start"},
                "text": "[watcher:web] is new: start",
            }
        ]
    }
    assert arbiter.asked == [("plan_config", "/x.ini")]
