"""Requests to replies: finds the command, carries it out, answers once.

A command that takes time returns a future. A client that waits is answered when it is settled; one that does not
is answered at once, and a later failure is only logged.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from circus.commands import get_command, get_commands
from circus.commands.base import Answer, Command, Pending
from circus.common.convert import to_bytes
from circus.common.messages import BadRequest, Request, parse_request, reply_error, reply_ok, shortened
from circus.exc import (
    BAD_MSG_DATA_ERROR,
    COMMAND_ERROR,
    MESSAGE_ERROR,
    OS_ERROR,
    UNKNOWN_COMMAND,
    ConflictError,
    MessageError,
)
from circus.loop import Loop
from circus.wire.server import RequestServer

if TYPE_CHECKING:
    from circus.commands.protocols import Arbiter
    from circus.wire.discovery import Discovery

logger = logging.getLogger("circus")


class Controller:
    """Answers the control socket of one arbiter, which it hands to commands; sockets open with `start`.

    `check_delay` has no meaning any more.
    """

    def __init__(
        self,
        endpoint: str,
        multicast_endpoint: str | None,
        context: Any,
        loop: Loop | None,
        arbiter: Any,
        check_delay: float = 1.0,
        endpoint_owner: int | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.multicast_endpoint = multicast_endpoint
        self.context = context
        self.loop = loop
        self.arbiter: Arbiter = arbiter
        self.endpoint_owner = endpoint_owner
        self._server: RequestServer | None = None
        self._discovery: Discovery | None = None
        self._thread = 0  # that of the loop, in which requests arrive

    @property
    def commands(self) -> dict[str, Command]:
        return get_commands()

    def start(self, server: RequestServer | None = None) -> None:
        """Bind, or go on with the server of another controller. Raises `EndpointError`, an OSError."""
        assert self.loop is not None
        if server is None:
            server = RequestServer(self.context, self.endpoint, self.loop, self._received)
            server.start(self.endpoint_owner)
        else:
            server.resume(self.loop, self._received)
        self._server = server
        self.endpoint = server.endpoint
        if self.multicast_endpoint:
            from circus.wire.discovery import Discovery  # off unless configured

            self._discovery = Discovery(self.multicast_endpoint, self.endpoint, self.loop)
            self._discovery.start()

    def pause(self) -> None:
        """Let requests wait for the next user of the server."""
        if self._server is not None:
            self._server.pause()

    def release(self) -> RequestServer | None:
        """Let go of the server, which stays open for another controller to go on with."""
        server, self._server = self._server, None
        if server is not None:
            server.pause()
        return server

    def stop(self) -> None:
        for part in (self._server, self._discovery):
            if part is not None:
                part.close()
        self._server = self._discovery = None

    def dispatch(self, job: tuple[Any, Any]) -> None:
        """Carry out one request. `job` is (client identity or None, JSON text)."""
        identity, body = job
        self._received([identity] if identity else [], to_bytes(body))

    # ---- one request -------------------------------------------------------------------------------------------

    def _received(self, address: list[bytes], body: bytes) -> None:
        self._thread = threading.get_ident()
        try:
            request = parse_request(body)
        except BadRequest as exc:
            if not exc.cast:
                self._send(address, reply_error(exc.reason, exc.errno, exc.msg_id, None, time.time()))
            return
        answer = _Answer(self, address, request, body)
        command = get_command(request.command.lower())
        if command is None:
            answer.error(f"unknown command: {shortened(request.command)}", UNKNOWN_COMMAND)
            return
        try:
            command.validate(request.properties)
            result = command.execute(self.arbiter, request.properties)
        except (Exception, SystemExit) as exc:  # whatever a command raises is its reply; the daemon goes on
            answer.raised(exc)
        else:
            answer.give(result)

    def _send(self, address: list[bytes], body: bytes) -> None:
        """From any thread: `stats` is settled in one of its own, and ZeroMQ aborts when two threads use a socket."""
        if threading.get_ident() != self._thread and self.loop is not None:
            self.loop.post(lambda: self._deliver(address, body))
        else:
            self._deliver(address, body)

    def _deliver(self, address: list[bytes], body: bytes) -> None:
        if self._server is not None and address:
            self._server.send(address, body)


class _Answer:
    """The one reply to one request."""

    def __init__(self, controller: Controller, address: list[bytes], request: Request, body: bytes) -> None:
        self._controller = controller
        self._address = address
        self._request = request
        self._body = body

    def give(self, result: Any) -> None:
        """A result, or a future of one."""
        if isinstance(result, Answer):
            result.later.add_done_callback(self._settled)
        elif isinstance(result, Pending):
            self._begin(result.now, result.later)
        elif hasattr(result, "add_done_callback"):
            self._begin({}, result)
        elif isinstance(result, (Mapping, list, tuple)):
            self._send(reply_ok(result, self._request.msg_id, time.time()))
        elif result is None:
            self._send(reply_ok({}, self._request.msg_id, time.time()))
        else:
            self.error("server error", BAD_MSG_DATA_ERROR)

    def _begin(self, now: Mapping[str, Any], later: Any) -> None:
        if self._request.waiting and not self._request.cast:
            later.add_done_callback(self._settled)
        else:
            later.add_done_callback(self._log_failure)
            self.give(now)

    def _settled(self, future: Any) -> None:
        error = future.exception()
        if error is not None:
            self.raised(error)
        elif reason := _only_reason(future.result()):
            self.error(reason, COMMAND_ERROR)
        else:
            self.give(future.result())

    def _log_failure(self, future: Any) -> None:
        error = future.exception()
        if error is not None:
            logger.warning("%s: %s", self._request.command, error)

    def raised(self, exc: BaseException) -> None:
        if isinstance(exc, MessageError):
            self.error(str(exc), MESSAGE_ERROR)
        elif isinstance(exc, OSError):
            self.error(str(exc), OS_ERROR)
        elif isinstance(exc, ConflictError):
            self.error(str(exc), COMMAND_ERROR)
        else:
            text = "".join(traceback.format_exception(exc))
            logger.debug("%s failed: %s", self._request.command, text)
            self.error(f"command {shortened(self._body)}: {exc}", COMMAND_ERROR, text)

    def error(self, reason: str, errno: int, tb: str | None = None) -> None:
        if self._request.cast:
            logger.warning("%s: %s", self._request.command, reason)
        self._send(reply_error(reason, errno, self._request.msg_id, tb, time.time()))

    def _send(self, body: bytes) -> None:
        if not self._request.cast:
            self._controller._send(self._address, body)


def _only_reason(result: Any) -> str:
    """Why something did not come about, if that is all a reply has to say: then it is an error.

    Replies with keys of their own stay what they were for programs that read those: they are "ok" and have a `reason`.
    """
    is_alone = isinstance(result, Mapping) and result.keys() == {"reason"}
    return str(result["reason"]) if is_alone else ""
