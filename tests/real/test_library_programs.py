"""Programs that exist, in small: what each of them relies on, used the way it uses it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
import zmq

from circus import get_arbiter
from circus.arbiter import Arbiter
from circus.client import AsyncCircusClient, CircusClient, make_message
from circus.commands import get_commands
from circus.exc import CallError
from circus.stream import QueueStream
from circus.util import check_future_exception_and_log, create_udp_socket
from circus.watcher import Watcher
from tests.real.support import (
    background,
    free_port,
    host_program,
    ipc_endpoints,
    is_gone,
    tcp_endpoints,
    threads_named,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("nobody_left")

# ---- a program that goes into the background, and its client -----------------------------------------------------

DAEMON = """
    import os, sys
    from circus import get_arbiter, logger
    from circus.circusd import daemonize
    from circus.pidfile import Pidfile
    from circus.util import check_future_exception_and_log, configure_logger

    control, pubsub, stats, folder = sys.argv[1:5]
    worker = 'trap "exit 0" TERM; echo "PATH=$PATH PYTHONPATH=$PYTHONPATH OWN=$OWN"; while :; do sleep 0.01; done'
    config = {
        "controller": control,
        "pubsub_endpoint": pubsub,
        "stats_endpoint": stats,
        "logoutput": f"{folder}/daemon.log",
        "loglevel": "INFO",
        "debug": False,
        "statsd": True,
        "pidfile": f"{folder}/daemon.pid",
        "watchers": [
            {
                "cmd": "/bin/sh",
                "args": ["-c", worker],
                "name": "workers",
                "numprocesses": 2,
                "virtualenv": f"{folder}/venv",
                "copy_env": True,
                "stdout_stream": {"class": "FileStream", "filename": f"{folder}/worker.log"},
                "env": {"OWN": "value"},
            }
        ],
    }
    daemonize()
    arbiter = get_arbiter(**config)
    pidfile = Pidfile(arbiter.pidfile)
    pidfile.create(os.getpid())
    configure_logger(logger, arbiter.loglevel, arbiter.logoutput, arbiter.loggerconfig or None)
    should_restart = True
    try:
        while should_restart:
            try:
                future = arbiter.start()
                should_restart = False
                if check_future_exception_and_log(future) is None:
                    should_restart = arbiter._restarting
            except Exception:
                arbiter.loop.run_sync(arbiter._emergency_stop)
                raise
    finally:
        pidfile.unlink()
"""


class Daemonized:
    """The client's side of it."""

    def __init__(self, folder: Path, endpoints) -> None:
        self.folder = folder
        packages = folder / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        packages.mkdir(parents=True)
        self.endpoints = endpoints
        stats = f"tcp://127.0.0.1:{free_port()}"
        program = host_program(DAEMON, folder, *endpoints, stats, str(folder))
        assert program.wait() == 0, program.output  # the shell that started it goes on
        self.pid = int(wait_for(lambda: self.pid_path.exists() and self.pid_path.read_text()))
        self.command_line = Path(f"/proc/{self.pid}/cmdline").read_bytes()

    @property
    def pid_path(self) -> Path:
        return self.folder / "daemon.pid"

    def call(self, command: str, timeout: float = 20.0, **properties) -> dict:
        client = CircusClient(endpoint=self.endpoints.control, timeout=timeout)
        try:
            return client.call({"command": command, "properties": properties})
        finally:
            client.stop()

    def pids(self) -> list[int]:
        return self.call("list", name="workers")["pids"]

    def is_active_again(self) -> bool:
        """Also while it opens its sockets anew, when a question may be lost."""
        try:
            return self.call("status", timeout=0.5, name="workers")["status"] == "active"
        except CallError:
            return False


@pytest.fixture(params=["tcp", "ipc"])
def daemonized(request, tmp_path):
    daemon = Daemonized(tmp_path, tcp_endpoints() if request.param == "tcp" else ipc_endpoints(tmp_path))
    yield daemon
    if not is_gone(daemon.pid):
        os.kill(daemon.pid, signal.SIGTERM)
        wait_for(lambda: is_gone(daemon.pid), what=(tmp_path / "daemon.log").read_text)


