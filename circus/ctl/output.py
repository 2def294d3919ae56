"""What circusctl prints, and the exit codes it ends with."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from circus.posix.standard import complain

# Exit codes, the same with and without --json.
OK = 0
FAILED = 1
USAGE = 2
REFUSED = 3

EXIT_CODES = {
    OK: "it worked",
    FAILED: "no answer in time, wrong words, interrupted, internal error",
    USAGE: "unknown command or flag",
    REFUSED: "circusd answered with an error, or with what did not come about",
}


def say(text: str, file: TextIO | None = None) -> None:
    """Print a line. What the encoding lacks is escaped; so are control characters, which a terminal would obey."""
    file = file or sys.stdout
    if file.isatty():
        text = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
    encoding = file.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    if file is sys.stderr:
        complain(text)
    else:
        print(text, file=file, flush=True)


def coloured(text: str) -> str:
    """For a terminal, if pygments happens to be installed."""
    if not sys.stdout.isatty():
        return text
    from importlib import import_module

    try:
        pygments: Any = import_module("pygments")
        lexer = import_module("pygments.lexers").JsonLexer()
        return str(pygments.highlight(text, lexer, import_module("pygments.formatters").TerminalFormatter())).rstrip()
    except ImportError:
        return text
