"""Asks a supervisor over and over how one program is doing, and prints each round trip in milliseconds (JSON).

usage: probe.py circus ENDPOINT WATCHER SECONDS PAUSE
       probe.py supervisord SOCKET PROCESS SECONDS PAUSE

A process of its own, run by the Python of the supervisor's environment, where the client library is. It ends after
SECONDS or at SIGTERM. PAUSE seconds pass between two requests, so that each one finds the supervisor asleep.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Callable

TIMEOUT = 30  # s; an answer later than that is reported as a failure


def circus_question(endpoint: str, watcher: str) -> Callable[[], object]:
    import zmq

    dealer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.rcvtimeo = TIMEOUT * 1000
    dealer.connect(endpoint)
    request = json.dumps({"id": "1", "command": "status", "properties": {"name": watcher}}).encode()

    def ask() -> object:
        dealer.send(request)
        return json.loads(dealer.recv())["status"] == "active"

    return ask


class UnixConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self.host)


class UnixTransport(xmlrpc.client.Transport):
    """Keeps its connection, as supervisorctl's does."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.connection = UnixConnection(path)

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        return self.connection


def supervisord_question(path: str, process: str) -> Callable[[], object]:
    server = xmlrpc.client.ServerProxy("http://localhost", UnixTransport(path))

    def ask() -> object:
        answer = server.supervisor.getProcessInfo(process)
        return isinstance(answer, dict) and answer["statename"] == "RUNNING"

    return ask


def round_trips(ask: Callable[[], object], seconds: float, pause: float) -> list[float]:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    ask()  # connects
    times = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not stopped:
        time.sleep(pause)
        before = time.perf_counter()
        if not ask():
            sys.exit("the program is not running")
        times.append((time.perf_counter() - before) * 1000)
    return times


if __name__ == "__main__":
    kind, address, program, seconds, pause = sys.argv[1:]
    question = {"circus": circus_question, "supervisord": supervisord_question}[kind]
    print(json.dumps(round_trips(question(address, program), float(seconds), float(pause))))
