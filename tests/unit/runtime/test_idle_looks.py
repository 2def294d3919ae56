"""Looks at whether watchers are at work: what is asked, what is told, and that an answer comes in any case."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from circus.machine.events import Looked
from circus.posix.usage import Asked, Place, Usage
from circus.runtime.idle_looks import IdleLooks

from .simulated import SimulatedSocket, Simulation


class Scene:
    """Threads do their work when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sim = Simulation()
        self.sim.sockets.update(web=SimulatedSocket(5), file=SimulatedSocket(6, socket.AF_UNIX))
        self.asked: list[list[Asked]] = []
        self.told: list[Looked] = []
        self.threads: list[Callable[[], object]] = []
        self.error: Exception | None = None
        self.looks = IdleLooks(self.look, lambda call: call(), self.told.append)
        monkeypatch.setattr(threading, "Thread", self.thread)

    def look(self, asked: Any) -> list[Usage]:
        self.asked.append(list(asked))
        if self.error is not None:
            raise self.error
        return [Usage(1.5, None) for _ in self.asked[-1]]

    def thread(self, target: Callable[..., object], args: tuple[Any, ...], **_: object) -> Any:
        class Thread:
            start = staticmethod(lambda: self.threads.append(lambda: target(*args)))

        return Thread

    def ask(self, watcher: Any) -> None:
        self.looks.ask(watcher, self.sim.sockets)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_processes_and_places_of_the_watcher_are_looked_at(scene):
    web = scene.sim.add(use_sockets=True, numprocesses=2)
    scene.sim.start(web)
    scene.ask(web)
    assert scene.told == []
    scene.threads.pop()()
    [[asked]] = scene.asked
    assert asked.pids == [10, 11]
    assert sorted(asked.places) == [Place(0, "/run/6"), Place(8005)]
    assert scene.told == [Looked(web.key, 1.5, None)]


def test_datagrams_leave_no_connection_to_look_for(scene):
    scene.sim.sockets["web"].socktype = socket.SOCK_DGRAM
    scene.ask(scene.sim.add(stdin_socket="web"))
    scene.threads.pop()()
    assert scene.asked[0][0].places == []


def test_what_is_asked_during_a_look_is_looked_at_together_by_the_next(scene):
    one, two, three = (scene.sim.add(name, stdin_socket="web") for name in ("one", "two", "three"))
    scene.ask(one)
    scene.ask(two)
    scene.ask(three)
    assert len(scene.threads) == 1
    scene.threads.pop()()
    scene.threads.pop()()
    assert [len(asked) for asked in scene.asked] == [1, 2]
    assert [looked.key for looked in scene.told] == [one.key, two.key, three.key]
    assert scene.threads == []


def test_look_that_fails_is_told_as_not_known(scene):
    scene.error = OSError("no /proc")
    web = scene.sim.add(stdin_socket="web")
    scene.ask(web)
    scene.threads.pop()()
    assert scene.told == [Looked(web.key, 0.0, 0.0)]


def test_without_a_thread_it_is_told_as_not_known(scene, monkeypatch):
    def none(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "Thread", none)
    web = scene.sim.add(stdin_socket="web")
    scene.ask(web)
    assert scene.told == [Looked(web.key, 0.0, 0.0)]
