"""A run in a thread of its own, for programs that go on with something else."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any

from circus.common.future import Future
from circus.control.supervisor import Supervisor


class Background:
    """One run after the other, each in its thread. What the program forgets to stop is stopped when it ends."""

    def __init__(self, supervisor: Supervisor, stop: Callable[[], object]) -> None:
        self._supervisor = supervisor
        self._stop = stop
        self._thread: threading.Thread | None = None

    def start(self, when_up: Callable[[Future[Any]], object] | None) -> Future[Any]:
        """Future of the watchers being up; returns when requests are answered. Raises what keeps it from starting."""
        if self.is_alive():
            raise RuntimeError("this arbiter runs already")
        opened: Future[Future[Any]] = Future()
        self._thread = threading.Thread(
            target=self._work, args=(when_up, opened), name="circus arbiter", daemon=True
        )
        self._thread.start()
        return opened.result()

    def _work(self, when_up: Callable[[Future[Any]], object] | None, opened: Future[Future[Any]]) -> None:
        supervisor = self._supervisor
        supervisor.owns_loop = True  # also one that the caller gave: it is run here
        try:
            up = supervisor.open(when_up)
        except Exception as exc:  # raised in the thread that called `start`
            opened.set_exception(exc)
            return
        atexit.register(self._at_exit)
        try:
            # From within the loop, so that a call that comes at once is handed over to it and not done beside it.
            supervisor.ensure_loop().post(lambda: opened.set_result(up))
            supervisor.run()
        finally:
            atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        if os.getpid() == self._supervisor.pid:  # a fork of the program has no such thread, and no such children
            self._stop()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end; at once in the run's own thread."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()
