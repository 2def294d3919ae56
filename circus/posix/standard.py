"""Standard input, output and error of a program, which may be closed, or lead to a reader that has gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TextIO


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
    error: OSError | None = None
    try:
        code = _exit_code(work)
    except OSError as exc:
        code, error = failed, exc
    unwritten = _flush(sys.stdout, 1)
    if unwritten is not None:
        code, error = code or failed, unwritten
    if error is not None and not isinstance(error, BrokenPipeError):  # the reader of `program | head` knows
        complain(f"{name}: error: {error.strerror or error}")
    _flush(sys.stderr, 2)  # it cannot be said anywhere, and the work is what it was
    return code


def complain(text: str) -> None:
    """Print a line on standard error. That it cannot be written changes nothing of what is being done."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass


def _exit_code(work: Callable[[], int]) -> int:
    try:
        return work()
    except SystemExit as exc:  # argparse: 0 after a help text, 2 after a wrong flag
        if isinstance(exc.code, str):
            raise
        return exc.code or 0


def _flush(file: TextIO, fd: int) -> OSError | None:
    """Why what was printed cannot be written; the interpreter, which would end with 120, flushes to /dev/null then."""
    try:
        file.flush()
    except OSError as exc:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, fd)
        os.close(null)
        return exc
    return None
