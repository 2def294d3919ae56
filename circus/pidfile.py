"""The pid file, under the name existing programs import it by."""

from __future__ import annotations

from circus.posix.pidfile import Pidfile

__all__ = ["Pidfile"]
