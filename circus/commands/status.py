from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command, Reply
from circus.commands.properties import WATCHER, Property

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Status(Command):
    """Get the status of a watcher or all watchers

    A watcher is `starting`, `active`, `stopping` or `stopped`. When it is in trouble the reason follows in
    parentheses: given up, pausing before the next attempt, a program that cannot be started.

        $ circusctl status
        db: active
        web: stopped (given up: exit code 1, 6 times)
        $ circusctl status db
        active
    """

    name = "status"
    takes = (Property("name", WATCHER, "name of the watcher", word=True),)
    replies = (
        ("statuses", "without a name: object of watchers and their status"),
        ("reasons", "without a name: object of the watchers in trouble, or asleep, and why"),
        ("status", "with a name: its status, in place of `ok`"),
        ("reason_text", "with a name, in trouble or asleep: why"),
    )

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        reasons = arbiter.reasons()
        if "name" not in props:
            return {"statuses": dict(arbiter.statuses()), **({"reasons": dict(reasons)} if reasons else {})}
        watcher = arbiter.find(props["name"])
        reason = reasons.get(watcher.name)
        return {"status": watcher.status(), **({"reason_text": reason} if reason else {})}

    def render(self, reply: Reply) -> str:
        if "statuses" not in reply:
            return _with_reason(reply.get("status"), reply.get("reason_text"))
        reasons = reply.get("reasons") or {}
        statuses = sorted(reply["statuses"].items())
        return "\n".join(f"{name}: {_with_reason(status, reasons.get(name))}" for name, status in statuses)


def _with_reason(status: object, reason: object) -> str:
    return f"{status} ({reason})" if reason else str(status)
