"""argparse, for programs whose exit code says what they did."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from circus.posix.standard import complain


class ArgumentParser(argparse.ArgumentParser):
    """Help that cannot be written is an error, and what was wrong with the flags stays one of 2 if it cannot be said.

    By itself argparse overlooks both, or neither: that changed within Python 3.11.
    """

    def _print_message(self, message: str, file: Any = None) -> None:
        """Of argparse; everything it writes goes through here. Raises OSError for standard output only."""
        if file is sys.stdout:
            sys.stdout.write(message)
        else:
            complain(message.removesuffix("\n"))
