"""Tests of properties take the same examples every time in CI; elsewhere each run takes others and prints how to repeat
them. `CIRCUS_WALKS=long` looks for faults that few walks meet."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_COMMON = {
    "deadline": None,  # a busy machine makes nothing wrong
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
    "phases": set(Phase) - {Phase.explain},  # explaining takes minutes, and a short walk explains itself
    "report_multiple_bugs": False,
    "stateful_step_count": 50,
}

# Before any test module is read: what `@settings(...)` does not name is taken from the profile of that moment.
settings.register_profile("ci", max_examples=100, derandomize=True, **_COMMON)
settings.register_profile("here", max_examples=50, **_COMMON)
settings.register_profile("long", max_examples=5_000, **{**_COMMON, "stateful_step_count": 80})
settings.load_profile(os.environ.get("CIRCUS_WALKS") or ("ci" if os.environ.get("CI") else "here"))