def test_daemonized_program_answers_its_client_until_it_is_told_to_quit(daemonized):
    wait_for(lambda: daemonized.call("status", name="workers")["status"] == "active")
    assert daemonized.call("status")["statuses"] == {"circusd-stats": "active", "workers": "active"}
    assert daemonized.call("numprocesses", name="workers")["numprocesses"] == 2

    figures = daemonized.call("stats", name="workers")["info"]
    assert sorted(map(int, figures)) == sorted(daemonized.pids())
    assert all({"pid", "cpu", "mem", "mem_info1", "create_time"} <= set(one) for one in figures.values())
    own = daemonized.call("dstats")["info"]
    assert own["pid"] == daemonized.pid
    assert own["create_time"] > 0

    assert daemonized.call("incr", name="workers", nb=2, waiting=True)["numprocesses"] == 4
    assert daemonized.call("decr", name="workers", nb=3, waiting=True)["numprocesses"] == 1
    (pid,) = daemonized.pids()
    reply = daemonized.call("restart", name="workers", waiting=True)
    assert (reply["status"], reply["info"]["stopped"]) == ("ok", [pid])

    reply = daemonized.call("quit", waiting=True)
    assert reply["status"] == "ok"
    wait_for(lambda: not daemonized.pid_path.exists(), seconds=5)
    wait_for(lambda: is_gone(daemonized.pid), seconds=5)


def test_worker_of_a_daemonized_program_finds_its_virtualenv_and_environment(daemonized):
    line = wait_for(lambda: [x for x in (daemonized.folder / "worker.log").read_text().splitlines() if "OWN" in x])[0]
    venv = str(daemonized.folder / "venv")
    assert line.startswith(f"PATH={venv}/bin:")
    assert f"PYTHONPATH={venv}/lib/" in line
    assert line.endswith("OWN=value")


def test_daemonized_program_keeps_its_command_line_and_says_what_is_missing(daemonized):
    wait_for(lambda: daemonized.call("status", name="workers")["status"] == "active")
    assert Path(f"/proc/{daemonized.pid}/cmdline").read_bytes() == daemonized.command_line
    log = (daemonized.folder / "daemon.log").read_text()
    assert "Arbiter now waiting for commands" in log


def test_restart_without_a_name_makes_start_return_with_a_restart_wanted(daemonized):
    wait_for(lambda: daemonized.call("status", name="workers")["status"] == "active")
    before = daemonized.pids()
    assert daemonized.call("restart", waiting=True)["status"] == "ok"
    assert all(map(is_gone, before))
    wait_for(daemonized.is_active_again)
    assert not set(before) & set(daemonized.pids())
    assert int(daemonized.pid_path.read_text()) == daemonized.pid


def test_client_whose_daemon_is_gone_gets_the_words_it_compares(tmp_path):
    client = CircusClient(endpoint=ipc_endpoints(tmp_path).control, timeout=0.5)
    with pytest.raises(CallError) as caught:
        client.call({"command": "status", "properties": {}})
    assert str(caught.value) == "Timed out."
    client.stop()


@pytest.mark.parametrize("which", ["control", "pubsub"])
def test_port_that_is_taken_is_in_the_future_and_an_emergency_stop_still_works(tmp_path, which, caplog):
    endpoints = tcp_endpoints()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(getattr(endpoints, which).rpartition(":")[2])))
        taken.listen()
        arbiter = get_arbiter([{"cmd": "sleep 60"}], **endpoints.arguments)
        error = check_future_exception_and_log(arbiter.start())
        assert isinstance(error, OSError)
        assert getattr(endpoints, which) in str(error)
        assert getattr(endpoints, which) in caplog.text
        assert arbiter.loop.run_sync(arbiter._emergency_stop) is None
        assert not arbiter.running
        assert arbiter.statuses() == {"sleep": "stopped"}


