"""Threads, under the name existing programs import them by; nothing has to be fixed any more."""

from __future__ import annotations

from threading import RLock, Thread, Timer, get_ident

__all__ = ["RLock", "Thread", "Timer", "get_ident"]
