"""Discovery: a datagram to a multicast group is answered with the address of the control endpoint."""

from __future__ import annotations

import json
import logging
import socket
import struct
from typing import TYPE_CHECKING

from circus.common.convert import multicast_group

if TYPE_CHECKING:
    from circus.wire.polled import Reactor


logger = logging.getLogger("circus")


class Discovery:
    """Answers any datagram to the multicast group with the control endpoint. Never a reason not to start."""

    def __init__(self, multicast_endpoint: str, endpoint: str, reactor: Reactor) -> None:
        self._multicast_endpoint = multicast_endpoint
        self._answer = json.dumps({"endpoint": endpoint}).encode()
        self._reactor = reactor
        self._socket: socket.socket | None = None

    def start(self) -> None:
        try:
            self._socket = multicast_socket(self._multicast_endpoint)
        except (OSError, ValueError) as exc:
            logger.warning("discovery is off: multicast_endpoint %s: %s", self._multicast_endpoint, exc)
            return
        self._socket.setblocking(False)
        self._reactor.add_reader(self._socket.fileno(), self._receive)

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            data, sender = self._socket.recvfrom(1024)
            if _is_answer(data):
                return
            self._socket.sendto(self._answer, sender)
            group = multicast_group(self._multicast_endpoint)
            if sender[1] == group[1]:
                # It asks from the port that we have, too: on one machine, one of both is given what goes there.
                self._socket.sendto(self._answer, group)
        except OSError as exc:
            logger.debug("a discovery request could not be answered: %s", exc)

    def close(self) -> None:
        if self._socket is not None:
            self._reactor.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None


def _is_answer(data: bytes) -> bool:
    """Of another circusd, or our own: to answer it would go on for ever."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and "endpoint" in message


def multicast_socket(endpoint: str) -> socket.socket:
    """A socket in the group of `udp://ADDRESS:PORT`. ValueError if the address is not a multicast one."""
    host, port = multicast_group(endpoint)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        membership = struct.pack("4sl", socket.inet_aton(host), socket.INADDR_ANY)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        sock.bind(("0.0.0.0", port))  # noqa: S104  # the group's datagrams come to any address
    except OSError:
        sock.close()
        raise
    return sock
