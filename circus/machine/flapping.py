"""How fast to try again. Pure functions over a slot's history; time and randomness are arguments.

A slot is a worker number (wid). Death is counted per slot, so that one death in each of a hundred workers is
not taken for flapping.
"""

from __future__ import annotations

from typing import NamedTuple

from circus.options.table import WatcherSpec

# Without flapping detection a program that dies at once is still started at most once in this many seconds.
MIN_RESPAWN_DELAY = 1.0

# First pause after a program could not be executed at all; doubles with each failure in a row.
SPAWN_RETRY_DELAY = 0.1


class Slot:
    """What is remembered about one worker number between two of its processes."""

    __slots__ = ("deaths", "exit_code", "retry_at", "tries")

    def __init__(self) -> None:
        self.deaths: list[float] = []
        self.tries = 0  # pauses in a row
        self.retry_at: float | None = None
        self.exit_code: int | None = None


class Verdict(NamedTuple):
    """What follows from a death: a pause of `delay` seconds (0: none); `attempt` counts flapping pauses."""

    delay: float
    attempt: int = 0
    given_up: bool = False


def judge_death(slot: Slot, spec: WatcherSpec, now: float, lived: float, chance: float) -> Verdict:
    """Record an unrequested death in `slot` and say what follows.

    `lived` is the age the process reached, `chance` a random number in [0, 1) for the jitter.
    """
    if not spec.flapping_active:
        return Verdict(max(0.0, MIN_RESPAWN_DELAY - lived))
    if lived > spec.flapping_window:
        slot.tries = 0
        slot.deaths.clear()
    slot.deaths = [at for at in slot.deaths if now - at <= spec.flapping_window]
    slot.deaths.append(now)
    if len(slot.deaths) < spec.flapping_attempts:
        return Verdict(0.0)
    slot.deaths.clear()
    if 0 <= spec.flapping_max_retry <= slot.tries:
        return Verdict(0.0, slot.tries, given_up=True)
    slot.tries += 1
    return Verdict(flapping_delay(spec, slot.tries, chance), slot.tries)


def flapping_delay(spec: WatcherSpec, attempt: int, chance: float) -> float:
    """Pause before the `attempt`-th retry in a row: growing, capped, ±10 % so that slots do not move in step."""
    delay = float(spec.flapping_retry_in)
    for _ in range(min(attempt, 64) - 1):
        delay = min(delay * spec.flapping_backoff, spec.flapping_max_retry_in)
    return max(0.0, min(delay, spec.flapping_max_retry_in)) * (0.9 + 0.2 * chance)


def spawn_retry_delay(spec: WatcherSpec, failures: int) -> float:
    """Pause after the program could not be executed `failures` times in a row."""
    return min(SPAWN_RETRY_DELAY * 2.0 ** min(failures - 1, 32), max(SPAWN_RETRY_DELAY, spec.flapping_max_retry_in))


def expires_at(spec: WatcherSpec, born_at: float, now: float, chance: float) -> float | None:
    """When a process is to be replaced because of its age; None: never. `chance` is a random number in [0, 1).

    To be drawn once per process. One that is older already gets the random part from now on, so that a smaller
    max_age does not end all processes in one moment.
    """
    if spec.max_age <= 0:
        return None
    return max(born_at + spec.max_age, now) + chance * max(0, spec.max_age_variance)
