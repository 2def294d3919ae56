from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply
from circus.commands.properties import KEYS, NAME, Property
from circus.commands.rendering import pairs
from circus.exc import MessageError

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Get(Command):
    """Get the value of specific watcher options

    Any option of the watcher, also those that `options` does not list, and free-form keys of its section.

        $ circusctl get web numprocesses graceful_timeout
        numprocesses: 2
        graceful_timeout: 30.0
    """

    name = "get"
    takes = (NAME, Property("keys", KEYS, "names of options", required=True, rest=True, label="key"))
    replies = (("options", "object of names and values, in the order asked for"),)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        watcher = arbiter.find(props["name"])
        options: dict[str, Any] = {}
        for key in props["keys"]:
            try:
                options[key] = watcher.option(key)
            except (KeyError, TypeError):  # TypeError: a list or object instead of a name
                raise MessageError(f"'{key}' option not found") from None
        return {"options": options}

    def render(self, reply: Reply) -> str:
        return pairs(reply.get("options") or {})
