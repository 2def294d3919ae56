"""From what runs to what a configuration says: an ordered plan, each step with its reason and its price. Pure.

What runs is compared, not what an older file said: options changed since by `set` or `incr` go back to the file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple

from circus.common.names import STATS_WATCHER
from circus.options.option import Effect, Spec
from circus.options.settings import effects_of
from circus.options.socket_use import socket_use
from circus.options.table import CircusSpec, SocketSpec, WatcherSpec


class What(Enum):
    """What becomes of a section."""

    ADD = "is new"
    REMOVE = "is not wanted any more"
    CHANGE = "changes"
    KEEP = "stays"


class Price(Enum):
    """What a step costs."""

    NOTHING = "nothing"
    IN_PLACE = "in place"
    BIND = "bind"
    REBIND = "bind anew"
    CLOSE = "close"
    START = "start"
    STOP = "stop"
    RELOAD = "graceful reload"
    RESTART = "stop and start"
    DAEMON = "restart of circusd"


class Step(NamedTuple):
    """`section` as in a file, `watcher:web`; `name` without the kind. `options` are those that differ, as written.

    `spec` is what is wanted: of a watcher or socket that is new, changes, or is to be replaced.
    """

    section: str
    name: str
    what: What
    price: Price
    options: tuple[str, ...] = ()
    why: str = ""
    spec: Any = None

    def __str__(self) -> str:
        reason = "; ".join(filter(None, [", ".join(self.options), self.why]))
        return f"[{self.section}] {self.what.value}{f' ({reason})' if reason else ''}: {self.price.value}"

    def as_dict(self) -> dict[str, Any]:
        """In the words of JSON."""
        return {
            "section": self.section,
            "what": self.what.name.lower(),
            "options": list(self.options),
            "why": self.why,
            "price": self.price.value,
        }


class Standing(NamedTuple):
    """A watcher as it is. `is_added`: by a command, so no file speaks of it."""

    spec: WatcherSpec
    is_added: bool = False


class State(NamedTuple):
    """Everything that a configuration is about. Sockets are keyed by name.

    `inherited` are names of those that circusd was started with, which are not among `sockets`. `ports` are the real
    ones of sockets that were left to choose; `lost` says of sockets that nobody can connect to any more what has become
    of them.
    """

    circus: CircusSpec
    sockets: Mapping[str, SocketSpec]
    watchers: Iterable[Standing]
    inherited: Collection[str] = ()
    ports: Mapping[str, int] = {}
    lost: Mapping[str, str] = {}


class Plan(NamedTuple):
    """Steps in the order to take them. `blocked` are sockets whose address is in use until their users have stopped."""

    steps: list[Step]
    blocked: frozenset[str] = frozenset()

    @property
    def needs_restart(self) -> list[str]:
        """Options of `[circus]` that a running daemon cannot change."""
        return [option for step in self.steps if step.price is Price.DAEMON for option in step.options]

    def of(self, kind: str) -> list[Step]:
        """Steps of one kind of section: `socket` or `watcher`, plugins included."""
        return [step for step in self.steps if _KINDS[step.section.partition(":")[0]] == kind]


_KINDS = {"circus": "circus", "socket": "socket", "watcher": "watcher", "plugin": "watcher", STATS_WATCHER: "watcher"}


def plan(now: State, wanted: State) -> Plan:
    """Daemon, sockets, then watchers: what goes, what changes, what comes, each by priority, bigger first.

    Sockets and watchers are the same if their names are, ignoring case. What does not differ is not in the plan, but
    for what was added by command.
    """
    sockets = list(_socket_steps(now, wanted))
    blocked = _blocked(_places(now), sockets)
    affected = {step.name for step in sockets if step.price in _REBOUND}
    watchers = _WatcherSteps(now, wanted, affected, blocked)
    return Plan([*_circus_steps(now.circus, wanted.circus), *sockets, *watchers.all()], blocked)


# ---- [circus] ----------------------------------------------------------------------------------------------------


def _circus_steps(old: CircusSpec, new: CircusSpec) -> Iterator[Step]:
    changed = old.diff(new)
    options = {option.name: option.effect for option in CircusSpec.options() if option.name in changed}
    for price, effect in ((Price.IN_PLACE, Effect.NOTHING), (Price.DAEMON, Effect.RESTART)):
        names = tuple(sorted(name for name, found in options.items() if found is effect))
        if names:
            yield Step("circus", "", What.CHANGE, price, names, spec=new)


# ---- sockets -----------------------------------------------------------------------------------------------------

# What a listening socket takes without being bound anew (listen(2), fcntl(2), chmod(2)); but no umask means that of
# circusd, which is known at a bind only.
_ADJUSTABLE = {"backlog", "blocking", "umask", "replace"}

_REBOUND = (Price.BIND, Price.REBIND, Price.CLOSE)


def _socket_steps(now: State, wanted: State) -> Iterator[Step]:
    for name in sorted({*now.sockets, *wanted.sockets}):
        old, new = now.sockets.get(name), wanted.sockets.get(name)
        section = f"socket:{name}"
        if name in now.inherited:
            why = "circusd was started with it, and its address is not ours to choose"
            yield Step(section, name, What.KEEP, Price.NOTHING, why=why)
        elif new is None:
            yield Step(section, name, What.REMOVE, Price.CLOSE)
        elif old is None:
            yield Step(section, name, What.ADD, Price.BIND, spec=new)
        elif name in now.lost:
            yield Step(section, name, What.CHANGE, Price.REBIND, _changed(old, new), now.lost[name], new)
        elif options := _changed(old, new):
            price = Price.IN_PLACE if _is_adjustable(options, new, now.ports.get(name)) else Price.REBIND
            yield Step(section, name, What.CHANGE, price, options, spec=new)


def _is_adjustable(options: Collection[str], new: SocketSpec, port: int | None) -> bool:
    """`port` is the real one of a socket that was left to choose: a file that names it changes nothing."""
    if "umask" in options and new.umask is None:
        return False
    return _ADJUSTABLE.issuperset(option for option in options if option != "port" or new.port != port)


def _places(now: State) -> dict[str, SocketSpec]:
    """Where sockets are bound, by name; of one that is lost its file is free."""
    bound = {name: spec for name, spec in now.sockets.items() if not (name in now.lost and spec.path)}
    return {name: spec.replace(port=now.ports[name]) if name in now.ports else spec for name, spec in bound.items()}


def _changed(old: SocketSpec, new: SocketSpec) -> tuple[str, ...]:
    """Without what is no option, which has no effect."""
    return tuple(sorted(old.diff(new).intersection(option.name for option in SocketSpec.options())))


def _blocked(old: Mapping[str, SocketSpec], steps: Iterable[Step]) -> frozenset[str]:
    """Sockets to be bound where another, or the same, is bound before: its users hold it open, so it is not free."""
    going = {step.name: old[step.name] for step in steps if step.price in _REBOUND and step.name in old}
    found: set[str] = set()
    for step in steps:
        if step.price in (Price.BIND, Price.REBIND):
            for name, spec in going.items():
                if _overlap(spec, step.spec):
                    found |= {name, step.name}
    return frozenset(found)


def _overlap(old: SocketSpec, new: SocketSpec) -> bool:
    """Whether the new one may be refused while the old one is open."""
    if old.path or new.path:
        return old.path == new.path
    if old.so_reuseport and new.so_reuseport:
        return False
    is_same_port = old.port == new.port != 0 and old.type.upper() == new.type.upper()
    one, other = _one_address(old.host), _one_address(new.host)
    return is_same_port and (one is None or other is None or one == other)


def _one_address(host: str) -> IPv4Address | IPv6Address | None:
    """None for what may be any address: a name, and the one of zeros, which is all of them."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    found = address if isinstance(address, IPv4Address) else address.ipv4_mapped or address
    return None if found.is_unspecified else found


