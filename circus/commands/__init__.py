"""The commands: one small module each, loaded when first asked for: every `circusctl` pays for what it imports.

Submodules such as `list` and `set` become names of this module when loaded, so no builtin of those names is used here.
"""

from __future__ import annotations

from importlib import import_module

from circus.commands.base import REGISTERED, Answer, Command, Pending, error, ok

__all__ = ["ALL", "Answer", "Command", "Pending", "command_names", "error", "get_command", "get_commands", "ok"]

# Command to class; the module bears the command's name.
ALL = {
    "add": "Add",
    "decr": "Decr",
    "dstats": "Dstats",
    "get": "Get",
    "globaloptions": "GlobalOptions",
    "incr": "Incr",
    "ipython": "IPython",
    "kill": "Kill",
    "list": "List",
    "listen": "Listen",
    "listpids": "ListPids",
    "listsockets": "ListSockets",
    "numprocesses": "NumProcesses",
    "numwatchers": "NumWatchers",
    "options": "Options",
    "quit": "Quit",
    "reload": "Reload",
    "reloadconfig": "ReloadConfig",
    "restart": "Restart",
    "rm": "Rm",
    "set": "Set",
    "signal": "Signal",
    "start": "Start",
    "stats": "Stats",
    "status": "Status",
    "stop": "Stop",
}

_instances: dict[type[Command], Command] = {}


def command_names() -> list[str]:
    return sorted({*ALL, *REGISTERED})


def get_command(name: str) -> Command | None:
    """The command of that name, ignoring case. One from another package goes before ours."""
    name = name.lower()
    found = REGISTERED.get(name)
    if found is None:
        if name not in ALL:
            return None
        found = getattr(import_module(f"circus.commands.{name}"), ALL[name])
    if found not in _instances:
        _instances[found] = found()
    return _instances[found]


def get_commands() -> dict[str, Command]:
    """All commands by name."""
    found = {name: get_command(name) for name in command_names()}
    return {name: command for name, command in found.items() if command is not None}
