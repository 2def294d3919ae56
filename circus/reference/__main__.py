"""`python -m circus.reference [FOLDER]` writes the generated pages; FOLDER is else docs/reference of the checkout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from circus.reference import commands, options, plugins

FOLDER = Path(__file__).parents[2] / "docs" / "reference"

PAGES = {"commands.md": commands.page, "options.md": options.page, "plugins.md": plugins.page}


def main(args: Sequence[str]) -> int:
    folder = Path(args[0]) if args else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
