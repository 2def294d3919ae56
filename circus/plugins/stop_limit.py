"""The process of a plugin ends in time, whatever the plugin does then: a `handle_stop` that waits for ever, threads
that were left behind. Without that, every stop of circusd would last until its SIGKILL."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

logger = logging.getLogger("circus")

# Seconds for `handle_stop` and for threads that are to end after it. circusd sends SIGKILL after 30 (graceful_timeout).
STOP_TIMEOUT = 5.0


class StopLimit:
    """Of one plugin, `name` in the log. Threads that were there before it are none of its."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._before = set(threading.enumerate())
        self._lock = threading.Lock()
        self._leave_at: float | None = None
        self._is_stopped = False

    def begin(self) -> None:
        """The plugin is stopping: it has so much time from now on. Once; later calls change nothing."""
        with self._lock:
            if self._leave_at is not None:
                return
            self._leave_at = time.monotonic() + STOP_TIMEOUT
        threading.Thread(target=self._watch_stop, args=[STOP_TIMEOUT], name="stop limit", daemon=True).start()

    def finish(self, code: int) -> int:
        """The plugin has stopped. The interpreter waits for its threads: here for the time that is left at most."""
        self._is_stopped = True
        if self._threads():
            left = STOP_TIMEOUT if self._leave_at is None else max(0.0, self._leave_at - time.monotonic())
            threading.Thread(target=self._watch_threads, args=[left, code], name="exit limit", daemon=True).start()
        return code

    def _watch_stop(self, delay: float) -> None:
        time.sleep(delay)
        if not self._is_stopped:
            logger.error("%s: handle_stop has not ended within %g s, leaving without it", self._name, STOP_TIMEOUT)
            _leave(1)

    def _watch_threads(self, delay: float, code: int) -> None:
        time.sleep(delay)
        left = self._threads()
        if left and not threading.main_thread().is_alive():  # else the program around us goes on
            logger.warning("%s: leaving without the end of its threads: %s", self._name, ", ".join(left))
            _leave(code)

    def _threads(self) -> list[str]:
        """Names of those the interpreter waits for before it ends."""
        return [thread.name for thread in threading.enumerate() if not thread.daemon and thread not in self._before]


def _leave(code: int) -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        pass  # it is not read, or it is closed
    os._exit(code)
