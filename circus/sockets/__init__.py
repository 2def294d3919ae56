"""Managed sockets: circusd opens them and its programs share them.

A library hands them to `get_arbiter(..., sockets=[CircusSocket("web", port=8000)])`; circusd makes them of
`[socket:NAME]`.
"""

from circus.sockets.collection import CircusSockets
from circus.sockets.managed import CircusSocket, SocketError

__all__ = ["CircusSocket", "CircusSockets", "SocketError"]
