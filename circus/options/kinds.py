"""Kinds of values: how text of a file, or a JSON value of a request, becomes the value of an option."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from circus.common import convert
from circus.exc import MessageError

T = TypeVar("T")


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
    """A whole number from `lowest` to `highest`."""

    def __init__(self, name: str, lowest: int, highest: int) -> None:
        super().__init__(name, self._from_text, (int, str), "isn't an integer")
        self._lowest = lowest
        self._highest = highest

    def _from_text(self, text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a whole number") from None
        return self.adapt(number)

    def adapt(self, value: Any) -> int:
        return _bounded(int(value), self._lowest, self._highest)


class _Number(Kind[float]):
    def adapt(self, value: Any) -> float:
        number: float = value  # an int stays one, for `options` to show it as it was sent
        return _bounded(number, -LARGEST_NUMBER, LARGEST_NUMBER)


class _Signal(Kind[int]):
    def adapt(self, value: Any) -> int:
        return convert.to_signum(value)


class _User(Kind["str | int | None"]):
    def adapt(self, value: Any) -> str | int | None:
        return None if value is None else _id(value)


class _Words(Kind["str | list[str] | None"]):
    def adapt(self, value: Any) -> list[str] | None:
        if value is not None and not all(isinstance(word, (str, int, float)) for word in value):
            raise ValueError("an argument is text or a number")
        return None if value is None else [str(word) for word in value]


class _Names(Kind["tuple[str, ...]"]):
    def adapt(self, value: Any) -> tuple[str, ...]:
        if not all(isinstance(name, str) and name for name in value or ()):
            raise ValueError("a name is text")
        return tuple(value or ())


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


# The bounds are those of the system, and the same wherever a value comes from.
LARGEST = 2**63 - 1  # what a 64-bit system counts: bytes of a file (off_t), seconds (time_t)
LARGEST_NUMBER = 2**63  # the float next to it
MOST_PROCESSES = 2**22  # PID_MAX_LIMIT of Linux
LARGEST_PORT = 2**16 - 1
LARGEST_ID = 2**32 - 2  # the one after it is -1 to setuid(2)

N = TypeVar("N", int, float)


def _bounded(number: N, lowest: int, highest: int) -> N:
    if not lowest <= number <= highest:  # also true of NaN, which compares with nothing
        span = f"from {lowest} to {highest}" if lowest > -highest else f"up to {highest}"
        raise ValueError(f"{number!r} is out of range: {span} is possible")
    return number


def _text(value: str) -> str:
    return value


def _words(value: str) -> str | None:
    return value or None


def _names(value: str) -> tuple[str, ...]:
    return tuple(value.replace(",", " ").split())


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"{value!r} is not a number")
    return _bounded(number, -LARGEST_NUMBER, LARGEST_NUMBER)


def _octal(value: str) -> int:
    try:
        number = int(value, 8)
    except ValueError:
        number = -1
    if not 0 <= number <= 0o777:
        raise ValueError(f"{value!r} is not an octal number such as 022")
    return number


def _user(value: str) -> str | int:
    try:
        number = int(value)
    except ValueError:
        return value
    return _id(number)


def _id(number: int) -> int:
    if number < 0:
        raise ValueError(f"'{number}' is no user or group: negative ids mean `leave as it is` to the kernel")
    if number > LARGEST_ID:
        raise ValueError(f"'{number}' is no user or group: the kernel has ids up to {LARGEST_ID}")
    return number


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
NAMES: Kind[tuple[str, ...]] = _Names("names", _names, (str, list, tuple, type(None)), "isn't a list of names")
INTEGER: Kind[int] = _Integer("integer", -LARGEST, LARGEST)
PROCESSES: Kind[int] = _Integer("integer", -LARGEST, MOST_PROCESSES)  # fewer than none is none
PORT: Kind[int] = _Integer("integer", 0, LARGEST_PORT)
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
# Options that share a prefix, as a whole.
FAMILY: Kind[Any] = Kind("object", _text, (dict,), "isn't a valid object")
