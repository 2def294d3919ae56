"""The reference page of the built-in plugins, made from the texts of their modules and the options they declare."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType

from circus.options.option import Spec
from circus.reference.options import table_of

# In the order of the page.
MODULES = (
    "resource_watcher",
    "watchdog",
    "command_reloader",
    "http_observer",
    "redis_observer",
    "statsd",
    "flapping",
)

HEAD = """# Built-in plugins

Made from the texts of the modules; do not edit it, run `python -m circus.reference`. How plugins work, and how
to write one: [plugins](../plugins.md).
"""


def page() -> str:
    return "\n".join([HEAD, *map(_section, MODULES)])


def _section(name: str) -> str:
    module = import_module(f"circus.plugins.{name}")
    text = inspect.cleandoc(module.__doc__ or "")
    tables = [f"{table.__doc__}\n\n{table_of(table)}" for table in option_tables(module)]
    return "\n\n".join((f"## {module.__name__}", text, *tables)) + "\n"


def option_tables(module: ModuleType) -> list[type[Spec]]:
    """What the plugins of a module declare: the module's own tables, not those they build on."""
    return [
        member
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, Spec) and member.__module__ == module.__name__
    ]
