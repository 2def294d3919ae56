"""The watchdog: who is followed, who is silent, and what is done about it."""

from __future__ import annotations

import json
import logging

import pytest

from circus.plugins import watchdog
from circus.plugins.watchdog import Pulses, WatchDog, pid_in
from tests.unit.plugins.support import build, daemon, refuses

# ---- options -----------------------------------------------------------------------------------------------------


def test_options_have_defaults():
    plugin = build(WatchDog)
    assert (plugin.loop_rate, plugin.max_count, plugin.watchdog_ip, plugin.watchdog_port) == (60, 3, "127.0.0.1", 1664)
    assert (plugin.watchers_stop_signal, plugin.watchers_graceful_timeout) == (None, None)
    assert plugin.is_followed("anything")


def test_options_come_from_text():
    plugin = build(
        WatchDog,
        loop_rate="0.1",
        max_count="2",
        ip="::1",
        port="99",
        watchers_stop_signal="INT",
        watchers_graceful_timeout="1.5",
    )
    assert (plugin.loop_rate, plugin.max_count, plugin.watchdog_ip, plugin.watchdog_port) == (0.1, 2, "::1", 99)
    assert (plugin.watchers_stop_signal, plugin.watchers_graceful_timeout) == (2, 1.5)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("loop_rate", "0"),
        ("loop_rate", "soon"),
        ("max_count", "0"),
        ("max_count", "1.5"),
        ("watchers_regex", "("),
        ("msg_regex", "("),
        ("msg_regex", "(?P<time>.*)"),
        ("port", "65536"),
        ("port", "http"),
        ("watchers_stop_signal", "SIGNONE"),
        ("watchers_graceful_timeout", "-1"),
    ],
)
def test_bad_value_is_refused(option, value):
    refuses(WatchDog, option, value)


# ---- who is followed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["web", "Web 2", "web_2"])
def test_watchers_that_match_from_the_start_of_their_name_are_followed(name):
    assert build(WatchDog, watchers_regex="WEB").is_followed(name)


@pytest.mark.parametrize("name", ["my web", "plugin:p", "circusd-stats"])
def test_others_and_own_programs_are_not(name):
    assert not build(WatchDog, watchers_regex="web|plugin|circus").is_followed(name)


def test_name_with_blanks_may_be_given_as_name_or_res_name():
    assert build(WatchDog, watchers_regex="a b$").is_followed("A B")
    assert build(WatchDog, watchers_regex="a_b$").is_followed("A B")


@pytest.mark.parametrize("pattern", ["plugin:web", "^plugin:web$", "^PLUGIN:WEB", r"circusd\-stats$"])
def test_own_program_is_followed_if_the_option_is_its_name(pattern):
    name = "circusd-stats" if "stats" in pattern else "plugin:Web"
    assert build(WatchDog, watchers_regex=pattern).is_followed(name)


# ---- heartbeats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datagram", "pid"),
    [
        (b"12;1.5", 12),
        (b" 12;1.5\n", 12),
        (b"12;", 12),
        (b"12", None),
        (b";1.5", None),
        (b"x;1", None),
        (b"\xff;1", None),
        (b"9" * 5000 + b";1", None),
        (b"", None),
    ],
)
def test_pid_is_taken_from_a_heartbeat_and_from_nothing_else(datagram, pid):
    assert pid_in(datagram, build(WatchDog).msg_regex) == pid


def test_heartbeat_may_have_another_form():
    form = build(WatchDog, msg_regex=r"beat (?P<pid>\d+)|alive").msg_regex
    assert pid_in(b"beat 7 of mine", form) == 7
    assert pid_in(b"alive", form) is None


# ---- silence -----------------------------------------------------------------------------------------------------


def pulses(*pids):
    """Judged every 10 s, silent after more than 30."""
    made = Pulses(10, 3, 0)
    for pid in pids:
        made.born("w", pid, 0)
    return made


def judged(made, *times):
    return [made.silent(now) for now in times]


def test_silent_one_is_found_after_its_patience_and_the_talking_one_is_not():
    made = pulses(1, 2)
    for now in (9, 19, 29, 39):
        assert made.silent(now) == ([("w", 1)] if now > 30 else [])
        assert made.beat(2, now)


def test_one_that_is_found_has_its_whole_patience_again():
    assert judged(pulses(1), 10, 20, 30, 40, 50, 60, 70, 80) == [[], [], [], [("w", 1)], [], [], [], [("w", 1)]]


def test_heartbeat_of_a_stranger_is_told_and_follows_nobody():
    made = pulses(1)
    assert not made.beat(2, 5)
    assert list(made.by_pid) == [1]


def test_dead_one_is_never_found():
    made = pulses(1)
    made.gone(1)
    made.gone(1)
    assert judged(made, 10, 20, 30, 40) == [[], [], [], []]


def test_one_that_was_asked_to_end_is_left_to_circusd_until_its_number_is_another_ones():
    made = pulses(1)
    made.ending(1)
    made.ending(2)
    made.follow({"w": [1]}, 5)
    assert judged(made, 10, 20, 30, 40) == [[], [], [], []]
    made.born("w", 1, 40)
    assert judged(made, 50, 60, 70, 80) == [[], [], [], [("w", 1)]]


def test_number_of_a_dead_one_in_other_hands_begins_anew():
    made = pulses(1)
    assert judged(made, 10, 20) == [[], []]
    made.gone(1)
    made.born("other", 1, 25)
    assert judged(made, 30, 40, 50, 60) == [[], [], [], [("other", 1)]]


