"""The log on a syslog socket."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from circus.posix import logs
from circus.posix.syslog import SysLog

logger = logging.getLogger("circus.test_syslog")


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """The root logger as it was, afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    logs.release()
    root.handlers, root.level = before, level


def server_at(path: Path, kind: int = socket.SOCK_DGRAM) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind(str(path))
    server.settimeout(10)
    return server


def test_socket_that_is_not_there_is_one_line_at_the_start_and_then_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure_logger(logger, output=f"syslog://{tmp_path}/log")
    said = capfd.readouterr().err
    why = "No such file or directory; lines may be lost until it can"
    assert said == f"the log syslog://{tmp_path}/log cannot be written: {why}\n"
    assert logs.trouble() == said.strip()
    for _ in range(3):
        logger.error("lost")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("is_there_at_first", [True, False])
def test_socket_that_is_back_is_written_again_and_says_what_was_lost(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], is_there_at_first: bool
) -> None:
    path = tmp_path / "log"
    if is_there_at_first:
        first = server_at(path)
    logs.configure_logger(logger, output=f"syslog://{path}")
    if is_there_at_first:
        logger.error("one")
        assert first.recv(1000).endswith(b"one\0")
        first.close()
        path.unlink()
    for _ in range(3):
        logger.error("lost")
    assert capfd.readouterr().err.count("\n") == 1
    with server_at(path) as again:
        logger.error("two")
        assert again.recv(1000).endswith(b"two\0")
        assert again.recv(1000).endswith(b"is written again; up to 3 lines are lost\0")
        logger.error("three")
        assert again.recv(1000).endswith(b"three\0")
    assert capfd.readouterr().err == f"the log syslog://{path} is written again; up to 3 lines are lost\n"
    assert logs.trouble() == ""


def test_reader_that_stands_still_is_not_waited_for_by_every_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("circus.posix.syslog._SEND_TIMEOUT", 0.001)
    clock = [100.0]
    monkeypatch.setattr("circus.posix.syslog.time.monotonic", lambda: clock.append(clock[-1] + 0.01) or clock[-1])
    with server_at(tmp_path / "log") as server:
        handler = SysLog(str(tmp_path / "log"), 1)
        for _ in range(1000):
            handler.emit(logging.makeLogRecord({"msg": "x" * 1000}))
        lost = handler.trouble.lost
        assert lost
        assert handler.trouble.text
        assert capfd.readouterr().err.count("\n") == 1
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                server.recv(2000)
        clock.append(clock[-1] + 10)  # the time of the next attempt
        handler.emit(logging.makeLogRecord({"msg": "seen"}))
        assert server.recv(2000).endswith(b"seen\0")
        assert handler.trouble.lost == 0
        handler.close()


def test_line_that_cannot_be_formatted_is_shown_as_ever(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with server_at(tmp_path / "log"):
        logs.configure_logger(logger, output=f"syslog://{tmp_path}/log")
        logger.error("%d", "no number")
        assert "TypeError" in capfd.readouterr().err
    assert logs.trouble() == ""
