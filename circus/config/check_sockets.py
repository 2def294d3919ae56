"""What can be wrong with managed sockets and with watchers that use them, before anything is bound. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from circus.common.convert import did_you_mean
from circus.common.names import MAX_SOCKET_PATH
from circus.config.ini import Problem
from circus.options.socket_use import PORT, faults, socket_use
from circus.options.table import ConfigSpec, SocketSpec

FAMILIES = ("AF_INET", "AF_INET6", "AF_UNIX")
TYPES = ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET", "SOCK_RAW", "SOCK_RDM")

_SIMPLE_NAME = re.compile(r"[\w.\-]+", re.ASCII)  # what a variable can name, see `circus.common.template`

Sections = Mapping[str, str]
"""Sections of the file, by the names of sockets or of watchers."""


def problems(
    config: ConfigSpec, sockets: Sections, watchers: Sections, inherited: Collection[str]
) -> Iterator[Problem]:
    """`inherited` are names of sockets that circusd itself was started with."""
    for spec in config.sockets:
        for key, text, fatal in _of_socket(spec):
            yield Problem("", 0, sockets[spec.name], key, text, fatal)
    yield from _same_places(config.sockets, sockets)
    known = {spec.name for spec in config.sockets} | set(inherited)
    scattered = {spec.name for spec in config.sockets if spec.so_reuseport}.difference(inherited)
    for watcher in config.watchers:
        for key, text in faults(watcher, known, scattered):
            yield Problem("", 0, watchers[watcher.name], key, text)
    yield from _unused(config, sockets)


# ---- one socket --------------------------------------------------------------------------------------------------


def _of_socket(spec: SocketSpec) -> Iterator[tuple[str, str, bool]]:
    """(key, text, whether it is fatal)"""
    for key, known in (("family", FAMILIES), ("type", TYPES)):
        value = getattr(spec, key)
        if value.upper() not in known:
            yield key, f"{value!r} is none of {', '.join(known)}{did_you_mean(value.upper(), known)}", True
    if not _SIMPLE_NAME.fullmatch(spec.name) or spec.name.endswith(PORT):  # the latter means a port
        text = "can be named by listen_fds and use_sockets only: a name of letters, digits and `_.-` works everywhere"
        yield "", text, ":" in spec.name
    yield from _of_unix(spec) if is_unix(spec) else _of_inet(spec)


def is_unix(spec: SocketSpec) -> bool:
    return bool(spec.path) or spec.family.upper() == "AF_UNIX"


def _of_unix(spec: SocketSpec) -> Iterator[tuple[str, str, bool]]:
    if not spec.path:
        yield "family", "AF_UNIX needs a path: add `path = FILE`", True
    elif len(os.fsencode(spec.path)) > MAX_SOCKET_PATH:
        yield "path", f"is longer than {MAX_SOCKET_PATH} bytes, the limit for unix sockets", True
    if spec.so_reuseport:
        yield "so_reuseport", "is for ports: a unix socket has none", True
    for key in ("host", "port", "interface"):
        if key in spec.values:
            yield key, "has no effect on a unix socket", False


def _of_inet(spec: SocketSpec) -> Iterator[tuple[str, str, bool]]:
    if spec.so_reuseport and spec.port == 0:
        yield "so_reuseport", "needs a port: with `port = 0` each process would listen on another one", True
    for key, option in (("umask", spec.umask), ("replace", spec.replace_socket)):
        if option:
            yield key, "has an effect on unix sockets only: there is no path", False


# ---- several -----------------------------------------------------------------------------------------------------


def _same_places(specs: Iterable[SocketSpec], sections: Sections) -> Iterator[Problem]:
    taken: dict[object, SocketSpec] = {}
    for spec in specs:
        if not spec.path and not spec.port:
            continue  # any free one
        address = (spec.host.lower(), spec.port, spec.family.upper(), spec.type.upper())
        other = taken.setdefault(spec.path or address, spec)
        if other is not spec and not (spec.so_reuseport and other.so_reuseport):
            key = "path" if spec.path else "port"
            yield Problem("", 0, sections[spec.name], key, f"[{sections[other.name]}] listens there already")


def _unused(config: ConfigSpec, sections: Sections) -> Iterator[Problem]:
    uses = [socket_use(watcher) for watcher in config.watchers]
    if any(use.every for use in uses):
        return
    named: set[str] = set().union(*(use.required() for use in uses))
    for spec in config.sockets:
        if spec.name not in named:
            # It is opened all the same, as it always was; but whoever asks whether the file is right hears an error.
            yield Problem("", 0, sections[spec.name], "", "is used by no watcher", fatal=False, skips=True)
