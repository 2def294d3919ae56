"""What clients notice while the programs behind a socket are exchanged: requests, failures and the longest wait.

    python benchmarks/downtime.py --peers ~/.cache/circus-peers

Web servers run two processes on one managed socket of Circus, of Circus 0.19 too, and without either: stopped and
started again, with the socket kept open by who starts them (as by a `.socket` unit of systemd) or bound by themselves.
Four clients with kept connections and four with a new one for each request ask all the time; one in four asks for a
page that takes 50 ms. Then wrk (Debian: `apt install wrk`) does so at full speed with 32 kept connections, through all
events in a row. A cell is: requests that failed, in brackets those on a kept connection that was closed under them and
asked again, / answered; the longest wait. Circus and the servers get environments of their own, see install.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import install
import procfs
from http_load import Load
from peers import clean_environment, free_port
from workers import TooLate

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PROGRAMS = ROOT / "tests" / "real" / "programs"  # the application
FD = "{fd}"
GUNICORN = f"-m gunicorn -w 1 --no-control-socket --log-level error --bind fd://{FD} web_app:application"
SERVERS = {
    "plain Python": f"{EXAMPLES}/serve_plain.py {FD}",
    "gunicorn sync": GUNICORN,
    "gunicorn gthread": f"{GUNICORN} -k gthread --threads 4",
    "uvicorn": f"-m uvicorn --fd {FD} --lifespan off --log-level error web_app:asgi",
    "uvicorn, serve_uvicorn.py": f"{EXAMPLES}/serve_uvicorn.py web_app:asgi {FD}",
    "waitress, serve_waitress.py": f"{EXAMPLES}/serve_waitress.py web_app:application {FD}",
}
BINDS = (
    "import os, socket, sys; listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=2048); "
    "listener.set_inheritable(True); "
    f"os.execv(sys.argv[2], [word.replace('{FD}', str(listener.fileno())) for word in sys.argv[2:]])"
)
TIMEOUT = 60.0  # s for whatever is waited for
PATIENCE = 10.0  # s a client waits for an answer, and a supervisor for a process that is to end
MARGIN = 0.7  # s under load before an event, and after it
Event = tuple[str, Callable[[], None]]


class System(ABC):
    """Keeps a server running on a port; `with` starts and ends it."""

    label = ""

    def __init__(self, python: Path, words: str, home: Path) -> None:
        self.python = python
        self.words = words
        self.home = home
        self.port = free_port()
        self.environment = clean_environment() | {"PYTHONPATH": str(PROGRAMS)}

    @abstractmethod
    def pids(self) -> list[int]:
        """Of the processes that were started, without their children."""

    @abstractmethod
    def events(self) -> list[Event]:
        """In the order to be tried."""

    @abstractmethod
    def running(self) -> Iterator[None]:
        """A generator: started before its yield, ended after it."""

    def wait_until_all_serve(self) -> None:
        """Every process, or a child of it, has answered: not all servers hear that they are to end before that."""
        answered: set[int] = set()
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            with Load(("127.0.0.1", self.port), clients=2, timeout=PATIENCE) as load:
                time.sleep(0.1)
            answered.update(map(int, load.bodies))
            pids = self.pids()
            if pids and all(answered & set(procfs.descendants(pid)) for pid in pids):
                return
        raise TooLate(f"{self.words} does not serve")


class Circusd(System):
    label = "Circus"

    def __init__(self, bin_dir: Path, python: Path, words: str, home: Path) -> None:
        super().__init__(python, words, home)
        self.bin_dir = bin_dir
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.pubsub_endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.version = 1
        self.config = home / "circus.ini"

    def _write_config(self) -> None:
        command = f"{self.python} {self.words.replace(FD, '$(circus.sockets.web)')}"
        self.config.write_text(
            f"[circus]\nendpoint = {self.endpoint}\npubsub_endpoint = {self.pubsub_endpoint}\nmulticast_endpoint =\n"
            f"[socket:web]\nhost = 127.0.0.1\nport = {self.port}\n"
            f"[watcher:web]\ncmd = {command}\nnumprocesses = 2\nuse_sockets = true\ncopy_env = true\n"
            f"graceful_timeout = {PATIENCE}\n"
            f"[env:web]\nVERSION = {self.version}\n"
        )

    def _ctl(self, *words: str) -> str:
        """What circusctl prints; nothing if it fails."""
        command = [str(self.bin_dir / "circusctl"), "--endpoint", self.endpoint, "--timeout", "30", *words]
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=TIMEOUT
        )
        return done.stdout if done.returncode == 0 else ""

    def pids(self) -> list[int]:
        return [int(word) for word in re.findall(r"\d+", self._ctl("list", "web"))]

    def events(self) -> list[Event]:
        return [
            ("graceful reload", lambda: self._exchange("reload", "web", "--waiting")),
            ("sequential reload", lambda: self._exchange("reload", "web", "--sequential", "--waiting")),
            ("`incr` 2, `decr` 2", self._resize),
            ("`restart web`", lambda: self._exchange("restart", "web", "--waiting")),
            ("`restart` of circusd", lambda: self._exchange("restart")),
            ("`reloadconfig`, other program", self._reconfigure),
        ]

    def _exchange(self, *words: str) -> None:
        before = self.pids()
        self._ctl(*words)
        deadline = time.monotonic() + TIMEOUT
        while len(now := self.pids()) != 2 or set(now) & set(before):
            if time.monotonic() > deadline:
                raise TooLate(f"{words}: {before} have become {now}")
            time.sleep(0.02)

    def _resize(self) -> None:
        self._ctl("incr", "web", "2", "--waiting")
        self.wait_until_all_serve()
        self._ctl("decr", "web", "2", "--waiting")

    def _reconfigure(self) -> None:
        self.version += 1
        self._write_config()
        self._exchange("reloadconfig", "--waiting")

    def running(self) -> Iterator[None]:
        self._write_config()
        with (self.home / "output").open("wb") as output:
            daemon = subprocess.Popen(
                [str(self.bin_dir / "circusd"), str(self.config)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment, start_new_session=True,
            )  # fmt: skip
        try:
            yield
        finally:
            end([daemon])


class Circus019(Circusd):
    label = "Circus 0.19"


class Kept(System):
    """The socket is kept open by the starter, which stops all processes and starts them again."""

    label = "stop, start; socket kept"
    number = 2

    def __init__(self, python: Path, words: str, home: Path) -> None:
        super().__init__(python, words, home)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.listener: socket.socket | None = None

    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def events(self) -> list[Event]:
        return [("restart", self._restart)]

    def _restart(self) -> None:
        end(self.processes)
        self._start()

    def _start(self) -> None:
        self.processes = [
            subprocess.Popen(
                self._command(), env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=[self.listener.fileno()] if self.listener else [], start_new_session=True,
            )
            for _ in range(self.number)
        ]  # fmt: skip

    def _command(self) -> list[str]:
        assert self.listener is not None
        return [str(self.python), *self.words.replace(FD, str(self.listener.fileno())).split()]

    def running(self) -> Iterator[None]:
        with socket.create_server(("127.0.0.1", self.port), backlog=2048) as self.listener:
            self.listener.setblocking(False)
            yield from self._started()

    def _started(self) -> Iterator[None]:
        self._start()
        try:
            yield
        finally:
            end(self.processes)


class Bound(Kept):
    """Each start binds the port, first of all."""

    label = "stop, start; bound by the program"
    number = 1  # a second one would find the port taken

    def _command(self) -> list[str]:
        python = str(self.python)
        return [python, "-c", BINDS, str(self.port), python, *self.words.split()]

    def running(self) -> Iterator[None]:
        yield from self._started()


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(PATIENCE * 2)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


# ---- measures ------------------------------------------------------------------------------------------------------


def under_clients(system: System, event: Callable[[], None]) -> str:
    address = ("127.0.0.1", system.port)
    paths = ("/", "/", "/", "/slow")
    loads = [Load(address, clients=4, keep_alive=keep, paths=paths, timeout=PATIENCE) for keep in (True, False)]
    with ExitStack() as stack:
        for load in loads:
            stack.enter_context(load)
        time.sleep(MARGIN)
        event()
        time.sleep(MARGIN)
    requests = sum(load.requests for load in loads)
    failures = sum(sum(load.failures.values()) for load in loads)
    again = sum(load.asked_again for load in loads)
    kinds = sum((load.failures for load in loads), start=Counter[str]())
    say(f"    {requests} requests, {dict(kinds) or 'no failure'}, {again} asked again")
    return cell(failures, requests - failures, max(load.worst for load in loads), again)


def cell(failures: int, answered: int, worst: float, again: int = 0) -> str:
    extra = f" (+{again})" if again else ""
    return f"{failures:,}{extra} / {answered:,}; {worst:.2f} s"


def under_wrk(system: System) -> str:
    words = ["wrk", "-t2", "-c32", "-d300", "--timeout", "60", f"http://127.0.0.1:{system.port}/"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as wrk:
        try:
            time.sleep(MARGIN)
            for _, event in system.events():
                event()
                system.wait_until_all_serve()
            time.sleep(MARGIN)
        finally:
            wrk.send_signal(signal.SIGINT)
        said = wrk.communicate(timeout=TIMEOUT)[0]
    say("    " + "; ".join(line.strip() for line in said.splitlines() if "errors" in line or "requests in" in line))
    errors = sum(int(number) for line in said.splitlines() if "errors:" in line for number in re.findall(r"\d+", line))
    errors += sum(map(int, re.findall(r"Non-2xx.*?(\d+)\s*$", said, re.M)))
    [requests] = re.findall(r"(\d+) requests in", said)
    [worst, unit] = re.findall(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)\b", said)[0]
    return cell(errors, int(requests), float(worst) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Table:
    """Cells by row and column; both in the order in which they came."""

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns
        self.rows: dict[str, dict[str, str]] = {}

    def put(self, row: str, column: str, text: str) -> None:
        self.rows.setdefault(row, {})[column] = text

    def __str__(self) -> str:
        lines = [f"| | {' | '.join(self.columns)} |", f"|---|{'---:|' * len(self.columns)}"]
        for row, cells in self.rows.items():
            lines.append(f"| {row} | {' | '.join(cells.get(column, '-') for column in self.columns)} |")
        return "\n".join(lines)


def measure(system: System, column: str, tables: tuple[Table, Table], with_wrk: bool) -> None:
    clients, full_speed = tables
    with contextmanager(system.running)():
        for name, event in system.events():
            system.wait_until_all_serve()
            say(f"  {system.label}: {name}")
            clients.put(f"{system.label}: {name}", column, under_clients(system, event))
        if with_wrk:
            system.wait_until_all_serve()
            say(f"  {system.label}: wrk")
            full_speed.put(system.label, column, under_wrk(system))


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, _leave)
    scratch = Path(tempfile.mkdtemp(prefix="circus-benchmark-"))
    cache = arguments.peers or scratch
    failed = 0
    chosen = [label for label in SERVERS if any(label.startswith(word) for word in arguments.servers)]
    tables = Table(chosen), Table(chosen)
    try:
        python = install.environment("servers", cache) / "python"
        ours = arguments.circus_bin or install.checkout(ROOT, cache, scratch)
        older = install.environment("circus019", cache) if "circus019" in arguments.only else ours
        makers: dict[str, Callable[[str, Path], System]] = {
            "circus": lambda words, home: Circusd(ours, python, words, home),
            "circus019": lambda words, home: Circus019(older, python, words, home),
            "kept": lambda words, home: Kept(python, words, home),
            "bound": lambda words, home: Bound(python, words, home),
        }
        say(f"load of the machine before: {os.getloadavg()[0]:.2f}")
        for name in arguments.only:
            for label in chosen:
                say(f"{label}")
                home = Path(tempfile.mkdtemp(dir=scratch))
                try:
                    measure(makers[name](SERVERS[label], home), label, tables, bool(shutil.which("wrk")))
                except (TooLate, subprocess.TimeoutExpired) as error:
                    failed = 1
                    say(f"  {error}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        print(f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
        print(f"{tables[0]}\n\n{tables[1]}")
    return failed


def _leave(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that everything is ended and removed on the way."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    names = ["circus", "circus019", "kept", "bound"]
    add("--only", type=lambda text: text.split(","), default=names, help=f"of {','.join(names)}")
    add("--servers", type=lambda text: text.split(","), default=[""], help="beginnings of their names")
    add("--peers", type=Path, help="directory of the virtual environments, kept and used again")
    add("--circus-bin", type=Path, help="an installed Circus instead of this checkout")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
