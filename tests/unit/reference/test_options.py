"""The reference page of the options."""

from circus.options.table import CircusSpec, PluginSpec, SocketSpec, StreamSpec, WatcherSpec
from circus.reference import options as reference


def test_every_option_is_on_the_page():
    page = reference.page()
    for spec in (CircusSpec, WatcherSpec, SocketSpec, PluginSpec, StreamSpec):
        for option in spec.options():
            assert f"| `{option.name}" in page
            assert option.doc in page


def test_a_row_says_what_a_change_costs():
    lines = reference.page().splitlines()
    (check_delay,) = [line for line in lines if line.startswith("| `check_delay`")]
    (umask, _) = [line for line in lines if line.startswith("| `umask`")]
    (grace,) = [line for line in lines if line.startswith("| `graceful_timeout`")]
    (demand,) = [line for line in lines if line.startswith("| `on_demand`")]
    assert "| takes effect by itself |" in check_delay
    assert "| needs a restart of circusd |" in umask
    assert "| yes; takes effect by itself |" in grace
    assert "| yes; processes are started or ended until their number is right |" in demand
