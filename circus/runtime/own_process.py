"""A program that is started by hand: spawned, reaped, and ended with all below it, by its caller."""

from __future__ import annotations

import os
import signal
import time

from circus.posix import tree
from circus.posix.launch import Child, Launch
from circus.posix.processes import ProcessEntry, look
from circus.posix.spawn import spawn
from circus.runtime.offspring import Remembered, Worker

# How often it is asked whether it has ended, while a caller waits, in seconds.
POLL_DELAY = 0.01

# SIGKILL ends everything but a process that hangs in the kernel, which is not waited for, in seconds.
KILL_TIMEOUT = 5.0


class OwnProcess:
    """Raises `circus.exc.SpawnError` if the program cannot be started."""

    def __init__(self, launch: Launch) -> None:
        self.child: Child = spawn(launch)
        self.pid = self.child.pid
        self.exit_code: int | None = None
        self.ended = False

    def poll(self) -> int | None:
        """Exit code (-N for signal N) if it has ended, else None."""
        if self.ended:
            return self.exit_code
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            self.ended = True  # other code has reaped it
            return None
        if pid:
            self.ended, self.exit_code = True, os.waitstatus_to_exitcode(status)
        return self.exit_code

    def wait(self, timeout: float | None = None) -> int | None:
        """Exit code once it has ended. TimeoutError after `timeout` seconds."""
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None and not self.ended and look(self.pid) is not None:
            if give_up_at is not None and time.monotonic() >= give_up_at:
                raise TimeoutError(f"[{self.pid}] still runs after {timeout} s")
            time.sleep(POLL_DELAY)
        return self.exit_code

    def send_signal(self, signum: int) -> None:
        """Nothing happens if it has ended in the meantime, which is what a signal usually asks for."""
        if self.poll() is None and not self.ended:
            os.kill(self.pid, signum)  # not reaped yet, so the pid is still its own

    def end(self, graceful_timeout: float) -> None:
        """SIGTERM; SIGKILL after the graceful timeout. The same for its descendants, of which it may be the shell."""
        offspring, worker = Remembered(), Worker(self.pid, 0, 0, None)
        kill_at = time.monotonic() + graceful_timeout
        offspring.before_signal(worker)
        self.send_signal(signal.SIGTERM)
        try:
            self.wait(graceful_timeout)
        except TimeoutError:
            offspring.before_signal(worker)
            self.send_signal(signal.SIGKILL)
            self.wait()
        _end_all(offspring, worker, kill_at)


def _end_all(offspring: Remembered, worker: Worker, kill_at: float) -> None:
    """What it has left: SIGTERM, and SIGKILL from `kill_at` on."""

    def left() -> list[ProcessEntry]:
        return [entry for entry in offspring.left_by(worker, []) if not entry.is_zombie]

    found = left()
    tree.kill_tree(found, signal.SIGTERM)
    while found and time.monotonic() < kill_at + KILL_TIMEOUT:
        if time.monotonic() >= kill_at:
            tree.kill_tree(found, signal.SIGKILL)
        time.sleep(POLL_DELAY)
        found = left()
