from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import SWITCH, WAITING, WATCHER, Property

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Reload(Command):
    """Reload the arbiter or a watcher

    Replaces the processes of a watcher, or of all, without an interruption: new ones are spawned, then the old
    ones are asked to end. With `sequential` it goes one by one. A watcher with `send_hup` sends SIGHUP to its
    processes instead. With `--terminate` (`graceful` false) the old ones end first, as in `restart`.
    A watcher that is named is started if it is stopped. Without a name only what is to be active is touched: what was
    stopped, has given up or was never started stays as it is. Reloading everything also opens the log files anew.

        $ circusctl reload web --sequential
        ok
    """

    name = "reload"
    takes = (
        Property("name", WATCHER, "name of the watcher; without it all are meant", word=True),
        Property("graceful", SWITCH, "false: end the old processes first", default=True),
        Property("sequential", SWITCH, "replace one process after the other", flag=True),
        WAITING,
    )
    options = [
        ("", "terminate", False, "end the old processes first"),
        *(p.option() for p in takes if p.flag),
    ]
    replies = (("info", "waiting and a name: `stopped`, `started` and `kept`, lists of process ids"),)

    def from_flags(self, **opts: Any) -> dict[str, Any]:
        graceful = {"graceful": False} if opts.get("terminate") else {}
        return {**graceful, **super().from_flags(**opts)}

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        keys = [arbiter.find(props["name"]).key] if "name" in props else None
        return arbiter.operations.reload(
            keys, graceful=props["graceful"], sequential=props.get("sequential", False), single=keys is not None
        )
