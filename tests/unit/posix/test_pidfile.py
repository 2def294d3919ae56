"""What counts as a pid."""

from __future__ import annotations

import pytest

from circus.posix.pidfile import _parse


@pytest.mark.parametrize(("text", "pid"), [(b"1\n", 1), (b"123", 123), (b" 77 \n", 77), (b"4194304\n", 4194304)])
def test_decimal_digits_are_a_pid(text: bytes, pid: int) -> None:
    assert _parse(text) == pid


@pytest.mark.parametrize("text", [b"", b"\n", b"0", b"-5", b"+5", b"1.5", b"12 13", b"0x1f", b"\xb2", b"9" * 64])
def test_everything_else_is_rubbish(text: bytes) -> None:
    assert _parse(text) is None
