from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import NAME, PID, SIGNUM, SWITCH, Property

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter

_PID = Property("pid", PID, "only this process; without it all of the watcher's", word=True)
_SIGNUM = Property("signum", SIGNUM, "number, or name with or without SIG in any case", required=True, word=True)


class Signal(Command):
    """Send a signal

    To all processes of a watcher, to one, or to their children. A process that ends from it is replaced as usual;
    `kill` and `stop` are the commands that end processes.

        $ circusctl signal web HUP
        ok
        $ circusctl signal web 4711 usr1 --recursive
        ok
        $ circusctl signal web 4711 4720 TERM    # process 4720, a child of 4711
        ok
    """

    name = "signal"
    takes = (
        NAME,
        _PID,
        _SIGNUM,
        Property("childpid", PID, "only this child of the process"),
        Property("children", SWITCH, "to the direct children, not to the process", flag=True),
        Property("recursive", SWITCH, "to the process, then to all descendants", flag=True),
        Property("process", PID, "old name of pid, or a worker number; pid is a child's then"),
        Property("child_pid", PID, "the same as childpid"),
    )

    def from_words(self, *args: Any) -> dict[str, Any]:
        if len(args) == 4:
            name, process, child, signum = args
            places = {"process": _PID.from_word(process), "pid": _PID.from_word(child)}
            return {"name": name, **places, "signum": _SIGNUM.from_word(signum)}
        if len(args) == 2:
            return {"name": args[0], "signum": _SIGNUM.from_word(args[1])}
        return super().from_words(*args)

    def validate(self, props: dict[str, Any]) -> None:
        super().validate(props)
        child = props.pop("child_pid", None)
        if "process" in props and "childpid" not in props:
            # In old requests `process` is the worker, and so a `pid` beside it is the child's.
            child = props.pop("pid", child)
        if child is not None:
            props.setdefault("childpid", child)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        watcher = arbiter.find(props["name"])
        pid, wid = props.get("pid"), None
        process = props.get("process")
        if process is not None:
            pid, wid = (process, None) if process in watcher.get_active_pids() else (None, process)
        arbiter.operations.signal(
            watcher.key,
            props["signum"],
            pid,
            wid=wid,
            childpid=props.get("childpid"),
            children=props.get("children", False),
            recursive=props.get("recursive", False),
        )
        return {}
