"""What the built-in plugins share: options from text, and which watchers are Circus' own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from circus.common.names import res_name
from circus.options.kinds import LARGEST, LARGEST_NUMBER
from circus.plugins.base import CircusPlugin

T = TypeVar("T")
D = TypeVar("D")

OWN_PROGRAMS = ("circusd-stats", "circushttpd")


def option(plugin: CircusPlugin, name: str, convert: Callable[[str], T], default: D) -> T | D:
    """What the section of a plugin says about `name`, `default` if nothing.

    Raises ValueError with plugin, option and value.
    """
    value = plugin.config.get(name)
    text = "" if value is None else str(value).strip()
    if not text:
        return default
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


def is_own_program(name: str) -> bool:
    """Whether the watcher runs a part of Circus: a plugin, the statistics daemon, the web console."""
    return name.lower().startswith("plugin:") or res_name(name) in OWN_PROGRAMS
