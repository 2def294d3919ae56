from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from circus.commands.matching import Matching

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Operations


class Stop(Matching):
    """Stop watchers

    Stops all watchers, or those whose name fits: every process gets the watcher's `stop_signal`, and SIGKILL when
    its `graceful_timeout` is over. Of several the last to start is the first to stop: those of equal `priority`
    together, smallest first, the next ones when they are down. circusd itself goes on; see `quit`.

        $ circusctl stop web --waiting
        ok
    """

    name = "stop"
    replies = (("info", "waiting and one watcher: null"),)

    def ask(self, operations: Operations, keys: Sequence[int] | None, single: bool) -> Result:
        return operations.stop(keys, single=single)
