from __future__ import annotations

from circus.commands.matching import Matching


class Stop(Matching):
    """Stop watchers

    Stops all watchers, or those whose name fits: every process gets the watcher's `stop_signal`, and SIGKILL when
    its `graceful_timeout` is over. circusd itself goes on; see `quit`.

        $ circusctl stop web --waiting
        ok
    """

    name = "stop"
    replies = (("info", "waiting and one watcher: null"),)
