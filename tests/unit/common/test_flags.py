"""Flags of a daemon: what is read, what is refused, what is listed."""

from __future__ import annotations

import pytest

from circus.common.flags import Flag, Usage, defaults, parse_flags, usage_text

FLAGS = (
    Flag("log-level", "LEVEL", "info", "how much is said", ("warning", "info")),
    Flag("pidfile", "FILE", "", "write the process id there"),
    Flag("daemon", "", "", "go on in the background"),
    Flag("help", "", "", "print this text and end"),
)


def test_flags_and_words_may_come_in_any_order() -> None:
    given = {"log-level": "WARNING", "pidfile": "p", "daemon": ""}
    assert parse_flags(FLAGS, ["--pidfile=p", "x.ini", "--daemon", "--log-level", "WARNING"], 1) == (given, ["x.ini"])
    assert parse_flags(FLAGS, []) == ({}, [])
    assert parse_flags(FLAGS, ["-h"]) == parse_flags(FLAGS, ["--help"]) == ({"help": ""}, [])


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--nonsense"], "option --nonsense not recognized"),
        (["--pidfile"], "option --pidfile requires argument"),
        (["a", "b", "c"], "unrecognized arguments: b c"),
        (["--log-level", "loud"], "--log-level 'loud' is not one of warning, info"),
        (["--log-level", "Info"], "--log-level 'Info' is not one of warning, info"),
        (["--log-level="], "--log-level '' is not one of warning, info"),
    ],
)
def test_wrong_words_are_told(args: list[str], text: str) -> None:
    with pytest.raises(Usage) as error:
        parse_flags(FLAGS, args, 1)
    assert str(error.value) == text


def test_defaults_are_those_of_flags_with_a_value() -> None:
    assert defaults(FLAGS) == {"log-level": "info", "pidfile": ""}


def test_usage_lists_each_flag_with_its_default() -> None:
    assert usage_text(FLAGS, "thing [options] FILE", "Does things.").splitlines() == [
        "usage: thing [options] FILE",
        "",
        "Does things.",
        "",
        "  --log-level LEVEL      how much is said (info)",
        "  --pidfile FILE         write the process id there",
        "  --daemon               go on in the background",
        "  --help                 print this text and end",
    ]
