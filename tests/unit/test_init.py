"""The package's own face: what it offers is loaded when it is first asked for."""

import logging
import re

import pytest

import circus


def test_version_is_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", circus.__version__)


def test_logger_is_the_one_named_circus():
    assert circus.logger is logging.getLogger("circus")


def test_library_names_are_those_of_the_library():
    from circus import library

    assert circus.get_arbiter is library.get_arbiter
    assert circus.ArbiterHandler is library.ArbiterHandler


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = circus.nonsense
