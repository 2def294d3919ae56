"""Stands for the users of statistics, run by the Python of the supervisor's environment, where pyzmq is.

usage: listener.py listen STATS_ENDPOINT WATCHER COUNT    subscribes to everything
       listener.py ask ENDPOINT                           asks for the `stats` of all watchers, over and over

Prints "ready" when the first answer or, listening, a round with COUNT processes of WATCHER is there. Ends at SIGTERM
with one JSON object: the monotonic times of the rounds and the number of messages, or the seconds each answer took.
"""

from __future__ import annotations

import json
import signal
import sys
import time

import zmq

TIMEOUT = 120  # s; silence longer than that is reported as a failure
stopped: list[int] = []


def listen(endpoint: str, watcher: str, count: int) -> dict[str, object]:
    sub: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    sub.linger = 0
    sub.rcvhwm = 0
    sub.connect(endpoint)
    sub.subscribe(b"stat.")
    total = f"stat.{watcher}".encode()
    deadline, rounds, messages = time.monotonic() + TIMEOUT, [], 0
    while not stopped and time.monotonic() < deadline:
        if not sub.poll(100):
            continue
        topic, payload = sub.recv_multipart()
        messages += 1
        if topic == total:
            if len(json.loads(payload)["pid"]) < count and not rounds:
                continue
            if not rounds:
                messages = 0
                print("ready", flush=True)
            rounds.append(time.monotonic())
            deadline = time.monotonic() + TIMEOUT
    return {"rounds": rounds, "messages": messages}


def ask(endpoint: str) -> dict[str, object]:
    dealer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.rcvtimeo = TIMEOUT * 1000
    dealer.connect(endpoint)
    seconds: list[float] = []
    while not stopped:
        before = time.monotonic()
        dealer.send(json.dumps({"id": "1", "command": "stats", "properties": {}}).encode())
        dealer.recv()
        if not seconds:
            print("ready", flush=True)
        seconds.append(time.monotonic() - before)
    return {"seconds": seconds}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    kind, endpoint, *rest = sys.argv[1:]
    print(json.dumps(listen(endpoint, rest[0], int(rest[1])) if kind == "listen" else ask(endpoint)))
