"""The hook a phase waits for: before_start, after_start, before_stop or after_stop."""

from __future__ import annotations

from circus.machine.context import Context
from circus.machine.deadlines import Timer

# At shutdown a hook gets the graceful timeout, but never less than this: even a watcher whose processes get no
# time at all may have a hook that takes a moment.
MIN_HOOK_TIMEOUT = 1.0


class AwaitedHook:
    """One hook at a time, and what it answered. Only shutdown limits how long that may take."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ticket = 0
        self._ok = True
        self._hook = ""
        self._asked_at = 0.0

    def ask(self, now: float, hook: str) -> None:
        """Run the hook; without one, or in a hurry, the answer is yes at once."""
        self.drop()
        self._hook, self._asked_at = hook, now
        if not self._context.is_hurried:
            self._ticket = self._context.ask_hook(hook, {})
            self.limit(now)

    @property
    def is_answered(self) -> bool:
        return not self._ticket

    @property
    def said_yes(self) -> bool:
        return self._ok

    def answer(self, ticket: int, ok: bool) -> bool:
        """True if it was this hook that answered."""
        if ticket != self._ticket:
            return False
        self._ok = ok
        self._wait_no_more()
        return True

    def drop(self) -> None:
        """Whatever the hook will say, it is not waited for any more."""
        self._ok = True
        self._wait_no_more()

    def _wait_no_more(self) -> None:
        self._ticket = 0
        self._context.deadlines.set((Timer.HOOK, 0), None)

    def limit(self, now: float) -> None:
        """From now on the hook that runs is waited for no longer than the graceful timeout."""
        if self._ticket and self._context.limits_hooks:
            timeout = max(self._context.spec.graceful_timeout, MIN_HOOK_TIMEOUT)
            self._context.deadlines.set((Timer.HOOK, 0), now + timeout)

    def timed_out(self) -> None:
        self._context.log("error", f"{self._context.name}: its {self._hook} hook still runs; going on without it")
        self.drop()

    def reason(self, now: float) -> str:
        """For people; empty if it is not waited for, or not long enough to tell."""
        seconds = 0.0 if self.is_answered else now - self._asked_at
        return f"its {self._hook} hook has been running for {seconds:.0f} s" if seconds >= 1 else ""
