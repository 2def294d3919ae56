"""Worker numbers that wait after a death.

A number in a pause counts as held, so that a crash loop is never escaped by taking another number. While
descendants of the dead are still being ended the number is theirs; the pause runs meanwhile, and what is left of
it follows.
"""

from __future__ import annotations

from circus.common import names
from circus.common.convert import exit_text
from circus.machine import flapping
from circus.machine.context import Context
from circus.machine.deadlines import Timer
from circus.machine.process import Process


class Backoff:
    """What is remembered of each number, and which of them are empty and wait."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.slots: dict[int, flapping.Slot] = {}
        self._empty: dict[int, None] = {}

    def __len__(self) -> int:
        """How many numbers may not be taken yet."""
        return len(self._empty)

    # ---- death -------------------------------------------------------------------------------------------------

    def judge(self, process: Process, now: float) -> flapping.Verdict:
        """What follows from a death that was not asked for."""
        slot = self.slots.setdefault(process.wid, flapping.Slot())
        slot.exit_code = process.exit_code
        lived = now - process.born_at
        return flapping.judge_death(slot, self._context.spec, now, lived, self._context.chance())

    def begin(self, wid: int, now: float, verdict: flapping.Verdict) -> None:
        slot = self.slots[wid]
        slot.retry_at = now + verdict.delay
        self._context.deadlines.set((Timer.SLOT, wid), slot.retry_at)
        if verdict.attempt:
            text = f"flapping detected: retry in {verdict.delay:.1f}s (attempt number {verdict.attempt})"
            self._context.log("warning", f"{self._context.name}: {text}")
            self._publish(wid, slot, verdict.attempt, round(verdict.delay, 3))

    def give_up(self, wid: int, attempts: int) -> str:
        """Say so; returns why the watcher has to go down."""
        slot = self.slots[wid]
        self._context.log("error", f"{self._context.name}: flapping detected: reached max retry limit")
        self._publish(0, slot, attempts, None)
        return f"given up after {attempts} retries, last {exit_text(slot.exit_code)}"

    def _publish(self, wid: int, slot: flapping.Slot, attempt: int, retry_in: float | None) -> None:
        payload = {
            "process_id": wid or None,
            "attempt": attempt,
            "retry_in": retry_in,
            "max_retry": self._context.spec.flapping_max_retry,
            "exit_code": slot.exit_code,
            "given_up": retry_in is None,
        }
        self._context.publish(names.FLAPPING, payload)

    # ---- numbers -----------------------------------------------------------------------------------------------

    def vacate(self, wid: int) -> None:
        """No process holds the number any more: it waits, or it is free."""
        if self._context.deadlines.get((Timer.SLOT, wid)) is None:
            self._context.table.free_wid(wid)
        else:
            self._empty[wid] = None

    def over(self, wid: int) -> None:
        """The pause of this number has passed."""
        if wid in self._empty:
            del self._empty[wid]
            self._context.table.free_wid(wid)

    def drop_one(self) -> None:
        """One process less is wanted: one pause less too."""
        wid = max(self._empty)
        self._context.deadlines.set((Timer.SLOT, wid), None)
        self.over(wid)

    def forgive_one(self, wid: int) -> None:
        """A process of this number ended well: what was before does not count any more."""
        self.slots.pop(wid, None)

    def go_on(self) -> None:
        """All deadlines were dropped; what waits does so in the next round."""
        for wid in self._empty:
            self._context.deadlines.set((Timer.SLOT, wid), self.slots[wid].retry_at)

    def forgive(self) -> None:
        """Forget every death; nothing waits any more."""
        for wid in self.slots:
            self._context.deadlines.set((Timer.SLOT, wid), None)
        for wid in list(self._empty):
            self.over(wid)
        self.slots.clear()

    def exit_text(self) -> str:
        """How the last one that waits had ended, for people."""
        return exit_text(self.slots[max(self._empty)].exit_code)

    # ---- the reason, for people --------------------------------------------------------------------------------

    def reason(self, now: float) -> str:
        """For people: what the next one waits for, if one does."""
        retry_at, wid = min((self.slots[wid].retry_at or now, wid) for wid in self._empty)
        slot = self.slots[wid]
        limit = self._context.spec.flapping_max_retry
        attempt = f"attempt {slot.tries} of {limit if limit >= 0 else 'any number'}" if slot.tries else "died at once"
        return f"backing off: next try in {max(0.0, retry_at - now):.0f} s, {attempt}, {exit_text(slot.exit_code)}"
