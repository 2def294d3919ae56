"""Signals of the daemon: a handler notes the number and the loop is woken; everything else happens in the loop.

The byte that `signal.set_wakeup_fd` writes only wakes. Its number is not believed: the buffer may be full just
when it matters (a thousand deaths, then a SIGTERM), and a process forked by a hook shares the buffer, so that its
signals would pass for ours. The note is neither lost nor shared. Python runs handlers in the main thread between two
bytecodes, and before the function that reads the byte, which the interpreter's own handler wrote after it had
set the flag.

Signals ignored when we came (nohup, a shell's `&`) get a handler that does nothing: for us that is the same,
but a handler ends at exec, while an ignored signal would stay ignored in every child (execve(2)). Blocked ones, which
are inherited in the same way, are let through: a daemon that cannot be told to end is of no use.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

# SIGWINCH, for the terminal we may have been started from, is ignored by default.
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD)

# Left as they are: the first two cannot be handled, subprocess resets the next two for children, and with a
# handler for the last two a write to a terminal from the background would be retried for ever.
_UNTOUCHED = {
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGTTIN,
    signal.SIGTTOU,
}


# A fault of our own, or taken care of by Python: what the system does then is right.
_NOT_FROM_OUTSIDE = {
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
    signal.SIGSYS,
    signal.SIGTRAP,
}
_HARMLESS = {signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGTSTP}


def deadly() -> list[int]:
    """Signals that would end this process if they were sent, and that have no handler (signal(7))."""
    known = {*HANDLED, *_UNTOUCHED, *_NOT_FROM_OUTSIDE, *_HARMLESS}
    return sorted(
        signum
        for signum in signal.valid_signals() - known
        if signal.getsignal(signum) is signal.SIG_DFL
    )


class Signals:
    """From `install` to `close`, `callback(signum)` is called in the loop's thread, which is the main thread."""

    def __init__(
        self,
        callback: Callable[[int], object],
        add_reader: Callable[[int, Callable[[], None]], None],
        remove_reader: Callable[[int], None],
        handled: Sequence[int] = HANDLED,
    ) -> None:
        self._callback = callback
        self._handled = handled
        self._add_reader = add_reader
        self._remove_reader = remove_reader
        self._noted: deque[int] = deque()
        self._before: dict[int, Any] = {}
        self._blocked_before: set[int] = set()
        self._wakeup_before = -1
        self._pipe: tuple[int, int] | None = None

    def install(self) -> None:
        """RuntimeError outside the main thread, where Python allows no handlers."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "signals can be handled in the main thread only; "
                "an arbiter in another thread runs without them (end it with its stop method)"
            )
        if self._pipe is not None:
            return
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._add_reader(self._pipe[0], self.deliver)
        self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        for signum in self._handled:
            self._before[signum] = signal.signal(signum, self._note)
        for signum in _ignored_now():
            self._before[signum] = signal.signal(signum, _do_nothing)
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handled)
        self._blocked_before = {signum for signum in self._handled if signum in before}

    def close(self) -> None:
        """Put back what was found, then tell what was noted up to that moment. May be called twice."""
        if self._pipe is None:
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, self._blocked_before)
        for signum, handler in self._before.items():
            if handler is not None:  # None: set outside Python, which Python cannot put back
                signal.signal(signum, handler)
        self._before.clear()
        signal.set_wakeup_fd(self._wakeup_before)
        self._remove_reader(self._pipe[0])
        for fd in self._pipe:
            os.close(fd)
        self._pipe = None
        self._tell()

    def pause(self) -> None:
        """Go on taking note, and tell nothing until `resume`."""
        if self._pipe is not None:
            self._remove_reader(self._pipe[0])

    def resume(
        self,
        add_reader: Callable[[int, Callable[[], None]], None],
        remove_reader: Callable[[int], None],
    ) -> None:
        """Go on in another loop; what was noted meanwhile is told there."""
        self._add_reader, self._remove_reader = add_reader, remove_reader
        if self._pipe is not None:
            self._add_reader(self._pipe[0], self.deliver)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        # One SIGCHLD says as much as a hundred; each of the others counts.
        if signum != signal.SIGCHLD or signum not in self._noted:
            self._noted.append(signum)

    def deliver(self) -> None:
        """Tell what was noted so far: done by the loop, and once more by what is about to leave it."""
        if self._pipe is None:
            return  # closed earlier in this pass of the loop
        try:
            os.read(self._pipe[0], 65536)
        except BlockingIOError:
            pass
        self._tell()

    def _tell(self) -> None:
        while self._noted:
            self._callback(self._noted.popleft())


def are_taken() -> bool:
    """Whether a `Signals` takes them already."""
    return isinstance(getattr(signal.getsignal(signal.SIGTERM), "__self__", None), Signals)


def _ignored_now() -> set[signal.Signals]:
    return {
        signum
        for signum in signal.valid_signals() - _UNTOUCHED
        if signal.getsignal(signum) is signal.SIG_IGN
    }


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    pass
