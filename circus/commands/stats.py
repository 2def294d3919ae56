from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from circus.commands.base import Answer, Command, Reply
from circus.commands.properties import PID, SWITCH, WATCHER, Property
from circus.commands.rendering import info_lines
from circus.common.names import NO_SUCH_PROCESS
from circus.exc import MessageError

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Stats(Command):
    """Get process infos

    Figures of all processes, of those of a watcher, or of one. A process line tells process id, program, user,
    niceness, resident and virtual memory, processor and memory in percent, processor time; direct children follow
    on lines of their own.

        $ circusctl stats web
        web:
        4711: 4711  python3 www 0 31.05M 120.40M 0.3 0.4 0:02.10
    """

    name = "stats"
    takes = (
        Property("name", WATCHER, "name of the watcher", word=True),
        Property("process", PID, "only this process: its id, else its worker number", word=True, label="pid"),
        Property("extended", SWITCH, "add what the hook extended_stats tells", flag=True),
    )
    replies = (
        ("infos", "without a name: object of watchers, each an object of process ids and figures"),
        ("name", "with a name: that name"),
        ("process", "with a process: as asked"),
        ("info", "with a name: object of process ids and figures; with a process: its figures"),
    )

    def validate(self, props: dict[str, Any]) -> None:
        as_sent = props.get("process")
        super().validate(props)
        if as_sent is not None:
            props["asked"] = as_sent

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        if "name" not in props:
            return Answer(arbiter.stats(None, None, False).then(lambda infos: {"infos": infos}))
        extended = props.get("extended", False)
        watcher = arbiter.find(props["name"])
        if "process" not in props:
            future = arbiter.stats([watcher.name], None, extended)
            return Answer(future.then(lambda infos: {"name": props["name"], "info": _only(infos)}))
        pid = props["process"] if props["process"] in watcher.get_active_pids() else None
        future = arbiter.stats([watcher.name], pid, extended)
        return Answer(future.then(lambda infos: _one(_only(infos), pid, props)))

    def render(self, reply: Reply) -> str:
        if "process" in reply:
            return "\n".join(info_lines(reply["process"], reply.get("info"))) + "\n"
        infos = {reply["name"]: reply.get("info")} if "name" in reply else reply.get("infos") or {}
        return "\n".join(line for name, processes in infos.items() for line in _lines(name, processes or {}))


def _lines(name: str, processes: Mapping[Any, Any]) -> list[str]:
    return [f"{name}:", *(line for pid, info in processes.items() for line in info_lines(pid, info))]


def _only(infos: Mapping[str, Mapping[int, Any]]) -> Mapping[int, Any]:
    """The one watcher's; empty if it was removed while the figures were gathered."""
    return next(iter(infos.values()), {})


def _one(processes: Mapping[int, Any], pid: int | None, props: dict[str, Any]) -> dict[str, Any]:
    if pid is not None:
        info = processes.get(pid, NO_SUCH_PROCESS)
    else:  # not a process id: the oldest clients count workers
        workers = {info.get("wid"): info for info in processes.values() if isinstance(info, Mapping)}
        if props["process"] not in workers:
            raise MessageError(f"process {props['asked']!r} not found in '{props['name']}'")
        info = workers[props["process"]]
    return {"process": props["asked"], "info": info}
