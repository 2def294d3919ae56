"""Leave the terminal and the shell that started us."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys

from circus.posix.standard import complain, open_standard

MAXFD = 1024
"""What is assumed where the system names no limit."""


# A pipe takes so much at once without waiting (pipe(7)).
_LONGEST_WORD = 4096


def daemonize() -> None:
    """Go on in the background: a new session, no terminal, no open descriptor, 0-2 on /dev/null; same directory.

    The second fork makes us a process that leads no session, so that opening a terminal cannot make it ours.
    ValueError if gevent is loaded (its threads and descriptors would not survive) or fork does not exist.
    """
    _require_fork()
    _flush()
    _leave_parent()
    os.setsid()
    _leave_parent()
    closerange(0, get_maxfd())
    open_standard()


class Starter:
    """The process that has started a daemon and waits to hear what became of it. Without `fd` there is none."""

    def __init__(self, fd: int = -1) -> None:
        self._fd = fd

    def tell(self, code: int, text: str = "") -> None:
        """Let it end with this exit code, after saying `text` to what started it. Only the first word counts."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            os.write(fd, f"{code} {text}".encode(errors="backslashreplace")[:_LONGEST_WORD])
        except OSError:
            pass  # it did not wait
        os.close(fd)


def daemonize_watched(kept: int = 0) -> Starter:
    """As `daemonize`, but the process that was started waits until `tell` is called, or until the daemon has ended.

    So a success is one, and the terminal may close as soon as it has been told. `kept` is how many descriptors from 3
    on stay open. Returns in the daemon only.
    """
    _require_fork()
    _flush()
    ear, mouth = os.pipe()
    # From here until the session is our own a terminal that closes would end the daemon, too.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.fork():
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent may go at once; the daemon is in another session
        os.close(mouth)
        os._exit(_hear(ear))
    os.setsid()
    signal.signal(signal.SIGHUP, before)
    _leave_parent()
    first = 3 + kept
    mouth = fcntl.fcntl(mouth, fcntl.F_DUPFD_CLOEXEC, first)  # out of the way of 0-2, which may be closed
    closerange(0, 3)
    closerange(first, mouth)
    closerange(mouth + 1, get_maxfd())
    open_standard()
    return Starter(mouth)


def _hear(ear: int) -> int:
    """The exit code for the process that was started."""
    word = b""
    while part := os.read(ear, _LONGEST_WORD):
        word += part
    code, _, text = word.decode(errors="replace").partition(" ")
    if not code:
        code, text = "1", "circusd: error: it ended before it listened, without a word; its log may tell more"
    if text:
        complain(text)
    return int(code)


def _require_fork() -> None:
    if not hasattr(os, "fork"):
        raise ValueError("cannot daemonize: this system has no fork")
    if any(name == "gevent" or name.startswith("gevent.") for name in sys.modules):
        raise ValueError("cannot daemonize if gevent is loaded")


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
    """What is buffered was said to what started us; later it would be said to /dev/null."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass  # it is not read, or it is closed


def _leave_parent() -> None:
    if os.fork():
        os._exit(0)
