from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply
from circus.commands.properties import GLOBAL, KEYS, Property
from circus.commands.rendering import pairs
from circus.exc import MessageError

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class GlobalOptions(Command):
    """Get the arbiter options

    Where circusd listens and how often it looks.

        $ circusctl globaloptions pubsub_endpoint
        pubsub_endpoint: tcp://127.0.0.1:5556
    """

    name = "globaloptions"
    takes = (
        Property("option", GLOBAL, "the only one wanted", word=True),
        Property("keys", KEYS, "several that are wanted"),
    )
    replies = (("options", "object of names and values"),)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        options = dict(arbiter.global_options())
        wanted = [props["option"]] if "option" in props else props.get("keys") or list(options)
        for key in wanted:
            if not isinstance(key, str) or key not in options:
                raise MessageError(f"'{key}' not an existing option")
        return {"options": {key: options[key] for key in wanted}}

    def render(self, reply: Reply) -> str:
        return pairs(reply.get("options") or {})

    def console_error(self, reply: Reply) -> str:
        return str(reply.get("reason"))
