"""Circus in a gevent program: clients, consumers and arbiters that let the other greenlets run while they wait.

    from circus.green import get_arbiter
    from circus.green.client import CircusClient
    from circus.green.consumer import CircusConsumer

Needs the extra: pip install 'circus[green]'. Nothing has to be monkey patched, and everything may be. docs/green.md
tells what is different from plain Circus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.common.names import NEEDS_GEVENT

try:
    import gevent as gevent
except ImportError as exc:
    raise ImportError(f"circus.green {NEEDS_GEVENT} ({exc})", name="gevent") from exc

__all__ = ["ArbiterHandler", "get_arbiter"]

if TYPE_CHECKING:
    from circus.green.arbiter import ArbiterHandler, get_arbiter


def __getattr__(name: str) -> Any:
    """A program that only asks a circusd need not load an arbiter."""
    if name in __all__:
        from circus.green import arbiter

        return getattr(arbiter, name)
    raise AttributeError(f"module 'circus.green' has no attribute {name!r}")
