from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import WAITING

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Quit(Command):
    """Quit the arbiter immediately

    Stops all watchers, in the order of `stop`, then circusd itself.

        $ circusctl quit --waiting
        ok
    """

    name = "quit"
    takes = (WAITING,)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return arbiter.operations.quit()
