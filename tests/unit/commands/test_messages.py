"""Words of a command line to requests."""

from __future__ import annotations

import shlex

import pytest

from circus.commands import get_command
from circus.ctl.argv import read_flags, split, split_globals
from circus.exc import ArgumentError


def message(line: str) -> dict:
    """What circusctl would send for this line."""
    name, *words = shlex.split(line)
    command = get_command(name)
    plain, flags = split(words, command)
    return command.message(*plain, **read_flags(command, flags))


@pytest.mark.parametrize(
    ("line", "properties"),
    [
        ("add web server", {"name": "web", "cmd": "server"}),
        ("add web server --port 80 -v", {"name": "web", "cmd": "server --port 80 -v"}),
        ("add --start web sleep 5", {"name": "web", "cmd": "sleep 5", "start": True}),
        ("add web sleep 5 --start", {"name": "web", "cmd": "sleep 5", "start": True}),
        ("add web server -- --start", {"name": "web", "cmd": "server --start"}),
        ("add web 'server --port 80'", {"name": "web", "cmd": "server --port 80"}),
        ("add web sh -c 'echo a > b; exec c'", {"name": "web", "cmd": "sh -c 'echo a > b; exec c'"}),
        ("decr web", {"name": "web"}),
        ("decr web 2 --waiting", {"name": "web", "nb": 2, "waiting": True}),
        ("dstats", {}),
        ("get web env cmd", {"name": "web", "keys": ["env", "cmd"]}),
        ("globaloptions", {}),
        ("globaloptions endpoint", {"option": "endpoint"}),
        ("incr web", {"name": "web"}),
        ("incr web 3", {"name": "web", "nb": 3}),
        ("incr web -2", {"name": "web", "nb": -2}),
        ("ipython", {}),
        ("kill web", {"name": "web"}),
        ("kill web 7 --signum INT", {"name": "web", "pid": 7, "signum": "INT"}),
        ("kill web 7 --signal int", {"name": "web", "pid": 7, "signum": "int"}),
        ("kill web --graceful_timeout 0.5 --waiting", {"name": "web", "graceful_timeout": 0.5, "waiting": True}),
        ("list", {}),
        ("list web", {"name": "web"}),
        ("listpids web", {"name": "web"}),
        ("listsockets", {}),
        ("numprocesses", {}),
        ("numprocesses web", {"name": "web"}),
        ("numwatchers", {}),
        ("options web", {"name": "web"}),
        ("quit", {}),
        ("quit --waiting", {"waiting": True}),
        ("reload", {}),
        ("reload web --terminate", {"name": "web", "graceful": False}),
        ("reload web --sequential --waiting", {"name": "web", "sequential": True, "waiting": True}),
        ("reloadconfig --waiting", {"waiting": True}),
        ("reloadconfig --dry-run", {"dry_run": True}),
        ("reloadconfig --restart --waiting", {"restart": True, "waiting": True}),
        ("restart", {"match": "glob"}),
        ("restart web --terminate", {"name": "web", "match": "glob", "terminate": True}),
        ("restart w.* --match regex", {"name": "w.*", "match": "regex"}),
        ("rm web --nostop --waiting", {"name": "web", "nostop": True, "waiting": True}),
        ("set web numprocesses 3", {"name": "web", "options": {"numprocesses": 3}}),
        ("set web Max_Age 3 send_hup yes", {"name": "web", "options": {"max_age": 3, "send_hup": True}}),
        ("set web stop_signal int", {"name": "web", "options": {"stop_signal": 2}}),
        ("set web max_retry -1 --waiting", {"name": "web", "options": {"max_retry": -1}, "waiting": True}),
        ("set web args --port", {"name": "web", "options": {"args": "--port"}}),
        ("set web env A=1,B=2", {"name": "web", "options": {"env": {"A": "1", "B": "2"}}}),
        ("set web rlimit_nofile 9", {"name": "web", "options": {"rlimit_nofile": 9}}),
        ("set web stdout_stream.filename /x", {"name": "web", "options": {"stdout_stream.filename": "/x"}}),
        ("signal web HUP", {"name": "web", "signum": "HUP"}),
        ("signal web 7 usr1", {"name": "web", "pid": 7, "signum": "usr1"}),
        ("signal web 7 8 9", {"name": "web", "process": 7, "pid": 8, "signum": "9"}),
        ("signal web 7 15 --children", {"name": "web", "pid": 7, "signum": "15", "children": True}),
        ("signal web SIGRTMIN+1 --recursive", {"name": "web", "signum": "SIGRTMIN+1", "recursive": True}),
        ("start", {"match": "glob"}),
        ("start web --waiting", {"name": "web", "match": "glob", "waiting": True}),
        ("start web --match=simple", {"name": "web", "match": "simple"}),
        ("stats", {}),
        ("stats web", {"name": "web"}),
        ("stats --extended web 7", {"name": "web", "process": 7, "extended": True}),
        ("status", {}),
        ("status web", {"name": "web"}),
        ("stop web*", {"name": "web*", "match": "glob"}),
    ],
)
def test_line_becomes_message(line, properties):
    assert message(line) == {"command": shlex.split(line)[0], "properties": properties}


