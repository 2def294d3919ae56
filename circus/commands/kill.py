from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import NAME, PID, SIGNUM, WAITING, Property
from circus.options.kinds import NUMBER

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Kill(Command):
    """Kill a specific process

    Ends one process of a watcher, or all of them: the stop signal, a wait, then SIGKILL. A watcher that respawns
    replaces them at once; to end them for good use `stop` or `decr`. A process id the watcher does not know is
    no error.

        $ circusctl kill web 4711 --signum INT --graceful_timeout 3
        ok
    """

    name = "kill"
    takes = (
        NAME,
        Property("pid", PID, "process to end; without it all of the watcher's", word=True),
        Property("signum", SIGNUM, "signal to begin with instead of the watcher's stop_signal", flag=True),
        Property("signal", SIGNUM, "another name for signum", flag=True),
        Property("graceful_timeout", NUMBER, "seconds before SIGKILL instead of the watcher's", flag=True),
        WAITING,
    )

    def from_flags(self, **opts: Any) -> dict[str, Any]:
        props = super().from_flags(**opts)
        if "signal" in props:
            props["signum"] = props.pop("signal")  # daemons know it by that name
        return props

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        key = arbiter.find(props["name"]).key
        signum = props.get("signum", props.get("signal"))
        return arbiter.operations.kill(key, props.get("pid"), signum, props.get("graceful_timeout"))
