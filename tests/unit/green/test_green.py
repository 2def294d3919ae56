"""Loops, futures, pumps and arbiters under gevent, each test in a thread of its own with a hub of its own."""

from __future__ import annotations

import os
import threading

import pytest

pytest.importorskip("gevent", reason="the extra `green` is not installed; tests/run installs it")

import gevent

import circus
from circus import green
from circus.arbiter import Arbiter as PlainArbiter
from circus.common.future import Future
from circus.green.arbiter import Arbiter
from circus.green.backend import GREEN, GREEN_LOOP
from circus.green.controller import Controller
from circus.green.loop import GreenLoop
from circus.green.pump import GreenPump
from circus.green.sighandler import SysHandler
from circus.library import ArbiterHandler
from circus.loop import Loop
from circus.runtime.backend import THREADS, backend

PATIENCE = 20


@pytest.fixture
def in_hub():
    """Runs a function in a thread with a hub; what it returns or raises is returned or raised."""

    def run(work):
        outcome = Future()

        def inside():
            try:
                with gevent.Timeout(PATIENCE):
                    outcome.set_result(work())
            except BaseException as exc:
                outcome.set_exception(exc)
            finally:
                gevent.get_hub().destroy()

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join(2 * PATIENCE)
        return outcome.result(0)

    return run


def running_loop():
    """A loop in a greenlet that has begun, and the greenlet."""
    loop = GreenLoop()
    greenlet = gevent.spawn(loop.run)
    while not loop.is_running:
        gevent.sleep(0)
    return loop, greenlet


def end(loop, greenlet):
    loop.stop()
    greenlet.get()
    loop.close()


# ---- the loop ----------------------------------------------------------------------------------------------------


def test_other_greenlets_run_while_the_loop_sleeps(in_hub):
    def work():
        loop, greenlet = running_loop()
        turns = 0
        while turns < 10:
            gevent.sleep(0)
            turns += 1
        end(loop, greenlet)
        return turns

    assert in_hub(work) == 10


def test_other_greenlets_run_while_the_loop_has_always_something_to_do(in_hub):
    def work():
        loop, greenlet = running_loop()

        def again():
            loop.post(again)

        again()
        for _ in range(10):
            gevent.sleep(0)
        end(loop, greenlet)
        return True

    assert in_hub(work)


def test_call_from_another_greenlet_is_done_in_the_one_of_the_loop(in_hub):
    def work():
        loop, greenlet = running_loop()
        assert not loop.is_own_thread
        done_in = loop.call(gevent.getcurrent)
        end(loop, greenlet)
        return done_in is greenlet

    assert in_hub(work)


def test_post_from_a_real_thread_wakes_the_loop(in_hub):
    def work():
        loop, greenlet = running_loop()
        seen = gevent.event.Event()
        thread = threading.Thread(target=loop.post, args=(seen.set,))
        thread.start()
        came = seen.wait(PATIENCE)
        thread.join()
        end(loop, greenlet)
        return came

    assert in_hub(work)


def test_current_is_the_loop_whose_greenlet_asks(in_hub):
    def work():
        first, second = running_loop(), running_loop()
        found = [loop.call(Loop.current) is loop for loop, _ in (first, second)]
        for loop, greenlet in (first, second):
            end(loop, greenlet)
        return found

    assert in_hub(work) == [True, True]


def test_timers_and_run_sync_work_as_in_any_loop(in_hub):
    def work():
        loop = GreenLoop()
        future = Future()
        loop.call_later(0, lambda: future.set_result("due"))
        try:
            return loop.run_sync(lambda: future)
        finally:
            loop.close()

    assert in_hub(work) == "due"


# ---- waiting -----------------------------------------------------------------------------------------------------


def test_greenlet_that_waits_for_a_future_lets_the_one_run_that_settles_it(in_hub):
    def work():
        loop, greenlet = running_loop()
        future = Future()
        gevent.spawn(future.set_result, "there")
        value = future.result(PATIENCE)
        end(loop, greenlet)
        return value

    assert in_hub(work) == "there"


def test_greenlet_that_waits_is_woken_by_a_real_thread(in_hub):
    def work():
        loop, greenlet = running_loop()
        future = Future()
        waiter = gevent.spawn(future.result, PATIENCE)
        gevent.sleep(0)
        thread = threading.Thread(target=future.set_result, args=("there",))
        thread.start()
        value = waiter.get()
        thread.join()
        end(loop, greenlet)
        return value

    assert in_hub(work) == "there"


def test_real_thread_and_greenlet_wait_for_the_same_future(in_hub):
    def work():
        loop, greenlet = running_loop()
        future, got = Future(), []
        thread = threading.Thread(target=lambda: got.append(future.result(PATIENCE)))
        thread.start()
        waiter = gevent.spawn(future.result, PATIENCE)
        gevent.sleep(0)
        future.set_result("there")
        got.append(waiter.get())
        thread.join(PATIENCE)
        end(loop, greenlet)
        return got

    assert in_hub(work) == ["there", "there"]


