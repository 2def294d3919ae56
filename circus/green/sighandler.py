"""Signals to an arbiter that lives beside greenlets of a program."""

from __future__ import annotations

from circus import sighandler
from circus.controller import Controller

__all__ = ["SysHandler"]


class SysHandler(sighandler.SysHandler):
    """Leaves SIGCHLD to gevent, for `gevent.subprocess`: the deaths of our own children are told by the kernel."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller, children=False)
