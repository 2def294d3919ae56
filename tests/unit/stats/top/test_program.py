"""The command line of circus-top."""

from __future__ import annotations

import pytest

import circus
from circus.stats import client
from circus.stats.top import program as top


@pytest.mark.parametrize("main", [top.main, client.main])
def test_version_is_the_bare_number(main, capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{circus.__version__}\n"


def test_help_names_all_options(capsys):
    assert top.main(["-h"]) == 0
    text = capsys.readouterr().out
    for word in ("--endpoint", "--ssh", "--process-timeout", "--once", "--json", "tcp://127.0.0.1:5557", "statsd"):
        assert word in text


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon", ""])
def test_process_timeout_must_be_a_number_of_seconds(value, capsys):
    assert top.main([f"--process-timeout={value}"]) == 2
    assert "--process-timeout: invalid number of seconds" in capsys.readouterr().err


def test_without_a_terminal_the_other_ways_are_named(monkeypatch, capsys):
    with open("/dev/null") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert top.main([]) == 1
    assert "use --once or --json" in capsys.readouterr().err


def test_endpoint_that_cannot_be_one_is_told(capsys):
    assert top.main(["--once", "--endpoint", "nonsense"]) == 1
    assert "'nonsense' is not usable as an endpoint" in capsys.readouterr().err
