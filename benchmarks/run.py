"""Measures Circus beside the supervisors people would pick instead, in one run on one machine. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import install
import procfs
from instance import Instance, Load, Setting, running
from measures import ALL, FIGURES, Figures, Options
from peers import (
    LOG_MEASURES,
    MEASURES,
    PROCESS_MEASURES,
    Circus,
    Circus019,
    Peer,
    SpawnLoop,
    Supervisord,
    raise_descriptor_limit,
)
from scandirs import S6, Runit
from workers import build_worker

PEERS: dict[str, type[Peer]] = {
    peer.name: peer for peer in (Circus, Circus019, Supervisord, S6, Runit, SpawnLoop)
}
WRITERS = 4
QUIET = 0.05  # share of all cores; an idle Circus 0.19 with 900 workers uses 0.005
LOG_CAP = 4 * procfs.MIB * 1024  # bytes one log measure may write; the files are likely to live in memory
Results = dict[str, dict[str, list[float]]]  # supervisor -> figure -> one value per round


def main() -> int:
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    limit = raise_descriptor_limit()
    if limit < 5 * arguments.number + 300:
        sys.exit(
            f"{arguments.number} workers need {5 * arguments.number + 300} descriptors, the hard limit is {limit}"
        )
    scratch = Path(tempfile.mkdtemp(prefix="circus-benchmark-", dir=arguments.scratch))
    try:
        bench = Bench(arguments, scratch)
        results = bench.run()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    median = {
        name: {key: statistics.median(values) for key, values in found.items()}
        for name, found in results.items()
    }
    print(report(bench.facts, median))
    if arguments.json:
        text = json.dumps(
            {"facts": bench.facts, "median": median, "rounds": results, "failures": bench.failures}, indent=2
        )
        arguments.json.write_text(text + "\n")
    return 1 if bench.failures else 0


def _leave(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that everything is ended and removed on the way; a second signal does not disturb."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


class Bench:
    """All rounds of one run. The order of the supervisors turns by one each round."""

    def __init__(self, arguments: argparse.Namespace, scratch: Path) -> None:
        self.arguments = arguments
        self.scratch = scratch
        self.failures: list[str] = []
        self.others: list[float] = []
        self.results: Results = {name: {} for name in arguments.only}
        self.options = Options(
            timeout=arguments.timeout,
            settle_seconds=2,
            idle_seconds=arguments.idle_seconds,
            status_seconds=5,
            log_seconds=arguments.log_seconds,
            kills=arguments.kills,
            mass_kills=arguments.mass_kills,
            cli_runs=15,
            seed=arguments.seed,
        )
        self.bin_dirs = self._install()
        worker = build_worker(scratch)
        log_root = arguments.log_dir or _default_log_root(scratch)
        self.log_cap = min(LOG_CAP, shutil.disk_usage(log_root).free // 2)
        self.setting = Setting(worker, scratch, log_root, self._make_peer)
        self.facts = self._facts()

    def _install(self) -> dict[str, Path]:
        cache = self.arguments.peers or self.scratch / "peers"
        bin_dirs = {}
        for name in self.arguments.only:
            if name == "circus" and self.arguments.circus_bin:
                bin_dirs[name] = self.arguments.circus_bin
            elif name == "circus":
                bin_dirs[name] = install.checkout(self.arguments.circus_source, cache, self.scratch)
            elif name in install.PINS:
                bin_dirs[name] = install.environment(name, cache)
            elif found := shutil.which(PEERS[name].needs):
                bin_dirs[name] = Path(found).parent
        return bin_dirs

    def _make_peer(self, name: str, home: Path) -> Peer:
        return PEERS[name](self.bin_dirs.get(name, Path()), home)

    def _facts(self) -> dict[str, str]:
        cores = len(os.sched_getaffinity(0))
        return {
            "workers": f"{self.arguments.number}, each a {self.setting.worker.description}",
            "rounds": str(self.arguments.rounds),
            "machine": f"{cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}",
            "idle workers' output": "into files" if self.arguments.idle_logs else "not captured",
            "log files": f"{self.setting.log_root}, at most {self.log_cap // procfs.MIB} MiB per measure",
        }

    def run(self) -> Results:
        names = list(self.arguments.only)
        for number in range(self.arguments.rounds):
            for name in names:
                self._say(f"round {number + 1}: {name}")
                self._guarded(name, partial(self._process_series, name))
                for measure in self._wanted(LOG_MEASURES, name):
                    self._guarded(f"{name}: {measure}", partial(self._log_series, name, measure))
            names = names[1:] + names[:1]
        if self.others:
            middle, worst = statistics.median(self.others), max(self.others)
            self.facts["machine busy with other things before a measure"] = (
                f"{middle:.0%}, at worst {worst:.0%}"
            )
        return self.results

    def _process_series(self, name: str) -> None:
        wanted = self._wanted(PROCESS_MEASURES, name)
        if not wanted:
            return
        load = Load(idle=self.arguments.number, idle_logs=self.arguments.idle_logs)
        with running(self.setting, name, load) as instance:
            self._take(name, "up", instance)
            time.sleep(self.options.settle_seconds)
            for measure in wanted:
                if measure != "up":
                    self._guarded(f"{name}: {measure}", partial(self._take, name, measure, instance))

    def _log_series(self, name: str, measure: str) -> None:
        block = 1 if measure == "lines" else 65536
        idle = self.arguments.number if measure == "load" else 0
        load = Load(idle, WRITERS, block, self.log_cap, self.arguments.idle_logs)
        with running(self.setting, name, load) as instance:
            instance.start()
            instance.wait_until_up(self.options.timeout)
            time.sleep(self.options.settle_seconds)
            self._take(name, measure, instance)

    def _take(self, name: str, measure: str, instance: Instance) -> None:
        self._wait_for_quiet()
        begun = time.monotonic()
        figures: Figures = ALL[measure](instance, self.options)
        instance.check()
        for key, value in figures.items():
            self.results[name].setdefault(key, []).append(value)
        text = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        self._say(f"  {measure}: {text}  [{time.monotonic() - begun:.1f} s, others {self.others[-1]:.0%}]")

    def _wait_for_quiet(self) -> None:
        """Until nothing else uses the machine, --quiet seconds at most; note how far that came true."""
        deadline = time.monotonic() + self.arguments.quiet
        while (use := procfs.machine_use(0.5)) > QUIET and time.monotonic() < deadline:
            pass
        self.others.append(use)

    def _guarded(self, what: str, action: Callable[[], None]) -> None:
        """A failure is told and counted, whatever it is: the other measures are worth having."""
        try:
            action()
        except Exception as error:
            self.failures.append(f"{what}: {error}")
            self._say(f"FAILED {what}: {''.join(traceback.format_exception_only(error))}")

    def _wanted(self, measures: tuple[str, ...], name: str) -> list[str]:
        return [each for each in measures if each in self.arguments.measure and each not in PEERS[name].skips]

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _default_log_root(scratch: Path) -> Path:
    """Memory if there is enough of it: the supervisors are to be measured, not the disk."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * LOG_CAP:
        return memory
    return scratch


