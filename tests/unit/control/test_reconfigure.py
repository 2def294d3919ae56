"""A reconfiguration is prepared whole before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest

from circus.control import reconfigure
from circus.control.operations import Operations
from circus.control.registry import Registry
from circus.exc import MessageError
from circus.machine.arbiter import Arbiter as Decided
from circus.machine.plan import Standing, State, plan
from circus.options.settings import watcher_spec
from circus.options.table import CircusSpec, WatcherSpec
from circus.runtime.live_watcher import LiveWatcher

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
