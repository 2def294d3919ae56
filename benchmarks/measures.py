"""What is measured. A measure takes a running instance and returns figures; FIGURES says how each is printed."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import procfs
from instance import IDLE, Instance
from peers import clean_environment
from workers import Deaths, Start

HERE = Path(__file__).parent
MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True)
class Figure:
    label: str
    digits: int


FIGURES = {
    "up_s": Figure("all up, s", 2),
    "up_rate": Figure("workers started per s, first to last", 0),
    "pss_mib": Figure("memory of the supervisor, MiB (PSS)", 1),
    "rss_mib": Figure("memory of the supervisor, MiB (RSS)", 1),
    "idle_cpu_s": Figure("idle CPU, s per 10 s", 4),
    "idle_sleeps": Figure("idle wake-ups per 10 s", 0),
    "status_median_ms": Figure("one status request, ms, median", 2),
    "status_p99_ms": Figure("one status request, ms, 99 %", 2),
    "status_max_ms": Figure("one status request, ms, worst", 2),
    "cli_ms": Figure("`… status` from the shell, ms", 0),
    "restart_median_ms": Figure("SIGKILL of a worker to its replacement, ms, median", 1),
    "restart_max_ms": Figure("SIGKILL of a worker to its replacement, ms, worst", 1),
    "replaced_s": Figure("all killed at once to all replaced, s", 2),
    "stop_s": Figure("stop all, s", 2),
    "load_median_ms": Figure("one status request while logs pour, ms, median", 2),
    "load_p99_ms": Figure("one status request while logs pour, ms, 99 %", 2),
    "load_max_ms": Figure("one status request while logs pour, ms, worst", 2),
    "logs_mib_s": Figure("logs into files, blocks of lines, MiB/s", 0),
    "logs_cpu_s": Figure("supervisor CPU s per GiB of log, blocks of lines", 2),
    "lines_mib_s": Figure("logs into files, line by line, MiB/s", 0),
    "lines_cpu_s": Figure("supervisor CPU s per GiB of log, line by line", 2),
}
Figures = dict[str, float]


@dataclass(frozen=True)
class Options:
    """Numbers a caller may change; all times in seconds."""

    timeout: float
    settle_seconds: float
    idle_seconds: float
    status_seconds: float
    log_seconds: float
    kills: int
    mass_kills: int
    cli_runs: int
    seed: int


def up(instance: Instance, options: Options) -> Figures:
    """From the start of the supervisor to the start of the last worker. Starts the instance: always comes first."""
    begun = instance.start()
    instance.wait_until_up(options.timeout)
    times = sorted(start.at for start in instance.starts.seen[: instance.load.idle])
    span = times[-1] - times[0]
    return {"up_s": times[-1] - begun, "up_rate": (len(times) - 1) / span if span else 0.0}


def memory(instance: Instance, options: Options) -> Figures:
    found = procfs.memory(instance.supervisor_pids())
    return {"pss_mib": found.pss, "uss_mib": found.uss, "rss_mib": found.rss}


def idle(instance: Instance, options: Options) -> Figures:
    pids = instance.supervisor_pids()
    before = procfs.usage(pids)
    time.sleep(options.idle_seconds)
    after = procfs.usage(pids)
    scale = 10 / (after.at - before.at)
    return {
        "idle_cpu_s": (after.cpu - before.cpu) * scale,
        "idle_cpu_ticks": (after.ticks - before.ticks) * scale,
        "idle_sleeps": (after.sleeps - before.sleeps) * scale,
    }


def status(instance: Instance, options: Options) -> Figures:
    with _probe(instance, options.status_seconds) as probe:
        return _summary("status", _round_trips(probe, options.status_seconds + options.timeout))


def cli(instance: Instance, options: Options) -> Figures:
    command = instance.peer.status_command()
    times = []
    for _ in range(options.cli_runs):
        before = time.perf_counter()
        # supervisorctl's exit code tells whether all run, so it is no sign of failure here.
        done = subprocess.run(command, capture_output=True, env=clean_environment(), timeout=60, check=False)
        times.append((time.perf_counter() - before) * 1000)
        if not done.stdout or done.stderr:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return {"cli_ms": statistics.median(times)}


def restart(instance: Instance, options: Options) -> Figures:
    """Kill different workers at random moments, and see when each slot runs again.

    Random, because a supervisor that looks every few seconds would otherwise be asked always just after it
    looked. More than a second apart, because supervisord restarts a worker a second later or at its next wake-up:
    deaths in quick succession would help each other. The moments are the same for each supervisor.
    """
    chance = random.Random(options.seed)
    victims = instance.starts.pids()
    known, killed = len(instance.starts.seen), {}
    for slot in chance.sample(sorted(victims), min(options.kills, len(victims))):
        time.sleep(chance.uniform(1.2, 2.0))
        killed[slot] = time.monotonic()
        os.kill(victims[slot], signal.SIGKILL)
    instance.starts.wait_for(known + len(killed), options.timeout, "replacements")
    latencies = [_first(instance.starts.seen[known:], slot).at - at for slot, at in killed.items()]
    return {
        "restart_median_ms": statistics.median(latencies) * 1000,
        "restart_max_ms": max(latencies) * 1000,
    }


def _first(starts: list[Start], slot: int) -> Start:
    for start in starts:
        if start.slot == slot:
            return start
    raise RuntimeError(f"slot {slot} was not filled again; others were: {starts}")


def replaced(instance: Instance, options: Options) -> Figures:
    """Kill all workers in one go. Repeated at random moments, for the reason given in `restart`."""
    chance = random.Random(options.seed)
    times = []
    for _ in range(options.mass_kills):
        time.sleep(chance.uniform(3, 8))
        known, pids = len(instance.starts.seen), instance.starts.pids()
        begun = time.monotonic()
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        instance.starts.wait_for(known + len(pids), options.timeout, "all replaced")
        times.append(max(start.at for start in instance.starts.seen[known:]) - begun)
    return {"replaced_s": statistics.median(times)}


def stop(instance: Instance, options: Options) -> Figures:
    """Until no worker is left and the command has returned. Nothing can be measured on this instance afterwards."""
    command = instance.peer.stop_command()
    deaths = Deaths(instance.worker_pids())
    try:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environment())
        try:
            last = deaths.wait(options.timeout)
            code = process.wait(options.timeout)
            returned = time.monotonic()
        finally:
            process.kill()
            process.wait()
    finally:
        deaths.close()
    if code != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return {"stop_s": max(last, returned) - begun, "stop_last_worker_s": last - begun}


def load(instance: Instance, options: Options) -> Figures:
    """`status` while the writers write as fast as the supervisor takes it away."""
    with _probe(instance, options.timeout) as probe:
        time.sleep(1)  # the probe's own start-up
        begun = instance.let_writers_go()
        _until_written(instance, begun + options.log_seconds)
        probe.send_signal(signal.SIGTERM)
        times = _round_trips(probe, options.timeout)
    return _summary("load", times)


def logs(instance: Instance, options: Options, prefix: str = "logs") -> Figures:
    pids = instance.supervisor_pids()
    begun = instance.let_writers_go()
    while instance.log_bytes() == 0:
        if time.monotonic() > begun + options.timeout:
            raise RuntimeError("no line has arrived in a log file")
        time.sleep(0.01)
    time.sleep(0.2)  # past the start
    size, before = instance.log_bytes(), procfs.usage(pids)
    _until_written(instance, before.at + options.log_seconds)
    size, after = instance.log_bytes() - size, procfs.usage(pids)
    return {
        f"{prefix}_mib_s": size / MIB / (after.at - before.at),
        f"{prefix}_cpu_s": (after.cpu - before.cpu) / (size / GIB),
        f"{prefix}_seconds": after.at - before.at,
    }


def lines(instance: Instance, options: Options) -> Figures:
    """`logs` with one write(2) per line, as programs do that do not buffer: most of the work is then the writers'."""
    return logs(instance, options, "lines")


