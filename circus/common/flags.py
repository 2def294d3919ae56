"""The command line of a daemon: flags declared once, read, listed, and errors as people want to read them.

getopt instead of argparse: a daemon keeps what it loads.
"""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from typing import NamedTuple


class Flag(NamedTuple):
    name: str
    placeholder: str
    """Of its value; empty: it takes none."""
    default: str
    """Shown by `usage_text` and given by `defaults`; empty: none."""
    text: str
    choices: Sequence[str] = ()
    """In lower case; a value may also be written in upper case. Empty: everything is allowed."""


class Usage(Exception):
    """Wrong words on the command line."""


def parse_flags(flags: Sequence[Flag], args: Sequence[str], max_words: int = 0) -> tuple[dict[str, str], list[str]]:
    """Values of the flags that were given, by name, and the other words. Raises Usage. `-h` is `--help`."""
    known = [flag.name + ("=" if flag.placeholder else "") for flag in flags]
    try:
        pairs, words = getopt.gnu_getopt(list(args), "h", known)
    except getopt.GetoptError as exc:
        raise Usage(str(exc)) from None
    if len(words) > max_words:
        raise Usage(f"unrecognized arguments: {' '.join(words[max_words:])}")
    given = {"help" if name == "-h" else name.removeprefix("--"): value for name, value in pairs}
    for flag in flags:
        value = given.get(flag.name)
        if value is not None and flag.choices and value not in (*flag.choices, *map(str.upper, flag.choices)):
            raise Usage(f"--{flag.name} {value!r} is not one of {', '.join(flag.choices)}")
    return given, words


def defaults(flags: Sequence[Flag]) -> dict[str, str]:
    """Of all flags that take a value."""
    return {flag.name: flag.default for flag in flags if flag.placeholder}


def usage_text(flags: Sequence[Flag], line: str, purpose: str) -> str:
    """What `--help` prints. `line` is how the program is called."""
    lines = [f"usage: {line}", "", purpose, ""]
    for flag in flags:
        default = f" ({flag.default})" if flag.default else ""
        lines.append(f"  {f'--{flag.name} {flag.placeholder}':22} {flag.text}{default}")
    return "\n".join(lines)
