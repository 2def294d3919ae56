"""Circus: a process and socket manager for POSIX systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "1.0.0"

__all__ = ["ArbiterHandler", "__version__", "get_arbiter", "logger"]

if TYPE_CHECKING:
    import logging

    from circus.library import ArbiterHandler, get_arbiter

    logger: logging.Logger


def __getattr__(name: str) -> Any:
    """`circusctl` imports this package at every call: what it does not need is loaded when first asked for."""
    if name == "logger":
        import logging

        return logging.getLogger("circus")
    if name in ("ArbiterHandler", "get_arbiter"):
        from circus import library

        return getattr(library, name)
    raise AttributeError(f"module 'circus' has no attribute {name!r}")
