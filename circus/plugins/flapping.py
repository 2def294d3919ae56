"""Follows flapping: programs that die again and again as soon as they are started.

Finding them and pausing them is part of circusd and is on by default; no plugin is needed for it. A section

    [plugin:flapping]
    use = circus.plugins.flapping.Flapping
    attempts = 3
    window = 10

starts no process: its options become the defaults of all watchers, each of which may say otherwise
(`flapping.attempts = 5` in its own section). The class exists for those who derive from it, and for watching by hand:

    circus-plugin circus.plugins.flapping.Flapping

It decides nothing and gives no command, since a second opinion would only double the pauses; it logs each step of the
detection in circusd.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from circus.common.convert import exit_text
from circus.common.names import FLAPPING
from circus.plugins.base import CircusPlugin
from circus.plugins.options import count, number, option

logger = logging.getLogger("circus")


class Flapping(CircusPlugin):
    """Logs `flapping` events. `attempts`, `window` and `retry_in` (seconds), `max_retry` (-1: ever) are as given."""

    name = "flapping"

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        self.attempts = option(self, "attempts", count, 2)
        self.window = option(self, "window", number, 1.0)
        self.retry_in = option(self, "retry_in", number, 7.0)
        self.max_retry = option(self, "max_retry", _retries, 5)

    def handle_recv(self, data: list[bytes]) -> None:
        watcher, event, message = self.split_data(data)
        if event == FLAPPING:
            logger.warning("%s", sentence(watcher, self.load_message(message)))


def sentence(watcher: str, payload: Mapping[str, Any]) -> str:
    """A `flapping` event for people: a worker that pauses, or a watcher that is given up."""
    ending = exit_text(payload.get("exit_code"))
    if payload.get("given_up"):
        return f"{watcher}: given up after {payload.get('attempt')} retries, last {ending}"
    limit = payload.get("max_retry")
    of = f" of {limit}" if isinstance(limit, int) and limit >= 0 else ""
    return (
        f"{watcher}: worker {payload.get('process_id')} is flapping, next try in {payload.get('retry_in')} s "
        f"(attempt {payload.get('attempt')}{of}), last {ending}"
    )


def _retries(text: str) -> int:
    return -1 if text == "-1" else count(text)
