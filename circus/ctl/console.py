"""One command from words to printed text: what the shell and a one-shot call have in common."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from circus.commands import command_names, get_command
from circus.commands.base import Command, is_error
from circus.common.convert import nearest
from circus.ctl.global_options import USAGE_LINE, Globals
from circus.ctl.output import FAILED, OK, REFUSED, USAGE, coloured, say
from circus.exc import ArgumentError, CallError
from circus.wire.client import TIMED_OUT, CircusClient

# Almost every reply comes within milliseconds; after this many seconds a look at the other end is worth its time.
FIRST_LOOK = 0.25

_HELP = """\
circusd did not answer within {timeout:g} s: {hint}.
Give it longer with --timeout; another circusd is named with --endpoint or $CIRCUSCTL_ENDPOINT."""

# The command was taken; it only lasts longer than we were told to wait.
_STILL_BUSY = """\
The command had not ended within {timeout:g} s. circusd goes on with it; `circusctl status` shows how far it is.
Wait longer with --timeout, or leave out --waiting."""


class Console:
    """Runs commands against one circusd and prints what comes of it. The connection is made when first needed."""

    def __init__(self, options: Globals) -> None:
        self.options = options
        self.endpoint = options.control_endpoint
        self._client: CircusClient | None = None

    @property
    def client(self) -> CircusClient:
        if self._client is None:
            self._client = self.options.client(self.endpoint)
        return self._client

    @property
    def near_endpoint(self) -> str:
        """What another client, which is not to wait for ssh, may connect to. CallError if there is nothing now."""
        if not self.options.ssh:
            return self.endpoint
        if self._client is None or self._client.is_cut:
            raise CallError("there is no tunnel")
        return self._client.address

    def close(self) -> None:
        if self._client is not None:
            self._client.stop()

    def run(self, words: Sequence[str]) -> int:
        """Run the command that the words say, print its text, and return the exit code.

        Wrong flags and --help of a command raise SystemExit, as argparse does.
        """
        from circus.ctl.argv import read_flags, split

        command = get_command(words[0])
        if command is None:
            return self.unknown(words[0])
        plain, flags = split(words[1:], command)
        options = read_flags(command, flags) if flags else {}
        try:
            message = command.message(*plain, **options)
        except ArgumentError as exc:
            return self.wrong_words(command, exc)
        if command.msg_type == "sub":
            from circus.ctl.listening import listen

            return listen(self.options, plain, as_json=bool(options.get("json")) or self.options.json)
        return self.ask(command, message)

    def ask(self, command: Command, message: dict[str, Any]) -> int:
        try:
            reply = self.call(message)
        except CallError as exc:
            return self.no_answer(exc, bool(message.get("properties", {}).get("waiting")))
        return self.show(command, reply)

    def call(self, message: dict[str, Any]) -> dict[str, Any]:
        """The reply. Raises `CallError`."""
        return ask(self.client, message)

    def show(self, command: Command, reply: Mapping[str, Any]) -> int:
        """A reply that is ok may still say what did not come about: for a shell that is a failure."""
        failed = is_error(reply)
        reason = "" if failed else reply.get("reason")
        if self.options.json:
            print(self.as_json(reply), flush=True)
        elif failed:
            say(command.console_error(reply), sys.stderr)
        elif reason:
            say(f"error: {reason}", sys.stderr)
        else:
            say(command.console_msg(reply))
        return REFUSED if failed or reason else OK

    def as_json(self, reply: Mapping[str, Any]) -> str:
        if not self.options.prettify:
            return json.dumps(reply)
        return coloured(json.dumps(reply, indent=2, sort_keys=True))

    def no_answer(self, exc: CallError, waiting: bool) -> int:
        hint = getattr(exc, "hint", "no reason known")
        if str(exc) != TIMED_OUT:
            say(f"error: {exc}", sys.stderr)
        elif not getattr(exc, "timed_out", True):
            say(f"error: {hint}", sys.stderr)
        else:
            help_text = _STILL_BUSY if waiting and getattr(exc, "alive", False) else _HELP
            say(f"{TIMED_OUT}\n{help_text.format(timeout=self.options.timeout, hint=hint)}", sys.stderr)
        return FAILED

    def wrong_words(self, command: Command, exc: ArgumentError) -> int:
        from circus.ctl.manual import usage

        say(f"{exc}\nusage: circusctl {usage(command)}", sys.stderr)
        return FAILED

    def unknown(self, word: str) -> int:
        guess = nearest(word, command_names())
        hint = f"\nDid you mean {guess}?" if guess else ""
        say(f"{USAGE_LINE}\ncircusctl: error: unrecognized arguments: {word}{hint}", sys.stderr)
        return USAGE


def ask(client: CircusClient, message: dict[str, Any]) -> dict[str, Any]:
    """`client.call`; only if that takes long, what there is to say about it is loaded and found out."""
    pending = client.send(message)
    if pending is None:
        return {}
    timeout = client.timeout / 1000
    end_at = None if timeout < 0 else time.monotonic() + timeout
    try:
        return pending.receive(FIRST_LOOK if end_at is None else min(FIRST_LOOK, timeout))
    except CallError as exc:
        if str(exc) != TIMED_OUT:
            raise
    from circus.ctl.diagnose import wait_on

    try:
        return wait_on(client, pending, end_at)
    except CallError:
        pending.abandon()
        raise
