"""What is said to the program `ssh`, and what it says: words and texts only. `circus.wire.tunnel` starts it."""

from __future__ import annotations

import re
from typing import NamedTuple

from circus.exc import CallError

CONNECT_TIMEOUT = 15  # seconds until a server that does not answer at all is given up

# So many seconds of silence, three times in a row: the line is cut, although nobody has said so.
_ALIVE_INTERVAL = 15

# Echoes a line when everything is ready, and ends when we do: its standard input is a pipe of ours. With -N, without a
# command, ssh would not notice that a client was killed, and go on for ever.
_REMOTE_COMMAND = "cat"

# Neither begins with a dash, which would make it an option of ssh, and neither holds what a shell would act on: a
# configured ProxyCommand is run by one, and may have them among its words.
_USER = re.compile(r"[^\s\-'\"`$;&|<>(){}\x00-\x1f\x7f][^\s'\"`$;&|<>(){}\x00-\x1f\x7f]*")
_HOST = re.compile(r"[\w.][\w.-]*|[0-9A-Fa-f:]+(%[\w.]+)?")
_IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f:]+(?:%[\w.]+)?)\](?::(\d+))?")
_TCP = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[\w.]+)?\]|[\w.-]+):(\d+)")

_NOISE = ("debug1:", "debug2:", "debug3:", "Warning: Permanently added", "Killed by signal")

_KEY = "name the key with --ssh_keyfile or in ~/.ssh/config"
_HINTS = (
    ("Permission denied", _KEY),
    ("Too many authentication failures", _KEY),
    ("Host key verification failed", "log in by hand once, to check the key of that machine: {by_hand}"),
    ("Could not resolve hostname", "check the name, or give it a HostName in ~/.ssh/config"),
    ("Connection refused", "check that an ssh server runs there, and its port"),
    ("timed out", "check that the machine is up, and its port"),
)

_REFUSALS = (
    ("prohibited", "its ssh server forbids forwarding (AllowTcpForwarding, AllowStreamLocalForwarding)"),
    ("Connection refused", "nobody listens there"),
    ("open failed", "there is no such socket, or none for that user"),
)


class Server(NamedTuple):
    """`[user@]host[:port]`; the host may be a name of ~/.ssh/config. Empty or 0: what ssh takes by itself."""

    user: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}{'@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"

    @property
    def by_hand(self) -> str:
        """How a person reaches it."""
        return f"ssh {f'-p {self.port} ' if self.port else ''}{self.user}{'@' if self.user else ''}{self.host}"


def parse_server(text: str) -> Server:
    """Raises `CallError` for what is none."""
    user, at, rest = text.rpartition("@")
    host, port = rest, ""
    if rest.startswith("["):  # an IPv6 address, in brackets so that its colons end before that of the port
        found = _IN_BRACKETS.fullmatch(rest)
        host, port = found.groups("") if found else ("", "")
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
        host = host if port else ""
    if (at and not _USER.fullmatch(user)) or not _HOST.fullmatch(host) or not _is_port(port or "1"):
        raise CallError(f"{text!r} is no ssh server: USER@HOST or USER@HOST:PORT is needed")
    return Server(user, host, int(port or 0))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def far_end(endpoint: str) -> str:
    """An endpoint of the other machine as ssh's -L names it. Raises `CallError` if it cannot be reached like that."""
    scheme, _, place = endpoint.partition("://")
    found = _TCP.fullmatch(place) if scheme == "tcp" else None
    if found and _is_port(found[2]):
        return place
    if scheme == "ipc" and place.startswith("/") and "${" not in place and place.isprintable():
        # ssh takes a colon for the end of the path, and puts something in for what follows a percent sign.
        return re.sub(r"([\\:])", r"\\\1", place).replace("%", "%%")
    raise CallError(f"{endpoint!r} cannot be reached through ssh: tcp://ADDRESS:PORT or ipc:///PATH is needed")


def command_line(server: Server, near: str, far: str, keyfile: str | None, may_ask: bool, is_heard: bool) -> list[str]:
    """Words that have ssh forward `near`, a socket of this machine, to `far`.

    `may_ask`: somebody is there to answer for passwords. `is_heard`: somebody reads what it says later on.
    """
    options = {
        "BatchMode": "no" if may_ask else "yes",
        "ConnectTimeout": str(CONNECT_TIMEOUT),
        "ServerAliveInterval": str(_ALIVE_INTERVAL),
        # A shared connection would keep our socket open after we have gone.
        "ControlMaster": "no",
        "ControlPath": "none",
        # What a configuration says for people who log in.
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        # Forwardings of the configuration may be taken by another ssh. Whether ours is there we look for ourselves.
        "ExitOnForwardFailure": "no",
    }
    if not is_heard:
        options["LogLevel"] = "ERROR"
    words = ["ssh", "-T", *(f"-o{name}={value}" for name, value in options.items())]
    words += ["-L", f"{near}:{far}"]
    if keyfile:
        words += ["-i", keyfile.replace("%", "%%")]
    if server.port:
        words += ["-p", str(server.port)]
    if server.user:
        words += ["-l", server.user]
    return [*words, "--", server.host, _REMOTE_COMMAND]


def last_words(said: str) -> str:
    """The line that tells most: the last one, but for remarks."""
    lines = [line.strip() for line in said.splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith(_NOISE)), "")


def failure(server: Server, said: str) -> str:
    """Why there is no tunnel, and what to do about it."""
    reason = last_words(said) or "ssh ended without a word"
    hint = next((hint for words, hint in _HINTS if words in reason), "try it by hand: {by_hand}")
    return f"no ssh tunnel through {server}: {reason} ({hint.format(by_hand=server.by_hand)})"


def refusal(server: Server, endpoint: str, said: str) -> str:
    """Why the server does not connect us with the endpoint; empty if it said nothing of that kind.

    `channel 2: open failed: connect failed: Connection refused`, once for each attempt.
    """
    line = last_words(said)
    _, found, reason = line.partition("open failed: ")
    if not found or not line.startswith("channel "):
        return ""
    reason = reason.removeprefix("connect failed: ")
    told = next((told for words, told in _REFUSALS if words in reason), reason)
    return f"{endpoint} of {server} cannot be reached: {told}"