def _until_written(instance: Instance, deadline: float) -> None:
    """Until the deadline, or until nearly all was written that the writers may write (see Load.budget)."""
    while time.monotonic() < deadline and instance.log_bytes() < instance.load.budget * 0.85:
        time.sleep(0.02)


@contextmanager
def _probe(instance: Instance, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    python, *arguments = instance.peer.probe_command(IDLE)
    command = [python, str(HERE / "probe.py"), *arguments, str(seconds), "0.002"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment()) as probe:
        try:
            yield probe
        finally:
            probe.kill()


def _round_trips(probe: subprocess.Popen[bytes], timeout: float) -> list[float]:
    output, _ = probe.communicate(timeout=timeout)
    if probe.returncode != 0:
        raise RuntimeError(f"the probe ended with {probe.returncode}")
    times: list[float] = json.loads(output)
    return times


def _summary(prefix: str, times: list[float]) -> Figures:
    return {
        f"{prefix}_median_ms": statistics.median(times),
        f"{prefix}_p99_ms": statistics.quantiles(times, n=100, method="inclusive")[98],
        f"{prefix}_max_ms": max(times),
        f"{prefix}_requests": len(times),
    }


Measure = Callable[[Instance, Options], Figures]
ALL: dict[str, Measure] = {
    "up": up,
    "memory": memory,
    "idle": idle,
    "status": status,
    "cli": cli,
    "restart": restart,
    "replaced": replaced,
    "stop": stop,
    "load": load,
    "logs": logs,
    "lines": lines,
}
