"""Binds ipc sockets in a directory at the same moments as another process that runs this; says which it got.

    bind_race.py DIRECTORY TIME ROUNDS    (TIME: of the first round, on the wall clock)

With more than one processor both really are at it together. The sockets are held until the input ends.
"""

from __future__ import annotations

import json
import sys
import time

import zmq

from circus.wire.endpoint import EndpointError, bind

directory, begin, rounds = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
context = zmq.Context()
sockets, got = [], []
for number in range(rounds):
    sockets.append(context.socket(zmq.ROUTER))
    while time.time() < begin + number * 0.01:
        pass
    try:
        bind(sockets[-1], f"ipc://{directory}/{number}", "endpoint")
        got.append(number)
    except EndpointError:
        pass
print(json.dumps(got), flush=True)
sys.stdin.read()
context.destroy(0)
