"""What an arbiter waits and pumps with: threads, or the greenlets of `circus.green`. A value, not a kind of arbiter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from circus.common.convert import resolve_name
from circus.common.names import GEVENT
from circus.loop import Loop

Post = Callable[[Callable[[], object]], object]
"""Have a callable run in the main loop."""


if TYPE_CHECKING:

    class Pump(Protocol):
        """What reads the pipes of one watcher and feeds its streams; see `circus.stream.pump`."""

        def start(self) -> None: ...
        def add(self, pid: int, pipes: Mapping[str, int], /) -> None: ...
        def finish(self, pid: int, /) -> None: ...
        def swap(self, name: str, stream: Any, /) -> None: ...
        def reopen(self) -> None: ...
        def close(self, done: Callable[[], object], /) -> None: ...


class Backend(NamedTuple):
    make_loop: Callable[[], Loop]
    make_pump: Callable[[str, Mapping[str, Any], Post], Pump]
    """Of a watcher's name, its stream objects by "stdout" and "stderr", and the loop's `post`."""


def _thread_pump(name: str, streams: Mapping[str, Any], post: Post) -> Pump:
    from circus.stream.pump import Pump as ThreadPump  # a daemon whose programs write nowhere does without

    return ThreadPump(name, streams, post)


THREADS = Backend(Loop, _thread_pump)


def backend(name: str) -> Backend:
    """That of `stream_backend`. ImportError if it needs a package that is not there."""
    if name != GEVENT:
        return THREADS
    green: Any = resolve_name("circus.green.backend:GREEN")  # by name, because it lies above
    return cast(Backend, green)
