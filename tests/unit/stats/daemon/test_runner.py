"""The command line of circusd-stats."""

from __future__ import annotations

import pytest

from circus import __version__, stats
from circus.stats.daemon.runner import Usage, parse


def test_without_words_everything_has_its_default() -> None:
    assert parse([]) == {
        "endpoint": "tcp://127.0.0.1:5555",
        "pubsub": "tcp://127.0.0.1:5556",
        "statspoint": "tcp://127.0.0.1:5557",
        "log-level": "info",
        "log-output": "-",
        "ssh": "",
        "ssh_keyfile": "",
    }


def test_flags_are_taken_in_both_forms() -> None:
    flags = parse(["--endpoint", "ipc://a", "--statspoint=ipc://b", "--log-level", "DEBUG", "--ssh", "me@there"])
    assert (flags["endpoint"], flags["statspoint"], flags["log-level"], flags["ssh"]) == (
        "ipc://a",
        "ipc://b",
        "DEBUG",
        "me@there",
    )


@pytest.mark.parametrize("words", [["--nonsense"], ["--endpoint"], ["word"], ["--log-level", "loud"]])
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Usage):
        parse(words)
    with pytest.raises(SystemExit) as end:
        stats.main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("circusd-stats: error: ")


def test_version_and_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert stats.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
    assert stats.main(["-h"]) == stats.main(["--help"]) == 0
    assert "--statspoint ENDPOINT" in capsys.readouterr().out
