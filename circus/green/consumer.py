"""`circus.consumer` for greenlets: while one waits for events, the others run."""

from __future__ import annotations

from typing import Any

import zmq.green
from gevent import getcurrent

from circus import consumer
from circus.green.client import green_context

__all__ = ["CircusConsumer"]


class CircusConsumer(consumer.CircusConsumer):
    """As `circus.consumer.CircusConsumer`. `stop()` may come from another greenlet, as from another thread."""

    _zmq = zmq.green

    def __init__(self, topics: Any, context: zmq.Context[Any] | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(topics, green_context(context), *args, **kwargs)

    @staticmethod
    def _me() -> int:
        return id(getcurrent())
