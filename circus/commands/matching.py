"""Choosing watchers by pattern: what start, stop and restart share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import MATCH, WAITING, WATCHER, Property

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter, Operations

METHODS = ("simple", "glob", "regex")

_PATTERN = Property("name", WATCHER, "name or pattern; without it all watchers are meant", word=True)
_METHOD = Property("match", MATCH, "how the pattern is read: simple, glob or regex", default="glob", flag=True)


class Matching(Command):
    """`ask` is the operation on those that match."""

    takes: tuple[Property, ...] = (_PATTERN, _METHOD, WAITING)

    def from_flags(self, **opts: Any) -> dict[str, Any]:
        return {"match": _METHOD.default, **super().from_flags(**opts)}

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        if "name" not in props:
            return self.ask_all(arbiter.operations)
        watchers = arbiter.match(props["name"], props["match"])
        return self.ask(arbiter.operations, [watcher.key for watcher in watchers], len(watchers) == 1)

    def ask(self, operations: Operations, keys: Sequence[int] | None, single: bool) -> Result:
        raise NotImplementedError

    def ask_all(self, operations: Operations) -> Result:
        return self.ask(operations, None, False)
