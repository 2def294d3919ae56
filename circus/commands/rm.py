from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import NAME, SWITCH, WAITING, Property

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Rm(Command):
    """Remove a watcher

    Takes a watcher off the list and stops its processes gracefully. With `nostop` they live on, and circusd no
    longer looks after them.

        $ circusctl rm web --waiting
        ok
    """

    name = "rm"
    takes = (NAME, Property("nostop", SWITCH, "let the processes live on", flag=True), WAITING)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return arbiter.operations.remove(arbiter.find(props["name"]).key, nostop=props.get("nostop", False))
