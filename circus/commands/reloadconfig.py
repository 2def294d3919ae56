from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import SWITCH, WAITING, Property
from circus.options.kinds import TEXT

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class ReloadConfig(Command):
    """Reload the configuration file

    Reads the configuration anew and makes everything be as it says, touching only what differs: watchers and sockets
    that are new are added, those that are gone are removed, changed ones are changed, and all others are left alone.
    Options such as numprocesses, timeouts, hooks and streams change in place; new processes come by graceful reload.
    Watchers that were added by command stay.

        $ circusctl reloadconfig --dry-run
        [watcher:web] changes (args): graceful reload
        [watcher:mail] is new: start

        $ circusctl reloadconfig --waiting
        ok

    A configuration that cannot be used, a socket that cannot be bound, or a hook that cannot be imported changes
    nothing. What a running circusd cannot change, such as its endpoint, is an error as well: with --restart it stops
    everything and starts anew.
    """

    name = "reloadconfig"
    takes = (
        WAITING,
        Property("dry_run", SWITCH, "only say what would change, and what that costs", flag="dry-run"),
        Property("restart", SWITCH, "restart circusd if something needs that", flag=True),
        Property("file", TEXT, "another file than that circusd was started with; with dry_run only"),
    )
    replies = (("plan", "with dry_run: list of objects with `section`, `what`, `options`, `why` and `price`"),)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        if not props.get("dry_run"):
            return arbiter.reload_from_config(restart=bool(props.get("restart")))
        steps = arbiter.plan_config(props.get("file")).steps
        return {"plan": [{**step.as_dict(), "text": str(step)} for step in steps]}

    def render(self, reply: Mapping[str, Any]) -> str:
        if "plan" not in reply:
            return super().render(reply)
        return "\n".join(step["text"] for step in reply["plan"]) or "nothing changes"
