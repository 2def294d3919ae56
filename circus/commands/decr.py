from __future__ import annotations

from circus.commands.counting import Counting


class Decr(Counting):
    """Decrement the number of processes in a watcher

    The oldest processes end first, and the number never falls below 0.

        $ circusctl decr web
        1
    """

    name = "decr"
    sign = -1
