"""Asking a running circusd, under the path that programs know; the work is `circus.wire.client`."""

from circus.wire.client import (
    TIMED_OUT,
    AsyncCircusClient,
    CallError,
    CircusClient,
    PendingCall,
    cast_message,
    make_json,
    make_message,
)
from circus.wire.endpoint import connect

__all__ = [
    "TIMED_OUT",
    "AsyncCircusClient",
    "CallError",
    "CircusClient",
    "PendingCall",
    "cast_message",
    "connect",
    "make_json",
    "make_message",
]
