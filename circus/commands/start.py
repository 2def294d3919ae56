from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from circus.commands.matching import Matching

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Operations


class Start(Matching):
    """Start the arbiter or a watcher

    Starts all watchers, or those whose name fits. Starting all of them, or several by a pattern, leaves out
    watchers with `autostart = False`; naming a single one starts it in any case. An active watcher only gets the
    processes it lacks.

        $ circusctl start web
        ok
        $ circusctl start 'web*' --waiting
        ok
    """

    name = "start"
    replies = (("info", "waiting and one watcher: `started` and `kept`, lists of process ids"),)

    def ask(self, operations: Operations, keys: Sequence[int] | None, single: bool) -> Result:
        return operations.start(keys, single=single)
