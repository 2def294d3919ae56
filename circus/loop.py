"""The main loop: one selector, one deadline, and the only blocking call of the daemon.

Other threads hand work over with `post` (or `add_callback`, the name existing programs use), or with `call`, which
waits for what it returns: a deque takes the callable, one byte wakes the selector. `deque.append` is atomic; the
write never blocks, and a full pipe is fine because one byte is as good as many. Only the write is locked, against
`close`: the number of a closed descriptor may already belong to a file of the program around us.

Methods that existing programs call on `arbiter.loop` or `plugin.loop` keep their names: `add_callback`,
`call_later`, `add_timeout`, `add_handler`, `remove_handler`, `add_future`, `run_sync`, `start`, `stop`, `close`,
`make_current`.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
import os
import selectors
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from circus.common.future import Future

logger = logging.getLogger("circus")

T = TypeVar("T")

Turn = Callable[[float], "float | None"]

# Callables run per pass, so that a flood of posts cannot keep descriptors from being looked at.
POSTS_PER_PASS = 1000

# By thread; each entry is put and removed by its own thread.
_running: dict[int, Loop] = {}


class _Here(threading.local):
    """Of the calling thread. It ends with the thread, whose number another one may get."""

    def __init__(self) -> None:
        self.chosen: Callable[[], Loop | None] = lambda: None  # a weak reference: its maker owns the loop
        self.awaiting: list[Callable[[Loop], object]] = []


_here = _Here()

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Timer:
    """A call due at a monotonic time; `cancel` makes it never happen."""

    __slots__ = ("at", "call", "cancelled")

    def __init__(self, at: float, call: Callable[[], object]) -> None:
        self.at = at
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Owned by the thread that runs it; others may call what stands under "from any thread"."""

    def __init__(self) -> None:
        self._selector = self._new_selector()
        self._posted: deque[Callable[[], object]] = deque()
        self._calls: deque[Callable[[], object]] = deque()
        self._turns: tuple[Turn, ...] = ()
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake_lock = threading.RLock()  # a signal handler may post while its own thread holds it
        wake = self._wake_read
        self._selector.register(wake, READ, lambda _: _drain(wake))
        self._stopping = False
        self._closed = False
        self._thread_id: int | None = None

    # ---- what `circus.green` does in another way -----------------------------------------------------------------

    is_shared = False
    """Whether other code of the program runs in the same thread while the loop sleeps."""

    def _new_selector(self) -> selectors.BaseSelector:
        return selectors.DefaultSelector()

    @staticmethod
    def _me() -> int:
        """The caller: what differs between two of these must not touch the loop's things at the same time."""
        return threading.get_ident()

    # ---- from any thread ---------------------------------------------------------------------------------------

    def post(self, call: Callable[[], object]) -> None:
        """Have `call` run in the loop's thread. After `close` it is dropped."""
        if not self._closed:
            self._posted.append(call)
            self._wake()

    def call(self, work: Callable[[], T]) -> T:
        """Do `work` in the loop's thread and return or raise what it does; here and now if nothing runs."""
        if not self._runs_elsewhere():
            return work()
        done: Future[T] = Future()
        self._calls.append(lambda: _settle(done, work))
        self._wake()
        if not self._runs_elsewhere():
            self._run_calls()  # it ended in between; the first takes a call away, so each is done once
        return done.result()

    def add_callback(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        self.post(lambda: callback(*args, **kwargs))

    def stop(self) -> None:
        """End `run` after the current pass."""
        self._stopping = True
        self._wake()

    def _wake(self) -> None:
        with self._wake_lock:
            if not self._closed:
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:
                    pass  # the pipe is full: the loop will wake anyway

    @property
    def is_running(self) -> bool:
        return self._thread_id is not None

    @property
    def is_own_thread(self) -> bool:
        return self._thread_id == self._me()

    def _runs_elsewhere(self) -> bool:
        return self._thread_id not in (None, self._me())

    # ---- from the loop's thread --------------------------------------------------------------------------------

    def add_turn(self, turn: Turn) -> None:
        """On every pass `turn(monotonic time)` does what is due and returns when it wants to be called again."""
        self._turns += (turn,)

    def remove_turn(self, turn: Turn) -> None:
        self._turns = tuple(other for other in self._turns if other != turn)

    def add_reader(self, fd: int, call: Callable[[], object]) -> None:
        self._selector.register(fd, READ, lambda _: call())

    def remove_reader(self, fd: int) -> None:
        """Must come before the descriptor is closed: a closed one left behind would wake the loop for ever."""
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError):
            pass  # not registered, or removed twice

    def call_at(self, at: float, call: Callable[[], object]) -> Timer:
        timer = Timer(at, call)
        heapq.heappush(self._timers, (at, next(self._count), timer))
        return timer

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, **kwargs: Any) -> Timer:
        return self.call_at(time.monotonic() + delay, lambda: callback(*args, **kwargs))

    def run(self) -> None:
        """Run until `stop`. A callable that raises is logged with its traceback and the loop goes on."""
        if self.is_running:
            raise RuntimeError("the loop runs already")
        self._thread_id = self._me()
        _running[self._thread_id] = self
        for call in self._awaiting():
            self.post(call)
        try:
            while not self._stopping:
                self._pass()
        finally:
            del _running[self._thread_id]
            self._thread_id = None
            self._stopping = False
            self._run_calls()

    def _pass(self) -> None:
        now = time.monotonic()
        wake_times = [at for turn in self._turns if (at := self._guard(turn, now)) is not None]
        for key, events in self._selector.select(self._timeout(wake_times)):
            self._guard(key.data, events)
        self._run_timers()
        self._run_calls()
        for _ in range(min(len(self._posted), POSTS_PER_PASS)):
            self._guard(self._posted.popleft())

    def _timeout(self, wake_times: list[float]) -> float | None:
        """Seconds to sleep at most; None: until something happens."""
        if self._posted or self._calls or self._stopping:
            return 0
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        if self._timers:
            wake_times.append(self._timers[0][0])
        # An hour at most: some selectors refuse a wait of years.
        return max(0.0, min(min(wake_times) - time.monotonic(), 3600.0)) if wake_times else None

    def _run_calls(self) -> None:
        while self._calls:
            try:
                call = self._calls.popleft()
            except IndexError:
                return  # another thread, waiting for a loop that has ended, was quicker
            call()

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                self._guard(timer.call)

    def _guard(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except Exception:  # whatever a callback does, the daemon goes on; the traceback names the culprit
            logger.exception("error in the main loop")
            return None

    def close(self, all_fds: bool = False) -> None:
        with self._wake_lock:
            if self._closed:
                return
            self._closed = True
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
        self._posted.clear()

    def __del__(self) -> None:
        # One that was made for an arbiter and never run. Half-made, it has no flag yet.
        if not getattr(self, "_closed", True):
            self.close()

    # ---- names that existing programs use ----------------------------------------------------------------------

    READ = READ
    WRITE = WRITE

    def start(self) -> None:
        self.run()

    @staticmethod
    def current() -> Loop:
        """The loop that runs in the calling thread, or else is to run in it. RuntimeError if there is none."""
        loop = next((loop for loop in list(_running.values()) if loop.is_own_thread), None) or _here.chosen()
        if loop is None or loop._closed:
            raise RuntimeError("no loop runs in this thread, and none was made for it")
        return loop

    def make_current(self) -> None:
        """Say that this loop is to run in the calling thread."""
        _here.chosen = weakref.ref(self)

    @staticmethod
    def when_current(call: Callable[[Loop], object]) -> None:
        """`call(loop)` with the current loop: at once if there is one, else with the next that runs in this thread."""
        try:
            loop = Loop.current()
        except RuntimeError:
            _here.awaiting.append(call)
        else:
            call(loop)

    def _awaiting(self) -> list[Callable[[], object]]:
        """What was begun in this thread before any loop was there."""
        calls, _here.awaiting = _here.awaiting, []
        return [functools.partial(call, self) for call in calls]

    def add_timeout(self, deadline: Any, callback: Callable[..., object], *args: Any, **kwargs: Any) -> Timer:
        """`deadline` is a `timedelta` from now or a wall-clock time, as in the loop these names come from."""
        seconds = deadline.total_seconds() if hasattr(deadline, "total_seconds") else deadline - time.time()
        return self.call_later(seconds, callback, *args, **kwargs)

    def remove_timeout(self, timer: Timer) -> None:
        timer.cancel()

    def add_handler(self, fd: Any, handler: Callable[[Any, int], object], events: int) -> None:
        self._selector.register(fd, events, lambda ready: handler(fd, ready))

    def remove_handler(self, fd: Any) -> None:
        self.remove_reader(fd)

    def add_future(self, future: Future[Any], callback: Callable[[Future[Any]], object]) -> None:
        future.add_done_callback(lambda done: self.post(lambda: callback(done)))

    def run_sync(self, func: Callable[[], Any], timeout: float | None = None) -> Any:
        """What the future that `func` returns holds. Runs the loop until then, unless another thread does.

        TimeoutError after `timeout` seconds, RuntimeError inside the loop and when the loop was stopped before.
        """
        if self.is_own_thread:
            raise RuntimeError("run_sync in the loop's own thread would wait for itself; use add_done_callback")
        done: Future[Any] = Future()
        self.post(lambda: _follow(func, done))
        if not self.is_running:
            self._run_until(done, timeout)
        return done.result(timeout)

    def _run_until(self, done: Future[Any], timeout: float | None) -> None:
        done.add_done_callback(lambda _: self.stop())
        timer = self.call_later(timeout, self.stop) if timeout is not None else None
        self.run()
        if timer is not None:
            timer.cancel()
        if done.done():
            return
        if timeout is None:
            raise RuntimeError("the loop was stopped before there was a result")
        raise TimeoutError(f"no result after {timeout} s")


def _drain(pipe: int) -> None:
    try:
        while len(os.read(pipe, 4096)) == 4096:
            pass
    except BlockingIOError:
        pass


def _settle(done: Future[T], work: Callable[[], T]) -> None:
    try:
        done.set_result(work())
    except Exception as exc:  # belongs to the thread that waits
        done.set_exception(exc)


def _follow(func: Callable[[], Any], done: Future[Any]) -> None:
    """Call `func` and give `done` what the future it returns will hold, or what it returns if that is no future."""
    try:
        result = func()
    except Exception as exc:  # belongs to the caller of run_sync, not to the log
        done.set_exception(exc)
        return
    if hasattr(result, "add_done_callback"):
        result.add_done_callback(lambda future: _settle(done, future.result))
    else:
        done.set_result(result)
