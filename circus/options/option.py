"""How an option is declared: its kind, default, what a change costs, and its line of manual.

The table itself is the bodies of the classes in `circus.options.table`: an option is a typed attribute there and stands
nowhere else. The configuration reader, `set`, `get`, `options`, validation, completion and the reference page
are all made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar, overload

from circus.options.kinds import FAMILY, Kind

T = TypeVar("T")


class Effect(Enum):
    """What changing an option costs while its watcher, or for `[circus]` the daemon, runs."""

    FIXED = "cannot be changed while running"
    RESTART = "needs a restart of circusd"
    NOTHING = "takes effect by itself"
    MANAGE = "processes are started or ended until their number is right"
    RELOAD = "processes are replaced gracefully"
    REBIND = "the socket is bound anew, and processes that use it are replaced gracefully"
    STREAM = "the stream is swapped; the first one, or none any more, replaces processes gracefully"


class Option(Generic[T]):
    """One option. As a class attribute of a spec it is the declaration; on an instance it is the value."""

    def __init__(
        self,
        kind: Kind[T],
        default: T,
        effect: Effect,
        doc: str,
        *,
        unit: str = "",
        name: str = "",
        listed: bool = True,
        aliases: tuple[str, ...] = (),
    ) -> None:
        self.kind = kind
        self.default = default
        self.effect = effect
        self.doc = doc
        self.unit = unit
        self.name = name  # as written in files, where it differs from the attribute's: `flapping.window`
        self.listed = listed  # shown by the `options` command
        self.aliases = aliases
        self.attribute = ""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute
        self.name = self.name or attribute

    @overload
    def __get__(self, spec: None, owner: type) -> Option[T]: ...
    @overload
    def __get__(self, spec: Spec, owner: type) -> T: ...
    def __get__(self, spec: Spec | None, owner: type) -> Option[T] | T:
        if spec is None:
            return self
        value: T = spec.values.get(self.attribute, self.default)
        return value


class Family(Option[Mapping[str, T]]):
    """Options that share a prefix, such as `stdout_stream.filename`; the value maps the rest of the name.

    The whole of it goes by the name without the prefix' separator: `stdout_stream`, `hooks`, `rlimits`.
    """

    def __init__(self, prefix: str, item: Kind[T], effect: Effect, doc: str, *, listed: bool = False) -> None:
        super().__init__(FAMILY, {}, effect, doc, name=prefix, listed=listed)
        self.prefix = prefix
        self.item = item


class Spec:
    """Immutable values of one section. Only what differs from the defaults is kept, plus free-form extras.

    `values` is keyed by attribute name; `extras` by the name as written.
    """

    __slots__ = ("extras", "name", "values")

    def __init__(
        self, name: str = "", values: Mapping[str, Any] | None = None, extras: Mapping[str, Any] | None = None
    ) -> None:
        self.name = name
        self.values: Mapping[str, Any] = {
            attribute: value
            for attribute, value in (values or {}).items()
            if value != getattr(type(self), attribute).default
        }
        self.extras: Mapping[str, Any] = dict(extras or {})

    @classmethod
    def options(cls) -> Iterator[Option[Any]]:
        """In the order they are written, those of a base first; one declared again takes the place of the old."""
        found: dict[str, Option[Any]] = {}
        for klass in reversed(cls.__mro__):
            found.update({name: member for name, member in vars(klass).items() if isinstance(member, Option)})
        yield from found.values()

    @classmethod
    def lookup(cls, name: str) -> Option[Any] | None:
        """The option written `name` in files and requests, or the family it is a member or the whole of, or None."""
        return _index(cls).get(name) or _family(cls, name)

    def replace(self, **changes: Any) -> Any:
        """A copy with other values; `extras` as keyword replaces the free-form ones."""
        extras = changes.pop("extras", self.extras)
        return type(self)(self.name, {**self.values, **changes}, extras)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.name == other.name and not self.diff(other)

    __hash__ = None  # type: ignore[assignment]  # holds mappings: comparable, not hashable

    def diff(self, other: Spec) -> set[str]:
        """Names, as written in files, whose values differ."""
        changed = {o.name for o in self.options() if getattr(self, o.attribute) != getattr(other, o.attribute)}
        mine, theirs = self.extras, other.extras
        return changed.union(key for key in {*mine, *theirs} if mine.get(key, _ABSENT) != theirs.get(key, _ABSENT))

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in {**self.values, **self.extras}.items())
        return f"{type(self).__name__}({self.name!r}, {shown})"


_ABSENT = object()
# Made on first use, because the members of a class are known only after its body.
_INDEXES: dict[type, dict[str, Option[Any]]] = {}
_FAMILIES: dict[type, list[Family[Any]]] = {}


def _index(cls: type[Spec]) -> dict[str, Option[Any]]:
    if cls not in _INDEXES:
        _INDEXES[cls] = {name: option for option in cls.options() for name in _names(option)}
    return _INDEXES[cls]


def _names(option: Option[Any]) -> tuple[str, ...]:
    return (option.attribute,) if isinstance(option, Family) else (option.name, *option.aliases)


def _family(cls: type[Spec], name: str) -> Option[Any] | None:
    if cls not in _FAMILIES:
        _FAMILIES[cls] = [option for option in cls.options() if isinstance(option, Family)]
    for family in _FAMILIES[cls]:
        if name.startswith(family.prefix) and name != family.prefix:
            return family
    return None
