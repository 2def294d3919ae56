"""The door between the runtime and the operating system: a value, so that a simulated system can stand below."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from circus.posix import tree
from circus.posix.children import Children as RealChildren
from circus.posix.launch import Child, Launch
from circus.posix.permission import refusal
from circus.posix.processes import ProcessEntry
from circus.posix.spawn import spawn
from circus.runtime.offspring import offspring

if TYPE_CHECKING:
    from circus.posix.usage import Asked, Usage
    from circus.runtime.offspring import Offspring

    class Children(Protocol):
        """Our processes, as `circus.posix.children` watches them."""

        @property
        def needs_polling(self) -> bool: ...
        def watch(self, pid: int, /) -> None: ...
        def signal(self, pid: int, signum: int, /) -> bool: ...
        def reap_all(self) -> None: ...
        def close(self) -> None: ...


AddReader = Callable[[int, Callable[[], object]], None]
OnExit = Callable[[int, "int | None"], None]


class System(NamedTuple):
    """Times are seconds: `monotonic` for deadlines, `wall` for people."""

    children: Callable[[AddReader, Callable[[int], None], OnExit], Children]
    spawn: Callable[[Launch], Child]
    offspring: Callable[[Collection[int], bool], Offspring]
    kill_tree: Callable[[Iterable[ProcessEntry], int], list[ProcessEntry]]
    kill_all: Callable[[Callable[[], Iterable[ProcessEntry]]], list[ProcessEntry]]
    direct_children: Callable[[int], list[ProcessEntry]]
    refusal: Callable[[int], str]
    """Why a process may not be signalled; see `circus.posix.permission`."""
    usages: Callable[[Iterable[Asked]], list[Usage]]
    """Whether programs are at work; asked in another thread. See `circus.posix.usage`."""
    monotonic: Callable[[], float]
    wall: Callable[[], float]


def _usages(asked: Iterable[Asked]) -> list[Usage]:
    from circus.posix.usage import usages  # a daemon without `idle_timeout` does without

    return usages(asked)


REAL = System(
    RealChildren,
    spawn,
    offspring,
    tree.kill_tree,
    tree.kill_all,
    tree.children,
    refusal,
    _usages,
    time.monotonic,
    time.time,
)
