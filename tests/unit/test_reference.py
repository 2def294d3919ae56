"""The reference page of the options."""

from circus import reference
from circus.spec import CircusSpec, PluginSpec, SocketSpec, StreamSpec, WatcherSpec


def test_the_page_in_the_repository_is_the_one_the_tables_make():
    assert reference.PAGE.read_text() == reference.page(), "stale: run python -m circus.reference"


def test_every_option_is_on_the_page():
    page = reference.page()
    for spec in (CircusSpec, WatcherSpec, SocketSpec, PluginSpec, StreamSpec):
        for option in spec.options():
            assert f"| `{option.name}" in page
            assert option.doc in page


def test_main_writes_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "PAGE", tmp_path / "docs" / "options.md")
    assert reference.main() == 0
    assert (tmp_path / "docs" / "options.md").read_text() == reference.page()
