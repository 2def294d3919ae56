"""Options of plugins: text to value, and errors that name plugin, option and value."""

from __future__ import annotations

import re

import pytest

from circus.options.option import Spec
from circus.plugins import CircusPlugin
from circus.plugins.options import count, number, plugin_option, positive, read_options, text_kind
from tests.unit.plugins.support import build


def read(parse, default=None, **given):
    """What a plugin with one option understands."""

    class Table(Spec):
        x = plugin_option(text_kind("sort", parse), default, "a thing")

    return read_options(build(CircusPlugin, **given), Table).x


@pytest.mark.parametrize("given", [{}, {"x": None}, {"x": ""}, {"x": "  "}])
def test_what_is_not_said_is_the_default(given):
    assert read(count, 7, **given) == 7


@pytest.mark.parametrize(
    ("value", "parse", "expected"),
    [(" 3 ", count, 3), (3, count, 3), ("1.5", number, 1.5), (0, number, 0), ("0.1", positive, 0.1), ("a", str, "a")],
)
def test_text_and_values_of_python_are_understood(value, parse, expected):
    assert read(parse, x=value) == expected


@pytest.mark.parametrize(
    ("value", "parse", "reason"),
    [
        ("x", count, "not a whole number"),
        ("1.5", count, "not a whole number"),
        ("-1", count, "from 0"),
        (str(2**63), count, "from 0"),
        ("x", number, "not a number"),
        ("nan", number, "from 0"),
        ("inf", number, "from 0"),
        ("-0.1", number, "from 0"),
        ("0", positive, "more than 0"),
        ("(", re.compile, "missing"),
    ],
)
def test_bad_value_is_an_error_with_plugin_option_value_and_reason(value, parse, reason):
    with pytest.raises(ValueError, match=re.escape(f"plugin:p: x = {value}: ") + f".*{reason}"):
        read(parse, x=value)


def test_plugin_without_a_section_is_named_by_its_class():
    with pytest.raises(ValueError, match=r"^Told: x = a: "):
        read(count, name=None, x="a")
