"""Everything at once: 200 workers, deaths without end, and eight clients that want something else each moment."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from circus.client import CircusClient
from tests.real.proc import children_of, descriptors_of, patience, threads_of, zombies_of
from tests.real.support import Daemon, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

WATCHERS = {f"plain-{number}": 20 for number in range(8)} | {"streamed": 30, "hooked": 5, "blocked": 5}
CLIENTS = 8
SECONDS = 10.0

CONFIG = """
    [env]
    PATH = $PATH
    {plain}
    [watcher:streamed]
    cmd = while :; do echo something; sleep 0.2; done
    shell = True
    numprocesses = 30
    stdout_stream.class = FileStream
    stdout_stream.filename = {directory}/log
    [watcher:hooked]
    cmd = sleep 1000
    numprocesses = 5
    hooks.before_start = tests.real.programs.hooks.sleep_a_second
    hooks.after_spawn = tests.real.programs.hooks.accept
    hooks.before_signal = tests.real.programs.hooks.accept
    [watcher:blocked]
    cmd = while :; do echo something; sleep 0.1; done
    shell = True
    numprocesses = 5
    stdout_stream.class = tests.real.programs.streams.Blocking
    stdout_stream.filename = {directory}/fifo
    """

PLAIN = """[watcher:{name}]
    cmd = sleep 1000
    numprocesses = {number}
    graceful_timeout = 5"""


def configuration(directory: Path) -> str:
    sections = [PLAIN.format(name=name, number=number) for name, number in WATCHERS.items() if name.startswith("plain")]
    text = CONFIG.format(plain="\n    ".join(sections), directory=directory)
    # Deaths are what this is about: they must not be taken for a crash loop.
    return text.replace("numprocesses =", "flapping.attempts = 100000\n    numprocesses =")


class Chaos:
    """Threads that run until `end`; what they should never have seen is in `faults`."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.daemon = daemon
        self.seed = seed
        self.faults: list[str] = []
        self.answers: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.killed = 0
        self._over = threading.Event()
        jobs = [self._command] * CLIENTS + [self._kill, self._ask_status]
        self._threads = [threading.Thread(target=self._run, args=(n, job)) for n, job in enumerate(jobs)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in self._threads), "a request was never answered"

    def _run(self, number: int, job: Callable[[int, random.Random, CircusClient], None]) -> None:
        chance = random.Random(self.seed + number)
        with CircusClient(endpoint=self.daemon.endpoints.control, timeout=60) as client:
            try:
                while not self._over.is_set():
                    job(number, chance, client)
            except Exception as error:  # it has to be seen in the test's own thread
                self.faults.append(f"{job.__name__}: {error!r}")

    # ---- what they do ------------------------------------------------------------------------------------------

    def _command(self, number: int, chance: random.Random, client: CircusClient) -> None:
        command, properties = self._request(chance)
        if chance.random() < 0.3:
            properties["waiting"] = True
        self._check(command, properties, client.send_message(command, **properties))
        if chance.random() < 0.05:
            self._come_and_go(number, chance, client)

    def _request(self, chance: random.Random) -> tuple[str, dict[str, Any]]:
        properties: dict[str, Any] = {"name": chance.choice(list(WATCHERS))}
        command = chance.choice(
            ("start", "start", "stop", "restart", "reload", "incr", "decr", "set", "kill", "signal", "list", "stats")
        )
        if command == "set":
            options = ({"numprocesses": chance.randrange(40)}, {"graceful_timeout": 3}, {"env": {"X": "1"}})
            properties["options"] = chance.choice(options)
        elif command in ("incr", "decr"):
            properties["nb"] = chance.randrange(5)
        elif command == "signal":
            properties["signum"] = chance.choice(("CONT", "WINCH", "KILL"))
        elif command == "reload":
            properties["sequential"] = chance.random() < 0.3
        elif command in ("start", "stop", "restart") and chance.random() < 0.1:
            properties = {"name": "plain-*"}
        return command, properties

    def _come_and_go(self, number: int, chance: random.Random, client: CircusClient) -> None:
        """A watcher of one's own."""
        name = f"guest-{number}"
        for command, properties in (
            ("add", {"cmd": "sleep 1000", "start": True, "options": {"numprocesses": 3}}),
            ("restart", {"waiting": chance.random() < 0.5}),
            ("rm", {"waiting": True}),
        ):
            self._check(command, properties, client.send_message(command, name=name, **properties))

    def _kill(self, number: int, chance: random.Random, client: CircusClient) -> None:
        pids = [entry.pid for entry in children_of(self.daemon.pid)]
        for pid in chance.sample(pids, min(len(pids), chance.choice((1, 1, 5, 40)))):
            try:
                os.kill(pid, signal.SIGKILL)
                self.killed += 1
            except ProcessLookupError:
                pass
        self._over.wait(chance.random() * 0.1)

    def _ask_status(self, number: int, chance: random.Random, client: CircusClient) -> None:
        started = time.monotonic()
        reply = client.send_message("status")
        self.latencies.append(time.monotonic() - started)
        if set(WATCHERS) - set(reply.get("statuses", {})):
            self.faults.append(f"status: {reply}")
        self._over.wait(0.01)

    def _check(self, command: str, properties: dict[str, Any], reply: dict[str, Any]) -> None:
        kind = "done" if reply["status"] == "ok" else self._kind_of_error(reply) if properties.get("waiting") else ""
        if not kind:
            self.faults.append(f"{command} {properties}: {reply}")
        self.answers[kind] += 1

    @staticmethod
    def _kind_of_error(reply: dict[str, Any]) -> str:
        """Of what somebody waited for. What was just started may be killed by us, and that is what is answered."""
        for kind in ("superseded", "signal SIGKILL", "did not run", "numprocesses is above 0"):
            if kind in reply["reason"]:
                return kind
        return ""


