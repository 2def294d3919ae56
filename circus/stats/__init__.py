"""Figures of processes and sockets as a stream: what publishes it, what reads it, what shows it."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """The program `circusd-stats`; circusd runs it as `python -c "from circus import stats; stats.main()"`."""
    import sys

    from circus.stats.daemon.runner import main as run

    code = run(args)
    if code:
        sys.exit(code)  # a call from `python -c` hands no result on
    return code
