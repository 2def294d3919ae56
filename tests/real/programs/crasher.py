"""Ends at once with 3, unless there is a file OK; counts how often it was started.

crasher.py DIRECTORY
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

directory = Path(sys.argv[1])
with open(directory / "starts", "ab") as file:
    file.write(b".")
if not (directory / "OK").exists():
    sys.exit(3)
time.sleep(120)
