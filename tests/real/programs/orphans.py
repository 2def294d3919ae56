"""Leaves dead orphans behind, as many as it is told, then goes on.

orphans.py NUMBER DONE_FILE
"""

from __future__ import annotations

import os
import sys
import time

for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()  # so that it is nobody's but init's
        os._exit(0)
    os.wait()
with open(sys.argv[2], "w"):
    pass
time.sleep(120)
