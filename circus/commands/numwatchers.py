from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class NumWatchers(Command):
    """Get the number of watchers

    Plugins and the statistics daemon are watchers, too.

        $ circusctl numwatchers
        3
    """

    name = "numwatchers"
    replies = (("numwatchers", "how many"),)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return {"numwatchers": arbiter.numwatchers()}

    def render(self, reply: Reply) -> str:
        return str(reply.get("numwatchers"))
