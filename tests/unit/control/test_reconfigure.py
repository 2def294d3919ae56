"""A reconfiguration is prepared whole before anything is changed."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circus.control import reconfigure
from circus.control.operations import Operations, reasons
from circus.control.registry import Registry
from circus.exc import MessageError
from circus.machine.arbiter import Arbiter as Decided
from circus.machine.plan import Standing, State, plan
from circus.options.settings import watcher_spec
from circus.options.socket_use import socket_use
from circus.options.table import CircusSpec, SocketSpec, WatcherSpec
from circus.runtime.live_watcher import LiveWatcher
from tests.unit.control.simulated_house import SimulatedHouse, collide

CLASS = f"{__name__}.Stream"


class Stream:
    made: list[Stream] = []

    def __init__(self, **options: Any) -> None:
        self.is_closed = False
        Stream.made.append(self)

    def close(self) -> None:
        self.is_closed = True


class House:
    """Watchers, and what a file may want of them."""

    def __init__(self, *specs: WatcherSpec) -> None:
        Stream.made = []
        self.decided = Decided(lambda: 0.5)
        self.registry = Registry(self.decided)
        self.operations = Operations(
            self.decided, self.registry, lambda: None, self.build, lambda: None, lambda: None, lambda: 0.0
        )
        for spec in specs:
            self.registry.admit(self.build(spec))

    @staticmethod
    def build(spec: WatcherSpec) -> LiveWatcher:
        watcher = LiveWatcher(spec)
        watcher.build()
        return watcher

    def become(self, *specs: WatcherSpec) -> None:
        now = reconfigure.state_now(CircusSpec(), {}, self.registry)
        made = plan(now, State(CircusSpec(), {}, [Standing(spec) for spec in specs]))
        reconfiguration = reconfigure.Reconfiguration(made, self.registry, self.build, None)
        reconfiguration.prepare()
        reconfiguration.carry_out(self.operations, lambda: None)

    @property
    def specs(self) -> dict[str, WatcherSpec]:
        return {watcher.name: watcher.spec for watcher in self.registry.all()}


def spec(name: str, **options: Any) -> WatcherSpec:
    return watcher_spec(name, **{"cmd": "true", **options})


def test_watchers_become_as_they_are_wanted_in_both_halves():
    house = House(spec("kept"), spec("changed"), spec("gone"))
    kept = house.registry.get("kept")
    house.become(spec("kept"), spec("changed", numprocesses=3), spec("new"))
    assert set(house.specs) == {"kept", "changed", "new"}
    assert house.registry.get("kept") is kept
    changed = house.registry.get("changed")
    assert changed.spec.numprocesses == changed.decided.spec.numprocesses == 3
    house.decided.settle(0.0)
    assert house.registry.get("new").decided.wanted


def test_streams_are_made_once_for_what_differs_and_not_for_the_rest():
    stream = {"class": CLASS}
    house = House(spec("same", stdout_stream=stream), spec("other", stdout_stream=stream))
    assert len(Stream.made) == 2
    house.become(spec("same", stdout_stream=stream, max_age=9), spec("other", stdout_stream={**stream, "x": "1"}))
    assert len(Stream.made) == 3
    house.become(*house.specs.values())
    assert len(Stream.made) == 3


def test_fault_anywhere_changes_nothing_closes_what_was_opened_and_every_fault_is_named():
    house = House(spec("a"), spec("b"))
    before = house.specs
    with pytest.raises(MessageError) as caught:
        house.become(
            spec("a", stdout_stream={"class": CLASS}),
            spec("b", hooks={"before_start": "no.such"}),
            spec("new", stderr_stream={"class": CLASS}),
            spec("bad", stdout_stream={"class": "no.Stream"}),
        )
    assert "the configuration is not used: " in str(caught.value)
    assert "watcher b: " in str(caught.value)
    assert "watcher bad: " in str(caught.value)
    assert house.specs == before
    assert len(Stream.made) == 2
    assert all(stream.is_closed for stream in Stream.made)


def test_watcher_that_was_stopped_by_hand_stays_so_when_its_command_changes():
    house = House(spec("web"))
    house.become(spec("web", cmd="false"))
    assert not house.registry.get("web").decided.wanted


def test_watcher_that_could_not_be_started_is_tried_again_when_the_file_says_something_else():
    house = House(spec("web"))
    web = house.registry.get("web")
    web.decided.obstacle = "its log file is a directory"
    house.operations.start([web.key])
    house.decided.settle(0.0)
    assert not web.decided.wanted
    house.become(spec("web", cmd="false"))
    assert web.decided.wanted


def test_watcher_that_is_to_have_no_process_is_not_started():
    house = SimulatedHouse()
    house.become([], [spec("none", numprocesses=0)])
    assert house.become([], [spec("none", numprocesses=0, args="new")]).result(0) == {}
    assert house.become([], [spec("none", numprocesses=1)]).result(0) == {}
    assert house.registry.get("none").status == "active"


def test_a_reason_is_told_once():
    assert reasons([{"reason": "a"}, {}, {"reason": "b"}, {"reason": "a"}]) == {"reason": "a; b"}


# ---- any configuration to any other ------------------------------------------------------------------------------

ADDRESSES = (
    *({"host": "127.0.0.1", "port": 80, **more} for more in ({}, {"port": 81}, {"backlog": 5}, {"type": "SOCK_DGRAM"})),
    *({"host": host, "port": 80} for host in ("0.0.0.0", "127.0.0.2")),
    *({"path": "/s"}, {"path": "/s", "umask": 0o077}),
)

sockets = st.dictionaries(st.sampled_from(["s", "t"]), st.sampled_from(ADDRESSES))

options = st.fixed_dictionaries(
    {},
    optional={
        "args": st.sampled_from(["-a", "-b"]),
        "numprocesses": st.integers(1, 3),
        "priority": st.integers(0, 2),
        "env": st.sampled_from([{"A": "1"}, {"A": "2", "B": "1"}, {"FD": "$(circus.sockets.s)"}]),
        "graceful_timeout": st.sampled_from([1, 2]),
        "max_age": st.sampled_from([10_000, 20_000]),
        "working_dir": st.sampled_from(["/", "/tmp"]),
        "use_sockets": st.booleans(),
        "respawn": st.booleans(),
        "stdin_socket": st.sampled_from(["s", "t"]),
        "singleton": st.booleans(),
        "send_hup": st.booleans(),
        "colour": st.sampled_from(["red", "blue"]),
    },
)


class Configuration(NamedTuple):
    sockets: list[SocketSpec]
    watchers: list[WatcherSpec]


commands = st.sampled_from(["x", "y", "x --fd $(circus.sockets.t)"])
watchers = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.tuples(commands, options))


@st.composite
def changes(draw: st.DrawFn) -> tuple[Configuration, Configuration]:
    """Two configurations, of which the second has much in common with the first."""
    before_sockets, before_watchers = draw(sockets), draw(watchers)
    after_sockets = {**before_sockets, **draw(sockets)} if draw(st.booleans()) else draw(sockets)
    after_watchers = {**before_watchers, **draw(watchers)} if draw(st.booleans()) else dict(before_watchers)
    return _configuration(before_sockets, before_watchers), _configuration(after_sockets, after_watchers)


def _configuration(sockets: dict[str, Any], watchers: dict[str, Any]) -> Configuration:
    made = [SocketSpec(name, values) for name, values in sockets.items()]
    if len(made) == 2 and collide(*made):
        made.pop()
    known = {sock.name for sock in made}
    specs = []
    for name, (cmd, options) in watchers.items():
        single = {"numprocesses": 1} if options.get("singleton") else {}
        spec = watcher_spec(name, cmd, **{**options, **single})
        specs.append(spec if socket_use(spec).named() <= known else watcher_spec(name, "x"))
    return Configuration(made, specs)


@settings(deadline=None)
@given(changes())
def test_after_a_reloadconfig_nobody_can_tell_that_it_was_not_started_with_the_file(change: Any) -> None:
    before, after = change
    changed, fresh = SimulatedHouse(), SimulatedHouse()
    changed.become(*before)
    reply = changed.become(*after)
    fresh.become(*after)
    assert reply.result(0) == {}
    assert changed.seen() == fresh.seen()
    assert changed.system.live == {process.pid for watcher in changed.registry.all() for process in watcher.live()}


@settings(deadline=None)
@given(changes(), st.sampled_from(["prepare", "unblock"]))
def test_a_fault_leaves_everything_as_it_was(change: Any, place: str) -> None:
    before, after = change
    house = SimulatedHouse()
    house.become(*before)
    seen = house.seen()
    house.fault = (place, OSError(98, "Address already in use"))
    if place == "unblock":
        reply: Any = None
        try:
            reply = house.become(*after)
        except MessageError as exc:
            assert "Address already in use" in str(exc)
        if reply is not None:
            assert "Address already in use" in str(reply.exception(0))
    else:
        with pytest.raises(MessageError, match="Address already in use"):
            house.become(*after)
    assert house.seen() == seen


# ---- what comes in between ---------------------------------------------------------------------------------------


def in_between(house: SimulatedHouse) -> Any:
    """A reply to come, while the user of an address is being stopped."""
    user = watcher_spec("user", "x", stdin_socket="s")
    house.become([SocketSpec("s", {"host": "127.0.0.1", "port": 80})], [user, watcher_spec("gone", "x")])
    sockets, watchers = [SocketSpec("s", {"host": "0.0.0.0", "port": 80})], [user, watcher_spec("new", "x")]
    return house.begin(sockets, watchers)


def test_watcher_removed_while_its_socket_is_awaited_is_not_missed() -> None:
    house = SimulatedHouse()
    reply = in_between(house)
    for name in ("user", "gone"):
        house.operations.remove(house.registry.get(name).key)
    house.run()
    assert reply.result(0) == {}
    assert list(house.seen()["watchers"]) == ["new"]
    assert house.sockets["s"].spec.host == "0.0.0.0"


def test_users_that_stop_or_go_already_are_waited_for_and_do_not_come_again() -> None:
    house = SimulatedHouse()
    sockets = [SocketSpec("s", {"host": "127.0.0.1", "port": 80})]
    user, gone = (watcher_spec(name, "x", stdin_socket="s") for name in ("user", "gone"))
    house.become(sockets, [user, gone])
    house.operations.stop([house.registry.get("user").key])
    house.operations.remove(house.registry.get("gone").key)
    reply = house.become([SocketSpec("s", {"host": "0.0.0.0", "port": 80})], [user])
    assert reply.result(0) == {}
    assert house.sockets["s"].spec.host == "0.0.0.0"
    assert house.registry.get("user").status == "stopped"


def test_watcher_added_meanwhile_stays() -> None:
    house = SimulatedHouse()
    reply = in_between(house)
    house.operations.add(watcher_spec("new", "y"), start=True)
    house.run()
    assert reply.result(0) == {}
    assert house.registry.get("new").spec.cmd == "y"
    assert house.registry.get("user").status == "active"


def test_end_of_everything_meanwhile_is_an_answer() -> None:
    house = SimulatedHouse()
    reply = in_between(house)
    house.operations.quit()
    house.run()
    assert reply.done()
    assert not house.system.live
