"""One command makes all reference pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from circus.reference.__main__ import FOLDER, PAGES, main


@pytest.mark.parametrize("name", PAGES)
def test_page_in_the_repository_is_fresh(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "stale: run python -m circus.reference"


def test_every_page_in_the_folder_is_made() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_pages_are_written_where_it_is_said(tmp_path: Path) -> None:
    assert main([str(tmp_path / "new")]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(PAGES)
