"""Why circusd does not answer, found out within a second by looking at the endpoint from outside.

ZeroMQ hides all of this: a socket that connects to nothing looks like one whose daemon is busy. So the endpoint is
tried once with a plain socket. libzmq greets a connection from a thread of its own, however busy the program is;
from a greeting one can tell a busy daemon from a suspended one, from an event endpoint and from a web server.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from circus.exc import CallError
from circus.wire.client import TIMED_OUT, CircusClient, PendingCall

if TYPE_CHECKING:
    from circus.posix.peers import Peer
    from circus.wire.tunnel import Tunnel

# A daemon may be just starting: when none is there, this many seconds pass until a second look.
SECOND_LOOK = 0.5

WAIT = "wait"  # alive, or nothing is known against it
RETRY = "retry"  # none there: a daemon may be just starting
FAIL = "fail"  # waiting changes nothing

_CONTROL = "check --endpoint and the `endpoint` of circusd's configuration"
_START = f"start circusd, or {_CONTROL}"

# ZMTP 3.0 (rfc.zeromq.org/spec/23): signature, version, mechanism, as-server, filler.
_GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)


class Finding(NamedTuple):
    verdict: str
    text: str  # one line: what is wrong, and what to do about it
    socket_type: str = ""  # ROUTER, PUB, ... if a ZeroMQ socket greeted


class NoAnswer(CallError):
    """A call without a reply; `hint` says why, as far as it can be known. The text stays `Timed out.`"""

    def __init__(self, finding: Finding, timed_out: bool) -> None:
        super().__init__(TIMED_OUT)
        self.hint = finding.text
        self.alive = finding.verdict == WAIT and bool(finding.socket_type)
        self.timed_out = timed_out  # False: given up early, waiting would have been useless


def wait_on(client: CircusClient, pending: PendingCall, end_at: float | None) -> dict[str, Any]:
    """The reply of a call that was slow so far, waited for only while there is hope.

    `end_at` is monotonic, None for ever. Raises `NoAnswer`, and `CallError` for an answer that is none.
    """
    finding = diagnose(client.endpoint, client.tunnel)
    if finding.verdict == RETRY and (end_at is None or time.monotonic() + SECOND_LOOK < end_at):
        reply = _receive(pending, SECOND_LOOK)
        if reply is not None:
            return reply
        finding = diagnose(client.endpoint, client.tunnel)
        if finding.verdict == RETRY:
            raise NoAnswer(finding, timed_out=False)
    if finding.verdict == FAIL:
        raise NoAnswer(finding, timed_out=False)
    reply = _receive(pending, -1 if end_at is None else max(0.0, end_at - time.monotonic()))
    if reply is not None:
        return reply
    raise NoAnswer(diagnose(client.endpoint, client.tunnel), timed_out=True)


def _receive(pending: PendingCall, timeout: float) -> dict[str, Any] | None:
    try:
        return pending.receive(timeout)
    except CallError as exc:
        if str(exc) != TIMED_OUT:
            raise
    return None


def diagnose(endpoint: str, tunnel: Tunnel | None = None, patience: float = 0.4) -> Finding:
    """What is wrong at a control endpoint. Takes at most about twice `patience` seconds."""
    if tunnel is not None:
        return _look_through(tunnel, patience)
    scheme, _, rest = endpoint.partition("://")
    if scheme == "ipc":
        return _look(endpoint, socket.AF_UNIX, "\0" + rest[1:] if rest.startswith("@") else rest, patience)
    if scheme == "tcp":
        host, _, port = rest.rpartition(":")
        try:
            # The port is checked first: the resolver would take it modulo 65536.
            if not 0 < int(port) < 65536:
                raise ValueError(f"{port} is no port")
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        except (OSError, ValueError) as exc:
            return Finding(FAIL, f"{endpoint} leads nowhere ({exc}); {_CONTROL}")
        family, _, _, _, address = found[0]
        return _look(endpoint, family, address, patience)
    return Finding(WAIT, f"no answer from {endpoint}; {_CONTROL}")


def _look_through(tunnel: Tunnel, patience: float) -> Finding:
    """ssh takes every connection, and only then says that the other machine refuses it."""
    from circus.posix.peers import Peer

    tunnel.refusal()  # an old one
    finding = _look(f"{tunnel.endpoint} of {tunnel.server}", socket.AF_UNIX, tunnel.path, patience, Peer())
    refusal = tunnel.refusal()
    return Finding(RETRY, f"{refusal}; {_START}") if refusal else finding


def _look(endpoint: str, family: int, address: Any, patience: float, peer: Peer | None = None) -> Finding:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(patience)
        try:
            sock.connect(address)
        except OSError as exc:
            return _not_connected(endpoint, address if family == socket.AF_UNIX else "", exc)
        from circus.posix.peers import find_peer

        greeting, silent = _greeting(sock, patience)
        return _judge(endpoint, greeting, silent, peer or find_peer(sock))


def _not_connected(endpoint: str, path: str, exc: OSError) -> Finding:
    if exc.errno in (errno.EACCES, errno.EPERM):
        return Finding(FAIL, f"no permission for {endpoint}: {_owner(path)}")
    if exc.errno == errno.ENOENT:
        return Finding(RETRY, f"no circusd at {endpoint}: that file does not exist; {_START}")
    if exc.errno == errno.ECONNREFUSED:
        if path and not path.startswith("\0") and not _is_socket(path):
            return Finding(FAIL, f"{path} is not a socket; {_CONTROL}")
        return Finding(RETRY, f"no circusd at {endpoint}: nobody listens there; {_START}")
    if isinstance(exc, TimeoutError) or exc.errno == errno.EAGAIN:  # EAGAIN: a full backlog (unix(7))
        return Finding(WAIT, f"{endpoint} does not take connections; the host may be down, or circusd overloaded")
    return Finding(FAIL, f"{endpoint} cannot be reached ({exc.strerror or exc}); {_CONTROL}")


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _owner(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "a directory on the way is closed to you; run circusctl as the user of circusd, or as root"
    from circus.posix.users import user_name

    user = f"user {user_name(status.st_uid)}"
    who = f"{user}, or as root" if status.st_uid else "root"
    return f"it belongs to {user} (mode {stat.S_IMODE(status.st_mode):04o}); run circusctl as {who}"


def _greeting(sock: socket.socket, patience: float) -> tuple[bytes, bool]:
    """What the other end says first, and whether it was still silent when the time was over."""
    end_at = time.monotonic() + patience
    received = b""
    try:
        sock.sendall(_GREETING)
        while (left := end_at - time.monotonic()) > 0:
            sock.settimeout(left)
            chunk = sock.recv(1024)
            received += chunk
            if not chunk or _is_telling(received):
                return received, False
    except TimeoutError:
        pass
    except OSError:  # reset: it did not like our greeting
        return received, False
    return received, not received


def _is_telling(received: bytes) -> bool:
    foreign = received[:1] != b"\xff" or _mechanism(received) not in ("", "NULL")
    return foreign or bool(_socket_type(received))


def _mechanism(greeting: bytes) -> str:
    return greeting[12:32].rstrip(b"\0").decode("ascii", "replace") if len(greeting) >= 64 else ""


def _socket_type(greeting: bytes) -> str:
    """From the READY command: a name, four bytes of length, a value."""
    _, found, rest = greeting[64:].partition(b"Socket-Type")
    size = int.from_bytes(rest[:4], "big")
    return rest[4 : 4 + size].decode("ascii", "replace") if found and len(rest) >= 4 + size else ""


def _judge(endpoint: str, greeting: bytes, silent: bool, peer: Peer) -> Finding:
    if peer.suspended and not greeting:
        return Finding(
            FAIL, f"{peer} at {endpoint} is suspended (stopped by a signal); let it go on with: kill -CONT {peer.pid}"
        )
    if (silent and peer.speaks_zmq is False) or (not silent and greeting[:1] != b"\xff"):
        return Finding(FAIL, f"{peer} at {endpoint} does not speak the protocol of circus; {_CONTROL}")
    mechanism = _mechanism(greeting)
    if mechanism not in ("", "NULL"):
        return Finding(FAIL, f"{peer} at {endpoint} wants {mechanism} keys, which circusctl does not have")
    kind = _socket_type(greeting)
    if kind in ("PUB", "XPUB"):
        return Finding(FAIL, f"{endpoint} is an event endpoint, not the control endpoint of circusd; {_CONTROL}", kind)
    if kind not in ("", "ROUTER", "DEALER"):
        return Finding(FAIL, f"{endpoint} is a {kind} socket, not the control endpoint of circusd; {_CONTROL}", kind)
    if kind:
        advice = peer.stranger or "it may be busy: try again, or with a longer --timeout"
        return Finding(WAIT, f"{peer} at {endpoint} is alive, but has not answered; {advice}", kind)
    return Finding(WAIT, f"{peer} at {endpoint} takes connections, but says nothing; {peer.stranger or _CONTROL}")
