from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from circus.commands.matching import Matching
from circus.commands.properties import SWITCH, Property

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Operations


class Restart(Matching):
    """Restart the arbiter or a watcher

    Stops watchers and starts them again; one that was stopped is started. Without a name circusd itself starts
    anew: it stops everything, reads its configuration and begins again in the same process. To replace processes
    without an interruption use `reload`.

        $ circusctl restart web
        ok
    """

    name = "restart"
    takes = (*Matching.takes, Property("terminate", SWITCH, "accepted for old scripts, has no effect", flag=True))
    replies = (("info", "waiting and one watcher: `stopped`, `started` and `kept`, lists of process ids"),)

    def ask(self, operations: Operations, keys: Sequence[int] | None, single: bool) -> Result:
        return operations.restart(keys, single=single)

    def ask_all(self, operations: Operations) -> Result:
        return operations.restart_daemon()
