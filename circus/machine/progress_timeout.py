"""How long other watchers wait for one that starts or stops, before they go on without it."""

from __future__ import annotations

from circus.machine.context import Context
from circus.machine.deadlines import Timer

# When a start makes no progress for so long, because a hook does not return for instance, others begin without it.
START_TIMEOUT = 90.0

# The same for a step of a stop, beyond the graceful timeout. SIGKILL and output have their own, much shorter times:
# what takes so long is a hook, or a disk that is gone.
STOP_TIMEOUT = 30.0


class ProgressTimeout:
    """Starts again with every step; over when none came in time. `what` is "start" or "stop"."""

    def __init__(self, context: Context, timer: Timer, what: str) -> None:
        self._context = context
        self._what = what
        self._deadline = (timer, 0)
        self.is_over = False

    def renew(self, now: float, timeout: float) -> None:
        self.is_over = False
        self._context.deadlines.set(self._deadline, now + timeout)

    def drop(self) -> None:
        """Nothing is on its way."""
        self.is_over = False
        self._context.deadlines.set(self._deadline, None)

    def timed_out(self) -> None:
        self.is_over = True
        self._context.log("warning", f"{self._context.name}: {self._text}; others no longer wait for it")

    @property
    def _text(self) -> str:
        return f"its {self._what} makes no progress"

    def reason(self) -> str:
        """For people; empty if it is not over."""
        return self._text if self.is_over else ""
