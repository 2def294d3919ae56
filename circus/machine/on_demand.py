"""Sleeping: a watcher that is wanted and has no process until a connection waits at one of its sockets.

Whether it may be woken is said by others: not while all its worker numbers wait after a crash. A round that ended well
and has left the connection waiting is followed by another one, so such rounds in a row are paced here.
"""

from __future__ import annotations

from circus.machine.actions import Listen
from circus.machine.context import Context
from circus.machine.deadlines import Timer
from circus.options.socket_use import socket_use
from circus.options.table import WatcherSpec

# From one wake to the next; doubles with each round in a row that left a connection waiting. A program that takes one
# connection and ends is not held up by the first, and one that takes none costs one start a second by the last.
FIRST_WAKE_DELAY = 0.1
LAST_WAKE_DELAY = 1.0


class OnDemand:
    """Whether the sockets are watched, and whether a connection was seen. Also a running watcher may listen."""

    __slots__ = ("_context", "_free_at", "_is_listening", "_listened_at", "_rounds", "is_called")

    def __init__(self, context: Context) -> None:
        self._context = context
        self.is_called = False  # a connection waits
        self._is_listening = False
        self._listened_at = 0.0
        self._rounds = 0  # in a row, each of which left a connection waiting
        self._free_at = 0.0  # not woken before

    def sleeps(self, now: float, may_wake: bool) -> bool:
        """Of a watcher that is wanted and stopped: whether it goes on sleeping. If so it listens, as soon as it may."""
        if not self._context.spec.on_demand:
            self.rest()
            return False
        if self.is_called and may_wake:
            self._wake(now)
            return False
        self.is_called = False  # whoever still waits is told of again
        if not may_wake:
            self.hush()
        elif self._free_at > now:
            self._context.deadlines.set((Timer.WAKE, 0), self._free_at)
        else:
            self.listen(now)
        return True

    def _wake(self, now: float) -> None:
        self.is_called = False
        waited = now - self._listened_at < FIRST_WAKE_DELAY  # it was there before anybody listened
        self._rounds = self._rounds + 1 if waited else 0
        self._free_at = now + min(FIRST_WAKE_DELAY * 2.0 ** min(self._rounds, 16), LAST_WAKE_DELAY)
        self._context.log("info", f"{self._context.name}: a connection waits")

    def crashed(self) -> None:
        """This round did not end well: how fast the next may follow is for the backoff to say."""
        self._free_at = 0.0

    def listen(self, now: float) -> None:
        """Be told of the next connection, or of one that waits."""
        if not self._is_listening:
            self._is_listening = True
            self._listened_at = now
            self._context.out.append(Listen(self._context.key, True))

    def heard(self) -> bool:
        """A connection waits. The sockets are not watched any more. False if it is too late to matter."""
        was_listening, self._is_listening = self._is_listening, False
        return was_listening

    def hush(self) -> None:
        """No connection matters for now."""
        self.is_called = False
        if self._is_listening:
            self._is_listening = False
            self._context.out.append(Listen(self._context.key, False))

    def rest(self) -> None:
        """It is not to sleep: nothing of its sleep is remembered."""
        self.hush()
        self._rounds = 0
        self._free_at = 0.0
        self._context.deadlines.set((Timer.WAKE, 0), None)

    def change(self, old: WatcherSpec, now: float) -> None:
        """It has another spec: perhaps other sockets are meant."""
        if self._is_listening and socket_use(old) != socket_use(self._context.spec):
            self.hush()
            self.listen(now)

    def reason(self) -> str:
        """For people: what it waits for."""
        names = " or ".join(sorted(socket_use(self._context.spec).named()))
        return f"waits for a connection{names and f' to {names}'}"
