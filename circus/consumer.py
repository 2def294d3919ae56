"""Listening to the events of a circusd, under the path that programs know; the work is `circus.wire.consumer`."""

from circus.wire.consumer import CircusConsumer, event_object

__all__ = ["CircusConsumer", "event_object"]
