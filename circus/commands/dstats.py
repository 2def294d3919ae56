from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Answer, Command, Reply
from circus.commands.rendering import info_line

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Dstats(Command):
    """Get circusd stats

    Figures of circusd itself: process id, program, user, niceness, resident and virtual memory, processor and
    memory in percent, processor time.

        $ circusctl dstats
        Main Process:
            4700  circusd root 0 15.02M 180.11M 0.0 0.1 0:00.41

    If a subscriber was too slow to take its events, one line more tells how many were missed:

        Events: 120000 sent, 1500 dropped
    """

    name = "dstats"
    replies = (
        ("info", "object of figures"),
        ("events", "object: `sent`, and `dropped`, counted once for each subscriber that was too slow for one"),
    )

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        events = dict(arbiter.event_counts())
        return Answer(arbiter.dstats().then(lambda info: {"info": info, "events": events}))

    def render(self, reply: Reply) -> str:
        info = reply.get("info")
        children = info.get("children") or [] if isinstance(info, dict) else []
        lines = ["Main Process:", f"    {info_line(info)}"]
        if children:
            lines += ["Children:", *(f"    {info_line(child)}" for child in children)]
        events = reply.get("events")
        if isinstance(events, dict) and events.get("dropped"):
            lines.append(f"Events: {events.get('sent')} sent, {events['dropped']} dropped")
        return "\n".join(lines)
