"""What the built-in plugins share: how they declare and read options.

A plugin declares what its section may say as a `Spec` of its own, its `option_table`. `circusd --check` and the
reference page follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from circus.options.kinds import LARGEST, LARGEST_NUMBER, Kind
from circus.options.option import Effect, Option, Spec
from circus.plugins.base import CircusPlugin

T = TypeVar("T")
S = TypeVar("S", bound=Spec)


def read_options(plugin: CircusPlugin, table: type[S]) -> S:
    """What the section of a plugin says. Raises ValueError with plugin, option and value."""
    values: dict[str, Any] = {}
    for option in table.options():
        value = plugin.config.get(option.name)
        text = "" if value is None else str(value).strip()
        if text:
            values[option.attribute] = understood(plugin, option.name, text, option.kind.parse)
    return table(str(plugin.config.get("name") or ""), values)


def understood(plugin: CircusPlugin, name: str, text: str, convert: Callable[[str], T]) -> T:
    """The text of an option as a value. Raises ValueError with plugin, option and value."""
    try:
        return convert(text)
    except (ValueError, re.error) as exc:
        who = plugin.config.get("name") or type(plugin).__name__
        raise ValueError(f"{who}: {name} = {text}: {exc}") from None


def number(text: str) -> float:
    """Zero or more."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError("it is not a number") from None
    if not 0 <= value <= LARGEST_NUMBER:  # NaN compares with nothing
        raise ValueError(f"a number from 0 to {LARGEST_NUMBER} is needed")
    return value


def positive(text: str) -> float:
    value = number(text)
    if not value:
        raise ValueError("it must be more than 0")
    return value


def count(text: str) -> int:
    """Zero or more."""
    try:
        value = int(text)
    except ValueError:
        raise ValueError("it is not a whole number") from None
    if not 0 <= value <= LARGEST:
        raise ValueError(f"a number from 0 to {LARGEST} is needed")
    return value


def text_kind(name: str, parse: Callable[[str], Any]) -> Kind[Any]:
    """A kind of value that is only ever written as text."""
    return Kind(name, parse, (object,), "isn't valid")


NUMBER = text_kind("number", number)
POSITIVE = text_kind("number", positive)
COUNT = text_kind("integer", count)


def plugin_option(kind: Kind[Any], default: Any, doc: str, unit: str = "") -> Option[Any]:
    """A plugin reads its options when it starts: a change starts it anew."""
    return Option(kind, default, Effect.FIXED, doc, unit=unit)
