"""Sockets that circusd itself was started with, sd_listen_fds(3): they become managed sockets of their names."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from circus.common import listen_fds
from circus.sockets.managed import CircusSocket


def drop_if_for_others(environ: MutableMapping[str, str], pid: int) -> None:
    """The variables are for the process that LISTEN_PID names; whatever that starts only happens to have them too."""
    if environ.get(listen_fds.PID) != str(pid):
        for name in listen_fds.VARIABLES:
            environ.pop(name, None)


def inherited(environ: Mapping[str, str]) -> dict[str, CircusSocket]:
    """By name. What is there and is no socket is left alone."""
    found = {}
    for fd, name in enumerate(listen_fds.names_of(environ), listen_fds.FIRST):
        try:
            os.set_inheritable(fd, False)
            found[name] = CircusSocket.adopt(name, fd)
        except OSError:  # no descriptor, or not of a socket
            continue
    return found
