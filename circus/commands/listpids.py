from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply
from circus.commands.properties import NAME
from circus.commands.rendering import comma_joined

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class ListPids(Command):
    """Get list of pids in a watcher

    The same as `list` with a name, sorted by number.

        $ circusctl listpids web
        4711,4712
    """

    name = "listpids"
    takes = (NAME,)
    replies = (("pids", "list of process ids"),)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return {"pids": sorted(arbiter.find(props["name"]).get_active_pids())}

    def render(self, reply: Reply) -> str:
        return comma_joined(reply.get("pids", ()))
