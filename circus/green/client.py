"""`circus.client` for greenlets: one that waits for a reply lets the others run."""

from __future__ import annotations

from typing import Any

import zmq.green

from circus import client
from circus.client import CallError, cast_message, make_json, make_message

__all__ = ["CallError", "CircusClient", "cast_message", "make_json", "make_message"]


class CircusClient(client.CircusClient):
    """As `circus.client.CircusClient`. Not to be shared between greenlets; each may have its own."""

    _zmq = zmq.green

    def __init__(self, context: zmq.Context[Any] | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(green_context(context), *args, **kwargs)


def green_context(context: Any) -> Any:
    """The same context, making sockets that let other greenlets run. The caller's own stays as it is."""
    if context is None or isinstance(context, zmq.green.Context):
        return context
    return zmq.green.Context(shadow=context)
