from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class IPython(Command):
    """Create shell into circusd process

    Kept for clients that ask for it. circusd never opens such a shell: whoever has it has every right of circusd.
    """

    name = "ipython"
    replies = (("shell", "false"), ("msg", "why not"))

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return {"shell": False, "msg": "Could not start ipython kernel"}

    def render(self, reply: Reply) -> str:
        shell = reply.get("shell")
        return f"kernel started: {shell}" if shell else f"error: {reply.get('msg')}"
