"""The layers of the house, once: `test_layers.py` holds the imports to them, `tests/run` takes coverage by them.

    python tests/layers.py pure     # file patterns of words, data and decisions, comma-separated
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase

# In order: a module imports only from its own layer and from those before it. Names are relative to `circus`; one that
# is given in full counts before a pattern.
LAYERS = {
    "words": "exc names convert template future",
    "data": "options spec settings environment own_programs config config_* messages",
    "decisions": "machine machine.*",
    "effects": "loop logs posix posix.* sockets stream stream.* server publisher client consumer",
    "commands": "commands commands.*",
    "shell": "hooks launching runtime controller wishes arbiter watcher process library management session"
    " reconfigure finding offspring sampling signalling sighandler util pidfile fixed_threading green green.*",
    # What circusctl needs besides the commands lives beside them.
    "programs": "circusd circusctl completion reference commands.console commands.shell commands.listening"
    " commands.diagnose commands.peers plugins plugins.* stats stats.* web web.*",
}

PURE = ("words", "data", "decisions")


def layer_of(module: str) -> str:
    """Layer of `circus.a.b`. LookupError for a module that is in none: give it one above, and in docs/design.md."""
    name = module.removeprefix("circus.")
    patterns = [(layer, pattern) for layer, words in LAYERS.items() for pattern in words.split()]
    for layer, pattern in sorted(patterns, key=lambda item: "*" in item[1]):
        if fnmatchcase(name, pattern):
            return layer
    raise LookupError(f"{module} has no layer: put it into the table of tests/layers.py and of docs/design.md")


def files(layers: tuple[str, ...]) -> str:
    """File patterns of these layers, as coverage takes them."""
    patterns = [pattern for layer in layers for pattern in LAYERS[layer].split()]
    found = [f"circus/{pattern.replace('.', '/')}" for pattern in patterns]
    return ",".join(["circus/__init__.py", *(path if path.endswith("/*") else f"{path}.py" for path in found)])


if __name__ == "__main__":
    print(files(PURE if sys.argv[1:] == ["pure"] else tuple(LAYERS)))