def test_greenlet_that_waits_too_long_gets_a_timeout(in_hub):
    def work():
        loop, greenlet = running_loop()
        with pytest.raises(TimeoutError):
            Future().result(0)
        end(loop, greenlet)
        return True

    assert in_hub(work)


def test_threads_without_a_green_loop_need_no_hub_to_wait():
    future = Future()
    timer = threading.Timer(0, future.set_result, ("there",))
    timer.start()
    assert future.result(PATIENCE) == "there"
    timer.join()


# ---- the pump ----------------------------------------------------------------------------------------------------


class Notes:
    """A stream that keeps what it gets and in which thread."""

    def __init__(self):
        self.data, self.threads, self.closed = b"", set(), False

    def __call__(self, data):
        self.data += data["data"]
        self.threads.add(threading.get_ident())

    def close(self):
        self.closed = True


def test_pump_reads_in_a_greenlet_of_the_same_thread(in_hub):
    def work():
        stream, drained = Notes(), []
        pump = GreenPump("web", {"stdout": stream}, lambda call: call(), on_drained=drained.append)
        pump.start()
        read, write = os.pipe()
        pump.add(1, {"stdout": read})
        for number in range(100):
            os.write(write, b"%d\n" % number)
            gevent.sleep(0)
        os.close(write)
        pump.finish(1)
        closed = gevent.event.Event()
        pump.close(closed.set)
        assert closed.wait(PATIENCE)
        assert pump.join(PATIENCE)
        assert drained == [1]
        assert stream.threads == {threading.get_ident()}
        assert stream.closed
        return stream.data

    assert in_hub(work) == b"".join(b"%d\n" % number for number in range(100))


def test_pump_that_was_never_started_has_nothing_to_be_waited_for(in_hub):
    assert in_hub(lambda: GreenPump("web", {}, lambda call: call()).join(0))


def test_pump_that_stumbles_goes_on(in_hub, caplog):
    def fail():
        raise ValueError("nobody expected this")

    def work():
        stream = Notes()
        pump = GreenPump("web", {"stdout": stream}, lambda call: call())
        pump.start()
        read, write = os.pipe()
        pump._mailbox.put(fail)
        pump.add(1, {"stdout": read})
        os.write(write, b"all the same\n")
        os.close(write)
        while not stream.data:
            gevent.sleep(0.001)
        pump.close(lambda: None)
        assert pump.join(PATIENCE)
        return stream.data

    assert in_hub(work) == b"all the same\n"
    assert "stumbled and goes on" in caplog.text


# ---- arbiters ----------------------------------------------------------------------------------------------------


def test_get_arbiter_makes_a_green_one_with_threads_for_output():
    arbiter = green.get_arbiter([{"cmd": "true"}])
    assert type(arbiter) is Arbiter
    assert arbiter.supervisor.backend is GREEN_LOOP
    assert GREEN_LOOP.make_pump is THREADS.make_pump


@pytest.mark.parametrize("get_arbiter", [green.get_arbiter, circus.get_arbiter])
def test_stream_backend_gevent_makes_one_with_greenlets_for_output(get_arbiter):
    arbiter = get_arbiter([{"cmd": "true"}], stream_backend="gevent")
    assert arbiter.supervisor.backend is backend("gevent") is GREEN
    assert GREEN.make_pump is GreenPump


def test_background_is_refused():
    with pytest.raises(NotImplementedError, match="greenlet"):
        green.get_arbiter([{"cmd": "true"}], background=True)
    with pytest.raises(NotImplementedError, match="greenlet"):
        circus.get_arbiter([{"cmd": "true"}], background=True, stream_backend="gevent")


def test_arbiter_class_of_a_program_is_kept():
    class Own(ArbiterHandler):
        def _get_arbiter_klass(self, background):
            return OwnArbiter

    class OwnArbiter(PlainArbiter):
        pass

    arbiter = Own()([{"cmd": "true"}], stream_backend="gevent")
    assert type(arbiter) is OwnArbiter
    assert arbiter.supervisor.backend is GREEN


def test_loop_of_an_arbiter_is_green(in_hub):
    def work():
        arbiter = green.get_arbiter([{"cmd": "true"}])
        loop = arbiter.loop
        try:
            return type(loop), loop is arbiter.loop
        finally:
            loop.close()

    assert in_hub(work) == (GreenLoop, True)


def test_names_of_the_old_package_are_there():
    from circus.controller import Controller as PlainController
    from circus.sighandler import SysHandler as PlainHandler

    assert issubclass(Controller, PlainController)
    assert issubclass(SysHandler, PlainHandler)
    assert green.ArbiterHandler
    with pytest.raises(AttributeError, match=r"circus\.green"):
        green.novelty  # noqa: B018  # asking is the test
