"""The statistics daemon: follows the events of circusd, looks at every process once a second, and publishes it.

Nothing is looked at without a subscriber: the socket is an XPUB, which is a PUB that tells who subscribes.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

import zmq

from circus.common.messages import event_frames
from circus.common.names import RELOAD, START, STOP, split_topic
from circus.exc import CallError
from circus.loop import Loop, Timer
from circus.posix.info import InfoCache
from circus.posix.parent import call_when_gone
from circus.stats.daemon import payload
from circus.stats.daemon.questions import ANSWER_TIMEOUT, Questions
from circus.stats.daemon.socket_watch import SocketWatch
from circus.stats.daemon.table import Member, Table
from circus.wire.endpoint import bind, connect
from circus.wire.polled import PolledSocket, taking, watch_tunnel

if TYPE_CHECKING:
    from circus.wire.tunnel import Tunnel

logger = logging.getLogger("circus")

ROUND_DELAY = 1.0  # seconds from one round to the next

# Seconds from one time everything is asked again to the next, in case an event was lost.
SYNC_DELAY = 60.0

# A round that comes so many seconds late: we were stopped, or the machine slept, and events may have been dropped.
AWAY_DELAY = 2.0

# Messages a slow subscriber may be behind: some rounds of a thousand processes. The usual 1,000 are not one.
BACKLOG = 20_000

# With these events of a watcher circusd may have closed sockets that it used.
_SOCKETS_MAY_HAVE_CHANGED = (START, STOP, RELOAD)


class Streamer:
    """Publishes at `statspoint` what the daemon at `endpoint` and `pubsub_endpoint` does. Everything in one thread."""

    def __init__(
        self,
        endpoint: str,
        pubsub_endpoint: str,
        statspoint: str,
        ssh_server: str | None = None,
        delay: float | None = None,
        loop: Loop | None = None,
        ssh_keyfile: str | None = None,
    ) -> None:
        self.loop = loop or Loop()
        self._delay = ROUND_DELAY if delay is None else delay
        self.statspoint = statspoint
        self._pubsub_endpoint = pubsub_endpoint
        self._ssh = (ssh_server, ssh_keyfile)
        self._tunnel: Tunnel | None = None
        self._failure: CallError | None = None
        self._questions = Questions(self.loop, endpoint, self._ssh, self._silent, self._fail)
        self._table = Table(os.getpid())
        self._cache = InfoCache()
        self._sockets = SocketWatch(self.loop)
        context: zmq.Context[Any] = zmq.Context.instance()
        self._events: zmq.Socket[bytes] = context.socket(zmq.SUB)
        self._output: zmq.Socket[bytes] = context.socket(zmq.XPUB)
        self._polled: list[PolledSocket] = []
        self._subscribed: set[bytes] = set()
        self._round: Timer | None = None
        self._sync_at = 0.0
        self._is_silent = False

    # ---- life ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until `stop`.

        Raises `EndpointError`, an OSError, or `CallError` for an unusable endpoint and a tunnel that has ended.
        """
        try:
            self._open()
            self._synchronise()
            self.loop.run()
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self.loop.stop()

    def _open(self) -> None:
        self._output.setsockopt(zmq.SNDHWM, BACKLOG)
        self.statspoint = bind(self._output, self.statspoint, "stats_endpoint")
        self._events.setsockopt(zmq.RCVHWM, 0)  # what has arrived here shall not be lost here
        self._events.setsockopt(zmq.SUBSCRIBE, b"watcher.")
        self._tunnel = connect(self._events, self._pubsub_endpoint, *self._ssh)
        watch_tunnel(self.loop, self._tunnel, self._fail)
        self._questions.open()
        for socket, take in ((self._events, self._take_event), (self._output, self._take_subscription)):
            self._polled.append(PolledSocket(self.loop, socket, taking(socket, take)))

    def _fail(self, error: CallError) -> None:
        self._failure = error
        self.stop()

    def _close(self) -> None:
        self._questions.close()
        for polled in self._polled:
            polled.close()
        self._events.close(linger=0)
        self._output.close(linger=0)
        self.loop.close()
        if self._tunnel is not None:
            self._tunnel.close()

    # ---- watchers and processes ----------------------------------------------------------------------------------

    def _take_event(self, frames: list[bytes]) -> None:
        _, watcher, event = split_topic(frames[0].decode(errors="replace"))
        try:
            pid = json.loads(frames[-1]).get("process_pid", 0)
        except (ValueError, AttributeError):
            return  # nothing of circusd's
        if self._table.happened(watcher, event, pid):
            self._ask_about(watcher)
        if self._sockets and event in _SOCKETS_MAY_HAVE_CHANGED:
            self._ask_about_sockets()

    def _synchronise(self) -> None:
        """Ask for everything."""
        self._sync_at = time.monotonic() + SYNC_DELAY
        self._questions.ask(self._daemon_told, "dstats")
        self._ask_about_sockets()
        self._questions.ask(self._watchers_told, "list")

    def _daemon_told(self, reply: dict[str, Any]) -> None:
        if self._is_silent:
            self._is_silent = False
            logger.info("circusd answers again")
        pid = (reply.get("info") or {}).get("pid")
        if pid is not None and pid == os.getppid() and pid != self._table.daemon_pid:
            call_when_gone(self.loop, pid, self._orphaned)
        self._table.daemon_pid = pid

    def _watchers_told(self, reply: dict[str, Any]) -> None:
        for watcher in self._table.listed(reply.get("watchers", ())):
            self._ask_about(watcher)

    def _ask_about(self, watcher: str) -> None:
        self._table.asked(watcher)
        self._questions.ask(lambda reply: self._table.answered(watcher, reply.get("pids")), "list", watcher)

    def _ask_about_sockets(self) -> None:
        self._questions.ask(lambda reply: self._sockets.told(reply.get("sockets", ())), "listsockets")

    def _silent(self) -> None:
        self._table.unanswered()
        if not self._is_silent:
            self._is_silent = True
            logger.warning("circusd does not answer; asking every %d s", ANSWER_TIMEOUT)
        self._synchronise()

    def _orphaned(self) -> None:
        logger.warning("circusd is gone: ending")
        self.stop()

    # ---- subscribers ---------------------------------------------------------------------------------------------

    def _take_subscription(self, frames: list[bytes]) -> None:
        """A byte, 1 for a new topic and 0 for one without subscribers now, and the topic."""
        kind, topic = frames[0][:1], frames[0][1:]
        if kind == b"\1":
            self._subscribed.add(topic)
        elif kind == b"\0":
            self._subscribed.discard(topic)
        if self._subscribed and self._round is None:
            self._begin()
        elif not self._subscribed and self._round is not None:
            self._round.cancel()
            self._round = None
        self._sockets.want(self._is_wanted(payload.topic(payload.SOCKETS).encode()))

    def _begin(self) -> None:
        """There is a subscriber. CPU use is told since the last look, so there is one now that is not published."""
        due_at = time.monotonic() + self._delay
        self._synchronise()
        self._look(publish=False)
        self._round = self.loop.call_at(due_at, lambda: self._publish_round(due_at))

    def _publish_round(self, due_at: float) -> None:
        now = time.monotonic()
        if now > due_at + AWAY_DELAY or now >= self._sync_at:
            self._synchronise()
        # Rounds that were missed are not made up for.
        next_at = due_at + self._delay * (1 + max(0, int((now - due_at) / self._delay)))
        self._round = self.loop.call_at(next_at, lambda: self._publish_round(next_at))
        self._look(publish=True)
        self._publish_sockets()

    def _publish_sockets(self) -> None:
        told = self._sockets.take() if self._is_wanted(payload.topic(payload.SOCKETS).encode()) else []
        for figures in told:
            self._send(payload.topic(payload.SOCKETS, figures["fd"]), figures)
        if told:
            self._send(payload.topic(payload.SOCKETS), payload.sockets(told))

    def _look(self, publish: bool) -> None:
        for group, members in self._table.groups().items():
            if self._is_wanted(payload.topic(group).encode()):
                told = [figures for member in members if (figures := self._look_at(group, member, publish)) is not None]
                if told and publish:
                    self._send(payload.topic(group), payload.total(told))

    def _is_wanted(self, topic: bytes) -> bool:
        """A client may have subscribed to a part of the topic, or to one below it."""
        return any(topic.startswith(wanted) or wanted.startswith(topic) for wanted in self._subscribed)

    def _look_at(self, group: str, member: Member, publish: bool) -> dict[str, Any] | None:
        """Figures of one process; None if it is gone."""
        figures = self._cache.info(member.pid)
        if figures is None:
            if member.pid == self._table.daemon_pid:
                self._synchronise()  # there may be another one already
            self._table.gone(member.pid)
        elif publish:
            self._send(payload.topic(group, member.pid), payload.process(figures, member.name))
        return figures

    def _send(self, topic: str, message: dict[str, Any]) -> None:
        try:
            self._output.send_multipart(event_frames(topic, message), zmq.NOBLOCK)
        except zmq.ZMQError as exc:
            logger.debug("figures could not be published: %s", exc)
