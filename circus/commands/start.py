from __future__ import annotations

from circus.commands.matching import Matching


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
