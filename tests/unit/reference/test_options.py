"""The reference page of the options."""

from circus.options.table import CircusSpec, PluginSpec, SocketSpec, StreamSpec, WatcherSpec
from circus.reference import options as reference


def test_every_option_is_on_the_page():
    page = reference.page()
    for spec in (CircusSpec, WatcherSpec, SocketSpec, PluginSpec, StreamSpec):
        for option in spec.options():
            assert f"| `{option.name}" in page
            assert option.doc in page
