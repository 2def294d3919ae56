"""Programs that are started by a connection to a managed socket, and sleep until the next one."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.support import Daemon, background, free_port, is_gone, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")

PROGRAMS = Path(__file__).parent / "programs"

SERVER = f"{sys.executable} {PROGRAMS / 'served.py'} $(circus.sockets.web)"

WEB = """
[socket:web]
host = 127.0.0.1
port = {port}
[watcher:web]
cmd = {cmd}
on_demand = true
"""


def configuration(port: int, cmd: str = SERVER, more: str = "") -> str:
    return WEB.format(port=port, cmd=cmd) + more


def ask(address: Any, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """The process that answers there."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, kind) as client:
        client.settimeout(20)
        if isinstance(address, str) and kind is socket.SOCK_DGRAM:
            client.bind("")  # an address the answer can go to
        client.connect(address)
        if kind is socket.SOCK_DGRAM:
            client.send(b"who?")
        return int(client.recv(20))


def local(port: int) -> tuple[str, int]:
    return "127.0.0.1", port


def status(daemon: Daemon, name: str = "web") -> tuple[str, str]:
    reply = daemon.call("status", name=name)
    return reply["status"], reply.get("reason_text", "")


@contextlib.contextmanager
def sleeping(directory: Path, config: str) -> Iterator[Daemon]:
    """circusd, when its watcher `web` sleeps."""
    with Daemon(directory, config) as daemon:
        wait_asleep(daemon)
        yield daemon


ASLEEP = ("stopped", "waits for a connection to web")


def wait_asleep(daemon: Daemon, seconds: float = 20.0) -> None:
    daemon.wait_for(lambda: status(daemon) == ASLEEP, seconds)


# ---- waking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ("host = 127.0.0.1\nport = {port}", socket.SOCK_STREAM),
        ("path = {folder}/s", socket.SOCK_STREAM),
        ("host = 127.0.0.1\nport = {port}\ntype = SOCK_DGRAM", socket.SOCK_DGRAM),
        ("path = {folder}/s\ntype = SOCK_DGRAM", socket.SOCK_DGRAM),
    ],
    ids=["tcp", "unix", "udp", "unix datagrams"],
)
def test_first_request_is_answered_and_starts_nothing_else(
    tmp_path: Path, options: str, kind: socket.SocketKind
) -> None:
    port = free_port()
    config = f"""\
[socket:web]
{options.format(port=port, folder=tmp_path)}
[socket:other]
host = 127.0.0.1
port = 0
[watcher:web]
cmd = {SERVER}
on_demand = true
[watcher:other]
cmd = {SERVER.replace("web", "other")}
on_demand = true
[watcher:plain]
cmd = sleep 1000
autostart = false
"""
    with sleeping(tmp_path, config) as daemon:
        pid = ask(str(tmp_path / "s") if "path" in options else local(port), kind)
        daemon.wait_for_status("web", "active")
        assert daemon.pids("web") == [pid]
        assert status(daemon, "other")[0] == status(daemon, "plain")[0] == "stopped"
        assert daemon.pids("other") == daemon.pids("plain") == []


@pytest.mark.parametrize("options", ["listen_fds = web", "use_sockets = true"])
def test_program_that_is_given_its_socket_in_another_way_is_woken_too(tmp_path: Path, options: str) -> None:
    port = free_port()
    fd = "3" if "listen" in options else "$(circus.sockets.web)"
    config = configuration(port, f"{sys.executable} {PROGRAMS / 'served.py'} {fd}", options)
    with sleeping(tmp_path, config) as daemon:
        assert [ask(local(port))] == daemon.pids("web")


def test_inetd_program_is_started_for_each_client(tmp_path: Path) -> None:
    port = free_port()
    program = f"{sys.executable} {PROGRAMS / 'served.py'} 0 1"
    with sleeping(tmp_path, configuration(port, program, "stdin_socket = web")) as daemon:
        assert len({ask(local(port)) for _ in range(3)}) == 3
        wait_asleep(daemon)


def test_one_that_was_stopped_is_not_woken_while_another_of_the_same_socket_is(tmp_path: Path) -> None:
    port = free_port()
    other = f"[watcher:other]\ncmd = {SERVER}\non_demand = true\n"
    with sleeping(tmp_path, configuration(port, more=other)) as daemon:
        assert daemon.call("stop", name="web", waiting=True)["status"] == "ok"
        pid = ask(local(port))
        daemon.wait_for_status("other", "active")
        assert daemon.pids("other") == [pid]
        assert status(daemon) == ("stopped", "")
        daemon.call("start", name="web", waiting=True)
        assert status(daemon) == ASLEEP