def report(facts: dict[str, str], median: dict[str, Figures]) -> str:
    """The Markdown table: one row per figure, one column per supervisor."""
    names = list(median)
    rows = [["measure", *(PEERS[name].label for name in names)], ["---", *("---:" for _ in names)]]
    for key, figure in FIGURES.items():
        if any(key in median[name] for name in names):
            cells = [
                f"{median[name][key]:.{figure.digits}f}" if key in median[name] else "-" for name in names
            ]
            rows.append([figure.label, *cells])
    lines = [f"- {key}: {value}" for key, value in facts.items()]
    return "\n".join([*lines, "", *(f"| {' | '.join(row)} |" for row in rows)])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    measures = list(MEASURES)
    peers = [name for name, peer in PEERS.items() if not peer.needs or shutil.which(peer.needs)]
    parser.add_argument("-n", "--number", type=int, default=100, help="workers (100; the published run: 900)")
    parser.add_argument(
        "--measure", type=_list_of(measures), default=measures, help=f"some of {','.join(measures)}"
    )
    parser.add_argument("--only", type=_list_of(peers), default=peers, help=f"some of {','.join(peers)}")
    parser.add_argument("--rounds", type=int, default=1, help="repeat all; the medians are printed (1)")
    parser.add_argument("--json", type=_path, help="write every figure of every round to this file")
    parser.add_argument(
        "--peers", type=_path, help="keep the virtual environments here (default: a temporary one)"
    )
    parser.add_argument(
        "--circus-source", type=_path, default=Path(__file__).parents[1], help="checkout to install"
    )
    parser.add_argument(
        "--circus-bin", type=_path, help="measure circusd, circusctl, python from here instead"
    )
    parser.add_argument(
        "--scratch", type=_path, help="directory for the run's files (the system's temporary one)"
    )
    parser.add_argument(
        "--log-dir", type=_path, help="directory for the log files (/dev/shm if large enough)"
    )
    parser.add_argument(
        "--idle-logs", action="store_true", help="capture the idle workers' output into files, too"
    )
    parser.add_argument("--kills", type=int, default=30, help="workers killed one by one (30)")
    parser.add_argument("--mass-kills", type=int, default=3, help="times all are killed at once (3)")
    parser.add_argument("--idle-seconds", type=float, default=10, help="length of the idle measure (10)")
    parser.add_argument("--log-seconds", type=float, default=5, help="length of the log measures (5)")
    parser.add_argument("--timeout", type=float, default=120, help="s; limit of every single wait (120)")
    parser.add_argument(
        "--quiet", type=float, default=0, help="wait so long (s) for a quiet machine before a measure"
    )
    parser.add_argument("--seed", type=int, default=1, help="which workers are killed, and when (1)")
    return parser.parse_args()


def _path(text: str) -> Path:
    """Absolute, because the supervisors run in a directory of their own; symbolic links stay."""
    return Path(text).absolute()


def _list_of(known: list[str]) -> Callable[[str], list[str]]:
    def convert(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return names

    return convert


if __name__ == "__main__":
    sys.exit(main())
