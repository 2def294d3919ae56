from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Answer, Command, Reply, then
from circus.commands.text import info_line

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.needs import Arbiter


class Dstats(Command):
    """Get circusd stats

    Figures of circusd itself: process id, program, user, niceness, resident and virtual memory, processor and
    memory in percent, processor time.

        $ circusctl dstats
        Main Process:
            4700  circusd root 0 15.02M 180.11M 0.0 0.1 0:00.41
    """

    name = "dstats"
    replies = (("info", "object of figures"),)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return Answer(then(arbiter.dstats(), lambda info: {"info": info}))

    def render(self, reply: Reply) -> str:
        info = reply.get("info")
        children = info.get("children") or [] if isinstance(info, dict) else []
        lines = ["Main Process:", f"    {info_line(info)}"]
        if children:
            lines += ["Children:", *(f"    {info_line(child)}" for child in children)]
        return "\n".join(lines)
