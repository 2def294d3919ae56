"""How replies are shown to people. The forms are read by scripts: a change here breaks some of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from circus.common.convert import env_to_str, value_text

_INFO = ("cmdline", "username", "nice", "mem_info1", "mem_info2", "cpu", "mem", "ctime")


def pairs(values: Mapping[str, Any], keys: Iterable[str] | None = None) -> str:
    """`key: value` lines."""
    return "\n".join(f"{key}: {value(key, values[key])}" for key in (values if keys is None else keys))


def value(key: str, content: object) -> str:
    if key == "env" and isinstance(content, dict):
        return env_to_str({name: str(text) for name, text in content.items()})
    return value_text(content)


def info_line(info: object) -> str:
    """One process' figures; a string is what is said instead of them when it is gone."""
    if not isinstance(info, Mapping):
        return str(info)
    return f"{info.get('pid')}  " + " ".join(str(info.get(key)) for key in _INFO)


def info_lines(pid: object, info: object) -> list[str]:
    """A process and its children."""
    children = info.get("children") or [] if isinstance(info, Mapping) else []
    return [f"{pid}: {info_line(info)}", *(f"   {info_line(child)}" for child in children)]


def comma_joined(values: Iterable[object]) -> str:
    return ",".join(str(item) for item in values)
