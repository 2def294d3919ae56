"""Real signals to real processes; each test has a process of its own, for dispositions belong to a process."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from circus.posix import spawn as spawning
from circus.posix.signals import Signals
from tests.real.posix_support import FakeLoop, descriptors, in_child, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")


def installed() -> tuple[FakeLoop, list[int], Signals]:
    loop, seen = FakeLoop(), []
    signals = Signals(seen.append, loop.add_reader, loop.remove_reader)
    signals.install()
    return loop, seen, signals


def test_signals_wake_the_loop_in_the_order_they_came() -> None:
    def daemon() -> list[int]:
        loop, seen, _ = installed()
        for signum in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            os.kill(os.getpid(), signum)
        assert seen == [], "a handler only notes"
        wait_for(lambda: loop.turn(1.0) and len(seen) == 5)
        return [int(signum) for signum in seen]

    assert in_child(daemon) == [1, 15, 2, 3, 15]


def test_many_deaths_are_one_report_and_hide_no_later_signal() -> None:
    def daemon() -> list[int]:
        loop, seen, _ = installed()
        for _ in range(70_000):  # more than a pipe holds
            signal.raise_signal(signal.SIGCHLD)
        signal.raise_signal(signal.SIGTERM)
        wait_for(lambda: loop.turn(1.0) and signal.SIGTERM in seen)
        assert loop.turn() == 0
        return [int(signum) for signum in seen]

    assert in_child(daemon) == [signal.SIGCHLD, signal.SIGTERM]


def test_signal_to_a_process_forked_by_a_hook_is_not_taken_for_ours() -> None:
    def daemon() -> list[int]:
        loop, seen, _ = installed()
        forked = os.fork()
        if forked == 0:
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)
        os.waitpid(forked, 0)
        signal.raise_signal(signal.SIGHUP)
        wait_for(lambda: loop.turn(1.0) and signal.SIGHUP in seen)
        return sorted(int(signum) for signum in seen if signum != signal.SIGCHLD)

    assert in_child(daemon) == [signal.SIGHUP]


def test_resized_terminal_is_ignored() -> None:
    def daemon() -> list[int]:
        loop, seen, _ = installed()
        signal.raise_signal(signal.SIGWINCH)
        signal.raise_signal(signal.SIGHUP)
        wait_for(lambda: loop.turn(1.0) and seen)
        return [int(signum) for signum in seen]

    assert in_child(daemon) == [signal.SIGHUP]


def test_close_puts_back_what_was_there() -> None:
    def daemon() -> Any:
        before = descriptors()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        numbers = [*range(1, 32)]
        handlers = [signal.getsignal(number) for number in numbers]
        read_end, write_end = os.pipe2(os.O_NONBLOCK)
        signal.set_wakeup_fd(write_end)
        loop, _, signals = installed()
        signals.close()
        signals.close()
        loop.close()
        assert [signal.getsignal(number) for number in numbers] == handlers
        assert signal.set_wakeup_fd(-1) == write_end
        os.close(read_end)
        os.close(write_end)
        return descriptors() == before

    assert in_child(daemon)


def test_other_threads_are_told_that_only_the_main_one_can() -> None:
    errors, loop = [], FakeLoop()

    def thread() -> None:
        try:
            Signals(errors.append, loop.add_reader, loop.remove_reader).install()
        except RuntimeError as error:
            errors.append(str(error))

    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    loop.close()
    assert len(errors) == 1 and "main thread" in str(errors[0])


@pytest.mark.parametrize("ignored", [signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGTSTP])
def test_signals_ignored_by_our_starter_do_not_slow_down_spawning(ignored: signal.Signals) -> None:
    def daemon() -> tuple[bool, bool]:
        signal.signal(ignored, signal.SIG_IGN)
        before = spawning._signals_are_default()
        installed()
        signal.raise_signal(signal.SIGUSR1 if ignored is signal.SIGUSR1 else signal.SIGWINCH)
        return before, spawning._signals_are_default()

    assert in_child(daemon) == (False, True)


def test_signal_that_was_blocked_when_we_came_arrives_and_is_blocked_again_afterwards() -> None:
    def daemon() -> tuple[list[int], bool]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.raise_signal(signal.SIGTERM)
        loop, heard = FakeLoop(), list[int]()
        signals = Signals(heard.append, loop.add_reader, loop.remove_reader)
        signals.install()
        wait_for(lambda: loop.turn(1) and heard)
        signals.close()
        return heard, signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    assert in_child(daemon) == ([signal.SIGTERM], True)


def test_both_ways_to_look_at_our_dispositions_agree() -> None:
    def look() -> tuple[bool, bool]:
        return spawning._signals_are_default(), spawning._python_says_default()

    def ignoring() -> tuple[bool, bool]:
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        return look()

    def blocking() -> tuple[bool, bool]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        return look()

    assert in_child(look) == (True, True)
    assert in_child(ignoring) == (False, False)
    assert in_child(blocking) == (False, False)
