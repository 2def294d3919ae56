"""Changing how many processes a watcher has: what incr and decr share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Pending, Reply
from circus.commands.properties import NAME, WAITING, Property
from circus.options.kinds import INTEGER

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Counting(Command):
    """The verb is the command's name."""

    sign = 0
    takes = (NAME, Property("nb", INTEGER, "how many processes", default=1, word=True), WAITING)
    replies = (
        ("numprocesses", "the new number of processes wanted"),
        ("singleton", "true if the watcher is a singleton, and so was left as it was"),
    )

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        watcher = arbiter.find(props["name"])
        if watcher.singleton:
            return {"numprocesses": watcher.numprocesses, "singleton": True}
        target = max(0, watcher.numprocesses + self.sign * props["nb"])
        return Pending({"numprocesses": target}, arbiter.operations.incr(watcher.key, self.sign * props["nb"]))

    def render(self, reply: Reply) -> str:
        if reply.get("singleton"):
            return "This watcher is a Singleton - not changing the number of processes"
        return str(reply.get("numprocesses", "ok"))
