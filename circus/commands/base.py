"""What a command is: a declaration, a client half (words to message, reply to text) and a daemon half (`execute`)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from circus.commands.properties import WAITING, Property
from circus.exc import NOT_SPECIFIED, ArgumentError, MessageError

if TYPE_CHECKING:
    from circus.commands.protocols import Arbiter, Future

Message = dict[str, Any]
Reply = Mapping[str, Any]

# Commands of other packages by name. Ours are listed in `circus.commands.ALL`.
REGISTERED: dict[str, type[Command]] = {}


class Pending(NamedTuple):
    """`now` is the reply of a client that does not wait, `later` resolves to that of one which does."""

    now: dict[str, Any]
    later: Future


class Answer(NamedTuple):
    """The reply is what `later` resolves to, whether or not the client waits: a question that takes a moment."""

    later: Future


if TYPE_CHECKING:
    # A bare Future is the reply of a client that waits; one that does not gets `ok` at once.
    Result = dict[str, Any] | Future | Pending | Answer


class Command:
    """Subclass, set `name` and `takes`, and say what to do in `execute`. The docstring is the manual page.

    A subclass in any other package becomes a command of its name by being defined.
    """

    name = ""
    msg_type = "dealer"  # "sub": nothing is sent, events are awaited
    takes: tuple[Property, ...] = ()
    replies: tuple[tuple[str, str], ...] = ()  # keys of the reply, for the manual
    literal = False  # words after the first that look like unknown flags belong to the program

    # Both follow from `takes`; a class without it may set them by hand.
    properties: list[str] = []  # names that must be there
    options: list[tuple[str, str, object, str]] = []  # (short, name, default, text)
    waiting_options = [WAITING.option()]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "takes" in own:
            if "properties" not in own:
                cls.properties = [p.name for p in cls.takes if p.required]
            if "options" not in own:
                cls.options = [p.option() for p in cls.takes if p.flag]
        if cls.name and not cls.__module__.startswith("circus.commands."):
            REGISTERED[cls.name.lower()] = cls

    # Client half.

    def make_message(self, **props: Any) -> Message:
        return {"command": props.pop("command", self.name), "properties": props}

    def message(self, *args: Any, **opts: Any) -> Message:
        """The request for these words and flags. Raises `ArgumentError`."""
        return self.make_message(**self.from_words(*args), **self.from_flags(**opts))

    def from_words(self, *args: Any) -> dict[str, Any]:
        places = [p for p in self.takes if p.word]
        least = sum(p.required for p in places)
        if len(args) < least or (len(args) > len(places) and not (places and places[-1].rest)):
            raise ArgumentError("Invalid number of arguments")
        props: dict[str, Any] = {}
        for index, place in enumerate(places[: len(args)]):
            props[place.name] = list(args[index:]) if place.rest else place.from_word(args[index])
        return props

    def from_flags(self, **opts: Any) -> dict[str, Any]:
        given = {p: opts[p.flag] for p in self.takes if p.flag and opts.get(p.flag) not in (None, False)}
        return {p.name: p.from_word(value) for p, value in given.items()}

    def console_msg(self, reply: Reply) -> str:
        """The reply as text for people."""
        return self.console_error(reply) if is_error(reply) else self.render(reply)

    def console_error(self, reply: Reply) -> str:
        return f"error: {reply.get('reason')}"

    def render(self, reply: Reply) -> str:
        """Text of a reply that is no error."""
        return "ok"

    # Daemon half.

    def validate(self, props: dict[str, Any]) -> None:
        """Check the properties, in place: values converted, null dropped, defaults filled in. MessageError."""
        for name in self.properties:
            if props.get(name) is None:
                raise MessageError(f"message invalid '{name}' is missing")
        for p in self.takes:
            value = props.get(p.name)
            if value is not None:
                props[p.name] = p.kind.check(p.name, value)
            elif p.default is not None:
                props[p.name] = p.default
            else:
                props.pop(p.name, None)

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        """Do it. `props` went through `validate`.

        Returns the reply's keys, or a future of them (a client that does not wait gets `ok` at once),
        or a `Pending` or an `Answer`. Raises `MessageError`.
        """
        raise NotImplementedError(f"the command {self.name!r} has no daemon half")


def is_error(reply: Reply) -> bool:
    return reply.get("status") == "error"


def ok(props: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A reply to a request that worked, as an object."""
    return {"status": "ok", "time": time.time(), **(props or {})}


def error(reason: str = "unknown", tb: str | None = None, errno: int = NOT_SPECIFIED) -> dict[str, Any]:
    """A reply to a request that failed, as an object; `errno` is one of `circus.commands.errors`."""
    return {"status": "error", "reason": reason, "tb": tb, "time": time.time(), "errno": errno}
