"""`restart` without a name: the same process starts anew with what its file says now."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from circus.client import CallError, CircusClient
from tests.real.proc import descriptors_of, threads_of, zombies_of
from tests.real.support import Daemon, is_gone, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")


def statuses(daemon: Daemon) -> dict[str, Any]:
    """Empty while the daemon is between two lives: what is asked then may be lost with its sockets."""
    with CircusClient(endpoint=daemon.endpoints.control, timeout=1) as client:
        try:
            found: dict[str, Any] = client.send_message("status")["statuses"]
            return found
        except CallError:
            return {}


def test_restart_without_a_name_reads_the_file_again_in_the_same_process(tmp_path: Path) -> None:
    head = f"pidfile = {tmp_path}/pid\n"
    with Daemon(tmp_path, head + "[watcher:a]\ncmd = sleep 60\n[watcher:gone]\ncmd = sleep 60\n") as daemon:
        daemon.wait_for_status("gone", "active")
        before = daemon.pids("a") + daemon.pids("gone")
        daemon.write_config(head + "[watcher:a]\ncmd = sleep 61\nnumprocesses = 2\n[watcher:new]\ncmd = sleep 60\n")
        assert daemon.ctl("restart", "--waiting").returncode == 0
        daemon.wait_for(lambda: statuses(daemon) == {"a": "active", "new": "active"})
        daemon.wait_for(lambda: len(daemon.pids("a")) == 2)
        assert daemon.call("get", name="a", keys=["cmd"])["options"] == {"cmd": "sleep 61"}
        assert all(map(is_gone, before))
        assert (tmp_path / "pid").read_text() == f"{daemon.pid}\n"
        assert daemon.process.poll() is None


def test_restart_with_a_file_that_cannot_be_used_goes_on_with_the_old_one(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:a]\ncmd = sleep 60\n") as daemon:
        daemon.wait_for_status("a", "active")
        [pid] = daemon.pids("a")
        daemon.write_config("[watcher:a]\ncmd = sleep 60\nnumprocesses = many\n")
        daemon.call("restart")
        line = daemon.wait_for_output("numprocesses")
        assert "circus.ini" in line
        assert "many" in line
        daemon.wait_for(lambda: is_gone(pid))
        daemon.wait_for(lambda: statuses(daemon) == {"a": "active"})
        assert daemon.call("get", name="a", keys=["numprocesses"])["options"] == {"numprocesses": 1}


def test_restarts_in_a_row_leave_no_descriptor_thread_or_zombie_behind(tmp_path: Path) -> None:
    config = f"""
        [watcher:a]
        cmd = sleep 60
        hooks.before_start = tests.real.programs.hooks.accept
        stdout_stream.class = FileStream
        stdout_stream.filename = {tmp_path}/log
        [watcher:b]
        cmd = sleep 60
        """
    with Daemon(tmp_path, config) as daemon:

        def up() -> bool:
            return statuses(daemon) == {"a": "active", "b": "active"}

        def round_trip() -> None:
            [before] = daemon.pids("b")
            daemon.call("restart")
            daemon.wait_for(lambda: is_gone(before))
            daemon.wait_for(up)

        daemon.wait_for(up)
        round_trip()
        descriptors, threads = len(descriptors_of(daemon.pid)), threads_of(daemon.pid)
        for _ in range(5):
            round_trip()
        wait_for(lambda: len(threads_of(daemon.pid)) <= len(threads), what=lambda: threads_of(daemon.pid))
        wait_for(lambda: len(descriptors_of(daemon.pid)) <= descriptors, what=lambda: descriptors_of(daemon.pid))
        assert zombies_of(daemon.pid) == []


def test_restart_of_a_daemon_ends_what_it_had_started(tmp_path: Path) -> None:
    config = "[watcher:a]\ncmd = sh -c 'setsid sleep 1000 & exec sleep 1000'\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("a", "active")
        before = wait_for(lambda: _offspring(daemon))
        daemon.call("restart")
        wait_for(lambda: all(map(is_gone, before)))
        daemon.wait_for(lambda: statuses(daemon) == {"a": "active"})


def _offspring(daemon: Daemon) -> list[int]:
    from circus.posix import tree

    found = [entry.pid for entry in tree.descendants(daemon.pid)]
    return found if len(found) == 2 else []


def test_restart_with_an_address_that_is_taken_goes_on_with_the_old_ones(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        config = f"[socket:s]\npath = {tmp_path}/s\n[watcher:a]\ncmd = sleep 6$(circus.sockets.s)\n"
        with Daemon(tmp_path, config) as daemon:
            daemon.wait_for_status("a", "active")
            [pid] = daemon.pids("a")
            port = other.getsockname()[1]
            daemon.write_config(f"[socket:s]\nport = {port}\n[watcher:a]\ncmd = sleep 6$(circus.sockets.s)\n")
            daemon.call("restart")
            line = daemon.wait_for_output("Could not bind socket 's'")
            assert "going on with what" in line
            daemon.wait_for(lambda: is_gone(pid))
            daemon.wait_for(lambda: statuses(daemon) == {"a": "active"})
            assert daemon.call("listsockets")["sockets"][0]["path"] == f"{tmp_path}/s"


@pytest.mark.parametrize("taken", ["socket", "endpoint"])
def test_restart_with_an_address_that_is_taken_keeps_the_others_open(tmp_path: Path, taken: str) -> None:
    config = "[socket:web]\nport = 0\n[watcher:a]\ncmd = sleep 60\nuse_sockets = true\n"
    with socket.socket() as other, Daemon(tmp_path, config) as daemon:
        other.bind(("127.0.0.1", 0))
        other.listen()
        daemon.wait_for_status("a", "active")
        [before] = daemon.call("listsockets")["sockets"]
        inode = os.readlink(f"/proc/{daemon.pid}/fd/{before['fd']}")
        port = other.getsockname()[1]
        if taken == "endpoint":
            daemon.endpoints = daemon.endpoints._replace(pubsub=f"tcp://127.0.0.1:{port}")
        more = f"[socket:s]\nhost = 127.0.0.1\nport = {port}\n" if taken == "socket" else ""
        daemon.write_config(config + more)
        daemon.call("restart")
        assert "going on with what" in daemon.wait_for_output("ddress already in use")
        daemon.wait_for(lambda: statuses(daemon) == {"a": "active"})
        assert daemon.call("listsockets")["sockets"] == [before]
        assert os.readlink(f"/proc/{daemon.pid}/fd/{before['fd']}") == inode


def test_restart_that_can_open_neither_the_new_nor_the_old_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    config = f"[socket:kept]\npath = {tmp_path}/kept\n[socket:s]\npath = {tmp_path}/there/s\n"
    with Daemon(tmp_path, f"{config}[watcher:a]\ncmd = sleep 60\nuse_sockets = true\n") as daemon:
        daemon.wait_for_status("a", "active")
        (tmp_path / "there").rename(tmp_path / "away")
        daemon.call("restart")
        assert daemon.wait() == 1
        assert "there is no directory" in daemon.output
    assert not (tmp_path / "kept").exists()


def test_restart_keeps_a_socket_open_that_did_not_change(tmp_path: Path) -> None:
    config = "[socket:web]\nport = 0\n[watcher:a]\ncmd = sleep 60\nuse_sockets = true\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("a", "active")
        before = daemon.call("listsockets")["sockets"]
        pids = daemon.pids("a")
        with socket.create_connection(("127.0.0.1", before[0]["port"])):  # waits in the queue, which nobody serves
            daemon.call("restart")
            daemon.wait_for(lambda: statuses(daemon) == {"a": "active"} and daemon.pids("a") != pids)
            assert daemon.call("listsockets")["sockets"] == before


def test_restart_follows_the_file_in_its_pid_file_and_mask(tmp_path: Path) -> None:
    with Daemon(tmp_path, f"pidfile = {tmp_path}/old\numask = 077\n[watcher:a]\ncmd = sleep 60\n") as daemon:
        daemon.wait_for_status("a", "active")
        [pid] = daemon.pids("a")
        daemon.write_config(f"pidfile = {tmp_path}/new\n[watcher:a]\ncmd = sleep 60\n")
        daemon.call("restart")
        daemon.wait_for(lambda: is_gone(pid) and statuses(daemon) == {"a": "active"})
        assert (tmp_path / "new").read_text() == f"{daemon.pid}\n"
        assert not (tmp_path / "old").exists()
        assert umask_of(daemon.pid) == umask_of(os.getpid())


def umask_of(pid: int) -> str:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Umask:")]
    return line.split()[1]
