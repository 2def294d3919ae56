"""One run of an arbiter: what its start opens and its end closes, in one place."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import zmq

from circus.control.controller import Controller
from circus.control.daemon_signals import DaemonSignals, Meanings
from circus.loop import Loop
from circus.options.table import CircusSpec
from circus.posix import limits, signals, tree
from circus.posix.process_name import DAEMON, set_process_name
from circus.posix.users import user_id
from circus.runtime.runtime import Runtime
from circus.wire.publisher import Publisher
from circus.wire.server import RequestServer

if TYPE_CHECKING:
    from circus.sockets.collection import CircusSockets

class Asked(NamedTuple):
    """The addresses as they were written, before a port was chosen."""

    endpoint: str
    pubsub_endpoint: str
    owner: str | int | None


class Listeners(NamedTuple):
    """What stays open from one run to the next: requests and signals in between wait, and subscribers stay."""

    asked: Asked
    context: zmq.Context[Any]
    server: RequestServer
    publisher: Publisher
    signals: DaemonSignals | None
    sockets: CircusSockets | None

    def close(self) -> None:
        """All but the managed sockets: each is kept or closed for itself, see `CircusSockets.take_over`."""
        self.server.close()
        self.publisher.close()
        self.context.term()

    def only_sockets(self) -> Listeners:
        """What is left by a run that cannot open what it needs: it closes the rest, which is to be bound anew."""
        return self._replace(asked=Asked("", "", None), signals=None)

    def close_sockets(self) -> None:
        if self.sockets is not None:
            self.sockets.close_all()


class Session:
    """Sockets, children and signals of one run.

    In any other thread than the main one the program is another's, and its signals, resource limits, orphans and
    other children are not ours. Beside greenlets of a program, in the main thread, signals are. `context` is the
    caller's, or None for one of our own; after `open`, `publisher` and `context` are those in use. `sockets` gives the
    managed ones as they are, None if there are none.
    """

    def __init__(
        self,
        loop: Loop,
        settings: CircusSpec,
        controller: Controller,
        context: zmq.Context[Any] | None,
        is_daemon: bool = False,
        sockets: Callable[[], CircusSockets | None] = lambda: None,
    ) -> None:
        self.loop = loop
        self._managed = sockets
        self.context = context
        self.publisher: Publisher | None = None
        self.is_guest = not _in_main_thread() or (loop.is_shared and not is_daemon)
        self._is_daemon = is_daemon
        self._controller = controller
        self._asked = Asked(settings.endpoint, settings.pubsub_endpoint, settings.endpoint_owner)
        self._multicast_endpoint = settings.multicast_endpoint
        self._debugs_gc = settings.debug_gc
        self._process_name = settings.proc_name or DAEMON
        self._own_context = context is None
        self._resigns = False  # the program around us was no subreaper before
        self._runtime: Runtime | None = None
        self._signals: DaemonSignals | None = None

    def open(self, runtime: Runtime, meanings: Meanings, kept: Listeners | None = None) -> None:
        """Bind, or go on with what an earlier run has kept open; then take over children and signals.

        Raises OSError if an endpoint or a managed socket is in use, and whatever else is wrong; then nothing stays
        open but the managed sockets in `kept` that this run would have kept, or that it did not come to.
        """
        self._runtime = runtime
        try:
            self._listen(kept)
            self._open_sockets(kept)
            self._begin(runtime, meanings)
        except BaseException:
            self.close()
            raise

    def _listen(self, kept: Listeners | None) -> None:
        self._controller.loop = self.loop
        self._controller.multicast_endpoint = self._multicast_endpoint
        self._signals = kept.signals if kept is not None else None
        if kept is not None and kept.asked == self._asked:
            self.context = self._controller.context = kept.context
            self.publisher = kept.publisher
            self._controller.start(kept.server)
        else:
            if kept is not None:
                kept.close()
            self._bind()

    def _open_sockets(self, kept: Listeners | None) -> None:
        before = kept.sockets if kept is not None else None
        sockets = self._managed()
        taken = sockets.take_over(before) if before is not None and sockets is not None else []
        if before is not None:
            before.close_all()  # first: another may want the address
        if sockets is None:
            return
        try:
            sockets.bind_and_listen_all()
        except OSError:
            if before is not None:
                sockets.give_back(before, taken)
            raise

    def _bind(self) -> None:
        controller = self._controller
        self.context = controller.context = self.context or zmq.Context()
        controller.endpoint = self._asked.endpoint
        controller.endpoint_owner = None if self._asked.owner is None else user_id(self._asked.owner)
        controller.start()
        self.publisher = Publisher(self.context, self._asked.pubsub_endpoint)
        self.publisher.start()

    def _begin(self, runtime: Runtime, meanings: Meanings) -> None:
        if not self.is_guest:
            limits.raise_nofile()
            if not self._is_daemon:
                runtime.workers.spare_children()
                self._resigns = not tree.is_subreaper()
            runtime.workers.adopts = tree.become_subreaper()
            if self._is_daemon or self._process_name != DAEMON:  # which is what a program says that says nothing
                set_process_name(self._process_name)
        # Of several arbiters in greenlets of one thread the first is told: they end in any order, and the last one
        # would put back what the others had put there.
        if _in_main_thread() and not (self.is_guest and signals.are_taken()):
            self._take_signals(meanings)
            runtime.workers.hear_signals = self.hear_signals
        if self._debugs_gc:
            gc.set_debug(gc.DEBUG_STATS | gc.DEBUG_COLLECTABLE | gc.DEBUG_UNCOLLECTABLE)
        runtime.publisher = self.publisher
        self.loop.add_turn(runtime.turn)

    def _take_signals(self, meanings: Meanings) -> None:
        if self.is_guest:
            meanings = meanings._replace(on_child=None)
        if self._signals is not None:
            self._signals.resume(self.loop, meanings)
        else:
            self._signals = DaemonSignals(self.loop, meanings)

    def hear_signals(self) -> None:
        """What came so far, without waiting for the loop: a signal of the last moment counts like one before."""
        if self._signals is not None:
            self._signals.flush()

    def close(self, keep: bool = False) -> Listeners | None:
        """With `keep` the sockets stay open, and are returned for the next run."""
        if self._runtime is not None:
            self.loop.remove_turn(self._runtime.turn)
            self._runtime.close()
        server = self._controller.release() if keep and self._own_context else None
        self._controller.stop()
        if server is not None and self.publisher is not None and self.context is not None:
            if self._signals is not None:
                self._signals.pause()
            return Listeners(self._asked, self.context, server, self.publisher, self._signals, self._managed())
        sockets = self._managed()
        if sockets is not None:
            sockets.close_all()
        if self._signals is not None:
            self._signals.stop()
        if self._resigns:
            tree.become_subreaper(False)
        self._close_sockets()
        return None

    def _close_sockets(self) -> None:
        publisher, self.publisher = self.publisher, None
        if publisher is not None:
            publisher.close()
        if self._own_context and self.context is not None:
            self.context.term()
            self.context = None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
