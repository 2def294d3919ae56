"""Many plugins and many events: none is lost, and the daemon is afterwards what it was before."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.real.support import Daemon, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

PLUGINS = 24
RATE = 1000  # events per second
SECONDS = 3

# Each key that is set gives an event.
KEYS = ("max_retry", "warmup_delay", "graceful_timeout", "max_age", "max_age_variance", "priority")

CONFIG = """
[watcher:warm]
cmd = sleep 600
autostart = false

[watcher:web]
cmd = sleep 600
autostart = false

[watcher:pool]
cmd = sleep 600

[watcher:end]
cmd = sleep 600
autostart = false
"""


def section(number: int, directory: Path) -> str:
    return f"\n[plugin:p{number}]\nuse = tests.real.programs.counting.Counting\ndirectory = {directory}\n"


def change(daemon: Daemon, name: str, *keys: str) -> int:
    """How many events it caused."""
    options = dict.fromkeys(keys, time.monotonic_ns() % 100 + 1)
    assert daemon.call("set", name=name, options=options)["status"] == "ok"
    return len(keys)


def cause(daemon: Daemon, seconds: float) -> dict[str, int]:
    """Events at the rate, in bursts of six, with a process started and one stopped now and then; their counts."""
    updates, crews = 0, 0
    began_at = time.monotonic()
    while updates < RATE * seconds:
        updates += change(daemon, "web", *KEYS)
        if updates % 300 == 0:
            crews += 1
            assert daemon.call("incr", name="pool", waiting=True)["numprocesses"] == 2
            assert daemon.call("decr", name="pool", waiting=True)["numprocesses"] == 1
        time.sleep(max(0.0, began_at + updates / RATE - time.monotonic()))  # the pace
    return {"web.updated": updates, "pool.spawn": crews, "pool.kill": crews, "pool.reap": crews}


def test_24_plugins_get_every_event_of_1000_a_second_and_nothing_is_left_of_it(tmp_path):
    config = CONFIG + "".join(section(number, tmp_path) for number in range(PLUGINS))
    with Daemon(tmp_path, config) as daemon:

        def all_have(suffix: str) -> bool:
            return len(list(tmp_path.glob(f"*.{suffix}"))) == PLUGINS

        daemon.wait_for_status("pool", "active")
        wait_for(lambda: (change(daemon, "warm", "priority"), all_have("ready"))[1], 60, lambda: daemon.output)
        before = traces(daemon.pid)
        caused = cause(daemon, SECONDS)
        change(daemon, "end", "priority")
        daemon.wait_for(lambda: all_have("json"), 60)
        reports = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
        assert [report["counts"] for report in reports] == [caused] * PLUGINS
        assert len({report["digest"] for report in reports}) == 1, "the same events in another order"
        assert daemon.call("dstats")["events"]["dropped"] == 0
        daemon.wait_for(lambda: traces(daemon.pid)[0] == before[0])
        assert traces(daemon.pid)[1] - before[1] < 2048


def traces(pid: int) -> tuple[int, int]:
    """Open descriptors and KiB of resident memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return len(os.listdir(f"/proc/{pid}/fd")), memory
