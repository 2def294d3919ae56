"""The reference page of the built-in plugins."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from circus.reference import plugins as reference

ROOT = Path(__file__).resolve().parents[3]
SHARED = {
    *("__init__", "_statsd", "base", "datagrams", "figures", "options", "runner", "server_observer", "stop_limit"),
    "tornado_loop",
}


def test_every_option_of_a_plugin_is_on_the_page() -> None:
    page = reference.page()
    for name in reference.MODULES:
        tables = reference.option_tables(import_module(f"circus.plugins.{name}"))
        assert tables, name
        for option in (option for table in tables for option in table.options()):
            assert f"| `{option.name}` | " in page and option.doc in page


def test_every_plugin_is_on_the_page() -> None:
    modules = {path.stem for path in (ROOT / "circus" / "plugins").glob("*.py")}
    assert set(reference.MODULES) == modules - SHARED
