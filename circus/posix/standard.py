"""Standard input, output and error of a program, which may be closed, or lead to a reader that has gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def open_standard() -> None:
    """Put /dev/null in the place of those of 0-2 that are closed.

    The next files would get these numbers, and every child would take a socket or a log file for its own output.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
    # Python has found them closed when it started, and has no objects for them.
    for name, fd in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            file = open(fd, "r" if fd == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for good
            setattr(sys, name, file)


def guarded(name: str, work: Callable[[], int], failed: int = 1) -> int:
    """The exit code of a program: that of its work, or `failed` if its output could not be written.

    Call it first: it opens what is closed, before other files get these numbers.
    """
    open_standard()
    try:
        code = _exit_code(work)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # of `program | head` the reader has gone, and knows that
        _give_up_output()
        return failed
    except OSError as exc:
        _give_up_output()
        print(f"{name}: error: {exc.strerror or exc}", file=sys.stderr)
        return failed


def _exit_code(work: Callable[[], int]) -> int:
    try:
        return work()
    except SystemExit as exc:  # argparse: 0 after a help text, 2 after a wrong flag
        if isinstance(exc.code, str):
            raise
        return exc.code or 0


def _give_up_output() -> None:
    """Without this the interpreter complains when it flushes at exit, and ends with 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
