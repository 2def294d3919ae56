from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply
from circus.commands.properties import NAME
from circus.commands.rendering import pairs

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Options(Command):
    """Get the value of all options for a watcher

    Free-form keys of its section are listed too.

        $ circusctl options web
        args:
        close_child_stderr: False
        ...
    """

    name = "options"
    takes = (NAME,)
    replies = (("options", "object of names and values"),)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return {"options": dict(arbiter.find(props["name"]).options())}

    def render(self, reply: Reply) -> str:
        options = reply.get("options") or {}
        return pairs(options, sorted(options))
