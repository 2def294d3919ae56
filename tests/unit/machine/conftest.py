"""Random walks take the same way every time in CI; elsewhere each run takes another one and prints how to repeat it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_COMMON = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
    "phases": set(Phase) - {Phase.explain},  # explaining takes minutes, and a short walk explains itself
    "report_multiple_bugs": False,
}

settings.register_profile("ci", max_examples=400, stateful_step_count=50, derandomize=True, **_COMMON)
settings.register_profile("here", max_examples=100, stateful_step_count=50, **_COMMON)
settings.register_profile("long", max_examples=5_000, stateful_step_count=80, **_COMMON)
settings.load_profile(os.environ.get("CIRCUS_WALKS") or ("ci" if os.environ.get("CI") else "here"))
