"""Does what it can to survive: ignores SIGTERM, hides descendants in sessions of their own, forks while being killed.

    stubborn.py READY_FILE

Descendants: two that left by a double fork and setsid; one that starts another child every few milliseconds; one
that is somebody else every few milliseconds, because it goes on in a child in a new session; and one more for each
SIGTERM that comes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

LIFETIME = 120.0  # should a test go wrong, the machine is not left with this for ever


def detach(life: Callable[[], None]) -> None:
    """Run `life` in a grandchild that has left parent, group and session."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.setsid()
    with open("/proc/self/comm", "w") as file:  # the name by which the log speaks of it
        file.write(f"stubborn-{life.__name__}")
    life()
    os._exit(0)


def sleep() -> None:
    time.sleep(LIFETIME)


def linger() -> None:
    sleep()


def spawn() -> None:
    for _ in range(100):
        if os.fork() == 0:
            sleep()
            os._exit(0)
        time.sleep(0.005)
    sleep()


def hop() -> None:
    end_at = time.monotonic() + LIFETIME
    while time.monotonic() < end_at:
        if os.fork():
            os._exit(0)
        os.setsid()
        time.sleep(0.005)


def one_more(signum: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    detach(linger)
    signal.signal(signal.SIGTERM, one_more)


def main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for life in (sleep, sleep, spawn, hop):
        detach(life)
    signal.signal(signal.SIGTERM, one_more)
    with open(sys.argv[1], "a") as file:
        file.write("ready\n")
    end_at = time.monotonic() + LIFETIME
    while time.monotonic() < end_at:
        time.sleep(1)


if __name__ == "__main__":
    main()
