"""circusctl: drive a running circusd from a command line or a prompt."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from circus import __version__
from circus.commands import command_names, get_command
from circus.ctl.argv import split_globals
from circus.ctl.console import FAILED, OK, USAGE_LINE, Console, Globals, say

if TYPE_CHECKING:
    import argparse

VERSION = f"circusctl {__version__}"

# What may stand before the command: names, what the value is called ("" for a switch, a|b|c for a choice), text.
GLOBAL_FLAGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("--endpoint",), "ENDPOINT", "control endpoint of circusd; else $CIRCUSCTL_ENDPOINT, else tcp://127.0.0.1:5555"),
    (("--timeout",), "SECONDS", "how long to wait for an answer, 5 if not given"),
    (("--json",), "", "print replies as JSON"),
    (("--prettify",), "", "with --json, indent it and sort the keys"),
    (("--ssh",), "USER@HOST:PORT", "reach circusd through an ssh tunnel"),
    (("--ssh_keyfile",), "FILE", "key for the ssh tunnel"),
    (("--completion",), "bash|zsh|fish", "print the completion file for a shell"),
    (("--help", "-h"), "", "show this help, or that of a command, and exit"),
    (("--version", "-v"), "", "show the version and exit"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `circusctl`. Returns the exit code: 0, 1 no answer or bad words, 2 usage, 3 error reply."""
    if os.environ.get("AUTO_COMPLETE"):
        from circus.ctl.completion import auto_complete

        return auto_complete()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except SystemExit as exc:  # argparse: 0 after a help text, 2 after a wrong flag
        return exc.code if isinstance(exc.code, int) else FAILED
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:
        # Who read our output is gone. Without this the interpreter complains when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as exc:
        say(f"circusctl: internal error: {type(exc).__name__}: {exc}", sys.stderr)
        return FAILED


def _run(argv: Sequence[str]) -> int:
    flags, words = split_globals(argv, [names[0] for names, metavar, _ in GLOBAL_FLAGS if metavar])
    options = Globals()
    if flags:
        chosen = _parser().parse_args(flags, namespace=_Flags())
        if chosen.version:
            return _print(VERSION)
        if chosen.help:
            return _help(words)
        if chosen.completion:
            from circus.ctl.completion import script

            return _print(script(chosen.completion))
        options = chosen
    if words and get_command(words[0]) is None and words[0] in ("help", "version"):
        return _print(VERSION) if words[0] == "version" else _help(words[1:])
    return _work(Console(options), words)


def _work(console: Console, words: Sequence[str]) -> int:
    try:
        if words:
            return console.run(words)
        from circus.ctl.prompt import run_shell

        return run_shell(console, VERSION)
    finally:
        console.close()


class _Flags(Globals):
    help = False
    version = False
    completion: str | None = None


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        prog="circusctl",
        usage=USAGE_LINE.removeprefix("usage: "),
        add_help=False,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for names, metavar, text in GLOBAL_FLAGS:
        if not metavar:
            parser.add_argument(*names, action="store_true", help=text)
        elif "|" in metavar:
            parser.add_argument(*names, choices=metavar.split("|"), help=text)
        else:
            kind = float if names[0] == "--timeout" else str
            parser.add_argument(*names, metavar=metavar, type=kind, help=text)
    return parser


def _help(words: Sequence[str]) -> int:
    from circus.commands import get_commands
    from circus.ctl.manual import manual, overview

    if words:
        command = get_command(words[0])
        return Console(Globals()).unknown(words[0]) if command is None else _print(manual(command))
    parser = _parser()
    parser.description = (
        f"Controls a Circus daemon. Without a command it prompts for them.\n\nCommands:\n{overview(get_commands())}"
    )
    return _print(parser.format_help().rstrip())


def _print(text: str) -> int:
    say(text)
    return OK


def known_words() -> list[str]:
    """What may stand in the place of the command."""
    return sorted({*command_names(), "help", "version"})


if __name__ == "__main__":
    sys.exit(main())
