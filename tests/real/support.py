"""Helpers for tests of whole arbiters and programs: addresses, daemons, host programs, events, survivors.

    pytestmark = pytest.mark.usefixtures("nobody_left")   # the fixture is in conftest.py

    def test_...(tmp_path):
        with Daemon(tmp_path, "[watcher:a]\\ncmd = sleep 60\\n") as daemon:
            wait_for(lambda: daemon.call("status", name="a")["status"] == "active")

Facts are waited for, never slept for; a fact that does not come true shows what the program has written.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import zmq

from circus import get_arbiter
from circus.client import CircusClient
from circus.library import ThreadedArbiter
from tests.real.posix_support import descriptors as descriptors

ROOT = Path(__file__).resolve().parents[2]

PATIENCE = 20.0  # seconds until a fact that has not come true is called a failure

# unix(7): 108 bytes with the closing zero.
LONGEST_SOCKET_PATH = 107


def wait_for(fact: Callable[[], Any], seconds: float = PATIENCE, what: object = "") -> Any:
    """The first true value of `fact`; AssertionError when it takes too long. `what` (or its result) is shown then."""
    deadline = time.monotonic() + seconds
    while not (value := fact()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"still not true after {seconds} s {what() if callable(what) else what}")
        time.sleep(0.002)
    return value


# ---- addresses ---------------------------------------------------------------------------------------------------


class Endpoints(NamedTuple):
    control: str
    pubsub: str

    @property
    def arguments(self) -> dict[str, str]:
        """For `get_arbiter`. Discovery is off: it would answer, and be answered by, other tests."""
        return {"controller": self.control, "pubsub_endpoint": self.pubsub, "multicast_endpoint": ""}

    @property
    def section(self) -> str:
        return (
            f"[circus]\nendpoint = {self.control}\npubsub_endpoint = {self.pubsub}\n"
            "multicast_endpoint =\ncheck_delay = 1\n"
        )


# Below those that Linux hands out by itself (ip_local_port_range): between the choice of a port and its use nobody who
# connects to somewhere, or asks for any port, is given it.
_PORTS = range(10_000, 32_000)


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses right now; tests beside this one hardly pick the same."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:  # taken
                continue
            return port


def tcp_endpoints() -> Endpoints:
    return Endpoints(f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}")


def ipc_endpoints(directory: Path) -> Endpoints:
    """Sockets in a test's own directory; nobody else can have taken them."""
    paths = [directory / "ctl", directory / "pub"]
    assert all(len(os.fsencode(path)) <= LONGEST_SOCKET_PATH for path in paths), f"too long for a socket: {paths}"
    return Endpoints(*(f"ipc://{path}" for path in paths))


# ---- processes ---------------------------------------------------------------------------------------------------


