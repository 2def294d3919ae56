"""Where a socket is bound (getsockname(2)), in the words of `listsockets`."""

from __future__ import annotations

import os
import socket
from typing import Any


def place(sock: socket.socket) -> dict[str, Any]:
    """`path`, or `host` and `port`, which in families without ports are other numbers: netlink(7), vsock(7).

    OSError if it is open no more.
    """
    address = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return {"path": _path_text(address)}
    return {"host": str(address[0]), "port": address[1]}


def place_of_descriptor(fd: int) -> dict[str, Any] | None:
    """None if there is no such descriptor, or if it is not of a socket."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        return None
    try:
        return place(sock)
    finally:
        sock.detach()  # it is not ours to close


def _path_text(address: str | bytes) -> str:
    """A unix address as it is written: an abstract one is bytes that begin with zero."""
    text = os.fsdecode(address)
    return "@" + text[1:] if text.startswith("\0") else text
