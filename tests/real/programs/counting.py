"""A plugin that counts what it gets. `directory` in its options is where it reports, in files named by its pid.

The first event of the watcher "warm" makes `PID.ready`, the first of "end" `PID.json`. Between them is what counts.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from pathlib import Path

from circus.plugins import CircusPlugin


class Counting(CircusPlugin):
    name = "counting"

    def handle_init(self) -> None:
        self.directory = Path(self.config["directory"])
        self.counts: dict[str, int] = {}
        self.digest = 0  # of all in their order, to be compared with that of others
        self.lags: list[float] = []  # seconds from the daemon's time stamp to here
        self.is_ready = False

    def handle_recv(self, data: list[bytes]) -> None:
        watcher, event, message = self.split_data(data)
        if watcher in ("web", "pool") and self.is_ready:
            topic = f"{watcher}.{event}"
            self.counts[topic] = self.counts.get(topic, 0) + 1
            self.digest = zlib.crc32(message, zlib.crc32(data[0], self.digest))
            self.lags.append(time.time() - self.load_message(message)["time"])
        elif watcher == "warm" and not self.is_ready:
            self.is_ready = True
            self.report("ready", {})
        elif watcher == "end":
            lags = sorted(self.lags) or [0.0]
            middle, last = lags[len(lags) // 2], lags[-1]
            self.report("json", {"counts": self.counts, "digest": self.digest, "median": middle, "worst": last})

    def report(self, suffix: str, facts: object) -> None:
        """Written aside and renamed: who finds the file finds all of it."""
        aside = self.directory / f"{os.getpid()}.new"
        aside.write_text(json.dumps(facts))
        aside.rename(self.directory / f"{os.getpid()}.{suffix}")
