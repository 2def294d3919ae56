"""Choosing watchers by pattern: what start, stop and restart share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import WAITING, Command, Property
from circus.commands.properties import MATCH, WATCHER

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter

METHODS = ("simple", "glob", "regex")

_PATTERN = Property("name", WATCHER, "name or pattern; without it all watchers are meant", word=True)
_METHOD = Property("match", MATCH, "how the pattern is read: simple, glob or regex", default="glob", flag=True)


class Matching(Command):
    """The verb is the command's name."""

    takes: tuple[Property, ...] = (_PATTERN, _METHOD, WAITING)

    def from_flags(self, **opts: Any) -> dict[str, Any]:
        return {"match": _METHOD.default, **super().from_flags(**opts)}

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        if "name" not in props:
            return arbiter.ask(self.name, None)
        watchers = arbiter.match(props["name"], props["match"])
        return arbiter.ask(self.name, [w.name for w in watchers], single=len(watchers) == 1)
