"""Our own children: learn of their deaths, take their exit codes, signal them. Never any other child.

waitpid(-1) would take the exit code away from a hook's subprocess or from the program that embeds us, so each
child is waited for by its pid. Where there are pid descriptors (pidfd_open(2), Linux 5.3) each death makes its
own descriptor readable: the cost of one death does not grow with the number of children, no signal handler is
needed, and it works in any thread. Elsewhere, and for a child that got no descriptor, the owner calls `reap_all`
(on SIGCHLD, or now and then).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

from circus.posix.limits import is_scarce, lift


class Children:
    """Not thread-safe: it belongs to the thread of the loop.

    `on_exit(pid, exit_code)`: the status, -N for signal N, None when other code has taken it. It is called
    once per pid, when the pid is free for others already.
    """

    def __init__(
        self,
        add_reader: Callable[[int, Callable[[], None]], None],
        remove_reader: Callable[[int], None],
        on_exit: Callable[[int, int | None], None],
    ) -> None:
        self._add_reader = add_reader
        self._remove_reader = remove_reader
        self._on_exit = on_exit
        self._pidfds: dict[int, int | None] = {}
        """Watched pid to its descriptor, if it has one."""
        self._blind: set[int] = set()
        """Those without: only `reap_all` sees them."""

    def __contains__(self, pid: object) -> bool:
        return pid in self._pidfds

    def __iter__(self) -> Iterator[int]:
        return iter(self._pidfds)

    def __len__(self) -> int:
        return len(self._pidfds)

    @property
    def needs_polling(self) -> bool:
        """Whether a death may stay unnoticed until `reap_all`."""
        return not hasattr(os, "pidfd_open") or bool(self._blind)

    def watch(self, pid: int) -> None:
        """From now on report its death, also if it is dead already. It must be a child of this process."""
        if pid in self._pidfds:
            return
        pidfd = _open(pid)
        self._pidfds[pid] = pidfd
        if pidfd is None:
            self._blind.add(pid)
        else:
            self._add_reader(pidfd, lambda: self._died(pid, pidfd))

    def reap_all(self) -> None:
        """Report every death so far: the way without descriptors, and the safety net with them."""
        while (dead := _peek()) in self._pidfds and self._collect(dead):
            pass
        # `dead` left over: a dead child that is not ours hides the rest from a peek, so each of ours is asked. The
        # blind ones are asked in any case: nothing else shows that other code has taken their exit code.
        for pid in list(self._pidfds if dead else self._blind):
            self._collect(pid)

    def signal(self, pid: int, signum: int) -> bool:
        """False if it is gone. A pid that was reported is never signalled: it may be another process's by now."""
        if pid not in self._pidfds:
            return False
        pidfd = self._pidfds[pid]
        try:
            if pidfd is not None:
                signal.pidfd_send_signal(pidfd, signum)
            else:
                os.kill(pid, signum)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        """Stop watching; the children live on."""
        for pid in list(self._pidfds):
            self._forget(pid)

    def _died(self, pid: int, pidfd: int) -> None:
        if self._pidfds.get(pid) != pidfd:
            return  # reported earlier in this pass of the loop
        if not self._collect(pid):
            # Dead, but kept from us by a tracer that has not looked yet. Its descriptor would wake the loop
            # without end; `reap_all` gets it later.
            self._release(pid)

    def _collect(self, pid: int) -> bool:
        """Reap and report it if it is dead."""
        if pid not in self._pidfds:
            return True  # reported meanwhile: on_exit may call us again
        try:
            reaped, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            self._forget(pid)
            self._on_exit(pid, None)
            return True
        if reaped == 0:
            return False
        self._forget(pid)
        self._on_exit(pid, os.waitstatus_to_exitcode(status))
        return True

    def _forget(self, pid: int) -> None:
        self._release(pid)
        del self._pidfds[pid]
        self._blind.discard(pid)

    def _release(self, pid: int) -> None:
        pidfd = self._pidfds[pid]
        if pidfd is not None:
            self._pidfds[pid] = None
            self._blind.add(pid)
            self._remove_reader(pidfd)
            os.close(pidfd)


def _open(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        pidfd = lift(os.pidfd_open(pid))
    except OSError:
        return None  # no descriptor left, an old kernel, or reaped by other code: reap_all finds out
    if is_scarce(pidfd):
        os.close(pidfd)
        return None
    return pidfd


def _peek() -> int:
    """The pid of some dead child, left in place; 0: there is none; -1: this system cannot tell."""
    if not hasattr(os, "waitid"):
        return -1
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return -1  # no child at all, so that ours, if we believe to have any, were reaped by other code
    return 0 if found is None else found.si_pid
