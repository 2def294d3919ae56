"""`stream_backend = gevent` and `circus.green` where gevent is not installed, or is: no gevent is needed here."""

from __future__ import annotations

import importlib
import sys
import types
from importlib.machinery import ModuleSpec

import pytest

from circus import config, get_arbiter
from circus.common import names


@pytest.fixture
def problems(tmp_path):
    """The problems of a configuration with these lines in `[circus]`, as text, and whether each is fatal."""

    def read(*lines):
        path = tmp_path / "circus.ini"
        path.write_text("\n".join(["[circus]", *lines]))
        return [(str(problem), problem.fatal) for problem in config.read(str(path), {})[1]]

    return read


def installed(name):
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    return module


def without_gevent(monkeypatch):
    for name in list(sys.modules):
        if name.split(".")[0] == "gevent" or name.startswith("circus.green"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gevent", None)  # how Python notes that an import must fail


def test_missing_gevent_is_a_warning_that_says_what_to_install(problems, monkeypatch):
    without_gevent(monkeypatch)
    [(text, fatal)] = problems("stream_backend = gevent")
    assert not fatal
    assert ":2: [circus] stream_backend: " in text
    assert "pip install 'circus[green]'" in text


def test_gevent_that_is_there_is_no_problem_and_is_not_loaded_by_the_check(problems, monkeypatch):
    monkeypatch.setitem(sys.modules, "gevent", installed("gevent"))
    assert problems("stream_backend = gevent") == []


def test_default_backend_asks_for_nothing(problems, monkeypatch):
    without_gevent(monkeypatch)
    assert problems("stream_backend = thread") == []
    assert problems() == []


def test_backend_nobody_knows_is_a_warning(problems):
    [(text, fatal)] = problems("stream_backend = fibers")
    assert not fatal
    assert "'fibers' is neither thread nor gevent; thread is used" in text


def test_import_without_gevent_says_what_to_install(monkeypatch):
    without_gevent(monkeypatch)
    for module in ("circus.green", "circus.green.client", "circus.green.consumer", "circus.green.arbiter"):
        with pytest.raises(ImportError) as caught:
            importlib.import_module(module)
        assert names.NEEDS_GEVENT in str(caught.value)
        assert caught.value.name == "gevent"


def test_library_without_gevent_says_what_to_install(monkeypatch):
    without_gevent(monkeypatch)
    with pytest.raises(ImportError, match=r"pip install 'circus\[green\]'"):
        get_arbiter([{"cmd": "true"}], stream_backend="gevent")
