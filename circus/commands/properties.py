"""Sorts of values that commands take. Numbers and switches are understood as text: shell scripts quote everything."""

from __future__ import annotations

from typing import Any

from circus.common import convert
from circus.exc import MessageError
from circus.options.kinds import Kind


class _Loose(Kind[Any]):
    """A kind whose `parse` takes the JSON value as well as the word."""

    def adapt(self, value: Any) -> Any:
        return self.parse(value)


class _Signal(_Loose):
    def check(self, key: str, value: object) -> Any:
        try:
            return convert.to_signum(value)
        except ValueError as exc:
            raise MessageError(str(exc)) from None


def _text(value: Any) -> Any:
    return value


def _pid(value: Any) -> int:
    # 0 and below address process groups, -1 everybody (kill(2)); no command means that.
    try:
        pid = int(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number") from None
    if not 0 < pid < 2**31:
        raise ValueError(f"{value!r} is not a process id")
    return pid


# TEXT, INTEGER and NUMBER are those of options.
WATCHER: Kind[Any] = Kind("watcher", _text, (str,), "isn't a string")
MATCH: Kind[Any] = Kind("match", _text, (str,), "isn't a string")
TOPIC: Kind[Any] = Kind("topic", _text, (str,), "isn't a string")
GLOBAL: Kind[Any] = Kind("global", _text, (str,), "isn't a string")
KEYS: Kind[Any] = Kind("keys", str.split, (list, str), "isn't a list")
ARGUMENTS: Kind[Any] = Kind("words", _text, (list, str), "isn't a list or string")
OBJECT: Kind[Any] = Kind("object", _text, (dict,), "property should be an object")
SWITCH: Kind[Any] = _Loose("boolean", convert.to_bool, (bool, int, str), "isn't a valid boolean")
PID: Kind[Any] = _Loose("pid", _pid, (int, str), "isn't a process id")
SIGNUM: Kind[Any] = _Signal("signal", convert.to_signum, (int, str), "isn't a signal")
