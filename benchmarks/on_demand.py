"""Measures programs that start on demand: the first request after sleep, and what sleeping watchers cost.

    python benchmarks/on_demand.py                      # 20 requests, 1,000 watchers
    python benchmarks/on_demand.py --requests 100 --watchers 5000 --seconds 30

Needs pyzmq and psutil in the Python that runs it. The request is a connection; its time runs from before connect(2) to
the first byte of the answer. The programs answer one connection and end: one in C, compiled with `cc` if that is there,
and one in Python, whose start-up is most of its time. Beside both stands the time in which they are started and answer
without circusd. Watchers sleep at one socket, or at one each, and are compared with as many stopped ones: memory (PSS)
and wake-ups (voluntary context switches of all threads). A run takes about a minute and a half.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import procfs
from peers import clean_environment, free_port, raise_descriptor_limit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from circus.client import CircusClient  # noqa: E402  # of this checkout

TIMEOUT = 60.0  # s for a fact to come true
PAUSE = 0.3  # s of sleep before a request, so that no pause between rounds is in its time

IN_C = """
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int count, char **words) {
    struct pollfd server = {atoi(words[1]), POLLIN, 0};
    poll(&server, 1, -1);
    int client = accept(server.fd, 0, 0);
    return write(client, "x", 1) != 1;
}
"""

IN_PYTHON = """
import socket, sys
server = socket.socket(fileno=int(sys.argv[1]))
server.setblocking(True)
server.accept()[0].sendall(b"x")
"""


@contextmanager
def circusd(config: str) -> Iterator[tuple[CircusClient, int]]:
    """A client and the pid of a circusd of this checkout."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    head = f"[circus]\nendpoint = {endpoint}\npubsub_endpoint = tcp://127.0.0.1:{free_port()}\nmulticast_endpoint =\n"
    with tempfile.TemporaryDirectory(prefix="circus-on-demand-") as scratch:
        path, output = Path(scratch, "circus.ini"), Path(scratch, "output")
        path.write_text(head + config)
        with output.open("wb") as file:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "circus.circusd", "--log-level", "warning", str(path)],
                env={**clean_environment(), "PYTHONPATH": str(ROOT)},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        client = CircusClient(endpoint=endpoint, timeout=TIMEOUT)
        try:
            client.send_message("status")
            if daemon.poll() is not None:
                raise SystemExit(output.read_text())
            yield client, daemon.pid
        finally:
            client.stop()
            daemon.terminate()
            daemon.wait(TIMEOUT)


def wait_for(fact: Callable[[], object]) -> None:
    end_at = time.monotonic() + TIMEOUT
    while not fact():
        if time.monotonic() > end_at:
            raise SystemExit("it took too long")
        time.sleep(0.01)


def request(port: int) -> float:
    """Milliseconds."""
    began_at = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
        client.recv(1)
        return (time.monotonic() - began_at) * 1000


def woken(program: list[str], requests: int) -> list[float]:
    port = free_port()
    config = f"[socket:web]\nhost = 127.0.0.1\nport = {port}\n[watcher:web]\non_demand = true\n"
    config += f"cmd = {' '.join(program)} $(circus.sockets.web)\n"
    times = []
    with circusd(config) as (client, _):
        for _ in range(requests):
            wait_for(lambda: "reason_text" in client.send_message("status", name="web"))
            time.sleep(PAUSE)
            times.append(request(port))
    return times


def spawned(program: list[str], requests: int) -> list[float]:
    """The same without circusd: the program is started when the connection is there."""
    times = []
    for _ in range(requests):
        with socket.create_server(("127.0.0.1", 0)) as server:
            began_at = time.monotonic()
            with socket.create_connection(server.getsockname()) as client:
                words = [*program, str(server.fileno())]
                process = subprocess.Popen(words, pass_fds=[server.fileno()], stdin=subprocess.DEVNULL)
                client.recv(1)
                times.append((time.monotonic() - began_at) * 1000)
                process.wait()
    return times


def watchers(count: int, sockets: int, options: str) -> str:
    ports = "".join(f"[socket:s{number}]\nhost = 127.0.0.1\nport = 0\n" for number in range(sockets))
    options += "\ncmd = sleep 600\n"
    return ports + "".join(
        f"[watcher:w{number}]\nlisten_fds = s{number % sockets}\n{options}" for number in range(count)
    )


def idle(config: str, seconds: float) -> tuple[float, int, float]:
    """Memory in MiB, wake-ups and processor time in seconds."""
    with circusd(config) as (client, pid):
        wait_for(lambda: "starting" not in client.send_message("status")["statuses"].values())
        time.sleep(2.0)
        before = procfs.usage([pid])
        time.sleep(seconds)
        after = procfs.usage([pid])
        return procfs.memory([pid]).pss, after.sleeps - before.sleeps, after.cpu - before.cpu


def programs(scratch: Path) -> Iterator[tuple[str, list[str]]]:
    compiler = shutil.which("cc")
    if compiler:
        source, binary = scratch / "answer.c", scratch / "answer"
        source.write_text(IN_C)
        subprocess.run([compiler, "-O2", "-o", str(binary), str(source)], check=True)
        yield "C", [str(binary)]
    script = scratch / "answer.py"
    script.write_text(IN_PYTHON)
    yield "Python", [sys.executable, "-I", "-S", str(script)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long idle watchers are watched")
    arguments = parser.parse_args()
    raise_descriptor_limit()
    print("| first request after sleep, ms | median | worst | the program alone, median |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="circus-on-demand-") as scratch:
        for name, program in programs(Path(scratch)):
            times, alone = woken(program, arguments.requests), spawned(program, arguments.requests)
            print(f"| {name} | {statistics.median(times):.1f} | {max(times):.1f} | {statistics.median(alone):.1f} |")
    count, seconds = arguments.watchers, arguments.seconds
    print(f"\n| {count} watchers, idle for {seconds:g} s | PSS, MiB | wake-ups | CPU, s |\n|---|---|---|---|")
    for sockets, where in ((1, "one socket"), (count, "a socket each")):
        for options, what in (("autostart = false", "stopped"), ("on_demand = true", "asleep")):
            pss, sleeps, cpu = idle(watchers(count, sockets, options), seconds)
            print(f"| {what}, {where} | {pss:.1f} | {sleeps} | {cpu:.4f} |")
    return 0


if __name__ == "__main__":
    os.environ.pop("LISTEN_FDS", None)
    sys.exit(main())
