from __future__ import annotations

from circus.commands.counting import Counting


class Incr(Counting):
    """Increment the number of processes in a watcher

    A stopped watcher keeps the new number for its next start. One that was to start with 0 processes starts with the
    first that it is given.

        $ circusctl incr web
        3
        $ circusctl incr web 2
        5
    """

    name = "incr"
    sign = 1
