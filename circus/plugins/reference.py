"""The reference page of the built-in plugins: `python -m circus.plugins.reference > docs/reference/plugins.md`.

It is made from the texts of their modules, so that each thing is said once.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

HERE = Path(__file__).parent

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

Made from the texts of the modules; do not edit it, run `python -m circus.plugins.reference`. How plugins work, and how
to write one: [plugins](../plugins.md).
"""


def page() -> str:
    return "\n".join([HEAD, *map(_section, MODULES)])


def _section(module: str) -> str:
    """The text of a module, read and not imported: some need packages that may not be there."""
    text = ast.get_docstring(ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8")))
    return f"## circus.plugins.{module}\n\n{text}\n"


if __name__ == "__main__":
    sys.stdout.write(page())
