"""Listening to figures, and the program that shows them, under the names existing programs import and start."""

from __future__ import annotations

import sys

from circus.stats.feed import StatsClient
from circus.stats.top.program import main

__all__ = ["StatsClient", "main"]

if __name__ == "__main__":
    sys.exit(main())
