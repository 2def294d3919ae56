"""The main loop: one selector, one deadline, and the only blocking call of the daemon.

Other threads hand work over with `post` (or `add_callback`, the name existing programs use): a deque takes the
callable, one byte wakes the selector. `deque.append` is atomic, so nothing is locked; the write never blocks, and
a full pipe is fine because one byte is as good as many.

Methods that existing programs call on `arbiter.loop` or `plugin.loop` keep their names: `add_callback`,
`call_later`, `add_timeout`, `add_handler`, `remove_handler`, `add_future`, `run_sync`, `start`, `stop`, `close`,
`make_current`.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from circus.future import Future

logger = logging.getLogger("circus")

# Callables run per pass, so that a flood of posts cannot keep descriptors from being looked at.
POSTS_PER_PASS = 1000

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
    """Owned by the thread that runs it; only `post`, `add_callback` and `stop` may be called from others."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._posted: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wake_read, READ, self._drain_wake)
        self._stopping = False
        self._closed = False
        self._thread_id: int | None = None
        self.before_sleep: Callable[[float], float | None] | None = None
        """Called on every pass with the time; does what is due and returns when it wants to be called again."""

    # ---- from any thread ---------------------------------------------------------------------------------------

    def post(self, call: Callable[[], object]) -> None:
        """Have `call` run in the loop's thread. After `close` it is dropped."""
        self._posted.append(call)
        self._wake()

    def add_callback(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        self.post(lambda: callback(*args, **kwargs))

    def stop(self) -> None:
        """End `run` after the current pass."""
        self._stopping = True
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"\0")
        except (BlockingIOError, InterruptedError):
            pass  # the pipe is full: the loop will wake anyway
        except OSError:
            if not self._closed:
                raise

    @property
    def is_running(self) -> bool:
        return self._thread_id is not None

    @property
    def is_own_thread(self) -> bool:
        return self._thread_id == threading.get_ident()

    # ---- from the loop's thread --------------------------------------------------------------------------------

    def add_reader(self, fd: int, call: Callable[[], object]) -> None:
        self._selector.register(fd, READ, call)

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
        self._thread_id = threading.get_ident()
        try:
            while not self._stopping:
                self._pass()
        finally:
            self._thread_id = None
            self._stopping = False

    def _pass(self) -> None:
        wake_at = None
        if self.before_sleep is not None:
            wake_at = self._guard(lambda: self.before_sleep(time.monotonic()))  # type: ignore[misc]  # checked above
        for key, _ in self._selector.select(self._timeout(wake_at)):
            self._guard(key.data)
        self._run_timers()
        for _ in range(min(len(self._posted), POSTS_PER_PASS)):
            self._guard(self._posted.popleft())

    def _timeout(self, wake_at: float | None) -> float | None:
        """Seconds to sleep at most; None: until something happens."""
        if self._posted or self._stopping:
            return 0
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        times = [at for at in (wake_at, self._timers[0][0] if self._timers else None) if at is not None]
        # An hour at most: some selectors refuse a wait of years.
        return max(0.0, min(min(times) - time.monotonic(), 3600.0)) if times else None

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                self._guard(timer.call)

    def _guard(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception:  # whatever a callback does, the daemon goes on; the traceback names the culprit
            logger.exception("error in the main loop")
            return None

    def _drain_wake(self) -> None:
        try:
            while len(os.read(self._wake_read, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def close(self, all_fds: bool = False) -> None:
        if self._closed:
            return
        self._closed = True
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    # ---- names that existing programs use ----------------------------------------------------------------------

    READ = READ
    WRITE = WRITE

    def start(self) -> None:
        self.run()

    def make_current(self) -> None:
        """Kept for programs written for another loop; there is nothing to do here."""

    def add_timeout(self, deadline: Any, callback: Callable[..., object], *args: Any, **kwargs: Any) -> Timer:
        """`deadline` is a `timedelta` from now or a wall-clock time, as in the loop these names come from."""
        seconds = deadline.total_seconds() if hasattr(deadline, "total_seconds") else deadline - time.time()
        return self.call_later(seconds, callback, *args, **kwargs)

    def remove_timeout(self, timer: Timer) -> None:
        timer.cancel()

    def add_handler(self, fd: Any, handler: Callable[[Any, int], object], events: int) -> None:
        self._selector.register(fd, events, lambda: handler(fd, events))

    def remove_handler(self, fd: Any) -> None:
        self.remove_reader(fd)

    def add_future(self, future: Future[Any], callback: Callable[[Future[Any]], object]) -> None:
        future.add_done_callback(lambda done: self.post(lambda: callback(done)))

    def run_sync(self, func: Callable[[], Any], timeout: float | None = None) -> Any:
        """Run the loop until the future that `func` returns is done; its result, or what it raised."""
        outcome: list[Any] = []

        def finish(future: Future[Any]) -> None:
            outcome.append(future)
            self.stop()

        def begin() -> None:
            result = func()
            if not hasattr(result, "add_done_callback"):
                done: Future[Any] = Future()
                done.set_result(result)
                result = done
            result.add_done_callback(finish)

        self.post(lambda: self._begin_sync(begin, outcome))
        timer = self.call_later(timeout, self.stop) if timeout is not None else None
        self.run()
        if timer is not None:
            timer.cancel()
        if not outcome:
            raise TimeoutError(f"not done after {timeout} s")
        return outcome[0].result()

    def _begin_sync(self, begin: Callable[[], None], outcome: list[Any]) -> None:
        try:
            begin()
        except Exception as exc:  # belongs to the caller of run_sync, not to the log
            failed: Future[Any] = Future()
            failed.set_exception(exc)
            outcome.append(failed)
            self.stop()
