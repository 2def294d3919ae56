"""The main loop: what is handed over is done once, in its thread, in time."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from circus.common.future import Future, failed, finished
from circus.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@contextmanager
def running(loop: Loop) -> Iterator[threading.Thread]:
    """The loop runs in a thread."""
    thread = threading.Thread(target=loop.run)
    begun = threading.Event()
    loop.post(begun.set)
    thread.start()
    assert begun.wait(20)
    try:
        yield thread
    finally:
        loop.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_posts_run_in_order_and_stop_ends_the_run(loop):
    seen = []
    for number in range(3):
        loop.add_callback(seen.append, number)
    loop.post(loop.stop)
    loop.run()
    assert seen == [0, 1, 2]
    assert not loop.is_running


def test_post_from_another_thread_wakes_a_sleeping_loop(loop):
    with running(loop):
        done = threading.Event()
        loop.post(done.set)
        assert done.wait(20)


def test_stop_before_the_run_ends_it_at_once(loop):
    loop.stop()
    loop.run()


def test_callable_that_raises_is_logged_and_the_loop_goes_on(loop, caplog):
    loop.post(lambda: 1 / 0)
    loop.post(loop.stop)
    with caplog.at_level(logging.ERROR, "circus"):
        loop.run()
    assert "ZeroDivisionError" in caplog.text


def test_second_run_at_the_same_time_is_refused(loop):
    with running(loop), pytest.raises(RuntimeError, match="runs already"):
        loop.run()


def test_current_is_the_loop_of_the_calling_thread(loop):
    seen = []
    loop.post(lambda: seen.append(Loop.current()))
    loop.post(loop.stop)
    loop.run()
    assert seen == [loop]
    with pytest.raises(RuntimeError, match="no loop"):
        Loop.current()


def test_loop_that_is_to_run_in_a_thread_can_be_its_current_one_before(loop):
    loop.make_current()
    assert Loop.current() is loop
    found = []

    def look_elsewhere():
        with pytest.raises(RuntimeError, match="no loop"):
            Loop.current()
        found.append(None)

    thread = threading.Thread(target=look_elsewhere)
    thread.start()
    thread.join()
    assert found == [None]
    other = Loop()
    other.post(lambda: found.append(Loop.current()))
    other.post(other.stop)
    other.run()
    assert found[1] is other  # the one that runs comes first
    other.close()
    loop.close()
    with pytest.raises(RuntimeError, match="no loop"):
        Loop.current()


def test_what_needs_a_loop_is_done_in_the_one_at_hand_or_in_the_next_that_runs(loop):
    seen = []
    Loop.when_current(seen.append)
    assert seen == []
    loop.post(lambda: Loop.when_current(seen.append))
    loop.post(loop.stop)
    loop.run()
    assert seen == [loop, loop]
    loop.make_current()
    Loop.when_current(seen.append)
    assert seen == [loop, loop, loop]


# ---- calls -------------------------------------------------------------------------------------------------------


def test_call_of_a_resting_loop_is_done_here(loop):
    assert loop.call(threading.get_ident) == threading.get_ident()


def test_call_from_another_thread_is_done_by_the_loop_and_returns_there(loop):
    with running(loop) as thread:
        assert loop.call(threading.get_ident) == thread.ident


def test_call_raises_in_the_thread_that_called(loop):
    with running(loop), pytest.raises(ZeroDivisionError):
        loop.call(lambda: 1 / 0)


def test_call_within_the_loop_is_done_at_once(loop):
    with running(loop):
        assert loop.call(lambda: loop.call(lambda: "inner")) == "inner"


def test_calls_that_meet_the_end_of_the_loop_are_each_done_once(loop):
    """Threads call without pause while the loop starts and ends again and again: nobody hangs, nothing is lost."""
    done, rounds = [], 4
    asked = [0] * rounds
    over = threading.Event()

    def pester(number: int) -> None:
        while not over.is_set():
            loop.call(lambda: done.append(number))
            asked[number] += 1

    threads = [threading.Thread(target=pester, args=(number,)) for number in range(rounds)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        loop.post(loop.stop)
        loop.run()
    over.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert [done.count(number) for number in range(rounds)] == asked


def test_call_that_saw_the_loop_run_for_the_last_time_is_done_here(loop, monkeypatch):
    looks = iter([True])  # it runs, and a moment later it has ended
    monkeypatch.setattr(loop, "_runs_elsewhere", lambda: next(looks, False))
    seen = []
    thread = threading.Thread(target=lambda: seen.append(loop.call(threading.get_ident)), daemon=True)
    thread.start()
    thread.join(20)
    assert seen == [thread.ident]


# ---- times -------------------------------------------------------------------------------------------------------


def test_timers_run_in_order_of_their_time(loop):
    seen = []
    now = time.monotonic()
    loop.call_at(now + 0.002, lambda: (seen.append("late"), loop.stop()))
    loop.call_at(now - 1, lambda: seen.append("early"))
    loop.call_later(0.001, seen.append, "middle")
    loop.run()
    assert seen == ["early", "middle", "late"]


def test_cancelled_timer_never_runs(loop):
    seen = []
    loop.remove_timeout(loop.add_timeout(timedelta(0), seen.append, "no"))
    loop.add_timeout(time.time(), seen.append, "yes")
    loop.add_timeout(timedelta(seconds=0.002), loop.stop)
    loop.run()
    assert seen == ["yes"]


def test_turns_of_several_owners_run_on_every_pass_and_say_when_again(loop):
    times = {"a": 0, "b": 0}

    def turn(name):
        def work(now):
            times[name] += 1
            if times[name] == 3:
                loop.stop()
            return now + 0.001 if name == "a" else None

        return work

    first, second = turn("a"), turn("b")
    loop.add_turn(first)
    loop.add_turn(second)
    loop.run()
    assert times == {"a": 3, "b": 3}
    loop.remove_turn(first)
    loop.post(loop.stop)
    loop.run()
    assert times["a"] == 3
    assert times["b"] > 3


# ---- descriptors -------------------------------------------------------------------------------------------------


def test_reader_is_called_when_there_is_something_to_read(loop):
    read_end, write_end = os.pipe()
    seen = []
    loop.add_reader(read_end, lambda: (seen.append(os.read(read_end, 10)), loop.stop()))
    os.write(write_end, b"x")
    loop.run()
    assert seen == [b"x"]
    loop.remove_reader(read_end)
    loop.remove_reader(read_end)
    os.close(read_end)
    os.close(write_end)


def test_handler_gets_the_descriptor_and_what_is_ready(loop):
    read_end, write_end = os.pipe()
    seen = []
    loop.add_handler(write_end, lambda fd, events: (seen.append((fd, events)), loop.stop()), loop.READ | loop.WRITE)
    loop.run()
    assert seen == [(write_end, loop.WRITE)]
    loop.remove_handler(write_end)
    os.close(read_end)
    os.close(write_end)


def test_close_returns_every_descriptor_and_later_posts_touch_nothing():
    before = len(os.listdir("/proc/self/fd"))
    loop = Loop()
    loop.close()
    loop.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with open(os.devnull, "wb"):  # takes over one of the numbers
        loop.post(lambda: None)
        loop.stop()


def test_loop_that_nobody_closed_returns_its_descriptors():
    before = len(os.listdir("/proc/self/fd"))
    Loop()
    assert len(os.listdir("/proc/self/fd")) == before


# ---- run_sync ----------------------------------------------------------------------------------------------------


def test_run_sync_runs_the_loop_until_the_future_is_settled(loop):
    def later():
        future = Future()
        loop.call_later(0.001, future.set_result, "there")
        return future

    assert loop.run_sync(later) == "there"
    assert loop.run_sync(lambda: "plain value") == "plain value"
    assert loop.run_sync(lambda: finished("settled")) == "settled"


def test_run_sync_raises_what_the_function_or_the_future_raises(loop):
    with pytest.raises(ZeroDivisionError):
        loop.run_sync(lambda: 1 / 0)
    with pytest.raises(LookupError):
        loop.run_sync(lambda: failed(LookupError()))


def test_run_sync_that_takes_too_long_is_a_timeout(loop):
    with pytest.raises(TimeoutError):
        loop.run_sync(Future, timeout=0.001)


def test_run_sync_of_a_loop_that_is_stopped_says_so(loop):
    def stopped():
        loop.stop()
        return Future()

    with pytest.raises(RuntimeError, match="stopped before"):
        loop.run_sync(stopped)


def test_run_sync_from_another_thread_is_done_by_the_running_loop(loop):
    with running(loop) as thread:
        assert loop.run_sync(threading.get_ident) == thread.ident


def test_run_sync_within_the_loop_is_refused(loop):
    with running(loop), pytest.raises(RuntimeError, match="wait for itself"):
        loop.call(lambda: loop.run_sync(Future))


def test_add_future_calls_back_in_the_loop(loop):
    future = Future()
    seen = []
    loop.add_future(future, lambda done: (seen.append((done, threading.get_ident())), loop.stop()))
    future.set_result(1)
    assert seen == []
    loop.run()
    assert seen == [(future, threading.get_ident())]
