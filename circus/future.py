"""A result that is not there yet: settled once, from any thread, and awaitable.

`concurrent.futures.Future` would do all of this, but importing it costs the command line tools and the daemon
more time and memory than the forty lines below.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Future(Generic[T]):
    """Same names and meaning as `concurrent.futures.Future`, without cancelling."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event: threading.Event | None = None
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], object]] = []

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
            if self._event is not None:
                self._event.set()
        for callback in callbacks:  # outside the lock: a callback may look at this future
            callback(self)

    def add_done_callback(self, callback: Callable[[Future[T]], object]) -> None:
        """Called once, in the thread that settles the future; at once if it is settled."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    def then(self, change: Callable[[T], U]) -> Future[U]:
        """A future of what `change` makes of the value; errors are handed on."""
        later: Future[U] = Future()

        def settle(done: Future[T]) -> None:
            try:
                later.set_result(change(done.result()))
            except Exception as exc:  # belongs to whoever asks the second future
                later.set_exception(exc)

        self.add_done_callback(settle)
        return later

    def result(self, timeout: float | None = None) -> T:
        """The value, or what was raised; TimeoutError after `timeout` seconds."""
        self._wait(timeout)
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._wait(timeout)
        return self._error

    def _wait(self, timeout: float | None) -> None:
        with self._lock:
            if self._done:
                return
            self._event = self._event or threading.Event()
        if not self._event.wait(timeout):
            raise TimeoutError(f"no result after {timeout} s")

    def __await__(self) -> Generator[Any, None, T]:
        """For asyncio programs that embed an arbiter."""
        import asyncio

        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def settle(_: Future[T]) -> None:
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
