"""How an option is declared: its kind (text or JSON to value), default, what a change costs, and its line of manual.

The table itself is the bodies of the classes in `circus.spec`: an option is a typed attribute there and stands
nowhere else. The configuration reader, `set`, `get`, `options`, validation, completion and the reference page
are all made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar, overload

from circus import convert
from circus.exc import MessageError

T = TypeVar("T")


class Effect(Enum):
    """What changing an option of a running watcher costs."""

    FIXED = "cannot be changed while running"
    NOTHING = "takes effect by itself"
    MANAGE = "processes are counted anew"
    RELOAD = "running processes are replaced gracefully"
    STREAM = "the stream is swapped"


class Kind(Generic[T]):
    """One sort of value.

    `parse` turns text (file, command line) into a value and raises ValueError with a sentence;
    `check` does the same for a JSON value and raises MessageError through `fault`, which says what it is not.
    """

    def __init__(self, name: str, parse: Callable[[str], T], accepts: tuple[type, ...], fault: str) -> None:
        self.name = name
        self.parse = parse
        self.accepts = accepts
        self.fault = fault

    def check(self, key: str, value: object) -> T:
        """A JSON value as the option's value; MessageError `'<key>' isn't ...` if it cannot be one."""
        if isinstance(value, bool) and bool not in self.accepts:
            raise MessageError(f"'{key}' {self.fault}")
        if not isinstance(value, self.accepts):
            raise MessageError(f"'{key}' {self.fault}")
        try:
            return self.parse(value) if isinstance(value, str) else self.adapt(value)
        except ValueError:
            raise MessageError(f"'{key}' {self.fault}") from None

    def adapt(self, value: Any) -> T:
        """A JSON value of an accepted type as this kind's value."""
        converted: T = value
        return converted


class _Number(Kind[float]):
    def adapt(self, value: Any) -> float:
        return value  # type: ignore[no-any-return]  # int or float, kept as sent: `options` shows it back


class _Signal(Kind[int]):
    def adapt(self, value: Any) -> int:
        return convert.to_signum(value)


class _Env(Kind["Mapping[str, str] | None"]):
    def check(self, key: str, value: object) -> Mapping[str, str] | None:
        if isinstance(value, str):
            return super().check(key, value)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise MessageError(f"'{key}' {self.fault}")
        for name, text in value.items():
            if not isinstance(text, str):
                raise MessageError(f"'{name}' isn't a string")
        return dict(value)


def _text(value: str) -> str:
    return value


def _integer(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number") from None


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a number") from None
    if number != number:
        raise ValueError(f"{value!r} is not a number")
    return number


def _octal(value: str) -> int:
    try:
        number = int(value, 8)
    except ValueError:
        number = -1
    if not 0 <= number <= 0o777:
        raise ValueError(f"{value!r} is not an octal number such as 022")
    return number


def _user(value: str) -> str | int:
    return int(value) if value.isdigit() else value


def _rlimit(value: str) -> int | None:
    """Empty, `infinity` or -1 is no limit."""
    if value.strip().lower() in ("", "infinity", "unlimited", "-1", "none"):
        return None
    return _integer(value)


TEXT: Kind[str] = Kind("text", _text, (str,), "isn't a string")
OPTIONAL_TEXT: Kind[str | None] = Kind("text", _text, (str, type(None)), "isn't a string")
ARGS: Kind[str | list[str] | None] = Kind("words", _text, (str, list, type(None)), "isn't a list or string")
WORDS: Kind[list[str]] = Kind("list", str.split, (str, list), "isn't a list")
INTEGER: Kind[int] = Kind("integer", _integer, (int,), "isn't an integer")
NUMBER: Kind[float] = _Number("number", _number, (int, float), "isn't a number")
BOOLEAN: Kind[bool] = Kind("boolean", convert.to_bool, (bool,), "isn't a valid boolean")
SIGNAL: Kind[int] = _Signal("signal", convert.to_signum, (int, str), "isn't an integer")
USER: Kind[str | int | None] = Kind("user", _user, (int, str, type(None)), "isn't an integer or string")
OCTAL: Kind[int | None] = Kind("octal", _octal, (int, str), "isn't an octal number")
ENV: Kind[Mapping[str, str] | None] = _Env("environment", convert.parse_env_str, (str,), "isn't a valid object")
RLIMIT: Kind[int | None] = Kind("limit", _rlimit, (int, str, type(None)), "isn't a valid rlimit setting")


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
    """Options that share a prefix, such as `stdout_stream.filename`; the value maps the rest of the name."""

    def __init__(self, prefix: str, item: Kind[T], effect: Effect, doc: str, *, listed: bool = False) -> None:
        super().__init__(FAMILY, {}, effect, doc, name=prefix, listed=listed)
        self.prefix = prefix
        self.item = item


FAMILY: Kind[Any] = Kind("object", _text, (dict,), "isn't a valid object")


class Spec:
    """Immutable values of one section. Only what differs from the defaults is kept, plus free-form extras.

    `values` is keyed by attribute name; `extras` by the name as written.
    """

    __slots__ = ("extras", "name", "values")

    def __init__(self, name: str = "", values: Mapping[str, Any] | None = None, extras: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.values: Mapping[str, Any] = dict(values or {})
        self.extras: Mapping[str, Any] = dict(extras or {})

    @classmethod
    def options(cls) -> Iterator[Option[Any]]:
        for klass in reversed(cls.__mro__):
            for member in vars(klass).values():
                if isinstance(member, Option):
                    yield member

    @classmethod
    def lookup(cls, name: str) -> Option[Any] | None:
        """The option written `name` in files and requests (families by prefix), or None."""
        return _index(cls).get(name) or _family(cls, name)

    def replace(self, **changes: Any) -> Any:
        """A copy with other values; `extras` as keyword replaces the free-form ones."""
        extras = changes.pop("extras", self.extras)
        return type(self)(self.name, {**self.values, **changes}, extras)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and type(self) is type(other) and not self.diff(other) and self.name == other.name

    __hash__ = None  # type: ignore[assignment]  # holds mappings: comparable, not hashable

    def diff(self, other: Spec) -> set[str]:
        """Names, as written in files, whose values differ."""
        changed = {o.name for o in self.options() if getattr(self, o.attribute) != getattr(other, o.attribute)}
        changed.update(k for k in {*self.extras, *other.extras} if self.extras.get(k) != other.extras.get(k))
        return changed

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in {**self.values, **self.extras}.items())
        return f"{type(self).__name__}({self.name!r}, {shown})"


_INDEXES: dict[type, dict[str, Option[Any]]] = {}


def _index(cls: type[Spec]) -> dict[str, Option[Any]]:
    if cls not in _INDEXES:
        _INDEXES[cls] = {name: o for o in cls.options() for name in (o.name, *o.aliases)}
    return _INDEXES[cls]


def _family(cls: type[Spec], name: str) -> Option[Any] | None:
    for option in cls.options():
        if isinstance(option, Family) and name.startswith(option.prefix):
            return option
    return None
