"""How long the watchers of a lower priority wait for one that starts."""

from __future__ import annotations

from circus.machine.context import Context

# When a start makes no progress for so long, because a hook does not return for instance, others begin without it.
START_TIMEOUT = 90.0

NO_PROGRESS = "its start makes no progress"


class StartTimeout:
    """Counted anew with every step of a start; over when none came in time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.is_over = False

    def renew(self, now: float) -> None:
        self.is_over = False
        until = now + START_TIMEOUT + self._context.spec.warmup_delay
        self._context.deadlines.set(("start timeout", 0), until)

    def drop(self) -> None:
        """Nothing is being started."""
        self.is_over = False
        self._context.deadlines.set(("start timeout", 0), None)

    def timed_out(self) -> None:
        self.is_over = True
        self._context.log("warning", f"{self._context.name}: {NO_PROGRESS}; others no longer wait for it")

    def reason(self) -> str:
        return NO_PROGRESS if self.is_over else ""
