from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply
from circus.common.convert import address_text

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class ListSockets(Command):
    """Get the list of sockets

    The sockets that circusd opened for its watchers, in the order of their descriptors, with the real port where any
    free one was asked for. One with `so_reuseport` is listed too, though each process has its own of it: its number is
    that of one in circusd to which nobody can connect.

        $ circusctl listsockets
        7:socket 'web' at 127.0.0.1:8000
        8:socket 'web6' at [::1]:8000
        9:socket 'api' at /run/api.sock
    """

    name = "listsockets"
    replies = (("sockets", "list of objects with `fd`, `name`, `backlog`, and `host` and `port` or `path`"),)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return {"sockets": sorted(arbiter.sockets_info(), key=lambda socket: socket["fd"])}

    def render(self, reply: Reply) -> str:
        return "\n".join(_line(socket) for socket in reply.get("sockets", ()))


def _line(socket: Mapping[str, Any]) -> str:
    place = address_text(socket.get("host"), socket.get("port"), socket.get("path"))
    return f"{socket.get('fd')}:socket '{socket.get('name')}' at {place}"
