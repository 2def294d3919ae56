"""What a command line in /proc means."""

from __future__ import annotations

import pytest

from circus.posix.figures import command


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