def test_all_that_sleep_at_a_socket_are_woken_with_all_their_processes(tmp_path: Path) -> None:
    port = free_port()
    other = f"[watcher:other]\ncmd = {SERVER}\non_demand = true\nnumprocesses = 3\n"
    with sleeping(tmp_path, configuration(port, more=other)) as daemon:
        ask(local(port))
        daemon.wait_for(lambda: len(daemon.pids("other")) == 3 and len(daemon.pids("web")) == 1)


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("start", {}),
        ("restart", {}),
        ("reload", {}),
        ("reload", {"sequential": True}),
        ("incr", {}),
        ("set", {"options": {"graceful_timeout": 3}}),
        ("reloadconfig", {"name": None}),
        ("restart", {"name": None}),
    ],
)
def test_request_for_a_sleeping_one_leaves_it_asleep_and_ready_to_wake(
    tmp_path: Path, command: str, more: dict[str, Any]
) -> None:
    port = free_port()
    with sleeping(tmp_path, configuration(port)) as daemon:
        wanted = {"name": "web", "waiting": True, **more}
        properties = {key: value for key, value in wanted.items() if value is not None}
        assert daemon.call(command, **properties)["status"] == "ok"
        wait_asleep(daemon)
        pid = ask(local(port))
        daemon.wait_for(lambda: pid in daemon.pids("web"))


def test_added_and_started_it_sleeps(tmp_path: Path) -> None:
    port = free_port()
    with sleeping(tmp_path, configuration(port)) as daemon:
        reply = daemon.call("add", name="late", cmd=SERVER, start=True, waiting=True, options={"on_demand": True})
        assert (reply["status"], reply["started"]) == ("ok", [])
        ask(local(port))
        daemon.wait_for_status("late", "active")


# ---- sleeping again ----------------------------------------------------------------------------------------------


def test_after_its_end_it_goes_through_a_whole_round_and_the_next_request_wakes_it(tmp_path: Path) -> None:
    port = free_port()
    config = configuration(port, f"{SERVER} 1", more="[watcher:ping]\ncmd = sleep 1000\n")
    with sleeping(tmp_path, config) as daemon, daemon.events() as events:
        events.sync(lambda: daemon.call("set", name="ping", options={"graceful_timeout": 3}))
        pids = set()
        for round in range(1, 4):
            pids.add(ask(local(port)))
            events.wait("web.stop", round)
            wait_asleep(daemon)
        assert len(pids) == 3 and all(map(is_gone, pids))
        seen = [topic for topic in events.topics() if topic.startswith("web.")]
        assert seen == ["web.spawn", "web.start", "web.reap", "web.stop"] * 3


def test_connections_that_come_while_it_ends_are_all_served(tmp_path: Path) -> None:
    port = free_port()
    with sleeping(tmp_path, configuration(port, f"{SERVER} 1")) as daemon:
        clients = [socket.create_connection(local(port), 20) for _ in range(8)]
        answers = {int(client.recv(20)) for client in clients}
        assert len(answers) == 8
        for client in clients:
            client.close()
        wait_asleep(daemon)


def test_crash_loop_is_paced_and_given_up_although_the_connection_still_waits(tmp_path: Path) -> None:
    port = free_port()
    options = "flapping.retry_in = 0.3\nflapping.backoff = 1\nflapping.max_retry = 2\n"
    config = configuration(port, "/bin/false $(circus.sockets.web)") + options
    with sleeping(tmp_path, config) as daemon, daemon.events() as events:
        events.sync(lambda: daemon.call("set", name="web", options={"graceful_timeout": 3}))
        with socket.create_connection(local(port)):
            daemon.wait_for(lambda: "given up after 2 retries" in status(daemon)[1])
            assert len(events.wait("web.spawn")) == 6  # two deaths for each pause, and for the last judgement
            daemon.wait_for_status("web", "stopped")
            daemon.call("start", name="web", waiting=True)  # an operator tries again
            events.wait("web.spawn", 7)


def test_program_that_is_not_there_is_given_up(tmp_path: Path) -> None:
    port = free_port()
    config = configuration(port, f"{tmp_path}/none $(circus.sockets.web)", "max_retry = 2\n")
    with sleeping(tmp_path, config) as daemon, socket.create_connection(local(port)):
        daemon.wait_for(lambda: "given up after 2 attempts" in status(daemon)[1])
        daemon.wait_for_status("web", "stopped")


def test_option_is_changed_while_it_runs_and_while_it_sleeps(tmp_path: Path) -> None:
    port = free_port()
    with sleeping(tmp_path, configuration(port)) as daemon:
        daemon.call("set", name="web", options={"on_demand": False}, waiting=True)
        assert status(daemon) == ("active", "")
        (pid,) = daemon.pids("web")
        daemon.call("set", name="web", options={"on_demand": True}, waiting=True)
        assert daemon.pids("web") == [pid]
        os.kill(pid, 15)
        wait_asleep(daemon)
        assert ask(local(port)) != pid