def test_emergency_stop_waits_for_no_worker(tmp_path):
    stubborn = {"name": "stubborn", "cmd": "trap '' TERM; echo up; while :; do sleep 0.01; done", "shell": True}
    stream = QueueStream()
    with background(tmp_path, {**stubborn, "graceful_timeout": 3600, "stdout_stream": {"stream": stream}}) as arbiter:
        assert stream.get(timeout=20)["data"] == b"up\n"
        (pid,) = arbiter.get_watcher("stubborn").get_active_pids()
        arbiter.loop.run_sync(arbiter._emergency_stop)
        assert is_gone(pid)


# ---- a program with arbiters and threads of its own kind ---------------------------------------------------------


class StrictArbiter(Arbiter):
    """Raises what others look for in the future."""

    def start(self, cb=None):
        future = super().start(cb)
        if exc := future.exception():
            raise exc
        return future


class OwnThread(StrictArbiter):
    """Runs in a thread that this class made; not the library's own kind."""

    def start(self, cb=None):
        self.thread = threading.Thread(target=self._worker, args=(cb,), name="own thread")
        self.thread.start()

    def _worker(self, cb):
        self.loop = None
        self._ensure_ioloop()
        self.ctrl.loop = self.loop
        super().start(cb)

    def stop(self):
        self.loop.add_callback(Arbiter.stop, self)
        self.thread.join(20)


def test_subclass_in_a_thread_of_its_own_is_stopped_through_its_loop(tmp_path):
    endpoints = ipc_endpoints(tmp_path)
    out = QueueStream()
    watcher = Watcher(
        name="service",
        cmd="/bin/sh",
        args=["-c", "echo worker $(CIRCUS.WID); exec sleep 60"],
        numprocesses=2,
        copy_env=True,
        stop_children=True,
        working_dir=str(tmp_path),
        stdout_stream={"stream": out},
    )
    arbiter = OwnThread([watcher], endpoints.control, endpoints.pubsub, check_delay=10, sockets=[], plugins=None)
    ready = threading.Event()
    futures = []
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    arbiter.start(lambda future: (futures.append(future), ready.set()))
    try:
        assert ready.wait(20)
        assert futures[0].exception() is None
        assert sorted(out.get(timeout=20)["data"] for _ in range(2)) == [b"worker 1\n", b"worker 2\n"]
        assert arbiter.statuses() == {"service": "active"}
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)] == handlers
    finally:
        arbiter.stop()
    assert not threads_named("own thread", "circus-pump")
    assert arbiter.statuses() == {"service": "stopped"}


def test_subclass_that_raises_the_error_of_the_future(tmp_path):
    arbiter = StrictArbiter([], f"ipc://{tmp_path}/no/such/place", f"ipc://{tmp_path}/pub")
    with pytest.raises(OSError, match="no directory"):
        arbiter.start()


FOREGROUND = """
    import sys
    from circus.arbiter import Arbiter
    from circus.watcher import Watcher

    watchers = [Watcher(name="w", cmd="sleep 60", numprocesses=2, copy_env=True, stop_children=True)]
    arbiter = Arbiter(watchers, endpoint=sys.argv[1], pubsub_endpoint=sys.argv[2], check_delay=10)
    future = arbiter.start(cb=lambda _: print("ready", flush=True))
    print("ended", future.exception(), future.result())
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_foreground_program_returns_from_start_when_it_is_told_to_end(tmp_path, signum):
    with host_program(FOREGROUND, tmp_path, *ipc_endpoints(tmp_path)) as program:
        program.wait_for_output("ready")
        program.signal(signum)
        assert program.wait() == 0
        assert "ended None False" in program.output


SIMPLE = """
    import sys
    from circus import get_arbiter

    arbiter = get_arbiter("sleep 60", numprocesses=3, **dict(zip(("controller", "pubsub_endpoint"), sys.argv[1:])))
    arbiter.loop.call_later(0, print, "in the loop", flush=True)
    try:
        arbiter.start(lambda up: print("up", up.exception(), arbiter.numprocesses(), flush=True))
    finally:
        arbiter.stop()
    print("done")
