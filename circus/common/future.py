"""A result that is not there yet: settled once, from any thread, and awaitable.

`concurrent.futures.Future` would do all of this, but importing it costs the command line tools and the daemon
more time and memory than this one class.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

logger = logging.getLogger("circus")

# What to sleep on if not a `threading.Event`: `circus.green` lets other greenlets of the thread run meanwhile.
new_event: Callable[[], Any] | None = None

T = TypeVar("T")
U = TypeVar("U")


class Future(Generic[T]):
    """Same names and meaning as `concurrent.futures.Future`, without cancelling.

    `guard` is called before a thread goes to sleep in `result` or `exception`; it raises RuntimeError where the
    thread would wait for itself.
    """

    def __init__(self, guard: Callable[[], object] | None = None) -> None:
        self._guard = guard
        self._lock = threading.Lock()
        self._sleepers: list[Any] = []
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], object]] = []

    def guarded_by(self, guard: Callable[[], object]) -> Future[T]:
        """This future, with another guard."""
        self._guard = guard
        return self

    def done(self) -> bool:
        return self._done

    def set_result(self, value: T) -> None:
        self._settle(value, None)

    def set_exception(self, error: BaseException) -> None:
        self._settle(None, error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        with self._lock:
            if self._done:
                return
            self._value, self._error, self._done = value, error, True
            callbacks, self._callbacks = self._callbacks, []
            for event in self._sleepers:
                event.set()
        for callback in callbacks:  # outside the lock: a callback may look at this future
            try:
                callback(self)
            except Exception:  # third-party code; the other callbacks, and what settled us, must not suffer
                logger.exception("error in a callback of a future")

    def add_done_callback(self, callback: Callable[[Future[T]], object]) -> None:
        """Called once, in the thread that settles the future; at once if it is settled."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    def then(self, change: Callable[[T], U]) -> Future[U]:
        """A future of what `change` makes of the value; errors are handed on."""
        later: Future[U] = Future(self._guard)

        def settle(done: Future[T]) -> None:
            try:
                later.set_result(change(done.result()))
            except Exception as exc:  # belongs to what asks the second future
                later.set_exception(exc)

        self.add_done_callback(settle)
        return later

    def pass_on(self, later: Future[T]) -> None:
        """Settle `later` in the same way."""
        self.add_done_callback(lambda _: later._settle(self._value, self._error))

    def result(self, timeout: float | None = None) -> T:
        """The value, or what was raised. TimeoutError after `timeout` seconds, RuntimeError if it cannot come."""
        self._wait(timeout)
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._wait(timeout)
        return self._error

    def _wait(self, timeout: float | None) -> None:
        if not self._done and self._guard is not None:
            self._guard()
        with self._lock:
            if self._done:
                return
            event = (new_event or threading.Event)()  # each its own: a thread and a greenlet sleep in different ways
            self._sleepers.append(event)
        try:
            if not event.wait(timeout):
                raise TimeoutError(f"no result after {timeout} s")
        finally:
            with self._lock:
                self._sleepers.remove(event)

    def __await__(self) -> Generator[Any, None, T]:
        """For asyncio programs that embed an arbiter."""
        import asyncio

        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def settle(_: Future[T]) -> None:
            if not loop.is_closed():  # else this is not awaited any more
                loop.call_soon_threadsafe(lambda: None if waiter.done() else waiter.set_result(None))

        self.add_done_callback(settle)
        yield from waiter.__await__()
        return self.result()


def finished(value: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(value)
    return future


def failed(error: BaseException) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def gather(futures: list[Future[Any]]) -> Future[list[Any]]:
    """All values in order, or the first error, once every one of them is settled."""
    all_done: Future[list[Any]] = Future()
    left = len(futures)

    def settle(_: Future[Any] | None) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            _finish(all_done, futures)

    for future in futures:
        future.add_done_callback(settle)
    if not futures:
        settle(None)
    return all_done


def _finish(all_done: Future[list[Any]], futures: list[Future[Any]]) -> None:
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        all_done.set_exception(errors[0])
    else:
        all_done.set_result([future.result() for future in futures])
