"""Asking a running circusd: one request, one reply."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import zmq

from circus.common.messages import CAST
from circus.common.names import DEFAULT_ENDPOINT_DEALER
from circus.exc import INVALID_JSON, CallError
from circus.wire.endpoint import connect

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType
    from typing import Self

    from circus.wire.tunnel import Tunnel

__all__ = ["AsyncCircusClient", "CallError", "CircusClient", "cast_message", "make_json", "make_message"]

# Programs compare this text.
TIMED_OUT = "Timed out."

# A cast has no reply that proves its arrival: a client that is stopped right after one lets it leave first.
CAST_LINGER = 1000  # milliseconds

_TUNNEL_LOOK = 500  # milliseconds from one look at a tunnel to the next, where nothing wakes us when it ends


def make_message(command: str, **props: Any) -> dict[str, Any]:
    return {"command": command, "properties": props}


def cast_message(command: str, **props: Any) -> dict[str, Any]:
    """A request that gets no reply."""
    return {**make_message(command, **props), "msg_type": CAST}


def make_json(command: str, **props: Any) -> bytes:
    return json.dumps(make_message(command, **props)).encode()


class CircusClient:
    """A blocking client. Not to be shared between threads.

    `timeout` is in seconds, for each call as a whole; a negative one never ends. The attribute of that name is in
    milliseconds and may be changed. With `ssh_server`, `user@host[:port]`, the program ssh leads to the endpoint; the
    client waits until it has logged in. When that way is cut a call raises, and the next one makes another.
    """

    _zmq: Any = zmq  # `circus.green` has another one

    def __init__(
        self,
        context: zmq.Context[Any] | None = None,
        endpoint: str = DEFAULT_ENDPOINT_DEALER,
        timeout: float = 5.0,
        ssh_server: str | None = None,
        ssh_keyfile: str | None = None,
    ) -> None:
        self.context: zmq.Context[Any] = context or self._zmq.Context.instance()
        self.endpoint = endpoint
        self.timeout = timeout * 1000
        self.tunnel: Tunnel | None = None
        self._ssh = (ssh_server, ssh_keyfile)
        self._waiting: set[str] = set()  # ids of calls whose reply may still be wanted
        self._linger = 0
        self._open()

    def _open(self) -> None:
        self.socket: zmq.Socket[bytes] = _dealer(self.context)
        try:
            self.tunnel = connect(self.socket, self.endpoint, *self._ssh, self._zmq.Poller)
        except BaseException:
            self.socket.close()
            raise
        self.poller: zmq.Poller = self._zmq.Poller()
        self.poller.register(self.socket, zmq.POLLIN)
        if self.tunnel is not None:
            self.poller.register(self.tunnel.fileno(), zmq.POLLIN)

    @property
    def address(self) -> str:
        """Where the socket is connected to: the endpoint, or the near end of the tunnel to it."""
        return self.endpoint if self.tunnel is None else self.tunnel.address

    def send_message(self, command: str, **props: Any) -> dict[str, Any]:
        """The reply to `command` with these properties. Raises `CallError`."""
        return self.call(make_message(command, **props))

    def call(self, cmd: dict[str, Any] | str | bytes) -> dict[str, Any]:
        """The reply to a request, given as object or JSON text. An `id` is put into the object.

        An error reply is returned like any other. Raises `CallError`: `Timed out.`, or what is wrong with the
        request or the answer. A cast is sent and gets an empty reply.
        """
        pending = self.send(cmd)
        if pending is None:
            return {}
        try:
            return pending.receive(self.timeout / 1000)
        except CallError:
            pending.abandon()
            raise

    def send(self, cmd: dict[str, Any] | str | bytes) -> PendingCall | None:
        """Begin a call; the result waits for its reply. None for a cast, which needs a daemon that is there."""
        request = _as_request(cmd)
        call_id = request["id"] = os.urandom(16).hex()
        body = _encode(request)
        if self.is_cut:
            self.socket.close(linger=0)
            self._open()
        if request.get("msg_type") == CAST:
            self._find_daemon()
            self._linger = CAST_LINGER
            self._put(body)
            return None
        self._put(body)
        return PendingCall(self, call_id)

    def _put(self, body: bytes) -> None:
        try:
            self.socket.send(body, zmq.NOBLOCK)
        except zmq.ZMQError as exc:
            raise CallError(str(exc)) from exc

    def _find_daemon(self) -> None:
        with _prober(self.context, self.endpoint, self.tunnel) as prober:
            if not prober.poll(self.timeout if self.timeout >= 0 else None, zmq.POLLOUT):
                raise CallError(TIMED_OUT)

    @property
    def is_cut(self) -> bool:
        """Whether there is a tunnel, but no way through it any more."""
        return self.tunnel is not None and not self.tunnel.is_open

    def _renew(self) -> None:
        """Another socket. What the old one could not deliver is not carried out when a daemon starts, minutes later."""
        self.poller.unregister(self.socket)
        self.socket.close(linger=self._linger)
        if self.is_cut:
            return  # the next request makes another tunnel as well
        self.socket = _dealer(self.context)
        _attach(self.socket, self.endpoint, self.tunnel)
        self.poller.register(self.socket, zmq.POLLIN)

    def stop(self) -> None:
        self.socket.close(linger=self._linger)
        if self.tunnel is not None:
            self.tunnel.close(self._linger / 1000)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class PendingCall:
    """A request on its way."""

    def __init__(self, client: CircusClient, call_id: str) -> None:
        self._client = client
        self._id = call_id
        client._waiting.add(call_id)

    def receive(self, timeout: float) -> dict[str, Any]:
        """The reply. After `timeout` seconds `CallError("Timed out.")`; the call may be waited for again."""
        end_at = time.monotonic() + timeout if timeout >= 0 else None

        def left() -> int | None:
            # Rounded up: a wait of 0 ms before the end would spin.
            return None if end_at is None else max(0, int((end_at - time.monotonic()) * 1000) + 1)

        client = self._client
        if client.tunnel is not None:
            client.tunnel.check()
        while ready := dict(client.poller.poll(left())):
            if client.tunnel is not None and client.socket not in ready:
                client.tunnel.check()
                continue
            reply = _parse(client.socket.recv_multipart())
            if _answers(reply, self._id):
                client._waiting.discard(self._id)
                return reply
        raise CallError(TIMED_OUT)

    def abandon(self) -> None:
        """The reply is not wanted any more, nor the request to be carried out if it could not be delivered."""
        if self._id in self._client._waiting:
            self._client._waiting.discard(self._id)
            if not self._client._waiting:
                self._client._renew()


class AsyncCircusClient:
    """For asyncio programs; calls may overlap. There is no time-out: use `asyncio.wait_for`.

    With `ssh_server` it is the constructor that waits until ssh has logged in.
    """

    def __init__(
        self,
        context: zmq.Context[Any] | None = None,
        endpoint: str = DEFAULT_ENDPOINT_DEALER,
        timeout: float = 5.0,
        ssh_server: str | None = None,
        ssh_keyfile: str | None = None,
    ) -> None:
        import zmq.asyncio

        shadowed = context or zmq.Context.instance()
        self.context = zmq.asyncio.Context(shadowed)
        self.endpoint = endpoint
        self.timeout = timeout * 1000  # kept for the signature's sake
        self.socket: zmq.asyncio.Socket = _dealer(self.context)
        try:
            self.tunnel = connect(self.socket, endpoint, ssh_server, ssh_keyfile)
        except BaseException:
            self.socket.close()
            raise
        self._linger = 0
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def send_message(self, command: str, **props: Any) -> dict[str, Any]:
        return await self.call(make_message(command, **props))

    async def call(self, cmd: dict[str, Any] | str | bytes) -> dict[str, Any]:
        """As `CircusClient.call`."""
        import asyncio

        request = _as_request(cmd)
        call_id = request["id"] = os.urandom(16).hex()
        body = _encode(request)
        if request.get("msg_type") == CAST:
            with _prober(self.context, self.endpoint, self.tunnel) as prober:
                await self._poll(prober, zmq.POLLOUT)
            self._linger = CAST_LINGER
            await self.socket.send(body)
            return {}
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[call_id] = reply
        try:
            await self.socket.send(body)
            if self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._read())
            return await reply
        finally:
            self._replies.pop(call_id, None)
            if not self._replies and (not reply.done() or reply.cancelled()):
                self._renew()

    def _renew(self) -> None:
        """As that of `CircusClient`."""
        self._close()
        self.socket = _dealer(self.context)
        _attach(self.socket, self.endpoint, self.tunnel)

    async def _read(self) -> None:
        """One reader for all calls: a reply goes to the thread that asked, not to the one that happens to wait."""
        try:
            while self._replies:
                await self._poll(self.socket, zmq.POLLIN)
                reply = _parse(await self.socket.recv_multipart())
                call_id = next((key for key in self._replies if _answers(reply, key)), None)
                if call_id is not None and not (waiter := self._replies.pop(call_id)).done():
                    waiter.set_result(reply)
        except Exception as exc:  # must not be lost with the task: the callers would wait for ever
            self._fail(exc)

    def _fail(self, error: Exception) -> None:
        for waiter in self._replies.values():
            if not waiter.done():
                waiter.set_exception(error)
        self._replies.clear()

    async def _poll(self, socket: Any, event: int) -> None:
        """Wait for the event, looking every now and then whether the tunnel, if there is one, is still there."""
        if self.tunnel is None:
            await socket.poll(None, event)
            return
        self.tunnel.check()
        while not await socket.poll(_TUNNEL_LOOK, event):
            self.tunnel.check()

    def stop(self) -> None:
        self._fail(CallError("the client was stopped"))
        self._close()
        if self.tunnel is not None:
            self.tunnel.close(self._linger / 1000)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        self.socket.close(linger=self._linger)


def _dealer(context: Any) -> Any:
    """A DEALER of this context; which class it is depends on the context's.

    Not IMMEDIATE: such a socket throws away what it has received but was not read yet when the other end goes,
    and the last thing a daemon says is the reply to `quit`.
    """
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.IDENTITY, os.urandom(16).hex().encode())
    socket.setsockopt(zmq.LINGER, 0)
    return socket


def _attach(socket: Any, endpoint: str, tunnel: Tunnel | None) -> None:
    if tunnel is None:
        connect(socket, endpoint)
    else:
        tunnel.connect(socket)


def _prober(context: Any, endpoint: str, tunnel: Tunnel | None) -> Any:
    """A socket that can be written to (POLLOUT) as soon as its connection is taken."""
    socket = _dealer(context)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    _attach(socket, endpoint, tunnel)
    return socket


def _as_request(cmd: dict[str, Any] | str | bytes) -> dict[str, Any]:
    if isinstance(cmd, (str, bytes)):
        try:
            cmd = json.loads(cmd)
        except ValueError as exc:
            raise CallError(f"the request is not JSON: {exc}") from exc
    if not isinstance(cmd, dict):
        raise CallError(f"a request is an object, not {cmd!r}")
    return cmd


def _encode(request: dict[str, Any]) -> bytes:
    try:
        return json.dumps(request).encode()
    except (TypeError, ValueError) as exc:
        raise CallError(f"the request cannot be written as JSON: {exc}") from exc


def _parse(frames: list[bytes]) -> dict[str, Any]:
    """The reply in these frames. Raises `CallError` for what is none."""
    try:
        reply = json.loads(frames[-1])
    except (ValueError, RecursionError) as exc:
        raise CallError(f"the answer is not JSON: {exc}") from exc
    if not isinstance(reply, dict):
        raise CallError(f"the answer is not an object but {str(reply)[:80]!r}")
    return reply


def _answers(reply: dict[str, Any], call_id: str) -> bool:
    # The oldest daemons send no id at all, and none can echo that of a body it could not read.
    unreadable = reply.get("id") is None and reply.get("errno") == INVALID_JSON
    return unreadable or reply.get("id", call_id) == call_id
