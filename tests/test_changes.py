"""Holds CHANGES.md to its form: a section a version, the newest first, and it has the version of the package."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import circus

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CHANGES.md").read_text(encoding="utf-8")

SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
HEADS = [section.partition("\n")[0] for section in SECTIONS]
HEAD = re.compile(r"(\d+)\.(\d+)\.(\d+) \((unreleased|\d{4}-\d\d-\d\d)\)")


def matches() -> list[re.Match[str]]:
    found = [HEAD.fullmatch(head) for head in HEADS]
    assert found
    assert all(found), f"a version is `## 1.2.3 (unreleased)` or has its day: {HEADS}"
    return [match for match in found if match]


def test_versions_come_newest_first_and_only_the_newest_may_be_unreleased() -> None:
    versions = [tuple(map(int, match.groups()[:3])) for match in matches()]
    assert all(newer > older for newer, older in pairwise(versions))
    assert "unreleased" not in [match[4] for match in matches()[1:]]


def test_newest_section_is_of_the_version_in_the_package() -> None:
    assert HEADS[0].split()[0] == circus.__version__


def test_newest_section_has_a_line_for_each_change() -> None:
    bullets = [line for line in SECTIONS[0].splitlines() if line.startswith("- ")]
    assert bullets
    assert len(set(bullets)) == len(bullets), "a line is there twice"
