"""The layers of the house, once: `test_layers.py` holds the imports to them, `tests/run` takes coverage by them.

    python tests/layers.py         file patterns of every layer, comma-separated
    python tests/layers.py pure    those of ground, data and decisions
"""

from __future__ import annotations

import sys

# In order: a module imports only from its own layer and from those before it. A word is a module or a whole folder.
LAYERS = {
    "ground": "exc common",
    "data": "options config",
    "decisions": "machine",
    "effects": "loop posix stream wire sockets",
    "commands": "commands",
    "runtime": "runtime",
    "control": "control",
    "faces": "arbiter watcher process library client consumer controller sighandler pidfile fixed_threading util green",
    "programs": "circusd circusctl ctl plugins stats reference web",
}

PURE = ("ground", "data", "decisions")


def layer_of(module: str) -> str:
    """Layer of `circus.a.b`. LookupError for a module that is in none: give it one above, and in docs/design.md."""
    place = module.removeprefix("circus.").partition(".")[0]
    for layer, places in LAYERS.items():
        if place in places.split():
            return layer
    raise LookupError(f"{module} has no layer: put it into the table of tests/layers.py and of docs/design.md")


def files(layers: tuple[str, ...]) -> str:
    """File patterns of these layers, as coverage takes them."""
    places = [place for layer in layers for place in LAYERS[layer].split()]
    return ",".join(["circus/__init__.py", *(f"circus/{place}{end}" for place in places for end in (".py", "/*"))])


if __name__ == "__main__":
    print(files(PURE if sys.argv[1:] == ["pure"] else tuple(LAYERS)))
