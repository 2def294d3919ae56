"""Figures of a process in a reply to `stats`. None for what the system did not tell (`N/A`)."""

from __future__ import annotations

from circus.common.convert import human2bytes


def number_in(value: object) -> float | None:
    """Of `cpu` and `mem`."""
    return value if isinstance(value, (int, float)) else None


def size_in(value: object) -> float | None:
    """Bytes, of `mem_info1` and `mem_info2`, which have a unit."""
    try:
        return human2bytes(str(value))
    except ValueError:
        return None
