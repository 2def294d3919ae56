"""Clients and programs that reach circusd through ssh: a real ssh, and an sshd of the tests' own."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
import zmq

from circus.client import AsyncCircusClient, CircusClient, cast_message
from circus.consumer import CircusConsumer
from circus.exc import CallError
from circus.stats.client import StatsClient
from circus.util import get_connection
from circus.wire import tunnel as tunnel_module
from tests.real.proc import children_of
from tests.real.ssh_server import SSHD, ssh_server
from tests.real.support import (
    PATIENCE,
    ROOT,
    Daemon,
    Endpoints,
    Program,
    free_port,
    host_program,
    ipc_endpoints,
    is_gone,
    tcp_endpoints,
    wait_for,
)
from tests.real.terminal import Terminal

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.usefixtures("nobody_left"),
    pytest.mark.skipif(SSHD is None, reason="openssh-server is not installed; tests/run installs it"),
]

CONFIG = "[watcher:web]\ncmd = sleep 1000\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ssh_server(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture
def daemon(tmp_path, server):
    """One that tests reach only through ssh."""
    with Daemon(tmp_path, CONFIG, endpoints=tcp_endpoints()) as daemon:
        daemon.wait_for_status("web", "active")
        yield daemon


@pytest.fixture
def here(server, monkeypatch):
    """The test itself is the client. The directory is where temporary files go; nothing may be left there."""
    with tempfile.TemporaryDirectory() as directory:
        monkeypatch.setenv("PATH", server.env["PATH"])
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield Path(directory)
        assert os.listdir(directory) == []


def ctl(server, endpoint, *words, via="there", **options):
    env = {**os.environ, **server.env, **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "circus.circusctl", "--ssh", via, "--endpoint", endpoint, *words],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, **options,
    )  # fmt: skip


def tunnels_of(pid):
    return [child.pid for child in children_of(pid) if str(child).startswith("ssh[") and not child.is_zombie]


def cause_event(daemon):
    assert daemon.call("set", name="web", options={"priority": 1})["status"] == "ok"


# ---- circusctl ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoints", [tcp_endpoints, ipc_endpoints], ids=["tcp", "ipc"])
def test_circusctl_asks_a_daemon_behind_ssh(tmp_path, server, endpoints):
    endpoints = endpoints(tmp_path) if endpoints is ipc_endpoints else endpoints()
    with Daemon(tmp_path, CONFIG, endpoints=endpoints) as daemon:
        daemon.wait_for_status("web", "active")
        done = ctl(server, endpoints.control, "status", "web")
        assert (done.returncode, done.stdout, done.stderr) == (0, "active\n", "")
        done = ctl(server, endpoints.control, "stop", "typo")
        assert (done.returncode, done.stderr) == (3, "error: program typo not found\n")


def test_circusctl_takes_server_port_and_key_from_its_flags(daemon, server):
    via = f"{pwd.getpwuid(os.getuid()).pw_name}@there:{server.port}"
    done = ctl(server, daemon.endpoints.control, "--ssh_keyfile", str(server.key), "list", "web", via=via)
    assert (done.returncode, done.stderr) == (0, "")
    assert [int(pid) for pid in done.stdout.split(",")] == daemon.pids("web")


def test_shell_uses_one_tunnel_for_all_its_commands(daemon, server):
    done = ctl(server, daemon.endpoints.control, input="status\nnumwatchers\nexit\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("web: active") == 2 and "(circusctl) 1\n" in done.stdout


@pytest.mark.parametrize("given", ["control", "pubsub"])
def test_listen_finds_the_events_and_ends_when_its_tunnel_does(tmp_path, daemon, server, given):
    words = ["--ssh", "there", "--endpoint", getattr(daemon.endpoints, given), "listen", "--json"]
    with Program([sys.executable, "-m", "circus.circusctl", *words], tmp_path, server.env) as listener:
        listener.wait_for(lambda: (cause_event(daemon), "updated" in listener.output)[1])
        (ssh,) = tunnels_of(listener.pid)
        os.kill(ssh, signal.SIGTERM)
        assert listener.wait() == 1
        assert "error: the ssh tunnel through there has ended" in listener.output


@pytest.mark.parametrize(
    ("via", "text"),
    [
        ("nosuch.invalid", "no ssh tunnel through nosuch.invalid: ssh: Could not resolve hostname nosuch.invalid"),
        ("there:1", "no ssh tunnel through there:1: ssh: connect to host 127.0.0.1 port 1: Connection refused"),
        ("stranger", "no ssh tunnel through stranger: "),
        ("unchecked", "no ssh tunnel through unchecked: Host key verification failed."),
        ("shut", "no ssh tunnel through shut: This account is for mail only."),
        ("-oProxyCommand=touch x", "'-oProxyCommand=touch x' is no ssh server: USER@HOST or USER@HOST:PORT is needed"),
        ("me@-oProxyCommand=touch x", "is no ssh server"),
        ("there;touch x", "is no ssh server"),
    ],
)
def test_way_that_cannot_be_made_is_one_clear_line(tmp_path, daemon, server, via, text):
    command = [sys.executable, "-m", "circus.circusctl", f"--ssh={via}", "--endpoint", daemon.endpoints.control, "list"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **server.env}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert text in done.stderr and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_refused_key_says_how_to_name_another(daemon, server):
    done = ctl(server, daemon.endpoints.control, "list", via="stranger")
    assert "Permission denied (publickey" in done.stderr and "--ssh_keyfile" in done.stderr


def test_missing_program_and_missing_key_are_told(daemon, server, tmp_path):
    done = ctl(server, daemon.endpoints.control, "list", env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr == "error: no ssh tunnel through there: there is no program ssh; install an OpenSSH client\n"
    done = ctl(server, daemon.endpoints.control, "--ssh_keyfile", "/none", "list")
    assert (done.returncode, done.stderr) == (1, "error: no ssh tunnel through there: the key /none cannot be read\n")


def test_endpoint_without_a_daemon_is_told_soon(server, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    done = ctl(server, endpoint, "--timeout", "50", "list")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {endpoint} of there cannot be reached: nobody listens there; start circusd")
    done = ctl(server, f"ipc://{tmp_path}/none", "--timeout", "50", "list")
    assert "cannot be reached: there is no such socket, or none for that user" in done.stderr


def test_server_that_forbids_forwarding_is_told(daemon, server):
    done = ctl(server, daemon.endpoints.control, "--timeout", "50", "list", via="forbidden")
    assert done.returncode == 1
    assert "its ssh server forbids forwarding" in done.stderr


def test_event_endpoint_behind_ssh_is_recognised(daemon, server):
    done = ctl(server, daemon.endpoints.pubsub, "--timeout", "50", "list")
    assert done.returncode == 1
    assert f"{daemon.endpoints.pubsub} of there is an event endpoint" in done.stderr


def test_suspended_daemon_behind_ssh_is_waited_for(daemon, server):
    daemon.signal(signal.SIGSTOP)
    try:
        done = ctl(server, daemon.endpoints.control, "--timeout", "2", "list")
    finally:
        daemon.signal(signal.SIGCONT)
    assert done.returncode == 1 and done.stderr.startswith("Timed out.\n")


def test_circusctl_without_ssh_loads_nothing_of_it(daemon):
    script = (
        "import sys\nfrom circus.circusctl import main\n"
        f"assert main(['--endpoint', {daemon.endpoints.control!r}, 'list']) == 0\n"
        "print([name for name in ('circus.wire.tunnel', 'circus.wire.ssh', 'subprocess') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "web\n[]\n", done.stderr


@pytest.fixture
def at_terminal(tmp_path, daemon, server):
    """circusctl at a prompt of a shell, with a key that is opened by a word."""
    script = (
        f"{sys.executable} -m circus.circusctl --ssh locked --endpoint {daemon.endpoints.control} list; "
        "echo code $?; stty -a | grep -o -w -e '-*echo'"
    )
    with Terminal(["/bin/sh", "-c", f"trap : INT; {script}"], tmp_path, server.env) as terminal:
        terminal.expect("Enter passphrase for key '.*/locked': ")
        yield terminal


def test_passphrase_is_asked_for_at_a_terminal(at_terminal):
    at_terminal.type("secret\n")
    at_terminal.expect("web\ncode 0\necho\n")


def test_ctrl_c_at_the_question_leaves_the_terminal_as_it_was(at_terminal):
    at_terminal.type("\x03")
    at_terminal.expect("code 1\necho\n")


def test_without_a_terminal_nobody_is_asked(daemon, server):
    done = ctl(server, daemon.endpoints.control, "list", via="locked")
    assert done.returncode == 1 and "Permission denied (publickey" in done.stderr


# ---- the library -------------------------------------------------------------------------------------------------


def test_client_behind_ssh_calls_and_casts_and_leaves_nothing(daemon, here):
    with CircusClient(endpoint=daemon.endpoints.control, ssh_server="there", timeout=PATIENCE) as client:
        assert os.listdir(here) == []  # its socket has no name any more: nobody else can connect to it
        assert client.send_message("numprocesses", name="web")["numprocesses"] == 1
        (ssh,) = tunnels_of(os.getpid())
    assert is_gone(ssh)
    with CircusClient(endpoint=daemon.endpoints.control, ssh_server="there", timeout=PATIENCE) as client:
        client.call(cast_message("incr", name="web"))
    wait_for(lambda: len(daemon.pids("web")) == 2)


def test_ssh_ends_with_a_client_that_is_killed(tmp_path, daemon, server):
    with tempfile.TemporaryDirectory() as directory:
        script = f"""
            import time
            from circus.client import CircusClient
            client = CircusClient(endpoint={daemon.endpoints.control!r}, ssh_server="there")
            print(client.send_message("list")["status"])
            time.sleep(1000)
        """
        with host_program(script, tmp_path, env={**server.env, "TMPDIR": directory}) as program:
            program.wait_for_output("ok")
            (ssh,) = tunnels_of(program.pid)
            program.signal(signal.SIGKILL)
            program.wait()
        wait_for(lambda: is_gone(ssh))
        assert os.listdir(directory) == []


def test_ctrl_c_does_not_end_the_tunnel(daemon, here):
    with CircusClient(endpoint=daemon.endpoints.control, ssh_server="there", timeout=PATIENCE) as client:
        (ssh,) = tunnels_of(os.getpid())
        os.kill(ssh, signal.SIGINT)
        assert client.send_message("list")["status"] == "ok"
        assert tunnels_of(os.getpid()) == [ssh]


def test_call_through_a_tunnel_that_ends_fails_at_once_and_the_next_one_makes_another(daemon, here):
    with CircusClient(endpoint=daemon.endpoints.control, ssh_server="there", timeout=600) as client:
        assert client.send_message("list")["status"] == "ok"
        (ssh,) = tunnels_of(os.getpid())
        daemon.signal(signal.SIGSTOP)  # so that there is no answer
        try:
            threading.Timer(0.3, os.kill, (ssh, signal.SIGTERM)).start()
            started = time.monotonic()
            with pytest.raises(CallError, match="the ssh tunnel through there has ended"):
                client.send_message("incr", name="web")
            assert time.monotonic() - started < PATIENCE
        finally:
            daemon.signal(signal.SIGCONT)
        assert client.send_message("list")["status"] == "ok"


def test_tunnel_survives_a_restart_of_the_daemon(tmp_path, server, here):
    endpoints = tcp_endpoints()
    with Daemon(tmp_path, CONFIG, endpoints=endpoints) as daemon:
        daemon.wait_for_status("web", "active")
        with CircusClient(endpoint=endpoints.control, ssh_server="there", timeout=PATIENCE) as client:
            assert client.send_message("list")["status"] == "ok"
            daemon.end()
            with Daemon(tmp_path, CONFIG, endpoints=endpoints) as second:
                second.wait_for_status("web", "active")
                assert client.send_message("list")["status"] == "ok"


def test_asyncio_client_behind_ssh(daemon, here):
    async def ask():
        client = AsyncCircusClient(endpoint=daemon.endpoints.control, ssh_server="there")
        try:
            both = await asyncio.gather(client.send_message("list"), client.send_message("status", name="web"))
            assert [both[0]["watchers"], both[1]["status"]] == [["web"], "active"]
            await client.call(cast_message("incr", name="web"))
            daemon.signal(signal.SIGSTOP)
            asyncio.get_running_loop().call_later(0.3, os.kill, *tunnels_of(os.getpid()), signal.SIGTERM)
            with pytest.raises(CallError, match="the ssh tunnel through there has ended"):
                await client.send_message("list")
            with pytest.raises(CallError, match="the ssh tunnel through there has ended"):
                await client.call(cast_message("list"))
        finally:
            daemon.signal(signal.SIGCONT)
            client.stop()

    asyncio.run(asyncio.wait_for(ask(), 60))
    wait_for(lambda: len(daemon.pids("web")) == 2)


def test_consumer_behind_ssh_hears_events_and_raises_when_its_tunnel_ends(daemon, here):
    heard = []
    where = {"endpoint": daemon.endpoints.pubsub, "ssh_server": "there"}
    with CircusConsumer("watcher.", **where, timeout=0.1, json=True) as consumer:
        wait_for(lambda: (cause_event(daemon), consumer.poll(0.05))[1])
        with pytest.raises(CallError, match="the ssh tunnel through there has ended"):
            for event in consumer:
                heard.append(event["event"])
                for ssh in tunnels_of(os.getpid()):
                    os.kill(ssh, signal.SIGTERM)
    assert heard[0] == "updated"


def test_connection_of_a_socket_ends_with_the_socket(daemon, here):
    socket = zmq.Context.instance().socket(zmq.DEALER)
    get_connection(socket, daemon.endpoints.control, ssh_server="there")
    socket.send(b'{"command": "numwatchers", "id": 1}')
    assert socket.poll(PATIENCE * 1000) and json.loads(socket.recv())["numwatchers"] == 1
    (ssh,) = tunnels_of(os.getpid())
    socket.close(0)
    del socket
    gc.collect()
    assert is_gone(ssh)


def test_server_that_says_nothing_is_given_up(here, monkeypatch):
    monkeypatch.setattr(tunnel_module, "START_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(CallError, match=f"no ssh tunnel through there:{port}: it timed out after 0.5 s"):
            CircusClient(ssh_server=f"there:{port}")
    assert tunnels_of(os.getpid()) == []


def test_directory_for_temporary_files_may_have_a_long_name(daemon, here, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 30)))
    with CircusClient(endpoint=daemon.endpoints.control, ssh_server="there", timeout=PATIENCE) as client:
        assert client.send_message("list")["status"] == "ok"


def test_greenlets_run_while_one_waits_for_ssh_and_for_its_answer(tmp_path, daemon, server):
    pytest.importorskip("gevent", reason="the extra `green` is not installed; tests/run installs it")
    script = f"""
        import gevent
        from circus.green.client import CircusClient
        from circus.green.consumer import CircusConsumer

        turns = []

        def count():
            while True:
                turns.append(1)
                gevent.sleep(0.001)

        gevent.spawn(count)
        with CircusClient(endpoint={daemon.endpoints.control!r}, ssh_server="there", timeout={PATIENCE}) as client:
            made = len(turns)
            print(client.send_message("status", name="web")["status"])
        with CircusConsumer("watcher.", endpoint={daemon.endpoints.pubsub!r}, ssh_server="there") as consumer:
            print("listening", made > 5)
    """
    with host_program(script, tmp_path, env=server.env) as program:
        assert program.wait() == 0, program.output
        assert program.output == "active\nlistening True\n"


# ---- programs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def with_stats(tmp_path, server):
    stats = f"tcp://127.0.0.1:{free_port()}"
    with Daemon(tmp_path, f"stats_endpoint = {stats}\n{CONFIG}", endpoints=tcp_endpoints()) as daemon:
        daemon.wait_for_status("web", "active")
        yield daemon, stats


def test_circus_top_and_stats_client_behind_ssh(with_stats, server, here):
    _, stats = with_stats
    command = [sys.executable, "-m", "circus.stats.top.program", "--ssh", "there", "--endpoint", stats, "--json"]
    done = subprocess.run([*command, "--ssh_keyfile", server.key], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "web" in done.stdout, done.stderr
    with StatsClient(stats, "there") as client:
        assert next(iter(client))[0] in ("web", "circus")
        os.kill(*tunnels_of(os.getpid()), signal.SIGTERM)
        with pytest.raises(CallError, match="the ssh tunnel through there has ended"):
            for _ in client:
                pass


def test_circusd_stats_behind_ssh_publishes_and_ends_with_its_tunnel(tmp_path, daemon, server, here):
    own = Endpoints(f"tcp://127.0.0.1:{free_port()}", "")
    where = ["--endpoint", daemon.endpoints.control, "--pubsub", daemon.endpoints.pubsub, "--statspoint", own.control]
    command = [
        sys.executable,
        "-m",
        "circus.stats.daemon.runner",
        "--ssh",
        "there",
        "--ssh_keyfile",
        str(server.key),
        *where,
    ]
    with Program(command, tmp_path, server.env) as program:
        with StatsClient(own.control) as client:
            assert "web" in (name for name, _, _ in client)
        first, second = program.wait_for(lambda: len(tunnels_of(program.pid)) == 2 and tunnels_of(program.pid))
        os.kill(first, signal.SIGTERM)
        assert program.wait() == 1
        assert "circusd-stats: error: the ssh tunnel through there has ended" in program.output
    assert is_gone(second)


PLUGIN = """
from circus.plugins import CircusPlugin


