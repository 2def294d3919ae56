"""A circusd whose log nobody reads goes on working."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from circus.client import CircusClient
from tests.real.support import ipc_endpoints, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")


def test_full_pipe_at_standard_error_stops_nothing_and_lost_lines_are_counted(tmp_path: Path) -> None:
    endpoints = ipc_endpoints(tmp_path)
    config = tmp_path / "circus.ini"
    config.write_text(f"{endpoints.section}\n[watcher:a]\ncmd = sleep 1000\nclose_child_stderr = true\n")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    try:
        while True:
            filled += os.write(writer, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    command = [sys.executable, "-m", "circus.circusd", str(config)]
    client = CircusClient(endpoint=endpoints.control, timeout=20)
    with subprocess.Popen(command, stderr=writer) as process, client:
        os.close(writer)
        for _ in range(3):
            assert client.send_message("restart", name="a", waiting=True)["status"] == "ok"
        while filled:
            filled -= len(os.read(reader, filled))
        client.send_message("stop", name="a", waiting=True)
        seen = b""

        def told() -> bool:
            nonlocal seen
            seen += os.read(reader, 65536)
            return b"a stopped" in seen

        wait_for(told)
        client.send_message("quit", waiting=True)
        assert process.wait(20) == 0
    os.close(reader)
    assert b"lines of the log are lost: standard error was not read" in seen