def is_gone(pid: int) -> bool:
    """No such process, or only its entry is left."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def threads_named(*parts: str) -> list[str]:
    """Names of living threads that hold one of `parts`."""
    return [thread.name for thread in threading.enumerate() if any(part in thread.name for part in parts)]


def new_file(directory: Path, **names: str) -> Path:
    fd, path = tempfile.mkstemp(dir=directory, **names)
    os.close(fd)
    return Path(path)


class Program:
    """A program in a session of its own, its output in a file. Left with `with` it is ended, with all below it."""

    def __init__(self, words: list[str], directory: Path, env: Mapping[str, str] | None = None) -> None:
        self.output_path = new_file(directory, suffix=".out")
        path = os.pathsep.join([str(ROOT), str(directory), *filter(None, [os.environ.get("PYTHONPATH")])])
        with open(self.output_path, "wb") as output:
            self.process = subprocess.Popen(
                words,
                cwd=directory,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def output(self) -> str:
        """All it has written, on standard output and error."""
        return self.output_path.read_text(errors="replace")

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.process.args} still runs after {seconds} s:\n{self.output}") from None

    def wait_for(self, fact: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """As `wait_for`; fails at once when the program has ended before the fact came true."""

        def true_or_dead() -> Any:
            value = fact()
            if not value and self.process.poll() is not None:
                value = fact()  # its last act may have made it true
                assert value, f"it ended with {self.process.returncode}:\n{self.output}"
            return value

        return wait_for(true_or_dead, seconds, lambda: f"\n{self.output}")

    def wait_for_output(self, text: str, seconds: float = PATIENCE) -> str:
        """The first line with `text` in it."""

        def first() -> str:
            return next((line for line in self.output.splitlines() if text in line), "")

        return str(self.wait_for(first, seconds))

    def facts(self) -> dict[str, Any]:
        """The JSON objects among the lines it has printed, merged."""
        found: dict[str, Any] = {}
        for line in self.output.splitlines():
            if line.startswith("{"):
                found.update(json.loads(line))
        return found

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def end(self) -> None:
        """SIGTERM, SIGKILL if that is not enough; what it leaves behind shows in the fixture `nobody_left`."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE)
                raise AssertionError(f"SIGTERM did not end {self.process.args}:\n{self.output}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is not None:
            print(f"---- output of {self.process.args}\n{self.output}")
        self.end()


def host_program(script: str, directory: Path, *words: str, env: Mapping[str, str] | None = None) -> Program:
    """A Python program of somebody who uses the library; `script` is its text."""
    path = new_file(directory, prefix="host_", suffix=".py")
    path.write_text(textwrap.dedent(script))
    return Program([sys.executable, str(path), *words], directory, env)


class Daemon(Program):
    """circusd with a configuration; `config` needs no endpoints, they are put before it."""

    through: tuple[str, ...] = ()
    """Words before it on the command line: a program that becomes or starts circusd."""

    def __init__(
        self,
        directory: Path,
        config: str,
        *words: str,
        endpoints: Endpoints | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.endpoints = endpoints or ipc_endpoints(directory)
        self.config_path = directory / "circus.ini"
        self.write_config(config)
        self._client: CircusClient | None = None
        circusd = [sys.executable, "-m", "circus.circusd", *words, str(self.config_path)]
        super().__init__([*self.through, *circusd], directory, env)

    def write_config(self, config: str) -> None:
        """Keys before the first section belong to `[circus]`."""
        self.config_path.write_text(self.endpoints.section + textwrap.dedent(config))

    @property
    def client(self) -> CircusClient:
        if self._client is None:
            self._client = CircusClient(endpoint=self.endpoints.control, timeout=PATIENCE)
        return self._client

    def call(self, command: str, **properties: Any) -> dict[str, Any]:
        """The reply to one request; waits until the daemon is there to answer."""
        reply: dict[str, Any] = self.client.call({"command": command, "properties": properties})
        return reply

    def ctl(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """One run of circusctl."""
        return subprocess.run(
            [sys.executable, "-m", "circus.circusctl", "--endpoint", self.endpoints.control, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            **options,
        )

    def pids(self, name: str) -> list[int]:
        pids: list[int] = self.call("list", name=name)["pids"]
        return pids

    def wait_for_status(self, name: str, status: str) -> None:
        self.wait_for(lambda: self.call("status", name=name)["status"] == status)

    def events(self, *topics: str) -> Events:
        return Events(self.endpoints.pubsub, *topics)

    def end(self) -> None:
        if self._client is not None:
            self._client.stop()
            self._client = None
        super().end()


# ---- arbiters in the test's own process --------------------------------------------------------------------------


@contextmanager
def background(directory: Path, *watchers: Mapping[str, Any], **options: Any) -> Iterator[ThreadedArbiter]:
    """An arbiter in a thread of the test, started; stopped in the end, and its threads must be gone then."""
    arguments = {**ipc_endpoints(directory).arguments, **options}
    arbiter = get_arbiter([dict(watcher) for watcher in watchers], background=True, **arguments)
    assert isinstance(arbiter, ThreadedArbiter)
    arbiter.start()
    try:
        yield arbiter
    finally:
        arbiter.stop()
        arbiter.join(PATIENCE)
        assert not arbiter.is_alive(), "the arbiter still runs after stop"


class Events:
    """Subscribes to the events of an arbiter and keeps them. `sync` first: an early event can be missed."""

    def __init__(self, endpoint: str, *topics: str) -> None:
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.connect(endpoint)
        for topic in topics or ("watcher.",):
            self._socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def sync(self, publish: Callable[[], object]) -> Self:
        """Return when an event that `publish` makes has come through; forget what came so far."""
        wait_for(lambda: (publish(), self._receive(20))[1])
        while self._receive(50):
            pass
        self.seen.clear()
        return self

    def _receive(self, milliseconds: int) -> bool:
        if not self._socket.poll(milliseconds):
            return False
        topic, payload = self._socket.recv_multipart()
        self.seen.append((topic.decode(), json.loads(payload)))
        return True

    def topics(self) -> list[str]:
        """Without `watcher.`, of all that has come so far."""
        while self._receive(0):
            pass
        return [topic.removeprefix("watcher.") for topic, _ in self.seen]

    def wait(self, topic: str, count: int = 1) -> list[dict[str, Any]]:
        """Payloads of the events of a topic (`name.event`), at least `count`."""

        def payloads() -> list[dict[str, Any]]:
            return [payload for name, payload in self.seen if name == f"watcher.{topic}"]

        def enough() -> bool:
            while self._receive(0):
                pass
            return len(payloads()) >= count

        wait_for(enough, what=lambda: f"({count} of {topic}); seen: {self.seen}")
        return payloads()

    def close(self) -> None:
        self._socket.close(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


# ---- who is left -------------------------------------------------------------------------------------------------


def survivors(before: set[int]) -> list[str]:
    """Our descendants that were not there before, as text; they are killed and reaped."""
    from circus.posix import tree

    left = [entry for entry in tree.descendants(os.getpid()) if entry.pid not in before]
    alive = [f"{entry} {_command_line(entry.pid)}" for entry in left if not entry.is_zombie]
    for entry in left:
        if not entry.is_zombie:
            os.kill(entry.pid, signal.SIGKILL)
    for entry in left:
        try:
            os.waitpid(entry.pid, 0 if entry.parent == os.getpid() else os.WNOHANG)
        except ChildProcessError:
            pass  # somebody else's child, or reaped by who waited for it
    return alive


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
