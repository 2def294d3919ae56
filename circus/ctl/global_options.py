"""The options before the command: which circusd is meant, and how to reach it. Declared once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from circus.commands import command_names
from circus.common.names import DEFAULT_ENDPOINT_DEALER
from circus.wire.client import CircusClient

if TYPE_CHECKING:
    import argparse

USAGE_LINE = "usage: circusctl [options] command [args]"

# What may stand before the command: names, what the value is called ("" for a switch, a|b|c for a choice), text.
GLOBAL_FLAGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("--endpoint",), "ENDPOINT", "control endpoint of circusd; else $CIRCUSCTL_ENDPOINT, else tcp://127.0.0.1:5555"),
    (("--timeout",), "SECONDS", "how long to wait for an answer, 5 if not given"),
    (("--json",), "", "print replies as JSON"),
    (("--prettify",), "", "with --json, indent it and sort the keys"),
    (("--ssh",), "USER@HOST[:PORT]", "reach circusd through an ssh tunnel"),
    (("--ssh_keyfile",), "FILE", "key for the ssh tunnel"),
    (("--completion",), "bash|zsh|fish", "print the completion file for a shell"),
    (("--help", "-h"), "", "show this help, or that of a command, and exit"),
    (("--version", "-v"), "", "show the version and exit"),
)


class Globals:
    """The options before the command, with their defaults."""

    endpoint: str | None = None
    timeout: float = 5.0  # seconds
    json = False
    prettify = False
    ssh: str | None = None
    ssh_keyfile: str | None = None

    @property
    def env_endpoint(self) -> str | None:
        """The control endpoint that the environment names."""
        return os.environ.get("CIRCUSCTL_ENDPOINT") or None

    @property
    def control_endpoint(self) -> str:
        return self.endpoint or self.env_endpoint or DEFAULT_ENDPOINT_DEALER

    def client(self, endpoint: str) -> CircusClient:
        """A client for a control endpoint, on the way these options say. Raises `CallError`."""
        return CircusClient(endpoint=endpoint, timeout=self.timeout, ssh_server=self.ssh, ssh_keyfile=self.ssh_keyfile)


class Flags(Globals):
    """With those that end circusctl."""

    help = False
    version = False
    completion: str | None = None


def parser() -> argparse.ArgumentParser:
    import argparse

    from circus.posix.arguments import ArgumentParser

    made = ArgumentParser(
        prog="circusctl",
        usage=USAGE_LINE.removeprefix("usage: "),
        add_help=False,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for names, metavar, text in GLOBAL_FLAGS:
        if not metavar:
            made.add_argument(*names, action="store_true", help=text)
        elif "|" in metavar:
            made.add_argument(*names, choices=metavar.split("|"), help=text)
        else:
            kind = float if names[0] == "--timeout" else str
            made.add_argument(*names, metavar=metavar, type=kind, help=text)
    return made


def known_words() -> list[str]:
    """What may stand in the place of the command."""
    return sorted({*command_names(), "help", "version"})
