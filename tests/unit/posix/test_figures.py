"""What a command line in /proc means, and times as text."""

from __future__ import annotations

import pytest

from circus.posix.figures import command, minutes


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"/usr/bin/sleep\x00100\x00", "sleep"),
        (b"sleep\x00", "sleep"),
        (b"", "N/A"),
        (b"\x00", "N/A"),
        (b"nginx: master process /usr/sbin/nginx\x00", "nginx:"),
        (b"title of blanks", "title"),
        (b"/opt/a b/run\x00x\x00", "run"),
        (b"/opt/\xff\x00x\x00", "\udcff"),
    ],
)
def test_a_command_is_the_last_part_of_the_first_word(line: bytes, name: str) -> None:
    assert command(line) == name


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.00"), (0.05, "0:00.05"), (59.999, "0:59.99"), (60, "1:00.00"), (86461.5, "1441:01.50")],
)
def test_cpu_time_is_minutes_and_keeps_the_hours(seconds: float, text: str) -> None:
    assert minutes(seconds) == text
