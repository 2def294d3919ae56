from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply
from circus.commands.properties import WATCHER, Property

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class NumProcesses(Command):
    """Get the number of processes

    Of one watcher, or of all together.

        $ circusctl numprocesses web
        2
    """

    name = "numprocesses"
    takes = (Property("name", WATCHER, "name of the watcher", word=True),)
    replies = (("numprocesses", "how many"), ("watcher_name", "with a name: that name"))

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        if "name" not in props:
            return {"numprocesses": arbiter.numprocesses()}
        count = len(arbiter.find(props["name"]).get_active_pids())
        return {"numprocesses": count, "watcher_name": props["name"]}

    def render(self, reply: Reply) -> str:
        return str(reply.get("numprocesses"))
