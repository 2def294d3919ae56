"""A worker that tells the time now and then, and says goodbye when asked to end."""

import argparse
import signal
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--worker", type=int, default=1)
worker = parser.parse_args().worker


def goodbye(signum: int, frame: object) -> None:
    print(f"worker {worker}: goodbye")
    sys.exit(0)


signal.signal(signal.SIGTERM, goodbye)
print(f"worker {worker}: hello")
while True:
    time.sleep(3 + worker)
    print(f"worker {worker}: {time.strftime('%H:%M:%S')}")
