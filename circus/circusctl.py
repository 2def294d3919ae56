"""circusctl: drive a running circusd from a command line or a prompt."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from circus import __version__
from circus.commands import get_command
from circus.ctl.argv import split_globals
from circus.ctl.console import Console
from circus.ctl.global_options import GLOBAL_FLAGS, Flags, Globals, parser
from circus.ctl.output import FAILED, OK, say
from circus.posix.standard import guarded

VERSION = f"circusctl {__version__}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `circusctl`. Returns the exit code, one of `circus.ctl.output.EXIT_CODES`."""
    return guarded("circusctl", lambda: _main(sys.argv[1:] if argv is None else argv), FAILED)


def _main(argv: Sequence[str]) -> int:
    if os.environ.get("AUTO_COMPLETE"):
        from circus.ctl.completion import auto_complete

        return auto_complete()
    try:
        return _run(argv)
    except SystemExit as exc:  # argparse: 0 after a help text, 2 after a wrong flag
        return exc.code if isinstance(exc.code, int) else FAILED
    except KeyboardInterrupt:
        return FAILED
    except OSError:
        raise  # its output cannot be written
    except Exception as exc:
        say(f"circusctl: internal error: {type(exc).__name__}: {exc}", sys.stderr)
        return FAILED


def _run(argv: Sequence[str]) -> int:
    flags, words = split_globals(argv, [names[0] for names, metavar, _ in GLOBAL_FLAGS if metavar])
    options = Globals()
    if flags:
        chosen = parser().parse_args(flags, namespace=Flags())
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


def _help(words: Sequence[str]) -> int:
    from circus.commands import get_commands
    from circus.ctl.manual import manual, overview

    if words:
        command = get_command(words[0])
        return Console(Globals()).unknown(words[0]) if command is None else _print(manual(command))
    told = parser()
    told.description = (
        f"Controls a Circus daemon. Without a command it prompts for them.\n\nCommands:\n{overview(get_commands())}"
    )
    return _print(told.format_help().rstrip())


def _print(text: str) -> int:
    say(text)
    return OK


if __name__ == "__main__":
    sys.exit(main())
