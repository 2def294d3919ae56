from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import SWITCH, TOPIC, Property
from circus.exc import MessageError

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Listen(Command):
    """Subscribe to a watcher event

    Prints events as they happen, until interrupted. An event's topic is `watcher.<name>.<event>`, with the
    name in lower case and its blanks as underscores; a topic given here fits every one it begins. Events are
    `add`, `remove`, `start`, `stop`, `spawn`, `kill`, `reap`, `reload`, `updated`, `flapping`, `hook_success`
    and `hook_failure`.

    `--endpoint` names the event endpoint, or the control endpoint of a circusd, which is then asked for the other.

        $ circusctl listen watcher.web.
        watcher.web.spawn: {"process_pid": 4711, "time": 1400000000.0}
        $ circusctl listen watcher.web. --json
        {"watcher": "web", "event": "spawn", "topic": "watcher.web.spawn", "process_pid": 4711, "time": 1400000000.0}
    """

    name = "listen"
    msg_type = "sub"
    takes = (
        Property("topic", TOPIC, "beginning of the topics wanted; an endpoint if it holds `://`", rest=True),
        Property("json", SWITCH, "print one JSON object per line", flag=True),
    )

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        raise MessageError("invalid message. use a pub/sub socket")
