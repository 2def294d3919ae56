"""The sockets circusd-stats looks at, and how often each was ready. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from circus.common.convert import address_text

Place = Mapping[str, Any]
"""As in an answer to `listsockets`: `path`, or `host` and `port`; and there `fd`."""


class Hits:
    """Counted by descriptor, from one `take` to the next."""

    def __init__(self) -> None:
        self.addresses: dict[int, str] = {}
        """Of the sockets that are counted."""
        self._reads: dict[int, int] = {}

    def listed(self, sockets: Iterable[Place], place_here: Callable[[int], Place | None]) -> None:
        """Circusd has these. `place_here` tells where a descriptor of ours is bound, None if it is of no socket.

        Descriptors have the same numbers here. A socket that was opened after we were started is not here, nor is one
        with `so_reuseport`, of which each process has its own; something else may be under that number. So only what is
        bound to the same place is counted.
        """
        addresses = {}
        for told in sockets:
            here = place_here(told["fd"])
            if here is not None and _address(here) == _address(told):
                addresses[told["fd"]] = _address(told)
        self.count(addresses)

    def count(self, addresses: Mapping[int, str]) -> None:
        """From now on these and no others."""
        self.addresses = dict(addresses)
        self._reads = {fd: self._reads.get(fd, 0) for fd in addresses}

    def looked(self, ready: Iterable[int]) -> None:
        """These were ready in one look."""
        for fd in ready:
            if fd in self._reads:
                self._reads[fd] += 1

    def take(self) -> dict[int, int]:
        """Hits by descriptor; they are counted anew."""
        taken, self._reads = self._reads, dict.fromkeys(self.addresses, 0)
        return taken


def _address(place: Place) -> str:
    return address_text(place.get("host"), place.get("port"), place.get("path"))
