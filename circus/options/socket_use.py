"""Which managed sockets a watcher is given, read from its options. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from circus.common.convert import did_you_mean
from circus.common.template import variables_in
from circus.options.table import WatcherSpec

_PREFIX = "sockets."

PORT = ".port"
"""`$(circus.sockets.NAME.port)` is the port of a socket, which the system may have chosen."""


class SocketUse(NamedTuple):
    """Names are in lower case.

    `every`: all there are, each under the number that it has in circusd. `mentioned`: those that
    `$(circus.sockets.NAME)` names. `stdin`: the one that becomes descriptor 0, or empty. `listen`: those that become
    descriptors 3 and so on. `told`: those it is not given, but whose port `$(circus.sockets.NAME.port)` tells.
    """

    every: bool
    mentioned: frozenset[str]
    stdin: str
    listen: tuple[str, ...]
    told: frozenset[str] = frozenset()

    def named(self) -> set[str]:
        """Those it is given by name."""
        return {*self.mentioned, *self.listen, *filter(None, [self.stdin])}

    def required(self) -> set[str]:
        """Sockets that must be there."""
        return self.named() | self.told

    def among(self, known: Collection[str]) -> set[str]:
        """Those of `known` that the watcher is given."""
        return set(known) if self.every else self.named().intersection(known)

    def concerned(self, known: Collection[str]) -> set[str]:
        """Those of `known` whose change its processes must learn of."""
        return self.among(known) | self.told.intersection(known)


NOTHING = SocketUse(False, frozenset(), "", ())


def socket_use(spec: WatcherSpec) -> SocketUse:
    stdin = (spec.stdin_socket or "").lower()
    listen = tuple(name.lower() for name in spec.listen_fds)
    names = {name.removeprefix(_PREFIX) for name in _variables(spec) if name.startswith(_PREFIX)}
    told = frozenset(name.removesuffix(PORT) for name in names if name.endswith(PORT))
    mentioned = frozenset(name for name in names if not name.endswith(PORT))
    return SocketUse(spec.use_sockets, mentioned, stdin, listen, told)


def _variables(spec: WatcherSpec) -> Iterator[str]:
    for text in _texts(spec):
        yield from variables_in(text)


def _texts(spec: WatcherSpec) -> Iterator[str]:
    """Where variables are replaced when a process is started."""
    args = spec.args or ""
    yield from (spec.cmd, spec.shell_args or "")
    yield from map(str, args) if isinstance(args, (list, tuple)) else [args]
    yield from (spec.env or {}).values()


def no_socket(name: str, known: Collection[str]) -> str:
    return f"there is no socket {name!r}{did_you_mean(name, known) or f'; add [socket:{name}]'}"


def missing(use: SocketUse, known: Collection[str]) -> str:
    """Which socket that must be there is not, for people; empty if all are."""
    for name in sorted(use.required().difference(known)):
        return no_socket(name, known)
    return ""


def faults(spec: WatcherSpec, known: Collection[str], scattered: Collection[str]) -> Iterator[tuple[str, str]]:
    """(option, what is wrong with it) where there are the sockets `known`; of those `scattered` each process has one of
    its own. The option is empty if it is a variable of the environment."""
    use = socket_use(spec)
    for name in sorted(use.required().difference(known)):
        yield _option_of(name, spec), no_socket(name, known)
    for name in {name for name in use.listen if use.listen.count(name) > 1}:
        yield "listen_fds", f"names {name!r} twice"
    if spec.on_demand:
        used, named = known if use.every else use.named(), use.named().intersection(scattered)
        yield from _faults_of_waiting(used, named, scattered)


def _faults_of_waiting(
    used: Collection[str], named: Collection[str], scattered: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Of sockets to wait at: those that are `used`, and of them those that are `named` and scattered."""
    if not used:
        yield "on_demand", "needs a socket to wait for: use_sockets, listen_fds, stdin_socket or $(circus.sockets.NAME)"
    for name in sorted(used if set(used) <= set(scattered) else named):
        yield "on_demand", f"cannot wait at socket {name!r}: with so_reuseport it is open only in processes that run"


def _option_of(name: str, spec: WatcherSpec) -> str:
    """The one that names the socket, as written."""
    if name in map(str.lower, spec.listen_fds):
        return "listen_fds"
    if name == (spec.stdin_socket or "").lower():
        return "stdin_socket"
    texts = {key: str(getattr(spec, key) or "") for key in ("cmd", "args", "shell_args")}
    wanted = {f"{_PREFIX}{name}", f"{_PREFIX}{name}{PORT}"}
    return next((key for key, text in texts.items() if wanted.intersection(variables_in(text))), "")