"""


def test_simplest_program_runs_its_workers_until_it_is_interrupted(tmp_path):
    with host_program(SIMPLE, tmp_path, *ipc_endpoints(tmp_path)) as program:
        program.wait_for_output("in the loop")
        program.wait_for_output("up None 3")
        program.signal(signal.SIGINT)
        assert program.wait() == 0
        assert "done" in program.output


EXITING = """
    import sys
    from circus import get_arbiter

    arbiter = get_arbiter("sleep 60", numprocesses=3, **dict(zip(("controller", "pubsub_endpoint"), sys.argv[1:])))
    arbiter.start(lambda up: arbiter.loop.add_callback(sys.exit, 3))
"""


def test_program_that_exits_from_within_the_loop_leaves_no_worker(tmp_path):
    with host_program(EXITING, tmp_path, *ipc_endpoints(tmp_path)) as program:
        assert program.wait() == 3


WITH_A_CHILD = """
    import ctypes, subprocess, sys
    from circus import get_arbiter

    child = subprocess.Popen(["sh", "-c", "exit 7"])
    workers = [{"name": "quick", "cmd": "true", "flapping.active": False}, {"name": "a", "cmd": "sleep 60"}]
    arbiter = get_arbiter(workers, **dict(zip(("controller", "pubsub_endpoint"), sys.argv[1:])), multicast_endpoint="")

    def hurry(up):
        arbiter.runtime.workers.orphans._delay = 0.1  # it is seconds, and a test shall not take so long
        arbiter.loop.call_later(1, arbiter.stop)

    arbiter.start(hurry)
    flag = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(37, ctypes.byref(flag), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
    print("code", child.wait(), "subreaper", flag.value)
"""


def test_child_from_before_the_start_is_still_the_programs_after_the_end(tmp_path):
    with host_program(WITH_A_CHILD, tmp_path, *ipc_endpoints(tmp_path)) as program:
        assert program.wait() == 0
        assert "code 7 subreaper 0" in program.output


# ---- a web console -----------------------------------------------------------------------------------------------


def test_console_builds_its_messages_from_the_commands(tmp_path):
    with background(tmp_path, {"name": "web", "cmd": "sleep 60"}) as arbiter:
        client = CircusClient(endpoint=arbiter.endpoint, timeout=20)
        try:
            commands = get_commands()
            assert client.call(commands["listsockets"].make_message())["sockets"] == []
            assert client.call(commands["incr"].message("web", waiting=True))["numprocesses"] == 2
            assert client.call(commands["status"].message("web"))["status"] == "active"
            assert client.send_message("numwatchers")["numwatchers"] == 1
            assert client.call(commands["options"].message("web"))["options"]["numprocesses"] == 2
        finally:
            client.stop()


@pytest.fixture
def group():
    """A multicast endpoint; not every system has a network to join one."""
    endpoint = ("237.219.251.97", free_port())
    try:
        create_udp_socket(*endpoint).close()
    except OSError as error:
        pytest.skip(f"no multicast here: {error}")
    return endpoint


def test_arbiter_is_discovered_by_any_datagram(tmp_path, group):
    address, port = group
    with background(tmp_path, multicast_endpoint=f"udp://{address}:{port}") as arbiter:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as finder:
            finder.settimeout(20)
            finder.sendto(json.dumps("").encode(), ("127.0.0.1", port))
            answer, _ = finder.recvfrom(1024)
        assert json.loads(answer) == {"endpoint": arbiter.endpoint}


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1", 5), ("237.219.251.97", "x"), ("nonsense", 5)])
def test_address_that_is_no_group_is_a_value_error(address, port):
    with pytest.raises(ValueError, match=r"address|udp"):
        create_udp_socket(address, port)


# ---- others ------------------------------------------------------------------------------------------------------

OWN_STREAM = """
from circus.util import to_str

class Shout:
    def __init__(self, path, **kwargs):
        self.path = path

    def __call__(self, data):
        with open(self.path, "a") as file:
            file.write(to_str(data["data"]).upper())
"""


def test_watcher_is_added_with_options_and_a_stream_class_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "shouting.py").write_text(OWN_STREAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    out = tmp_path / "out"
    with background(tmp_path) as arbiter:
        client = CircusClient(endpoint=arbiter.endpoint, timeout=20)
        options = {
            "copy_env": True,
            "stdout_stream": {"class": "shouting.Shout", "path": str(out)},
            "numprocesses": 1,
            "graceful_timeout": 5,
        }
        properties = {
            "name": "Added",
            "cmd": "/bin/sh",
            "args": ["-c", "echo hello $(circus.wid) $HOME_OF_TEST; exec sleep 60"],
            "options": options,
            "start": True,
        }
        monkeypatch.setenv("HOME_OF_TEST", "here")
        reply = client.call({"command": "add", "properties": {**properties, "waiting": True}})
        assert (reply["status"], reply["kept"]) == ("ok", []), reply
        assert reply["started"] == client.send_message("list", name="added")["pids"]
        wait_for(lambda: out.exists() and out.read_text() == "HELLO 1 HERE\n")
        again = client.call({"command": "add", "properties": properties})
        assert (again["errno"], again["reason"].endswith("'Added' already exist")) == (5, True)
        client.stop()


def test_signal_with_null_pids_reaches_every_process(tmp_path):
    out = QueueStream()
    script = "trap 'echo got it' USR1; echo up; while :; do sleep 0.01; done"
    watcher = {"name": "w", "cmd": script, "shell": True, "numprocesses": 2, "stdout_stream": {"stream": out}}
    with background(tmp_path, watcher) as arbiter:
        assert [out.get(timeout=20)["data"] for _ in range(2)] == [b"up\n"] * 2
        client = CircusClient(endpoint=arbiter.endpoint, timeout=20)
        reply = client.send_message("signal", name="w", signum="USR1", pid=None, childpid=None)
        assert reply["status"] == "ok"
        assert [out.get(timeout=20)["data"] for _ in range(2)] == [b"got it\n"] * 2
        client.stop()


def test_client_for_asyncio_is_answered(tmp_path):
    async def ask(endpoint):
        client = AsyncCircusClient(endpoint=endpoint)
        try:
            first = await client.call(make_message("numwatchers"))
            return first, await client.send_message("status", name="w")
        finally:
            client.stop()

    with background(tmp_path, {"name": "w", "cmd": "sleep 60"}) as arbiter:
        wait_for(arbiter.get_watcher("w").is_active)
        first, second = asyncio.run(ask(arbiter.endpoint))
    assert (first["numwatchers"], second["status"]) == (1, "active")


def test_keys_that_are_no_options_come_back(tmp_path):
    with background(tmp_path, {"name": "w", "cmd": "sleep 60", "log_proxy_enabled": "1"}) as arbiter:
        client = CircusClient(endpoint=arbiter.endpoint, timeout=20)
        assert client.send_message("options", name="w")["options"]["log_proxy_enabled"] == "1"
        client.stop()


def test_states_in_between_can_be_read(tmp_path):
    slow_to_start = {"name": "a", "cmd": "sleep 60", "numprocesses": 2, "warmup_delay": 3600}
    slow_to_stop = {"name": "b", "cmd": "trap 'sleep 3600' TERM; echo up; sleep 3600", "shell": True}
    out = QueueStream()
    with background(tmp_path, slow_to_start, {**slow_to_stop, "stdout_stream": {"stream": out}}) as arbiter:
        out.get(timeout=20)
        arbiter.get_watcher("b").stop()
        assert arbiter.statuses() == {"a": "starting", "b": "stopping"}
        arbiter._emergency_stop()


def test_client_with_a_request_socket_is_answered_too(tmp_path):
    with background(tmp_path) as arbiter:
        requests = zmq.Context.instance().socket(zmq.REQ)
        requests.linger = 0
        requests.connect(arbiter.endpoint)
        requests.send_json(make_message("numwatchers"))
        assert requests.poll(20_000)
        assert requests.recv_json()["numwatchers"] == 0
        requests.close()
