"""One supervisor running for one series of measures, and the certainty that nothing of it is left afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import procfs
from peers import SLOT, Peer, Section, clean_environment
from workers import Starts, TooLate, Worker

END_TIMEOUT = 20.0  # s for a supervisor to end by itself, before it is killed
IDLE = "idle"
WRITERS = "writers"


@dataclass(frozen=True)
class Setting:
    """What every series of one benchmark run has in common."""

    worker: Worker
    scratch: Path
    log_root: Path
    make_peer: Callable[[str, Path], Peer]


@dataclass(frozen=True)
class Load:
    """`idle` sleeping workers, and `writers` that write lines in blocks of `block` bytes, `budget` bytes in all."""

    idle: int = 0
    writers: int = 0
    block: int = 65536
    budget: int = 0
    idle_logs: bool = False


class Instance:
    """A running supervisor; made by `running`."""

    def __init__(self, peer: Peer, home: Path, logs: Path, worker: Worker, load: Load) -> None:
        self.peer = peer
        self.home = home
        self.logs = logs
        self.load = load
        self.starts = Starts(home / "starts")
        self.writer_starts = Starts(home / "writer-starts")
        self.go = home / "go"
        self._output = home / "output"
        self._command = peer.configure(self._sections(worker))

    def _sections(self, worker: Worker) -> list[Section]:
        load, sections = self.load, []
        if load.idle:
            log = self.logs / IDLE if load.idle_logs else None
            sections.append(Section(IDLE, (*worker.argv, str(self.starts.path), SLOT), load.idle, log))
        if load.writers:
            share = str(load.budget // load.writers)
            argv = (*worker.argv, str(self.writer_starts.path), SLOT, str(load.block), share, str(self.go))
            sections.append(Section(WRITERS, argv, load.writers, self.logs / WRITERS))
        return sections

    def start(self) -> float:
        """Start the supervisor; return the time just before."""
        with self._output.open("wb") as output:
            begun = time.monotonic()
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.home,
                env=clean_environment(),
                start_new_session=True,
            )
        return begun

    def wait_until_up(self, timeout: float) -> None:
        self.starts.wait(self._all_up, timeout, "all up")
        self.writer_starts.wait_for(self.load.writers, timeout, "all writers up")

    def _all_up(self) -> bool:
        self.check()
        return len(self.starts.seen) >= self.load.idle

    def check(self) -> None:
        """Raise if the supervisor is no more."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.peer.label} ended with {self.process.returncode}")

    def last_words(self) -> str:
        if not self._output.exists():
            return ""
        return self._output.read_text(errors="replace")[-2000:]

    def worker_pids(self) -> list[int]:
        return [*self.starts.pids().values(), *self.writer_starts.pids().values()]

    def supervisor_pids(self) -> list[int]:
        """The supervisor and all it runs, except the workers."""
        workers = {start.pid for start in (*self.starts.seen, *self.writer_starts.seen)}
        return [pid for pid in procfs.descendants(self.process.pid) if pid not in workers]

    def log_bytes(self) -> int:
        """Bytes of the writers that have arrived in files; each supervisor names and splits them its own way."""
        return sum(path.stat().st_size for path in self.logs.rglob("*") if path.is_file())

    def let_writers_go(self) -> float:
        self.go.touch()
        return time.monotonic()

    def end(self) -> None:
        """End the supervisor, by force if need be, then whatever is left of what it started."""
        helpers = [pid for pid in self.supervisor_pids() if pid != self.process.pid]
        self.process.send_signal(self.peer.end_signal)
        try:
            self.process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            print(f"{self.peer.label} did not end in {END_TIMEOUT:.0f} s: killed", file=sys.stderr)
            self.process.kill()
            self.process.wait()
        self._kill(helpers)  # before the workers, or they would start new ones
        self.starts.read()
        self.writer_starts.read()
        self._kill([start.pid for start in (*self.starts.seen, *self.writer_starts.seen)])

    def _kill(self, pids: list[int]) -> None:
        deadline = time.monotonic() + END_TIMEOUT
        while left := [pid for pid in pids if procfs.belongs_to(pid, self.home)]:
            if time.monotonic() > deadline:
                raise TooLate(f"processes {left[:5]} do not go away")
            for pid in left:
                procfs.kill(pid)
            time.sleep(0.02)


@contextmanager
def running(setting: Setting, name: str, load: Load) -> Iterator[Instance]:
    """An instance of the supervisor `name`, not yet started; ended and removed on leaving."""
    home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=setting.scratch))
    logs = Path(tempfile.mkdtemp(prefix="circus-benchmark-", dir=setting.log_root))
    try:
        instance = Instance(setting.make_peer(name, home), home, logs, setting.worker, load)
        try:
            yield instance
        except Exception as error:
            error.add_note(f"Last output of {instance.peer.label}:\n{instance.last_words()}")
            raise
        finally:
            if hasattr(instance, "process"):
                instance.end()
    finally:
        shutil.rmtree(logs, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
