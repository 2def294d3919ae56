"""Where the life of a watcher stands.

    STOPPED ──> PREPARING ──> STARTING ──> FINISHING ──> ACTIVE ──> STOPPING ──> STOPPED
               before_start    spawning    after_start
"""

from __future__ import annotations

from enum import Enum

from circus.common import names


class Phase(Enum):
    STOPPED = "stopped"
    PREPARING = "preparing"
    STARTING = "starting"
    FINISHING = "finishing"
    ACTIVE = "active"
    STOPPING = "stopping"

    @property
    def status(self) -> str:
        """What `status` answers: what existing programs know."""
        return _STATUS[self]

    @property
    def is_beginning(self) -> bool:
        """On its way up."""
        return self in (Phase.PREPARING, Phase.STARTING, Phase.FINISHING)

    @property
    def is_running(self) -> bool:
        """It has processes, or is to have them."""
        return self in (Phase.STARTING, Phase.FINISHING, Phase.ACTIVE)


_STATUS = {
    Phase.STOPPED: names.STOPPED,
    Phase.PREPARING: names.STOPPED,
    Phase.STARTING: names.STARTING,
    Phase.FINISHING: names.STARTING,
    Phase.ACTIVE: names.ACTIVE,
    Phase.STOPPING: names.STOPPING,
}
