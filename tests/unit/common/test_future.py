"""The small future: settled once, seen by everybody, awaitable."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from circus.common.future import Future, failed, finished, gather


def test_result_that_is_there_is_returned_at_once():
    assert finished(3).result(0) == 3
    assert finished(3).exception() is None


def test_error_is_raised_by_result_and_returned_by_exception():
    error = ValueError("no")
    future = failed(error)
    assert future.exception() is error
    with pytest.raises(ValueError, match="no"):
        future.result()


def test_second_settling_counts_for_nothing():
    future = finished(1)
    future.set_result(2)
    future.set_exception(ValueError())
    assert future.result() == 1


def test_result_that_does_not_come_in_time_is_a_timeout():
    with pytest.raises(TimeoutError):
        Future().result(0)


def test_thread_that_waits_is_woken():
    future = Future()
    got = []
    thread = threading.Thread(target=lambda: got.append(future.result(20)))
    thread.start()
    future.set_result("there")
    thread.join(20)
    assert got == ["there"]


def test_callbacks_are_called_once_before_and_after_the_result():
    future = Future()
    seen = []
    future.add_done_callback(lambda f: seen.append(("before", f.result())))
    assert seen == []
    future.set_result(1)
    future.set_result(2)
    future.add_done_callback(lambda f: seen.append(("after", f.result())))
    assert seen == [("before", 1), ("after", 1)]


def test_callback_that_raises_is_logged_and_the_next_one_called(caplog):
    future = Future()
    seen = []
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(seen.append)
    with caplog.at_level(logging.ERROR, "circus"):
        future.set_result(1)
    assert seen == [future]
    assert "ZeroDivisionError" in caplog.text


def test_then_changes_the_value_and_hands_errors_on():
    assert finished(2).then(lambda value: value * 21).result() == 42
    assert isinstance(failed(KeyError("x")).then(str).exception(), KeyError)
    assert isinstance(finished(0).then(lambda value: 1 / value).exception(), ZeroDivisionError)


def test_pass_on_settles_the_other_in_the_same_way():
    good, bad = Future(), Future()
    finished(1).pass_on(good)
    failed(OSError("gone")).pass_on(bad)
    assert good.result() == 1
    assert isinstance(bad.exception(), OSError)


def test_guard_is_asked_before_waiting_and_not_when_the_result_is_there():
    def refuse():
        raise RuntimeError("you would wait for yourself")

    future = Future().guarded_by(refuse)
    for waiting in (future.result, future.exception, future.then(str).result):
        with pytest.raises(RuntimeError, match="wait for yourself"):
            waiting()
    future.set_result(1)
    assert future.result() == 1


def test_gather_has_all_values_in_order_or_the_first_error():
    first, second = Future(), Future()
    together = gather([first, second])
    second.set_result(2)
    assert not together.done()
    first.set_result(1)
    assert together.result() == [1, 2]
    assert gather([]).result() == []
    assert isinstance(gather([finished(1), failed(KeyError()), failed(OSError())]).exception(), KeyError)


def test_await_gives_what_another_thread_settles():
    async def program():
        future = Future()
        threading.Timer(0, future.set_result, ["there"]).start()
        return await future, await finished("already")

    assert asyncio.run(program()) == ("there", "already")


def test_await_raises_what_the_future_holds():
    async def program():
        await failed(LookupError("lost"))

    with pytest.raises(LookupError, match="lost"):
        asyncio.run(program())


def test_await_that_is_given_up_does_not_disturb_the_future():
    future = Future()

    async def program():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future, 0.001)

    asyncio.run(program())
    future.set_result(1)  # the event loop that waited is closed
    assert future.result() == 1
