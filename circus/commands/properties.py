"""Properties of requests: their kinds, and how a command line gives them. Numbers and switches may be text, too."""

from __future__ import annotations

from typing import Any

from circus.common import convert
from circus.exc import ArgumentError, MessageError
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
    # 0 and below address process groups, -1 every process (kill(2)); no command means that.
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


class Property:
    """One property of a request, and how a command line gives it."""

    __slots__ = ("default", "doc", "flag", "kind", "label", "name", "required", "rest", "word")

    def __init__(
        self,
        name: str,
        kind: Kind[Any],
        doc: str,
        *,
        required: bool = False,
        default: object = None,
        word: bool = False,
        rest: bool = False,
        flag: bool | str = False,
        label: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.doc = doc
        self.required = required
        self.default = default  # None: absent
        self.word = word or rest  # given by its place among the words
        self.rest = rest  # ... together with all that follow
        self.flag = name if flag is True else flag or ""  # given as --FLAG
        self.label = label or name  # how the manual calls it

    def option(self) -> tuple[str, str, object, str]:
        default = False if self.kind is SWITCH else self.default
        return ("", self.flag, default, self.doc)

    def from_word(self, word: object) -> object:
        """The JSON value of a word of the command line. ArgumentError if it cannot be one."""
        if not isinstance(word, str):
            return word
        try:
            value = self.kind.parse(word)
        except ValueError as exc:
            raise ArgumentError(f"{self.label}: {exc}") from None
        return word if self.kind is SIGNUM else value  # by name: numbers differ between the two ends' platforms


NAME = Property("name", WATCHER, "name of the watcher", required=True, word=True)
WAITING = Property("waiting", SWITCH, "answer when the operation has ended, not when it has begun", flag=True)