@pytest.mark.parametrize(
    "line",
    [
        "add", "add web", "decr", "dstats x", "get", "get web", "globaloptions a b", "incr", "incr web 1 2",
        "ipython x",
        "kill", "kill web 1 2", "list a b", "listpids", "numprocesses a b", "numwatchers x", "options", "options a b",
        "quit web", "reload a b", "reloadconfig x", "restart a b", "rm", "rm a b", "set", "set web", "set web cmd",
        "signal", "signal web", "signal a 1 2 3 4", "start a b", "stats a 1 2", "status a b", "stop a b",
    ],
)  # fmt: skip
def test_wrong_number_of_words_is_refused(line):
    with pytest.raises(ArgumentError, match=r"^Invalid number of arguments$"):
        message(line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("set web cmd a args", "List of key/values is invalid"),
        ("set web numproceses 3", "unknown key 'numproceses'; did you mean 'numprocesses'?"),
        ("set web numprocesses many", "numprocesses: 'many' is not a whole number"),
        ("incr web many", "nb: 'many' is not a whole number"),
        ("kill web x", "pid: 'x' is not a whole number"),
        ("kill web 0", "pid: '0' is not a process id"),
        ("kill web -1", "pid: '-1' is not a process id"),
        ("kill web --graceful_timeout soon", "graceful_timeout: 'soon' is not a number"),
        ("kill web --graceful_timeout nan", "graceful_timeout: 'nan' is not a number"),
        ("kill web --signum FOO", "signum: signal invalid: 'FOO'"),
        ("signal web 7 FOO", "signum: signal invalid: 'FOO'"),
        ("signal web x y HUP", "pid: 'x' is not a whole number"),
        ("stats web x", "pid: 'x' is not a whole number"),
    ],
)
def test_wrong_word_is_refused_with_what_is_wrong(line, text):
    with pytest.raises(ArgumentError) as caught:
        message(line)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    "line", ["start --foo", "stop web --foo", "add --foo web server", "rm web -x", "kill web --signum"]
)
def test_wrong_flag_is_a_usage_error(line, capsys):
    with pytest.raises(SystemExit) as caught:
        message(line)
    assert caught.value.code == 2
    assert "circusctl: error: " in capsys.readouterr().err


def test_values_of_programs_need_not_be_text():
    assert get_command("kill").message("web", 7, graceful_timeout=2, signum=15)["properties"] == {
        "name": "web", "pid": 7, "graceful_timeout": 2, "signum": 15,
    }  # fmt: skip


def test_make_message_takes_any_property():
    assert get_command("stop").make_message(name="a", x=1) == {"command": "stop", "properties": {"name": "a", "x": 1}}


def test_global_flags_end_where_the_command_begins():
    words = ["--json", "--timeout", "-1", "--endpoint=x", "stop", "--waiting", "--json"]
    assert split_globals(words, ["--timeout", "--endpoint"]) == (
        ["--json", "--timeout", "-1", "--endpoint=x"],
        ["stop", "--waiting", "--json"],
    )


def test_global_flag_without_its_value_is_left_for_argparse_to_complain_about():
    assert split_globals(["--timeout"], ["--timeout"]) == (["--timeout"], [])


def test_no_flag_of_a_literal_command_takes_a_value():
    # `add web server --opt value`: the split relies on it.
    for name in ("add", "set"):
        assert all(isinstance(default, bool) for _, _, default, _ in get_command(name).options)