def test_chaos_ends_as_last_requested_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    os.mkfifo(tmp_path / "fifo")
    with Daemon(tmp_path, configuration(tmp_path)) as daemon:
        wait_until(daemon, WATCHERS)
        descriptors, threads = len(descriptors_of(daemon.pid)), threads_of(daemon.pid)
        chaos = Chaos(daemon, seed)
        chaos.start()
        ends_at = time.monotonic() + SECONDS
        wait_for(lambda: chaos.faults or time.monotonic() >= ends_at, SECONDS + 10)
        chaos.end()
        with capsys.disabled():
            print(f" seed {seed}; {summary(chaos)} ", end="")
        assert not chaos.faults, chaos.faults[:5]

        last_requests = request_at_random(daemon, random.Random(seed))
        wait_until(daemon, last_requests)

        for name, number in WATCHERS.items():
            daemon.call("set", name=name, options={"numprocesses": number, "env": {"PATH": os.environ["PATH"]}})
            daemon.call("start", name=name)
        wait_until(daemon, WATCHERS)
        with Drain(tmp_path / "fifo"):  # lets the threads go that a blocked stream has held
            wait_for(lambda: threads_of(daemon.pid) <= threads, 30, lambda: (threads, threads_of(daemon.pid)))
        wait_for(lambda: len(descriptors_of(daemon.pid)) <= descriptors, what=lambda: descriptors_of(daemon.pid))
        wait_for(lambda: zombies_of(daemon.pid) == [])
        assert len(children_of(daemon.pid)) == sum(WATCHERS.values())
        assert "Traceback" not in daemon.output
    files = {path.name for path in tmp_path.iterdir() if path.suffix != ".out"}
    assert files <= {"circus.ini", "ctl", "pub", "log", "fifo"}


def summary(chaos: Chaos) -> str:
    ordered = sorted(chaos.latencies)
    milliseconds = {part: 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99, 1)}
    return (
        f"{sum(chaos.answers.values())} requests, {chaos.answers['superseded']} superseded, {chaos.killed} killed; "
        f"status of {len(ordered)} calls: median {milliseconds[0.5]:.1f} ms, p99 {milliseconds[0.99]:.1f} ms, "
        f"worst {milliseconds[1]:.1f} ms"
    )


def request_at_random(daemon: Daemon, chance: random.Random) -> dict[str, int]:
    """Something for each watcher while earlier requests still keep it busy; how many processes it has to end with."""
    requested = {}
    for name in WATCHERS:
        number = chance.randrange(1, 10)
        for command in chance.sample(("start", "stop", "restart", "reload", "kill"), 3):
            daemon.call(command, name=name)
        daemon.call("set", name=name, options={"numprocesses": number})
        last = chance.choice(("start", "stop"))
        daemon.call(last, name=name)
        requested[name] = number if last == "start" else 0
    return requested


def wait_until(daemon: Daemon, requested: dict[str, int]) -> None:
    """As many processes as requested everywhere, none of them on its way out; stopped where none is requested."""

    def wrong() -> dict[str, Any]:
        statuses = daemon.call("status")["statuses"]
        found = {name: (statuses[name], len(daemon.pids(name))) for name in requested}
        right = {name: ("active" if number else "stopped", number) for name, number in requested.items()}
        return {name: state for name, state in found.items() if state != right[name]}

    wait_for(lambda: not wrong(), patience(30), lambda: f"{wrong()} {daemon.output[-3000:]}")


class Drain:
    """Reads a FIFO in a thread."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR)  # a writer too, so that it never ends
        os.set_blocking(self._fd, False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self._over.wait(0.005):
            try:
                os.read(self._fd, 65536)
            except BlockingIOError:
                pass

    def __enter__(self) -> Drain:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        os.close(self._fd)


def test_figures_asked_for_by_many_clients_at_once_disturb_nobody(tmp_path: Path) -> None:
    """They are taken in threads of their own; the socket is not theirs."""
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 1000\nnumprocesses = 3\n") as daemon:
        daemon.wait_for_status("a", "active")
        replies: list[dict[str, Any]] = []

        def ask(command: str) -> None:
            with CircusClient(endpoint=daemon.endpoints.control, timeout=60) as client:
                replies.extend(client.send_message(command) for _ in range(100))

        threads = [threading.Thread(target=ask, args=(command,)) for command in ("stats", "dstats", "status") * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert len(replies) == 600, daemon.output
        assert {reply["status"] for reply in replies} == {"ok"}
