"""One run of an arbiter: what `start` opens and the end closes, in one place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from circus.loop import Loop
from circus.posix import limits, signals, tree
from circus.runtime.runtime import Runtime

if TYPE_CHECKING:
    from circus.arbiter import Arbiter
    from circus.sighandler import SysHandler
    from circus.wire.publisher import Publisher
    from circus.wire.server import RequestServer


class Asked(NamedTuple):
    """The addresses as somebody wrote them, before a port was chosen."""

    endpoint: str
    pubsub_endpoint: str
    owner: str | int | None


class Doors:
    """What stays open from one run to the next: requests and signals in between wait, and subscribers stay."""

    def __init__(
        self, asked: Asked, context: Any, server: RequestServer, publisher: Publisher, signals: SysHandler | None
    ) -> None:
        self.asked = asked
        self.context = context
        self.server = server
        self.publisher = publisher
        self.signals = signals

    def close(self) -> None:
        self.server.close()
        self.publisher.close()
        self.context.term()


class Session:
    """Sockets, children and signals. `left` is called in the loop when everything is down.

    In any other thread than the main one this is somebody's program, and its signals, resource limits, orphans and
    other children are not ours. Beside greenlets of a program, in the main thread, signals are.
    """

    def __init__(self, arbiter: Arbiter, loop: Loop, left: Callable[[], object]) -> None:
        self.loop = loop
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        self._is_guest = not self._in_main_thread or (loop.is_shared and not arbiter.is_daemon)
        self.runtime = Runtime(arbiter, arbiter.machine, loop, left, self._is_guest)
        self._arbiter = arbiter
        self._asked = Asked(arbiter.endpoint, arbiter.pubsub_endpoint, arbiter.endpoint_owner)
        self._own_context = arbiter.context is None
        self._resigns = False  # the program around us was no subreaper before
        self._publisher: Publisher | None = None
        self._signals: SysHandler | None = None

    def open(self) -> None:
        """Raises OSError if an endpoint is in use, and whatever else is wrong; then nothing stays open."""
        try:
            self._open_doors()
            self._begin()
        except BaseException:
            self.close()
            raise

    def _open_doors(self) -> None:
        arbiter, ctrl = self._arbiter, self._arbiter.ctrl
        ctrl.loop = self.loop
        ctrl.multicast_endpoint = arbiter.multicast_endpoint
        doors, arbiter.doors = arbiter.doors, None
        self._signals = doors.signals if doors is not None else None
        if doors is not None and doors.asked == self._asked:
            arbiter.context = ctrl.context = doors.context
            self._publisher = doors.publisher
            ctrl.start(doors.server)
        else:
            if doors is not None:
                doors.close()
            self._bind()
        assert self._publisher is not None
        arbiter.endpoint, arbiter.pubsub_endpoint = ctrl.endpoint, self._publisher.endpoint
        arbiter.evpub_socket = self._publisher.socket

    def _bind(self) -> None:
        import zmq

        from circus.wire.publisher import Publisher

        arbiter, ctrl = self._arbiter, self._arbiter.ctrl
        arbiter.context = ctrl.context = arbiter.context or zmq.Context()
        ctrl.endpoint, ctrl.endpoint_owner = self._asked.endpoint, _uid(self._asked.owner)
        ctrl.start()
        self._publisher = Publisher(arbiter.context, self._asked.pubsub_endpoint)
        self._publisher.start()

    def _begin(self) -> None:
        runtime = self.runtime
        if not self._is_guest:
            limits.raise_nofile()
            if not self._arbiter.is_daemon:
                runtime.spare_children()
                self._resigns = not tree.is_subreaper()
            runtime.adopts = tree.become_subreaper()
        # Of several arbiters in greenlets of one thread the first is told: they end in any order, and the last one
        # would put back what the others had put there.
        if self._in_main_thread and not (self._is_guest and signals.are_taken()):
            self._take_signals()
            runtime.hear_signals = self.hear_signals
        runtime.check_delay = self._arbiter.check_delay
        runtime.publisher = self._publisher
        runtime.umask = self._arbiter.umask
        for watcher in self._arbiter.watchers:
            runtime.attach(watcher)
        self.loop.add_turn(runtime.turn)

    def _take_signals(self) -> None:
        from circus.sighandler import SysHandler

        if self._signals is not None:
            self._signals.resume(self._arbiter.ctrl)
        else:
            self._signals = SysHandler(self._arbiter.ctrl, children=not self._is_guest)

    def hear_signals(self) -> None:
        """What came so far, without waiting for the loop: a signal of the last moment counts like one before."""
        if self._signals is not None:
            self._signals.flush()

    def close(self, keep_doors: bool = False) -> None:
        """With `keep_doors` the sockets stay open, as `arbiter.doors`, for the next arbiter."""
        arbiter = self._arbiter
        self.loop.remove_turn(self.runtime.turn)
        self.runtime.close()
        server = arbiter.ctrl.release() if keep_doors and self._own_context else None
        arbiter.ctrl.stop()
        if server is not None and self._publisher is not None:
            if self._signals is not None:
                self._signals.pause()
            arbiter.doors = Doors(self._asked, arbiter.context, server, self._publisher, self._signals)
            return
        if self._signals is not None:
            self._signals.stop()
        if self._resigns:
            tree.become_subreaper(False)
        self._close_sockets()

    def _close_sockets(self) -> None:
        if self._publisher is not None:
            self._publisher.close()
        self._arbiter.evpub_socket = None
        if self._own_context and self._arbiter.context is not None:
            self._arbiter.context.term()
            self._arbiter.context = None


def _uid(owner: str | int | None) -> int | None:
    if owner is None:
        return None
    from circus.posix.users import user_info

    return user_info(owner)[0]