class Recorder(CircusPlugin):
    name = "recorder"

    def handle_recv(self, data):
        watcher, event, _ = self.split_data(data)
        print(watcher, event, self.call("numwatchers")["numwatchers"], flush=True)
"""


@pytest.mark.parametrize("which", [0, 1], ids=["events", "calls"])
def test_plugin_behind_ssh_hears_and_calls(tmp_path, daemon, server, which):
    (tmp_path / "recorder.py").write_text(PLUGIN)
    where = ["--endpoint", daemon.endpoints.control, "--pubsub", daemon.endpoints.pubsub, "--ssh", "there"]
    words = [*where, "--ssh_keyfile", str(server.key), "recorder.Recorder"]
    command = [sys.executable, "-m", "circus.plugins.runner", *words]
    with Program(command, tmp_path, server.env) as program:

        def heard(count):
            cause_event(daemon)
            return program.output.count("web updated 1") >= count

        program.wait_for(lambda: heard(1))
        tunnels = sorted(tunnels_of(program.pid), key=lambda pid: psutil.Process(pid).create_time())
        assert len(tunnels) == 2  # that of events was there first
        os.kill(tunnels[which], signal.SIGTERM)
        if which == 0:
            assert program.wait() == 1
            assert "the plugin recorder.Recorder ends: the ssh tunnel through there has ended" in program.output
        else:  # the next call makes another
            before = program.output.count("web updated 1")
            program.wait_for(lambda: heard(before + 2))
            program.signal(signal.SIGTERM)
            assert program.wait() == 0


def test_ssh_that_ends_before_it_is_spoken_to_has_said_why(tmp_path, monkeypatch):
    (tmp_path / "ssh").write_text("#!/bin/sh\necho 'ssh: Could not resolve hostname there' >&2\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    start = tunnel_module._Ssh.start

    def start_and_wait(ssh, words):
        start(ssh, words)
        ssh._process.wait()

    monkeypatch.setattr(tunnel_module._Ssh, "start", start_and_wait)
    with pytest.raises(CallError, match="Could not resolve hostname there"):
        CircusClient(endpoint="tcp://127.0.0.1:5555", ssh_server="there")
