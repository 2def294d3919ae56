from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import WAITING

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class ReloadConfig(Command):
    """Reload the configuration file

    Reads the configuration anew and brings circusd in line with it: watchers that are new are added, those that
    are gone are removed, changed ones are changed, and all others are left alone.

        $ circusctl reloadconfig --waiting
        ok
    """

    name = "reloadconfig"
    takes = (WAITING,)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return arbiter.reload_from_config()
