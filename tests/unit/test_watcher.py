"""A watcher before it belongs to an arbiter."""

import pytest

from circus.watcher import Watcher


def test_names_after_a_dollar_are_replaced_when_a_watcher_is_made_from_its_dictionary(monkeypatch):
    monkeypatch.setenv("HERE", "/srv")
    env = {"A": "$HERE/a", "B": "$$HERE ", "C": "$NOWHERE"}
    assert Watcher.load_from_config({"name": "w", "cmd": "x", "env": env}).env == {"A": "/srv/a", "B": "$HERE", "C": ""}
    assert Watcher("w", "x", env=env).env == env


def test_variable_that_is_no_text_is_refused():
    with pytest.raises(ValueError, match="'A' isn't a string"):
        Watcher.load_from_config({"name": "w", "cmd": "x", "env": {"A": 5}})
