from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply
from circus.commands.properties import WATCHER, Property
from circus.commands.rendering import comma_joined

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class List(Command):
    """Get list of watchers or processes in a watcher

    Without a name all watchers, in lower case and sorted; with one the ids of its live processes, oldest first.

        $ circusctl list
        db,web
        $ circusctl list web
        4711,4712
    """

    name = "list"
    takes = (Property("name", WATCHER, "name of the watcher", word=True),)
    replies = (("watchers", "without a name: list of names"), ("pids", "with a name: list of process ids"))

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        if "name" in props:
            return {"pids": list(arbiter.find(props["name"]).get_active_pids())}
        return {"watchers": sorted(watcher.name.lower() for watcher in arbiter.iter_watchers())}

    def render(self, reply: Reply) -> str:
        found = reply.get("pids", reply.get("watchers"))
        return self.console_error(reply) if found is None else comma_joined(found)
