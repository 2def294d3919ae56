"""The reference page of the built-in plugins."""

from __future__ import annotations

from pathlib import Path

from circus.plugins import reference

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"__init__", "_statsd", "datagrams", "options", "reference", "runner", "server_observer", "tornado_loop"}


def test_page_in_the_repository_is_the_one_the_modules_make() -> None:
    text = (ROOT / "docs" / "reference" / "plugins.md").read_text()
    assert text == reference.page(), "stale: python -m circus.plugins.reference > docs/reference/plugins.md"


def test_every_plugin_is_on_the_page() -> None:
    modules = {path.stem for path in (ROOT / "circus" / "plugins").glob("*.py")}
    assert set(reference.MODULES) == modules - SHARED
