"""The controller needs nothing of its own here: it never waits, and its sockets are looked at by the green loop."""

from __future__ import annotations

from circus.controller import Controller

__all__ = ["Controller"]