def test_exactly_the_living_are_followed_and_keep_what_was_heard_of_them():
    made = pulses(1, 2)
    made.beat(2, 15)
    made.follow({"w": [2], "v": [3]}, 20)
    assert {pid: (pulse.watcher, pulse.heard_at) for pid, pulse in made.by_pid.items()} == {2: ("w", 15), 3: ("v", 20)}
    assert repr(made.by_pid[3]) == "<Pulse v 20>"


def test_time_in_which_nobody_listened_is_no_silence():
    made = pulses(1)
    assert judged(made, 10, 1000, 1010, 1020, 1030) == [[], [], [], [("w", 1)], []]


def test_look_that_is_always_late_still_finds_the_silent():
    made = pulses(1)
    assert judged(made, 100, 200, 300, 400) == [[], [], [], [("w", 1)]]


# ---- what is done ------------------------------------------------------------------------------------------------


class Port:
    """Datagrams that have come."""

    def __init__(self, *datagrams):
        self.datagrams = list(datagrams)

    def recv(self, size):
        if not self.datagrams:
            raise BlockingIOError
        return self.datagrams.pop(0)[:size]


def listening(watchers, *datagrams, **config):
    plugin = build(WatchDog, daemon(watchers), **config)
    plugin._socket = Port(*datagrams)
    plugin.pulses = Pulses(plugin.loop_rate, plugin.max_count, 0)
    return plugin


@pytest.fixture
def clock(monkeypatch):
    """`clock(seconds)` sets the time."""
    times = [0.0]
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: times[-1])
    return times.append


def looks(plugin, clock, *times):
    for now in times:
        clock(now)
        plugin.look_after()
    return plugin.sent


def test_silent_process_is_killed_and_the_talking_one_is_not(clock):
    plugin = listening({"web": ("active", [11, 12])}, loop_rate=10)
    looks(plugin, clock, 0, 10, 20, 30)
    plugin._socket = Port(b"12;30")
    assert looks(plugin, clock, 40) == [("kill", {"name": "web", "pid": 11})]


def test_signal_and_time_out_are_passed_if_they_are_configured(clock):
    config = {"watchers_stop_signal": "KILL", "watchers_graceful_timeout": "0"}
    plugin = listening({"web": ("active", [11])}, loop_rate=10, max_count=1, **config)
    sent = looks(plugin, clock, 0, 10, 20)
    assert sent == [("kill", {"name": "web", "pid": 11, "signum": 9, "graceful_timeout": 0})]


@pytest.mark.parametrize("status", ["stopped", "stopping", "starting"])
def test_watcher_that_is_not_active_is_left_alone(clock, status):
    plugin = listening({"web": (status, [11])}, loop_rate=10, max_count=1)
    assert looks(plugin, clock, 0, 10, 20, 30) == []
    assert plugin.pulses.by_pid == {}


def test_process_that_is_no_longer_there_is_not_killed(clock):
    watchers = {"web": ("active", [11])}
    plugin = listening(watchers, loop_rate=10, max_count=1)
    looks(plugin, clock, 0, 10)
    watchers["web"] = ("active", [12])
    assert looks(plugin, clock, 20) == []


def test_watcher_removed_meanwhile_and_those_that_do_not_match_are_not_asked_for(clock):
    def answer(command, **props):
        if command == "status":
            return {"statuses": {"gone": "active", "other": "active"}}
        assert props == {"name": "gone"}
        return {"status": "error", "reason": "program gone not found"}

    plugin = listening({}, watchers_regex="gone")
    plugin.call = answer
    assert looks(plugin, clock, 0, 1000) == []


def event(name, pid, watcher="web"):
    return [f"watcher.{watcher}.{name}".encode(), json.dumps({"process_pid": pid}).encode()]


def test_births_and_deaths_are_learnt_from_events(clock):
    plugin = listening({}, watchers_regex="web")
    clock(5)
    for data in (event("spawn", 1), event("spawn", 2), event("reap", 1), event("spawn", 3, "db"), event("updated", 2)):
        plugin.handle_recv(data)
    assert {pid: pulse.heard_at for pid, pulse in plugin.pulses.by_pid.items()} == {2: 5}


def test_process_that_is_ended_by_circusd_is_not_killed_as_well(clock):
    plugin = listening({"web": ("active", [1, 2])}, loop_rate=10, max_count=1)
    looks(plugin, clock, 0)
    plugin.handle_recv(event("kill", 1))
    assert looks(plugin, clock, 10, 20) == [("kill", {"name": "web", "pid": 2})]


def test_flood_of_heartbeats_gives_others_a_turn(clock):
    plugin = listening({}, *[b"1;1"] * (watchdog.HEARTBEATS_PER_PASS + 5))
    plugin._hear()
    assert len(plugin._socket.datagrams) == 5


def test_port_that_cannot_be_had_is_said_once_and_nobody_is_killed(clock, monkeypatch, caplog):
    def refuse(ip, port):
        raise OSError("in use")

    monkeypatch.setattr(watchdog, "_open", refuse)
    plugin = build(WatchDog, daemon({"web": ("active", [11])}), loop_rate=10, max_count=1)
    with caplog.at_level(logging.ERROR, "circus"):
        assert looks(plugin, clock, 0, 10, 20, 30) == []
    [message] = caplog.messages
    assert "udp 127.0.0.1:1664" in message and "in use" in message
