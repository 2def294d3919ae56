"""A log that cannot be written."""

from __future__ import annotations

from circus.posix.log_trouble import Trouble


def test_it_is_said_once_when_it_begins_and_once_when_it_ends() -> None:
    said: list[str] = []
    trouble = Trouble("/x", said.append)
    assert trouble.end() is None
    trouble.begin(OSError(28, "No space left on device"))
    trouble.begin(OSError(5, "Input/output error"))
    trouble.lost = 2
    assert trouble.text == said[0]
    back = trouble.end()
    assert back is not None
    assert said == [
        "the log /x cannot be written: No space left on device; lines may be lost until it can",
        "the log /x is written again; up to 2 lines are lost",
    ]
    assert back.getMessage() == said[1]
    assert (trouble.text, trouble.lost, trouble.end()) == ("", 0, None)


def test_error_without_a_text_of_the_system_is_told_by_its_own() -> None:
    said: list[str] = []
    Trouble("/x", said.append).begin(TimeoutError("timed out"))
    assert "timed out" in said[0]
