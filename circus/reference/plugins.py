"""The reference page of the built-in plugins, made from the texts of their modules, so that each thing is said once."""

from __future__ import annotations

import ast
from pathlib import Path

PLUGINS = Path(__file__).parent.parent / "plugins"

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


def _section(module: str) -> str:
    """The text of a module, read and not imported: some need packages that may not be there."""
    text = ast.get_docstring(ast.parse((PLUGINS / f"{module}.py").read_text(encoding="utf-8")))
    return f"## circus.plugins.{module}\n\n{text}\n"
