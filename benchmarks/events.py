"""Measures what events cost: a circusd of this checkout with many plugins and a steady stream of events.

    python benchmarks/events.py                                # 24 plugins, 1,000 events per second, 20 s
    python benchmarks/events.py --plugins 1 --rate 5000 --seconds 10

Needs pyzmq and psutil in the Python that runs it. The events come from `set` requests, each key of which gives one,
so the cost of those requests is in the figures; `--plugins 0` shows it alone. Every plugin is a process that counts
(tests/real/programs/counting.py) and reads the payload as JSON. CPU is that of the processes' own clocks.
The exit code is 1 if a plugin missed an event.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import procfs
from peers import clean_environment, free_port

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from circus.client import CircusClient  # noqa: E402  # of this checkout

WATCHERS = ("warm", "web", "end")
TIMEOUT = 60.0  # s for a fact to come true

# `set` of these gives six events: with a request per event requests would be measured.
KEYS = ("max_retry", "warmup_delay", "graceful_timeout", "max_age", "max_age_variance", "priority")
Row = tuple[str, str]


class Bench:
    """A running circusd with plugins that are listening."""

    def __init__(self, arguments: argparse.Namespace, scratch: Path) -> None:
        self.plugins: int = arguments.plugins
        self.scratch = scratch
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.client = CircusClient(endpoint=self.endpoint, timeout=TIMEOUT)
        config = scratch / "circus.ini"
        config.write_text("\n".join(self._config()) + "\n")
        with (scratch / "output").open("wb") as output:
            self.daemon = subprocess.Popen(
                [sys.executable, "-m", "circus.circusd", str(config)],
                cwd=scratch,
                env={**clean_environment(), "PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _config(self) -> Iterator[str]:
        yield f"[circus]\nendpoint = {self.endpoint}\npubsub_endpoint = tcp://127.0.0.1:{free_port()}"
        yield "multicast_endpoint ="
        for name in WATCHERS:
            yield f"[watcher:{name}]\ncmd = sleep 600\nautostart = false"
        for number in range(self.plugins):
            yield f"[plugin:p{number}]\nuse = tests.real.programs.counting.Counting\ndirectory = {self.scratch}"

    def set(self, name: str, value: int) -> None:
        reply = self.client.send_message("set", name=name, options=dict.fromkeys(KEYS, value))
        assert reply["status"] == "ok", reply

    def reports(self, suffix: str) -> list[Path]:
        return list(self.scratch.glob(f"*.{suffix}"))

    def wait_for(self, fact: Callable[[], object]) -> None:
        end_at = time.monotonic() + TIMEOUT
        while not fact():
            if time.monotonic() > end_at or self.daemon.poll() is not None:
                raise SystemExit("it did not come so far:\n" + (self.scratch / "output").read_text())
            time.sleep(0.02)

    def warm_up(self) -> None:
        self.wait_for(lambda: (self.set("warm", 1), len(self.reports("ready")) == self.plugins)[1])

    def load(self, rate: float, seconds: float) -> int:
        """The number of events."""
        began_at, count = time.monotonic(), 0
        while count < rate * seconds:
            self.set("web", count % 9 + 1)
            count += len(KEYS)
            time.sleep(max(0.0, began_at + count / rate - time.monotonic()))
        return count

    def finish(self) -> list[dict[str, Any]]:
        """What the plugins have to tell, after they got everything."""
        self.set("end", 1)
        self.wait_for(lambda: len(self.reports("json")) == self.plugins)
        return [json.loads(path.read_text()) for path in self.reports("json")]

    def close(self) -> None:
        self.client.stop()
        self.daemon.terminate()
        try:
            self.daemon.wait(TIMEOUT)
        finally:
            for pid in procfs.descendants(self.daemon.pid) if self.daemon.poll() is None else []:
                procfs.kill(pid)


@contextmanager
def running(arguments: argparse.Namespace) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="circus-events-") as scratch:
        bench = Bench(arguments, Path(scratch))
        try:
            yield bench
        finally:
            bench.close()


def measure(bench: Bench, rate: float, seconds: float) -> tuple[list[Row], bool]:
    """The figures, and whether every plugin saw every event."""
    daemon = bench.daemon.pid
    bench.warm_up()
    plugins = procfs.descendants(daemon)[1:]
    warm = bench.load(rate, 1)  # buffers that grow once have grown
    before, own, others = state(daemon), procfs.usage([daemon]), procfs.usage(plugins)
    count = bench.load(rate, seconds)
    own_after, others_after = procfs.usage([daemon]), procfs.usage(plugins)
    elapsed = own_after.at - own.at
    reports = bench.finish()
    after = state(daemon)
    total = warm + count
    seen = [sum(report["counts"].values()) for report in reports]
    events = bench.client.send_message("dstats")["events"]
    rows = [
        ("events", f"{count:,} in {elapsed:.1f} s"),
        ("events missed, of all plugins together", str(sum(total - each for each in seen))),
        ("dropped, as circusd counts it", str(events["dropped"])),
        ("same events in the same order everywhere", str(len({report["digest"] for report in reports}) <= 1)),
        ("CPU of circusd, % of one core", f"{(own_after.cpu - own.cpu) / elapsed * 100:.0f}"),
        ("CPU of circusd per event, µs", f"{(own_after.cpu - own.cpu) / count * 1e6:.0f}"),
        ("memory of circusd before and after, MiB (RSS)", f"{before[1]:.1f} and {after[1]:.1f}"),
        ("descriptors of circusd before and after", f"{before[0]} and {after[0]}"),
    ]
    if plugins:
        used = (others_after.cpu - others.cpu) / count / len(plugins) * 1e6
        rows += [
            ("CPU of one plugin per event, µs", f"{used:.0f}"),
            ("from circusd to the plugin, ms, median", f"{statistics.median(r['median'] for r in reports) * 1e3:.2f}"),
            ("the same, ms, worst", f"{max(r['worst'] for r in reports) * 1e3:.1f}"),
        ]
    return rows, all(each == total for each in seen)


def state(pid: int) -> tuple[int, float]:
    return len(os.listdir(f"/proc/{pid}/fd")), procfs.memory([pid]).rss


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugins", type=int, default=24, metavar="N")
    parser.add_argument("--rate", type=float, default=1000, metavar="N", help="events per second (1000)")
    parser.add_argument("--seconds", type=float, default=20, metavar="S")
    arguments = parser.parse_args()
    with running(arguments) as bench:
        rows, complete = measure(bench, arguments.rate, arguments.seconds)
    print(f"| {arguments.plugins} plugins | |\n|---|---:|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
