"""The layers of the house, once: `test_layers.py` holds the imports to them, `tests/run` takes coverage by them.

    python tests/layers.py pure     # file patterns of words, data and decisions, comma-separated
"""

from __future__ import annotations

import sys

# A module may import from its own layer and from those above it in this list.
LAYERS: dict[str, tuple[str, ...]] = {
    "words": ("circus", "exc", "names", "convert", "template", "future"),
    "data": (
        "options",
        "spec",
        "settings",
        "environment",
        "messages",
        "config",
        "config_check",
        "config_compat",
        "config_env",
        "config_files",
        "config_ini",
        "config_show",
    ),
    "decisions": ("machine",),
    "effects": ("loop", "posix", "stream", "server", "client", "consumer", "logs"),
    "commands": ("commands",),
    "shell": (
        "hooks",
        "launching",
        "offspring",
        "process",
        "watcher",
        "sampling",
        "signalling",
        "controller",
        "sighandler",
        "runtime",
        "session",
        "finding",
        "management",
        "reconfigure",
        "wishes",
        "arbiter",
        "library",
        "util",
        "pidfile",
        "fixed_threading",
    ),
    "programs": ("circusd", "circusctl", "completion", "reference"),
}

ORDER = tuple(LAYERS)
PURE = ("words", "data", "decisions")


def layer_of(module: str) -> str:
    """Layer of `circus.a.b`. KeyError for a module that is in none: give it one above."""
    part = module.split(".")[1] if "." in module else "circus"
    for layer, members in LAYERS.items():
        if part in members:
            return layer
    raise KeyError(module)


def patterns(layers: tuple[str, ...]) -> str:
    names = [name for layer in layers for name in LAYERS[layer]]
    files = ["circus/__init__.py" if name == "circus" else f"circus/{name}.py,circus/{name}/*" for name in names]
    return ",".join(files)


if __name__ == "__main__":
    print(patterns(PURE if sys.argv[1:] == ["pure"] else ORDER))
