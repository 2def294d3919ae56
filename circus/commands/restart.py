from __future__ import annotations

from circus.commands.base import Property
from circus.commands.matching import Matching
from circus.commands.properties import BOOLEAN


class Restart(Matching):
    """Restart the arbiter or a watcher

    Stops watchers and starts them again; one that was stopped is started. Without a name circusd itself starts
    anew: it stops everything, reads its configuration and begins again in the same process. To replace processes
    without an interruption use `reload`.

        $ circusctl restart web
        ok
    """

    name = "restart"
    takes = (*Matching.takes, Property("terminate", BOOLEAN, "accepted for old scripts, has no effect", flag=True))
    replies = (("info", "waiting and one watcher: `stopped`, `started` and `kept`, lists of process ids"),)
