"""Measures the statistics daemon of Circus beside that of Circus 0.19, in one run on one machine.

    python benchmarks/stats.py -n 1000 --peers ~/.cache/circus-peers

One after the other: circusd with `statsd = true` and N idle workers (see README.md). First nobody listens; then
somebody subscribes to everything; then a client asks circusd for the `stats` of all over and over. Meanwhile
`status` is asked as in the measure `status` of run.py. CPU is that of the processes' own clocks, memory is PSS.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import install
import probe
import procfs
from instance import IDLE, Instance, Load, Setting, running
from measures import HERE, Options, status
from peers import Circus, Circus019, Peer, Section, clean_environment, free_port, raise_descriptor_limit
from workers import TooLate, build_worker

LABELS = {
    "quiet_cpu_s": ("CPU of circusd-stats while nobody listens, s per 10 s", 3),
    "round_cpu_ms": ("CPU of circusd-stats, ms per round", 1),
    "process_cpu_us": ("the same per process, µs", 1),
    "round_s": ("one round, s", 2),
    "pss_mib": ("memory of circusd-stats, MiB (PSS)", 1),
    "circusd_pss_mib": ("memory of circusd, MiB (PSS)", 1),
    "status_median_ms": ("one status request meanwhile, ms, median", 2),
    "status_p99_ms": ("one status request meanwhile, ms, 99 %", 2),
    "status_max_ms": ("one status request meanwhile, ms, worst", 2),
    "stats_s": ("`stats` of all by command, s, median", 3),
    "asked_median_ms": ("one status request while `stats` is asked, ms, median", 2),
    "asked_p99_ms": ("one status request while `stats` is asked, ms, 99 %", 2),
    "asked_max_ms": ("one status request while `stats` is asked, ms, worst", 2),
}
Figures = dict[str, float]


class WithStats(Circus):
    """circusd with its statistics daemon."""

    def configure(self, sections: list[Section]) -> list[str]:
        command = super().configure(sections)
        self.stats_endpoint = f"tcp://127.0.0.1:{free_port()}"
        config = self.home / "circus.ini"
        own = f"[circus]\nstatsd = true\nstats_endpoint = {self.stats_endpoint}\n"
        config.write_text(config.read_text().replace("[circus]\n", own, 1))
        return command


class WithStats019(WithStats, Circus019):
    pass


PEERS: dict[str, type[WithStats]] = {"circus": WithStats, "circus019": WithStats019}


def main() -> int:
    arguments = parse_arguments()
    raise_descriptor_limit()
    scratch = Path(tempfile.mkdtemp(prefix="circus-benchmark-"))
    found: dict[str, Figures] = {}
    busy: list[float] = []
    try:
        bin_dirs = {name: bin_dir(name, arguments, scratch) for name in arguments.only}

        def make_peer(name: str, home: Path) -> Peer:
            return PEERS[name](bin_dirs[name], home)

        setting = Setting(build_worker(scratch), scratch, scratch, make_peer)
        for name in arguments.only:
            busy.append(wait_for_quiet(arguments.quiet))
            with running(setting, name, Load(idle=arguments.number)) as instance:
                found[name] = take(instance, arguments)
            print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.number} idle workers, {arguments.seconds:.0f} s each. {cores} cores, {platform.system()}")
    print(
        f"{platform.release()}, Python {platform.python_version()}. Used by others before: {max(busy):.0%} at most.\n"
    )
    print(report(found))
    return 0


def bin_dir(name: str, arguments: argparse.Namespace, scratch: Path) -> Path:
    cache = arguments.peers or scratch / "peers"
    if name != "circus":
        return install.environment(name, cache)
    return arguments.circus_bin or install.checkout(HERE.parent, cache, scratch)


def wait_for_quiet(seconds: float) -> float:
    """The share of the machine that others use, once it is small or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while (use := procfs.machine_use(2.0)) > 0.05 and time.monotonic() < deadline:
        pass
    return use


