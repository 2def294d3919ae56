"""What a program writes is what the file holds, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.proc import program
from tests.real.support import Daemon, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")

SIZE = 2_000_000


def test_binary_garbage_and_split_characters_arrive_byte_for_byte(tmp_path: Path) -> None:
    config = f"""
        [watcher:a]
        cmd = {program("garbage.py", tmp_path, SIZE)}
        respawn = False
        stdout_stream.class = FileStream
        stdout_stream.filename = {tmp_path}/1.log
        stderr_stream.class = FileStream
        stderr_stream.filename = {tmp_path}/2.log
        """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for((tmp_path / "written").exists)
        daemon.wait_for_status("a", "stopped")
        for number in (1, 2):
            copy = (tmp_path / f"{number}.copy").read_bytes()
            assert len(copy) >= SIZE
            assert (tmp_path / f"{number}.log").read_bytes() == copy


def test_binary_garbage_of_several_processes_is_rotated_without_a_lost_byte(tmp_path: Path) -> None:
    config = f"""
        [watcher:a]
        cmd = {program("garbage.py", f"{tmp_path}/$(circus.wid)", SIZE)}
        numprocesses = 3
        respawn = False
        stdout_stream.class = FileStream
        stdout_stream.filename = {tmp_path}/log
        stdout_stream.max_bytes = 1000000
        stdout_stream.backup_count = 100
        """
    for wid in (1, 2, 3):
        (tmp_path / str(wid)).mkdir()
    with Daemon(tmp_path, config) as daemon:
        wait_for(lambda: all((tmp_path / str(wid) / "written").exists() for wid in (1, 2, 3)))
        daemon.wait_for_status("a", "stopped")
    logs = list(tmp_path.glob("log*"))
    assert len(logs) > 3
    written = sum((tmp_path / str(wid) / "1.copy").stat().st_size for wid in (1, 2, 3))
    assert sum(log.stat().st_size for log in logs) == written
