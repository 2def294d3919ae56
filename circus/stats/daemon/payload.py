"""What circusd-stats publishes: figures of one process or socket, and of all of a group together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from circus.common.names import NOT_AVAILABLE, STATS_TOPIC

SOCKETS = "sockets"
"""The group of the managed sockets."""


def process(figures: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """Of one process, without its children. `name`: which of Circus' own programs it is."""
    return {**figures, "children": [], "subtopic": figures["pid"], "name": name}


def total(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of all processes of a watcher: CPU on average, memory in sum, age of the oldest."""
    cpu = _numbers(figures, "cpu")
    memory = _numbers(figures, "mem")
    ages = [each["age"] for each in figures if each["age"] != NOT_AVAILABLE]
    return {
        "pid": [each["pid"] for each in figures],
        "cpu": NOT_AVAILABLE if cpu is None else sum(cpu) / max(len(cpu), 1),
        "mem": NOT_AVAILABLE if memory is None else sum(memory),
        "age": max(ages, default=NOT_AVAILABLE),
    }


def _numbers(figures: Sequence[Mapping[str, Any]], key: str) -> list[float] | None:
    """None if one of them is not known: a sum of the others would be taken for the whole."""
    values = [each[key] for each in figures]
    return None if NOT_AVAILABLE in values else values


def socket(fd: int, address: str, reads: int) -> dict[str, Any]:
    """Of one socket. `reads`: how often it was ready."""
    return {"fd": fd, "subtopic": fd, "reads": reads, "address": address}


def sockets(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of all sockets together."""
    return {"addresses": [each["address"] for each in figures], "reads": sum(each["reads"] for each in figures)}


def topic(group: str, member: int | None = None) -> str:
    """`member`: a process, or the descriptor of a socket."""
    return f"{STATS_TOPIC}.{group}" if member is None else f"{STATS_TOPIC}.{group}.{member}"
