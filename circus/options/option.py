"""How an option is declared: its kind (text or JSON to value), default, what a change costs, and its line of manual.

The table itself is the bodies of the classes in `circus.options.table`: an option is a typed attribute there and stands
nowhere else. The configuration reader, `set`, `get`, `options`, validation, completion and the reference page
are all made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar, cast, overload

from circus.common import convert
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
    `accepts` are the JSON types it takes; with `str` among them text is understood as in a file: clients send
    `"5"` for a number.
    """

    def __init__(self, name: str, parse: Callable[[str], T], accepts: tuple[type, ...], fault: str) -> None:
        self.name = name
        self.parse = parse
        self.accepts = accepts
        self.fault = fault

    def check(self, key: str, value: object) -> T:
        """A JSON value as the option's value; MessageError `'<key>' isn't ...` if it cannot be one."""
        try:
            if not self.takes(value):
                raise ValueError(value)
            return self.parse(value) if isinstance(value, str) else self.adapt(value)
        except ValueError:
            raise MessageError(f"'{key}' {self.fault}") from None

    def takes(self, value: object) -> bool:
        if isinstance(value, bool):  # to Python it is an int as well
            return bool in self.accepts or object in self.accepts
        return isinstance(value, self.accepts)

    def adapt(self, value: Any) -> T:
        """A JSON value of an accepted type, other than text, as this kind's value."""
        return cast(T, value)


class _Integer(Kind[int]):
    def adapt(self, value: Any) -> int:
        return _bounded(int(value))


class _Number(Kind[float]):
    def adapt(self, value: Any) -> float:
        number: float = value  # an int stays one, for `options` to show it as it was sent
        return _bounded(number)


class _Signal(Kind[int]):
    def adapt(self, value: Any) -> int:
        return convert.to_signum(value)


class _User(Kind["str | int | None"]):
    def adapt(self, value: Any) -> str | int | None:
        if value is not None and value < 0:
            raise ValueError("negative ids mean `leave as it is` to the kernel")
        return cast("int | None", value)


class _Words(Kind["str | list[str] | None"]):
    def adapt(self, value: Any) -> list[str] | None:
        if value is not None and not all(isinstance(word, (str, int, float)) for word in value):
            raise ValueError("an argument is text or a number")
        return None if value is None else [str(word) for word in value]


class _Env(Kind["Mapping[str, str] | None"]):
    def check(self, key: str, value: object) -> Mapping[str, str] | None:
        env = super().check(key, value)
        for name, text in (env or {}).items():
            if not isinstance(text, str):
                raise MessageError(f"'{name}' isn't a string")
            if not name or "=" in name or "\0" in name + text:  # execve(2) has no way to say it
                raise MessageError(f"'{key}' {self.fault}: {name!r} cannot be a variable")
        return dict(env) if env else None


class _Limit(Kind["int | None"]):
    """A resource limit, of its own range: setrlimit(2) takes any 63-bit number."""

    def check(self, key: str, value: object) -> int | None:
        try:
            return super().check(key, value)
        except MessageError:
            raise MessageError(f"{value!r} rlimit value isn't a valid int") from None

    def adapt(self, value: Any) -> int | None:
        return None if value is None else _rlimit(str(value))


class _Hook(Kind["tuple[object, bool]"]):
    """`(callable or dotted name, whether its failure is ignored)`."""

    def adapt(self, value: Any) -> tuple[object, bool]:
        target, flag = value if isinstance(value, (list, tuple)) and len(value) == 2 else (value, False)
        if isinstance(target, str):
            return _hook(target)[0], convert.to_bool(flag)
        if not callable(target):
            raise ValueError(f"{target!r} is neither a function nor the dotted name of one")
        return target, convert.to_bool(flag)


# 31 years in seconds, and more processes than a kernel has. Beyond it `now + delay` or the wait for it may overflow.
LARGEST = 10**9

N = TypeVar("N", int, float)


def _bounded(number: N) -> N:
    if not -LARGEST <= number <= LARGEST:  # also true of NaN, which compares with nothing
        raise ValueError(f"{number!r} is out of range: up to {LARGEST} is possible")
    return number


def _text(value: str) -> str:
    return value


def _words(value: str) -> str | None:
    return value or None


def _integer(value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number") from None
    return _bounded(number)


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a number") from None
    return _bounded(number)


def _octal(value: str) -> int:
    try:
        number = int(value, 8)
    except ValueError:
        number = -1
    if not 0 <= number <= 0o777:
        raise ValueError(f"{value!r} is not an octal number such as 022")
    return number


def _user(value: str) -> str | int:
    return int(value) if value.isdecimal() and len(value) < 11 else value


def _rlimit(value: str) -> int | None:
    """Empty, `infinity` or -1 is no limit."""
    if value.strip().lower() in ("", "infinity", "unlimited", "-1", "none"):
        return None
    try:
        limit = int(value)
    except ValueError:
        limit = -1
    if not 0 <= limit < 2**63:
        raise ValueError(f"{value!r} is not a whole number, nor `infinity`")
    return limit


def _hook(value: str) -> tuple[object, bool]:
    dotted, comma, flag = (part.strip() for part in value.partition(","))
    if not dotted:
        raise ValueError("the dotted name of a function is missing")
    return dotted, convert.to_bool(flag) if comma else False


TEXT: Kind[str] = Kind("text", _text, (str,), "isn't a string")
OPTIONAL_TEXT: Kind[str | None] = Kind("text", _text, (str, type(None)), "isn't a string")
ARGS: Kind[str | list[str] | None] = _Words("words", _words, (str, list, tuple, type(None)), "isn't a list or string")
WORDS: Kind[list[str]] = Kind("list", str.split, (str, list), "isn't a list")
INTEGER: Kind[int] = _Integer("integer", _integer, (int, str), "isn't an integer")
NUMBER: Kind[float] = _Number("number", _number, (int, float, str), "isn't a number")
BOOLEAN: Kind[bool] = Kind("boolean", convert.to_bool, (bool, str), "isn't a valid boolean")
SIGNAL: Kind[int] = _Signal("signal", convert.to_signum, (int, str), "isn't an integer")
USER: Kind[str | int | None] = _User("user", _user, (int, str, type(None)), "isn't an integer or string")
OCTAL: Kind[int | None] = Kind("octal", _octal, (int, str, type(None)), "isn't an octal number")
ENV: Kind[Mapping[str, str] | None] = _Env(
    "environment", convert.parse_env_str, (dict, str, type(None)), "isn't a valid object"
)
RLIMIT: Kind[int | None] = _Limit("limit", _rlimit, (int, str, type(None)), "isn't a valid rlimit setting")
HOOK: Kind[tuple[object, bool]] = _Hook("hook", _hook, (object,), "isn't a valid hook")
# Whatever a stream class takes: only it can tell what is right.
STREAM_VALUE: Kind[object] = Kind("text", _text, (object,), "")


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


FAMILY: Kind[Any] = Kind("object", _text, (dict,), "isn't a valid object")


class Spec:
    """Immutable values of one section. Only what differs from the defaults is kept, plus free-form extras.

    `values` is keyed by attribute name; `extras` by the name as written.
    """

    __slots__ = ("extras", "name", "values")

    def __init__(
        self, name: str = "", values: Mapping[str, Any] | None = None, extras: Mapping[str, Any] | None = None
    ) -> None:
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
