"""The base of all plugins: follows the events of a circusd and gives it commands, all in one thread."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import zmq

from circus.common.convert import to_bool
from circus.common.names import split_topic
from circus.exc import CallError
from circus.loop import Loop, Timer
from circus.wire.client import CircusClient, cast_message, make_message
from circus.wire.endpoint import connect
from circus.wire.polled import PolledSocket, taking, watch_tunnel

if TYPE_CHECKING:
    from circus.wire.tunnel import Tunnel

logger = logging.getLogger("circus")

# How often a call that waits looks whether it is still worth it.
_LOOK_DELAY = 0.5


class CircusPlugin:
    """Base of all plugins. `config` holds the keys of the section, all of them text, and `name`, `plugin:NAME`.

    Besides events a plugin may use `loop` (`circus.loop.Loop`) for timers and descriptors.
    """

    name = ""

    def __init__(
        self,
        endpoint: str,
        pubsub_endpoint: str,
        check_delay: float,
        ssh_server: str | None = None,
        **config: Any,
    ) -> None:
        self.daemon = True
        self.config = config
        self.active = to_bool(config.get("active", True))
        self.endpoint = endpoint
        self.pubsub_endpoint = pubsub_endpoint
        self.check_delay = check_delay
        self.ssh_server = ssh_server
        self.ssh_keyfile: str | None = None
        self.running = False
        self.loop = _new_loop()
        self.loop.make_current()  # for what is begun before it runs, in `handle_init` or `initialize`
        self.context: zmq.Context[Any] | None = None
        self.sub_socket: zmq.Socket[bytes] | None = None
        self.substream: zmq.Socket[bytes] | None = None
        self._client: CircusClient | None = None
        self._tunnel: Tunnel | None = None
        self._failure: CallError | None = None
        self._polled: PolledSocket | None = None
        self._parent = os.getppid()
        self._is_asked_to_stop = False
        self._on_stopping: Callable[[], object] = lambda: None  # what runs us may limit the time from here on

    # ---- to be overridden ----------------------------------------------------------------------------------------

    def handle_init(self) -> None:
        """Called once, before the first event."""

    def handle_recv(self, data: list[bytes]) -> None:
        """Called with each event as `[topic, JSON object]`; see `split_data` and `load_message`."""
        raise NotImplementedError(f"{type(self).__name__} has no handle_recv")

    def handle_stop(self) -> None:
        """Called once, before the end, also when it comes by a signal. After 5 seconds the process ends without it."""

    # ---- for use in handlers and timers --------------------------------------------------------------------------

    def call(self, command: str, **props: Any) -> dict[str, Any]:
        """The reply of circusd to a command; waits as long as it takes. CallError if nothing is left to wait for."""
        pending = self.client.send(make_message(command, **props))
        while pending is not None:
            try:
                return pending.receive(_LOOK_DELAY)
            except CallError:
                if self._is_pointless() or self.client.is_cut:
                    pending.abandon()
                    raise
        return {}

    def cast(self, command: str, **props: Any) -> None:
        """A command whose outcome is not waited for."""
        self.client.call(cast_message(command, **props))

    def every(self, delay: float, function: Callable[[], object]) -> Repeated:
        """Call `function` every `delay` seconds from now on, until the plugin stops or the result is cancelled."""
        return Repeated(self.loop, delay, function)

    @staticmethod
    def split_data(data: Sequence[bytes]) -> tuple[str, str, bytes]:
        """Res name of the watcher, event, and JSON text of what `handle_recv` was given."""
        topic, message = data
        _, watcher, event = split_topic(topic.decode())
        return watcher, event, message

    @staticmethod
    def load_message(msg: bytes | str) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(msg)
        return message

    @property
    def client(self) -> CircusClient:
        """The connection for calls, made when it is first needed."""
        if self._client is None:
            self._client = CircusClient(
                self.context, self.endpoint, ssh_server=self.ssh_server, ssh_keyfile=self.ssh_keyfile
            )
        return self._client

    def _is_pointless(self) -> bool:
        """To wait for an answer: circusd, our parent, is gone or wants us to end."""
        return self._is_asked_to_stop or os.getppid() != self._parent

    # ---- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Follow events until `stop`. ValueError if `active` is false; CallError when an ssh tunnel has ended."""
        if not self.active:
            raise ValueError("Will not start an inactive plugin")
        try:
            self._guard(self.handle_init)
            self.initialize()
            self.running = True
            self.loop.run()
        finally:
            self.running = False
            self._close()
        if self._failure is not None:
            raise self._failure

    def initialize(self) -> None:
        """Connect to the events."""
        self.context = self.context or zmq.Context.instance()
        self.sub_socket = self.substream = self.context.socket(zmq.SUB)
        # No limit: the daemon's side is bounded already, and what has arrived here shall not be lost here.
        self.sub_socket.setsockopt(zmq.RCVHWM, 0)
        self.sub_socket.setsockopt(zmq.SUBSCRIBE, b"watcher.")
        self._tunnel = connect(self.sub_socket, self.pubsub_endpoint, self.ssh_server, self.ssh_keyfile)
        watch_tunnel(self.loop, self._tunnel, self._cut_off)
        self._polled = PolledSocket(self.loop, self.sub_socket, taking(self.sub_socket, self._receive))

    def _cut_off(self, error: CallError) -> None:
        self._failure = error
        self.stop()

    def stop(self) -> None:
        """End `start` after the current handler; `handle_stop` is called first."""
        if self.running:
            self.running = False
            self._on_stopping()
            self._guard(self.handle_stop)
            self.loop.stop()

    def _receive(self, frames: list[bytes]) -> None:
        if self.running:  # what comes after the stop is dropped
            self._guard(self.handle_recv, frames)

    def _guard(self, call: Callable[..., object], *args: Any) -> None:
        """Whatever a handler raises, the plugin goes on."""
        try:
            call(*args)
        except Exception:
            logger.exception("%s: error in a handler; going on", self.name or type(self).__name__)

    def _close(self) -> None:
        if self._polled is not None:
            self._polled.close()
        if self.sub_socket is not None:
            self.sub_socket.close(linger=0)
        if self._client is not None:
            self._client.stop()
        self.loop.close()
        if self._tunnel is not None:
            self._tunnel.close()


class Repeated:
    """A timer that goes on. What the function raises is logged by the loop."""

    def __init__(self, loop: Loop, delay: float, function: Callable[[], object]) -> None:
        self._loop = loop
        self._delay = delay
        self._function = function
        self._timer: Timer = loop.call_later(delay, self._fire)

    def _fire(self) -> None:
        # First, so that it goes on if the function raises.
        self._timer = self._loop.call_later(self._delay, self._fire)
        self._function()

    def cancel(self) -> None:
        self._timer.cancel()

    stop = cancel  # what existing plugins call it


def _new_loop() -> Loop:
    """Plugins written for Circus 0.19 may use tornado's timers; such a plugin has loaded it by now."""
    if "tornado.ioloop" not in sys.modules:
        return Loop()
    from circus.plugins.tornado_loop import TornadoLoop

    return TornadoLoop()