def take(instance: Instance, arguments: argparse.Namespace) -> Figures:
    peer = instance.peer
    assert isinstance(peer, WithStats)
    instance.start()
    instance.wait_until_up(120)
    daemon = find_stats_daemon(instance)
    time.sleep(3)
    options = Options(120, 0, 0, arguments.seconds, 0, 0, 0, 0, 0)
    found = {"quiet_cpu_s": quiet(daemon)}
    with helper(peer, "listen", peer.stats_endpoint, IDLE, str(arguments.number)) as listener:
        before = procfs.usage([daemon])
        found |= status(instance, options)
        after = procfs.usage([daemon])
        found["pss_mib"] = procfs.memory([daemon]).pss
        found["circusd_pss_mib"] = procfs.memory([instance.process.pid]).pss
        rounds = end(listener)["rounds"]
    made = [at for at in rounds if before.at <= at <= after.at]
    found["round_s"] = (made[-1] - made[0]) / (len(made) - 1)
    # Not by the number of rounds seen, of which one more or less may lie in between.
    found["round_cpu_ms"] = (after.cpu - before.cpu) / (after.at - before.at) * found["round_s"] * 1000
    found["process_cpu_us"] = found["round_cpu_ms"] * 1000 / arguments.number
    with helper(peer, "ask", peer.endpoint) as asker:
        times = status_times(peer, arguments.seconds)
        found["stats_s"] = statistics.median(end(asker)["seconds"])
    found["asked_median_ms"], found["asked_max_ms"] = statistics.median(times), max(times)
    return found | {"asked_p99_ms": sorted(times)[int(len(times) * 0.99)]}


def status_times(peer: Circus, seconds: float) -> list[float]:
    """Round trips in milliseconds. Unlike those of `status` they may be so slow that there is one."""
    python, *words = peer.probe_command(IDLE)
    command = [python, str(HERE / "probe.py"), *words, str(seconds), "0.002"]
    done = subprocess.run(command, capture_output=True, env=clean_environment(), timeout=300, check=False)
    if done.returncode != 0:
        print(done.stderr.decode(errors="replace")[-300:], file=sys.stderr)
        return [probe.TIMEOUT * 1000.0]
    times: list[float] = json.loads(done.stdout)
    return times


def quiet(daemon: int) -> float:
    before = procfs.usage([daemon])
    time.sleep(10)
    after = procfs.usage([daemon])
    return (after.cpu - before.cpu) * 10 / (after.at - before.at)


def find_stats_daemon(instance: Instance) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in instance.supervisor_pids():
            if b"stats.main()" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        time.sleep(0.1)
    raise TooLate("circusd has not started circusd-stats")


@contextmanager
def helper(peer: Circus, *words: str) -> Iterator[subprocess.Popen[str]]:
    """listener.py, ready."""
    command = [peer.program("python"), str(HERE / "listener.py"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise TooLate(f"{' '.join(words)}: nothing was heard")
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> Any:
    process.terminate()
    return json.loads(process.communicate(timeout=120)[0])


def report(found: dict[str, Figures]) -> str:
    lines = [
        f"| measure | {' | '.join(PEERS[name].label for name in found)} |",
        f"|---|{'---:|' * len(found)}",
    ]
    for key, (label, digits) in LABELS.items():
        values = " | ".join(f"{figures[key]:,.{digits}f}" for figures in found.values())
        lines.append(f"| {label} | {values} |")
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("-n", "--number", type=int, default=1000, help="workers (%(default)s)")
    add("--seconds", type=float, default=20, help="how long each of the two measures takes (%(default)s)")
    add("--only", type=lambda text: text.split(","), default=list(PEERS), help="of circus,circus019")
    add("--peers", type=Path, help="directory of the virtual environments, kept and used again")
    add("--circus-bin", type=Path, help="an installed Circus instead of this checkout")
    add("--quiet", type=float, default=0, metavar="SECONDS", help="wait so long for a quiet machine (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