# ---- other sockets -----------------------------------------------------------------------------------------------


def test_socket_that_is_bound_anew_while_it_sleeps_wakes_it(tmp_path: Path) -> None:
    before, after = free_port(), free_port()
    with sleeping(tmp_path, configuration(before)) as daemon:
        daemon.write_config(configuration(after))
        assert daemon.call("reloadconfig", waiting=True)["status"] == "ok"
        assert status(daemon) == ASLEEP
        with pytest.raises(ConnectionRefusedError):
            ask(local(before))
        assert [ask(local(after))] == daemon.pids("web")


def test_other_socket_for_a_sleeping_one_wakes_it_and_the_former_does_not(tmp_path: Path) -> None:
    before, after = free_port(), free_port()
    sockets = "[socket:api]\nhost = 127.0.0.1\nport = {}\n"
    with sleeping(tmp_path, configuration(before)) as daemon:
        wait_asleep(daemon)
        config = configuration(before, SERVER.replace("web)", "api)"), sockets.format(after))
        daemon.write_config(config + "[watcher:other]\ncmd = sleep 1000\nuse_sockets = true\n")
        assert daemon.call("reloadconfig", waiting=True)["status"] == "ok"
        assert status(daemon) == ("stopped", "waits for a connection to api")
        socket.create_connection(local(before)).close()
        assert [ask(local(after))] == daemon.pids("web")


def test_one_that_is_removed_together_with_its_socket_is_gone(tmp_path: Path) -> None:
    port = free_port()
    with sleeping(tmp_path, configuration(port)) as daemon:
        daemon.write_config("[watcher:other]\ncmd = sleep 1000\n")
        assert daemon.call("reloadconfig", waiting=True)["status"] == "ok"
        assert daemon.call("list")["watchers"] == ["other"]
        assert "at once" not in daemon.output


def test_program_of_the_library_may_have_watchers_on_demand(tmp_path: Path) -> None:
    from circus.sockets import CircusSocket

    web = CircusSocket("web", host="127.0.0.1", port=0)
    words = {"name": "web", "cmd": SERVER, "on_demand": True}
    with background(tmp_path, words, sockets=[web]) as arbiter:
        assert arbiter.get_watcher("web").status() == "stopped"
        pid = ask(local(web.port))
        wait_for(lambda: arbiter.get_watcher("web").status() == "active")
        assert [process.pid for process in arbiter.get_watcher("web").get_active_processes()] == [pid]


# ---- idle_timeout ------------------------------------------------------------------------------------------------

APP = "def app(environ, start):\n    start('200 OK', [])\n    return [b'%d' % __import__('os').getpid()]\n"


def fetch(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
        return int(answer.read())


def test_web_server_that_nobody_uses_sleeps_until_the_next_request(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    cmd = f"{sys.executable} -m gunicorn --bind fd://$(circus.sockets.web) --chdir {tmp_path} app:app"
    with sleeping(tmp_path, configuration(port, cmd, "idle_timeout = 2\n")) as daemon:
        for _ in range(2):
            pid = fetch(port)
            daemon.wait_for_status("web", "active")
            used_at = time.monotonic()
            for _ in range(4):
                assert fetch(port) == pid
                used_at = time.monotonic()
                time.sleep(0.5)  # what is tested is time
            wait_asleep(daemon, 30.0)
            assert time.monotonic() - used_at > 1.9
            assert is_gone(pid)
        assert "web was idle for 2.0 s" in daemon.output


def test_connection_that_is_open_keeps_it_awake(tmp_path: Path) -> None:
    port = free_port()
    with sleeping(tmp_path, configuration(port, f"{SERVER} -1 600", "idle_timeout = 0.5\n")) as daemon:
        with socket.create_connection(local(port)) as client:
            pid = int(client.recv(20))
            time.sleep(1.5)  # as above
            assert daemon.pids("web") == [pid]
        # The program still has it open, and the system knows of it until then.
        assert status(daemon)[0] == "active"


def test_connection_to_a_unix_socket_keeps_it_awake(tmp_path: Path) -> None:
    config = WEB.replace("host = 127.0.0.1\nport = {port}", "path = {port}")
    with sleeping(
        tmp_path, config.format(port=tmp_path / "s", cmd=f"{SERVER} -1 2") + "idle_timeout = 0.5\n"
    ) as daemon, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
        pid = int(client.recv(20))
        time.sleep(1.0)  # as above
        assert daemon.pids("web") == [pid]
        wait_asleep(daemon)
