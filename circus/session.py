"""One run of an arbiter: what `start` opens and the end closes, in one place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from circus.loop import Loop
from circus.runtime import Runtime

if TYPE_CHECKING:
    from circus.arbiter import Arbiter
    from circus.server import Publisher


class Session:
    """Sockets, children and signals. `left` is called in the loop when everything is down.

    In any other thread than the main one this is somebody's program, and its signals, resource limits, orphans and
    other children are not ours.
    """

    def __init__(self, arbiter: Arbiter, loop: Loop, left: Callable[[], object]) -> None:
        self.loop = loop
        self.runtime = Runtime(arbiter, arbiter.machine, loop, left, self._is_guest())
        self._arbiter = arbiter
        self._own_context = arbiter.context is None
        self._publisher: Publisher | None = None
        self._signals: Any = None

    def _is_guest(self) -> bool:
        return threading.current_thread() is not threading.main_thread()

    def open(self) -> None:
        """Raises OSError if an endpoint is in use, and whatever else is wrong; then nothing stays open."""
        try:
            self._bind()
            self._begin()
        except BaseException:
            self.close()
            raise

    def _bind(self) -> None:
        import zmq

        from circus.server import Publisher

        arbiter, ctrl = self._arbiter, self._arbiter.ctrl
        arbiter.context = arbiter.context or zmq.Context()
        ctrl.loop, ctrl.context, ctrl.endpoint = self.loop, arbiter.context, arbiter.endpoint
        ctrl.multicast_endpoint = arbiter.multicast_endpoint
        ctrl.endpoint_owner = _uid(arbiter.endpoint_owner)
        ctrl.start()
        self._publisher = Publisher(arbiter.context, arbiter.pubsub_endpoint)
        self._publisher.start()
        arbiter.endpoint, arbiter.pubsub_endpoint = ctrl.endpoint, self._publisher.endpoint
        arbiter.evpub_socket = self._publisher.socket

    def _begin(self) -> None:
        from circus.posix import limits, tree

        runtime = self.runtime
        if not self._is_guest():
            limits.raise_nofile()
            runtime.adopts = tree.become_subreaper()
            self._signals = self._install_signals()
        runtime.check_delay = self._arbiter.check_delay
        runtime.publisher = self._publisher
        runtime.umask = self._arbiter.umask
        for watcher in self._arbiter.watchers:
            runtime.attach(watcher)
        self.loop.add_turn(runtime.turn)

    def _install_signals(self) -> Any:
        from circus.sighandler import SysHandler

        return SysHandler(self._arbiter.ctrl)

    def close(self) -> None:
        arbiter = self._arbiter
        self.loop.remove_turn(self.runtime.turn)
        self.runtime.close()
        arbiter.ctrl.stop()
        if self._publisher is not None:
            self._publisher.close()
            arbiter.evpub_socket = None
        if self._signals is not None:
            self._signals.stop()
        if self._own_context and arbiter.context is not None:
            arbiter.context.term()
            arbiter.context = None


def _uid(owner: str | int | None) -> int | None:
    if owner is None:
        return None
    from circus.posix.users import user_info

    return user_info(owner)[0]
