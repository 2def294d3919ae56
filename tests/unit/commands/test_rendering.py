"""Replies to text. Scripts read these texts: every line here is a promise."""

from __future__ import annotations

import pytest

from circus.commands import get_command

INFO = {
    "mem_info1": "31.05M", "mem_info2": "120.40M", "cpu": 0.3, "mem": 0.412, "ctime": "0:02.10", "pid": 9,
    "username": "www", "nice": 0, "create_time": 1.5, "age": 3.2, "cmdline": "python3", "children": [],
    "started": 1.5, "wid": 1,
}  # fmt: skip
LINE = "9  python3 www 0 31.05M 120.40M 0.3 0.412 0:02.10"
CHILD = {**INFO, "pid": 10, "nice": "Zombie", "cmdline": "N/A"}
CHILD_LINE = "10  N/A www Zombie 31.05M 120.40M 0.3 0.412 0:02.10"
GONE = "No such process (stopped?)"


def text(name: str, /, **reply) -> str:
    return get_command(name).console_msg({"status": "ok", "time": 1.5, **reply})


@pytest.mark.parametrize(
    "name",
    ["add", "kill", "quit", "reload", "reloadconfig", "restart", "rm", "set", "signal", "start", "stop"],
)
def test_what_only_works_says_ok(name):
    assert text(name) == "ok"


@pytest.mark.parametrize("name", ["start", "stop", "restart", "reload"])
def test_waiting_result_says_ok_too(name):
    assert text(name, info={"started": [1], "kept": []}) == "ok"


@pytest.mark.parametrize(
    ("name", "reply", "expected"),
    [
        ("incr", {"numprocesses": 3}, "3"),
        ("decr", {"numprocesses": 0}, "0"),
        ("incr", {}, "ok"),
        (
            "decr",
            {"numprocesses": 1, "singleton": True},
            "This watcher is a Singleton - not changing the number of processes",
        ),
        ("list", {"watchers": ["b", "a x"]}, "b,a x"),
        ("list", {"watchers": []}, ""),
        ("list", {"pids": [3, 1]}, "3,1"),
        ("list", {"pids": []}, ""),
        ("listpids", {"pids": [1, 3]}, "1,3"),
        ("numprocesses", {"numprocesses": 4, "watcher_name": "a"}, "4"),
        ("numwatchers", {"numwatchers": 2}, "2"),
        ("listsockets", {"sockets": []}, ""),
        ("reloadconfig", {"plan": []}, "nothing changes"),
        ("reloadconfig", {"plan": [{"text": "[watcher:a] is new"}, {"text": "b"}]}, "[watcher:a] is new\nb"),
        (
            "listsockets",
            {"sockets": [
                {"fd": 7, "name": "web", "backlog": 5, "host": "127.0.0.1", "port": 80},
                {"fd": 8, "name": "api", "backlog": 5, "path": "/run/api.sock"},
                {"fd": 9, "name": "six", "backlog": 5, "host": "::1", "port": 80},
                {"fd": 10, "name": "pair", "backlog": 5, "path": ""},
            ]},
            "7:socket 'web' at 127.0.0.1:80\n8:socket 'api' at /run/api.sock\n"
            "9:socket 'six' at [::1]:80\n10:socket 'pair' at a unix socket without a path",
        ),
        ("ipython", {"shell": False, "msg": "Could not start ipython kernel"}, "error: Could not start ipython kernel"),
        ("status", {"status": "active"}, "active"),
        ("status", {"status": "stopped", "reason_text": "given up: exit code 1"}, "stopped (given up: exit code 1)"),
        ("status", {"statuses": {"b": "active", "A x": "stopped", "a": "x"}}, "A x: stopped\na: x\nb: active"),
        (
            "status",
            {"statuses": {"b": "active", "a": "stopped"}, "reasons": {"a": "given up: signal SIGKILL"}},
            "a: stopped (given up: signal SIGKILL)\nb: active",
        ),
        ("status", {"statuses": {}}, ""),
        (
            "get",
            {"options": {"numprocesses": 1, "args": None, "env": {"B": "2", "A": "1"}, "send_hup": True, "hooks": {}}},
            "numprocesses: 1\nargs: \nenv: A=1,B=2\nsend_hup: True\nhooks: {}",
        ),
        ("get", {"options": {"env": None}}, "env: "),
        ("options", {"options": {"b": 1.0, "a": "x", "env": {}}}, "a: x\nb: 1.0\nenv: "),
        ("globaloptions", {"options": {"endpoint": "e", "check_delay": 5.0}}, "endpoint: e\ncheck_delay: 5.0"),
        ("dstats", {"info": INFO}, f"Main Process:\n    {LINE}"),
        ("dstats", {"info": {**INFO, "children": [CHILD]}}, f"Main Process:\n    {LINE}\nChildren:\n    {CHILD_LINE}"),
        ("dstats", {"info": INFO, "events": {"sent": 9, "dropped": 0}}, f"Main Process:\n    {LINE}"),
        (
            "dstats",
            {"info": INFO, "events": {"sent": 9, "dropped": 2}},
            f"Main Process:\n    {LINE}\nEvents: 9 sent, 2 dropped",
        ),
        ("stats", {"infos": {}}, ""),
        (
            "stats",
            {"infos": {"a": {"9": {**INFO, "children": [CHILD]}, "11": GONE}, "b": {}}},
            f"a:\n9: {LINE}\n   {CHILD_LINE}\n11: {GONE}\nb:",
        ),
        ("stats", {"name": "a", "info": {"9": INFO}}, f"a:\n9: {LINE}"),
        ("stats", {"process": 9, "info": {**INFO, "children": [CHILD]}}, f"9: {LINE}\n   {CHILD_LINE}\n"),
        ("stats", {"process": "9", "info": GONE}, f"9: {GONE}\n"),
    ],
)  # fmt: skip
def test_reply_becomes_text(name, reply, expected):
    assert text(name, **reply) == expected


def test_error_reply_tells_the_reason():
    reply = {"status": "error", "reason": "program a not found", "errno": 3}
    assert get_command("status").console_error(reply) == "error: program a not found"
    assert get_command("stop").console_msg(reply) == "error: program a not found"


def test_globaloptions_tells_the_bare_reason():
    reply = {"status": "error", "reason": "'x' not an existing option", "errno": 3}
    assert get_command("globaloptions").console_error(reply) == "'x' not an existing option"
