"""Writes bytes that are no text, in pieces that split characters, to both outputs; keeps a copy of each.

    garbage.py DIRECTORY SIZE

The copies are DIRECTORY/1.copy and 2.copy; DIRECTORY/written is there when all is written.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

directory, size = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(os.getpid())
kinds = (
    lambda: chance.randbytes(chance.randrange(1, 3000)),
    lambda: ("žluťoučký kůň 🐴" * 40).encode()[chance.randrange(60) : -chance.randrange(1, 60)],
    lambda: b"\xe2\x82",  # half a euro sign
    lambda: b"\xac\n",  # the other half
    lambda: b"\0" * chance.randrange(1, 500),
    lambda: b"\r\n\x1b[31m\x85\xff\xfe\n",
    lambda: b"x" * chance.randrange(1, 70000),  # a line longer than any buffer
)
with open(directory / "1.copy", "wb") as out, open(directory / "2.copy", "wb") as err:
    for fd, copy in ((1, out), (2, err)) * 2:
        while copy.tell() < size:
            piece = chance.choice(kinds)()
            while piece:
                count = os.write(fd, piece)
                copy.write(piece[:count])
                piece = piece[count:]
        size *= 2
(directory / "written").write_text(f"{os.getpid()}\n")
