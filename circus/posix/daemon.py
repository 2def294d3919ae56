"""Leave the terminal and the shell that started us."""

from __future__ import annotations

import os
import resource
import sys

MAXFD = 1024
"""What is assumed where the system names no limit."""


def daemonize() -> None:
    """Go on in the background: a new session, no terminal, no open descriptor, 0-2 on /dev/null; same directory.

    The second fork makes us a process that leads no session, so that opening a terminal cannot make it ours.
    ValueError if gevent is loaded (its threads and descriptors would not survive) or fork does not exist.
    """
    if not hasattr(os, "fork"):
        raise ValueError("cannot daemonize: this system has no fork")
    if any(name == "gevent" or name.startswith("gevent.") for name in sys.modules):
        raise ValueError("cannot daemonize if gevent is loaded")
    _flush()
    _leave_parent()
    os.setsid()
    _leave_parent()
    closerange(0, get_maxfd())
    open_standard()


def open_standard() -> None:
    """Put /dev/null in the place of those of 0-2 that are closed.

    The next files would get these numbers, and every child would take a socket or a log file for its own output.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one


def get_maxfd() -> int:
    """One more than the highest descriptor that can be open, by the hard limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MAXFD if hard == resource.RLIM_INFINITY else hard


def closerange(fd_low: int, fd_high: int) -> None:
    """Close descriptors from fd_low up to but not including fd_high; those that are not open do not matter."""
    try:
        # Where limits are in the millions, trying each number would take seconds.
        found = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        os.closerange(fd_low, fd_high)
        return
    for fd in found:
        if fd_low <= fd < fd_high:
            _close(fd)


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        pass  # the descriptor the list itself was read through


def _flush() -> None:
    """What is buffered was said to whoever started us; later it would be said to /dev/null."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it, or it is closed


def _leave_parent() -> None:
    if os.fork():
        os._exit(0)