# ---- watchers ----------------------------------------------------------------------------------------------------


class _WatcherSteps:
    """`affected` are sockets that are bound, closed or bound anew; `blocked` is a part of them."""

    def __init__(self, now: State, wanted: State, affected: Collection[str], blocked: Collection[str]) -> None:
        self._old = {standing.spec.name.lower(): standing for standing in now.watchers}
        self._new = {standing.spec.name.lower(): standing.spec for standing in wanted.watchers}
        self._affected = affected
        self._blocked = blocked
        self._known = {*wanted.sockets, *now.inherited}
        self._all_sockets = {*now.sockets, *self._known}

    def all(self) -> list[Step]:
        old = {name: standing.spec for name, standing in self._old.items()}
        gone = [self._left(self._old[name]) for name, _ in _by_priority(old) if name not in self._new]
        kept = [self._change(self._old[name], spec) for name, spec in _by_priority(self._new) if name in old]
        come = [
            Step(section_of(spec), spec.name, What.ADD, Price.START if spec.autostart else Price.NOTHING, spec=spec)
            for name, spec in _by_priority(self._new)
            if name not in old
        ]
        return [*gone, *(step for step in kept if step is not None), *come]

    def _left(self, standing: Standing) -> Step:
        """Of which the file does not speak."""
        spec = standing.spec
        section = section_of(spec)
        if not standing.is_added:
            return Step(section, spec.name, What.REMOVE, Price.STOP)
        lost = sorted(socket_use(spec).required().difference(self._known))
        if lost:
            why = f"added by command, but uses socket {', '.join(lost)}"
            return Step(section, spec.name, What.REMOVE, Price.STOP, why=why)
        price, why = self._price_of_sockets(spec, spec)
        why = "; ".join(filter(None, ["added by command", why]))
        return Step(section, spec.name, What.KEEP, price, why=why, spec=spec)

    def _change(self, standing: Standing, new: WatcherSpec) -> Step | None:
        old = standing.spec
        effects = effects_of(old, new)
        price, why = self._price_of_sockets(old, new)
        if not effects and price is Price.NOTHING and not standing.is_added:
            return None
        if price is not Price.RESTART and Effect.RELOAD in effects.values():
            price = _replacing(old, new)
        elif price is Price.NOTHING and effects:
            price = Price.IN_PLACE
        added = "was added by command, is of the file now" if standing.is_added else ""
        why = "; ".join(filter(None, [why, added]))
        return Step(section_of(old), old.name, What.CHANGE, price, _shown(effects), why, new)

    def _price_of_sockets(self, old: WatcherSpec, new: WatcherSpec) -> tuple[Price, str]:
        """What changed sockets cost one that uses them, before or afterwards; and which they are."""
        old_use, new_use = socket_use(old), socket_use(new)
        used = old_use.concerned(self._all_sockets) | new_use.concerned(self._all_sockets)
        changed = sorted(used.intersection(self._affected))
        if not changed:
            return Price.NOTHING, ""
        why = f"socket {', '.join(changed)}"
        return Price.RESTART if used.intersection(self._blocked) else _replacing(old, new), why


def _shown(options: Iterable[str]) -> tuple[str, ...]:
    """Families by their name: `hooks` for `hooks.`."""
    return tuple(sorted(option.rstrip("._") for option in options))


def _replacing(old: WatcherSpec, new: WatcherSpec) -> Price:
    """How processes are replaced: of a singleton there are never two."""
    return Price.RESTART if old.singleton or new.singleton else Price.RELOAD


def _by_priority(specs: Mapping[str, WatcherSpec]) -> list[tuple[str, WatcherSpec]]:
    return sorted(specs.items(), key=lambda item: -item[1].priority)


def section_of(spec: Spec) -> str:
    """As in a file; plugins and circusd-stats are watchers of their own names."""
    is_own = spec.name.startswith("plugin:") or spec.name == STATS_WATCHER
    return spec.name if is_own else f"watcher:{spec.name}"
