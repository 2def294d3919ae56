"""Goes into the background by itself, as old daemons do: the process that was started ends at once with 0.

background.py PID_FILE
"""

from __future__ import annotations

import os
import sys
import time

if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\n")
time.sleep(120)
