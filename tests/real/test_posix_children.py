"""Deaths of real children, with pid descriptors and without."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from circus.posix.children import Children
from circus.posix.spawn import spawn
from tests.real.posix_support import FakeLoop, descriptors, in_child, is_gone, shell, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")


class Watch:
    """`Children` on a loop of its own, and what they reported."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.exits: list[tuple[int, int | None]] = []
        self.children = Children(self.loop.add_reader, self.loop.remove_reader, self._exited)

    def _exited(self, pid: int, code: int | None) -> None:
        assert pid not in self.children
        self.exits.append((pid, code))

    def start(self, script: str) -> int:
        pid = spawn(shell(script)).pid
        self.children.watch(pid)
        return pid

    def look(self) -> list[tuple[int, int | None]]:
        """One pass of the loop and one of the poll; everything reported so far."""
        self.loop.turn()
        self.children.reap_all()
        return self.exits

    def close(self) -> None:
        for pid in list(self.children):
            self.children.signal(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.children.close()
        self.loop.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """As on a system that has no pid descriptors."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    watch = Watch()
    yield watch
    watch.close()


def test_death_wakes_the_loop_and_is_reported_once_with_its_code(watch: Watch) -> None:
    good, bad, shot = watch.start("exit 0"), watch.start("exit 3"), watch.start("kill -USR1 $$")
    wait_for(lambda: watch.loop.turn(1.0) and len(watch.exits) == 3)
    assert sorted(watch.exits) == sorted([(good, 0), (bad, 3), (shot, -signal.SIGUSR1)])
    watch.children.reap_all()
    assert len(watch.exits) == 3
    assert watch.loop.registered() == 0
    assert not watch.children.needs_polling


def test_child_that_died_before_it_was_watched_is_reported(watch: Watch) -> None:
    pid = spawn(shell("exit 4")).pid
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    watch.children.watch(pid)
    wait_for(lambda: watch.loop.turn(1.0) and watch.exits)
    assert watch.exits == [(pid, 4)]


def test_deaths_are_told_in_a_thread_too() -> None:
    exits = []

    def thread() -> None:
        watch = Watch()
        watch.start("exit 5")
        wait_for(lambda: watch.loop.turn(1.0) and watch.exits)
        exits.extend(watch.exits)
        watch.close()

    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    assert [code for _, code in exits] == [5]


def test_without_descriptors_reap_all_reports_every_death(blind: Watch) -> None:
    pids = {blind.start("exit 6") for _ in range(20)}
    alive = blind.start("exec sleep 1000")
    assert blind.children.needs_polling
    wait_for(lambda: len(blind.look()) == 20)
    assert {pid for pid, code in blind.exits if code == 6} == pids
    assert list(blind.children) == [alive]


@pytest.mark.parametrize("kind", ["watch", "blind"])
def test_dead_child_of_somebody_else_is_left_alone_and_hides_none_of_ours(
    kind: str, request: pytest.FixtureRequest
) -> None:
    watch = request.getfixturevalue(kind)
    foreign = subprocess.Popen(["sh", "-c", "exit 9"])
    os.waitid(os.P_PID, foreign.pid, os.WEXITED | os.WNOWAIT)
    ours = [watch.start("exit 1") for _ in range(3)]
    wait_for(lambda: watch.children.reap_all() or len(watch.exits) == 3)
    assert sorted(watch.exits) == sorted((pid, 1) for pid in ours)
    assert foreign.wait() == 9


@pytest.mark.parametrize("kind", ["watch", "blind"])
def test_exit_code_that_somebody_else_took_is_reported_as_unknown(kind: str, request: pytest.FixtureRequest) -> None:
    watch = request.getfixturevalue(kind)
    pid, other = watch.start("exit 2"), watch.start("exec sleep 1000")
    os.waitpid(pid, 0)
    wait_for(watch.look)
    assert watch.exits == [(pid, None)]
    assert list(watch.children) == [other]


@pytest.mark.parametrize("kind", ["watch", "blind"])
def test_signal_reaches_a_live_child_and_never_a_reported_one(kind: str, request: pytest.FixtureRequest) -> None:
    watch = request.getfixturevalue(kind)
    pid = watch.start("exec sleep 1000")
    assert watch.children.signal(pid, signal.SIGTERM)
    wait_for(watch.look)
    assert watch.exits == [(pid, -signal.SIGTERM)]
    assert not watch.children.signal(pid, 0)
    assert not watch.children.signal(os.getpid(), 0), "we are not our child"


def test_no_descriptor_left_means_polling_for_that_child() -> None:
    def daemon() -> tuple[bool, list[int | None]]:
        import resource

        watch = Watch()
        pid = spawn(shell("exit 8")).pid
        used = max(descriptors()) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
        while True:
            try:
                os.dup(2)
            except OSError:
                break
        watch.children.watch(pid)
        polling = watch.children.needs_polling
        wait_for(watch.look)
        return polling, [code for _, code in watch.exits]

    assert in_child(daemon) == (True, [8])


def test_late_news_of_an_earlier_child_with_the_same_pid_does_not_concern_the_new_one(watch: Watch) -> None:
    pid = watch.start("exec sleep 1000")
    watch.children._died(pid, -5)
    assert not watch.children.needs_polling and not watch.exits


def test_report_may_watch_the_next_child_and_reap_again(watch: Watch) -> None:
    seen = []

    def exited(pid: int, code: int | None) -> None:
        seen.append(code)
        if len(seen) < 5:
            children.watch(spawn(shell(f"exit {len(seen)}")).pid)
        children.reap_all()

    children = Children(watch.loop.add_reader, watch.loop.remove_reader, exited)
    children.watch(spawn(shell("exit 0")).pid)
    wait_for(lambda: watch.loop.turn() >= 0 and len(seen) == 5)
    assert seen == [0, 1, 2, 3, 4]
    children.close()


def test_close_leaves_the_children_running_and_no_descriptor() -> None:
    before = descriptors()
    watch = Watch()
    pids = [watch.start("exec sleep 1000") for _ in range(10)]
    watch.children.close()
    watch.loop.close()
    assert descriptors() == before
    assert not any(is_gone(pid) for pid in pids)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_thousand_deaths_leave_no_descriptor_behind(watch: Watch) -> None:
    before = descriptors()
    for _ in range(20):
        for _ in range(50):
            watch.start("exit 0")
        wait_for(lambda: watch.loop.turn() >= 0 and not len(watch.children))
    assert len(watch.exits) == 1000
    assert descriptors() == before
