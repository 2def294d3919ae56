"""A configuration file as specs and problems. Pure, but for two functions that open and list files."""

from __future__ import annotations

from typing import Any

from circus.config.ini import Problem, fatal_texts
from circus.config.reader import load, read

__all__ = ["Problem", "fatal_texts", "load", "read"]


def __getattr__(name: str) -> Any:
    """`get_config` and its like, which older programs import from here, cost nothing until then."""
    import circus.config.compat as compat  # `from ... import` would ask this function for the module

    if name in compat.__all__:
        return getattr(compat, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
