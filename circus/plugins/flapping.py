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
from circus.options.option import Spec
from circus.plugins.base import CircusPlugin
from circus.plugins.options import COUNT, NUMBER, count, plugin_option, read_options, text_kind

logger = logging.getLogger("circus")


def _retries(text: str) -> int:
    return -1 if text == "-1" else count(text)


class FlappingOptions(Spec):
    """Options of Flapping. In a configuration they set the defaults of `flapping.X` of every watcher:"""

    __slots__ = ()

    attempts = plugin_option(COUNT, 2, "deaths within the window that count as flapping")
    window = plugin_option(NUMBER, 1.0, "time in which deaths are counted", unit="s")
    retry_in = plugin_option(NUMBER, 7.0, "first pause", unit="s")
    max_retry = plugin_option(text_kind("integer", _retries), 5, "pauses in a row before giving up; -1: never")


class Flapping(CircusPlugin):
    """Logs `flapping` events. `attempts`, `window` and `retry_in` (seconds), `max_retry` (-1: ever) are as given."""

    name = "flapping"
    option_table = FlappingOptions

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        options = read_options(self, FlappingOptions)
        self.attempts = options.attempts
        self.window = options.window
        self.retry_in = options.retry_in
        self.max_retry = options.max_retry

    def handle_init(self) -> None:
        logger.info("flapping is found and paused by circusd itself: this only tells of it")

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
