"""Taking a command line apart. Which words are flags is decided here, since argparse guesses; it then reads them.

argparse and the manual are loaded only when there are flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import Property

if TYPE_CHECKING:
    import argparse

_NUMBER = re.compile(r"-\d+(\.\d*)?$")


def split(words: Sequence[str], command: Command) -> tuple[list[str], list[str]]:
    """The words of a command, and its flags with their values."""
    valued = {f"--{name}" for _, name, default, _ in command.options if not isinstance(default, bool)}
    ours = {f"--{name}" for _, name, _, _ in command.options}
    plain: list[str] = []
    flags: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            plain.extend(rest)
        elif not word.startswith("-") or word == "-" or _NUMBER.match(word):
            plain.append(word)
        elif command.literal and plain and word not in ours:
            plain.append(word)  # `add web server --port 80`: a flag of the program to run
        else:
            flags.append(word)
            if word in valued:
                flags.extend(_next(rest))
    return plain, flags


def split_globals(words: Sequence[str], valued: Iterable[str]) -> tuple[list[str], list[str]]:
    """Global flags with their values, and the rest from the command's name on."""
    valued = frozenset(valued)
    flags: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return flags, [word, *rest]
        if word == "--":
            return flags, list(rest)
        flags.append(word)
        if word in valued:
            flags.extend(_next(rest))
    return flags, []


def _next(words: Iterable[str]) -> list[str]:
    for word in words:
        return [word]
    return []  # argparse will say what is missing


def read_flags(command: Command, flags: Sequence[str]) -> dict[str, Any]:
    """Values of a command's flags by name. Prints and raises SystemExit for --help (0) and wrong flags (2)."""
    return vars(command_parser(command).parse_args(flags))


def command_parser(command: Command) -> argparse.ArgumentParser:
    from circus.ctl.manual import flag, summary, usage
    from circus.posix.arguments import ArgumentParser

    parser = ArgumentParser(
        prog="circusctl",
        usage=f"circusctl {usage(command)}".replace("%", "%%"),
        description=summary(command).replace("%", "%%"),
        allow_abbrev=False,
    )
    for short, name, default, text in command.options:
        names = [f"--{name}"] + ([f"-{short}"] if len(short) == 1 else [])
        text = text.replace("%", "%%")
        if isinstance(default, bool):
            parser.add_argument(*names, action="store_true", default=default, dest=name, help=text)
        else:
            metavar = flag(name, default).split()[1]
            parser.add_argument(*names, default=default, dest=name, metavar=metavar, help=text)
    return parser


def places(command: Command) -> list[list[Property]]:
    """What may stand at each place of the command: one before a required word may be left out, so that either fits."""
    words = [p for p in command.takes if p.word]
    return [_fitting(words[index:]) for index in range(len(words))]


def _fitting(words: list[Property]) -> list[Property]:
    first, *others = words
    if first.required or not any(p.required for p in others):
        return [first]
    return [first, *_fitting(others)]


def signal_names() -> list[str]:
    """What may be written for a signal, without SIG."""
    import signal

    return sorted(item.name.removeprefix("SIG") for item in signal.Signals)
