"""Programs that hand sockets to an arbiter, each the way it does that."""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from circus import get_arbiter
from circus.arbiter import Arbiter
from circus.client import CircusClient
from circus.config import get_config
from circus.process import Process
from circus.sockets import CircusSocket, CircusSockets
from circus.watcher import Watcher
from tests.real.support import background, free_port, host_program, ipc_endpoints, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")

# Answers each connection with its pid.
SERVER = """
import os, socket, sys
server = socket.socket(fileno=int(sys.argv[1].removeprefix("fd://")))
server.setblocking(True)
while True:
    connection, _ = server.accept()
    connection.sendall(b"%d" % os.getpid())
    connection.close()
"""


def served_by(address: Any) -> int:
    """The process that answers there."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(20)
        client.connect(address)
        return int(client.recv(20))


def server(name: str, **options: Any) -> dict[str, Any]:
    args = ["-c", SERVER, f"$(circus.sockets.{name})"]
    return {"name": name, "cmd": sys.executable, "args": args, "use_sockets": True, **options}


# ---- a program with arbiters and threads of its own kind ---------------------------------------------------------


class StrictArbiter(Arbiter):
    """Raises what others look for in the future."""

    def start(self, cb: Any = None) -> Any:
        future = super().start(cb)
        if exc := future.exception():
            raise exc
        return future


class OwnThread(StrictArbiter):
    """Runs in a thread that this class made; not the library's own kind."""

    def start(self, cb: Any = None) -> Any:
        self.thread = threading.Thread(target=self._worker, args=(cb,), name="own thread")
        self.thread.start()

    def _worker(self, cb: Any) -> None:
        self.loop = None
        self._ensure_ioloop()
        self.ctrl.loop = self.loop
        super().start(cb)

    def stop(self) -> Any:
        self.loop.add_callback(Arbiter.stop, self)
        self.thread.join(20)


def services(folder: Path) -> tuple[list[Watcher], dict[str, CircusSocket]]:
    """An API on a port, and a runner on a unix socket that the API reaches by its path."""
    sockets = {
        "_bento_api_server": CircusSocket(name="_bento_api_server", host="127.0.0.1", port=free_port(), backlog=64),
        "Runner_A": CircusSocket(name="Runner_A", path=str(folder / "runner.sock"), backlog=64),
    }
    watchers = [
        Watcher(
            name=name,
            cmd=sys.executable,
            args=["-c", SERVER, f"fd://$(CIRCUS.SOCKETS.{name})"],
            numprocesses=2,
            copy_env=True,
            stop_children=True,
            use_sockets=True,
            working_dir=str(folder),
        )
        for name in sockets
    ]
    return watchers, sockets


def test_subclass_serves_from_a_thread_of_its_own(tmp_path: Path) -> None:
    endpoints = ipc_endpoints(tmp_path)
    watchers, sockets = services(tmp_path)
    arbiter = OwnThread(
        watchers,
        endpoint=endpoints.control,
        pubsub_endpoint=endpoints.pubsub,
        check_delay=10,
        sockets=list(sockets.values()),
        plugins=[],
    )
    ready = threading.Event()
    futures: list[Any] = []
    arbiter.start(lambda future: (futures.append(future), ready.set()))
    try:
        assert ready.wait(20)
        assert futures[0].exception() is None
        api, runner = sockets["_bento_api_server"], sockets["Runner_A"]
        assert served_by((api.host, api.port)) in arbiter.get_watcher("_bento_api_server").pids
        assert served_by(runner.path) in arbiter.get_watcher("Runner_A").pids
        assert arbiter.get_socket("Runner_A") is arbiter.sockets["Runner_A"] is runner
        client = CircusClient(endpoint=endpoints.control)
        try:
            listed = client.call({"command": "listsockets"})["sockets"]
        finally:
            client.stop()
        assert {each["name"] for each in listed} == {"_bento_api_server", "Runner_A"}
        assert [each["fd"] for each in listed] == sorted(sock.fileno() for sock in sockets.values())
    finally:
        arbiter.stop()
    assert not os.path.lexists(tmp_path / "runner.sock")
    with pytest.raises(ConnectionRefusedError):
        served_by((api.host, api.port))


def test_subclass_raises_what_is_wrong_with_a_socket_and_opens_nothing(tmp_path: Path) -> None:
    endpoints = ipc_endpoints(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sockets = [CircusSocket("api", path=str(tmp_path / "api")), CircusSocket("web", "127.0.0.1", port)]
        arbiter = StrictArbiter([], endpoints.control, endpoints.pubsub, sockets=sockets)
        with pytest.raises(OSError, match=f"Could not bind socket 'web' at 127.0.0.1:{port}: Address already in use"):
            arbiter.start()
    assert not os.path.lexists(tmp_path / "api")
    assert [sock.fileno() for sock in sockets] == [-1, -1]


FOREGROUND = """
    import sys
    from circus.arbiter import Arbiter
    from circus.sockets import CircusSocket
    from circus.watcher import Watcher

    control, pubsub, folder, server = sys.argv[1:]
    sockets = [CircusSocket(name="web", path=f"{folder}/web.sock")]
    watchers = [
        Watcher(name="w", cmd=sys.executable, args=["-c", server, "$(circus.sockets.web)"], use_sockets=True),
    ]
    for run in range(2):
        arbiter = Arbiter(watchers, endpoint=control, pubsub_endpoint=pubsub, sockets=sockets)
        fut = arbiter.start(cb=lambda _: print("ready", run, flush=True))
        if exc := fut.exception():
            raise exc
        print("ended", fut.result(), flush=True)
"""


def test_program_that_makes_another_arbiter_of_the_same_sockets_serves_again(tmp_path: Path) -> None:
    endpoints = ipc_endpoints(tmp_path)
    with host_program(FOREGROUND, tmp_path, *endpoints, str(tmp_path), SERVER) as program:
        for run in range(2):
            program.wait_for_output(f"ready {run}")
            assert served_by(f"{tmp_path}/web.sock")
            client = CircusClient(endpoint=endpoints.control, timeout=20)
            client.call({"command": "quit", "properties": {}})
            client.stop()
        assert program.wait() == 0, program.output
    assert not os.path.lexists(tmp_path / "web.sock")


GREEN = """
    from gevent import monkey; monkey.patch_all()
    import socket, sys
    import gevent
    from circus.green import get_arbiter
    from circus.sockets import CircusSocket

    control, pubsub, folder, server = sys.argv[1:]
    sockets = [CircusSocket("web", "127.0.0.1", 0), CircusSocket("api", path=f"{folder}/api.sock", umask=0o077)]
    watcher = {"name": "w", "cmd": sys.executable, "args": ["-c", server, "$(circus.sockets.web)"], "use_sockets": True}
    arbiter = get_arbiter([watcher], controller=control, pubsub_endpoint=pubsub, sockets=sockets)
    running = gevent.spawn(arbiter.start)
    while not sockets[0].is_open:
        gevent.sleep(0.01)
    client = socket.create_connection((sockets[0].host, sockets[0].port))
    assert int(client.recv(20)) in arbiter.get_watcher("w").pids
    assert [each["name"] for each in arbiter.sockets_info()] == ["web", "api"]
    arbiter.stop()
    running.get()
    print("done", flush=True)
"""


def test_sockets_work_beside_greenlets(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    with host_program(GREEN, tmp_path, *ipc_endpoints(tmp_path), str(tmp_path), SERVER) as program:
        assert program.wait() == 0, program.output
        assert "done" in program.output
    assert not os.path.lexists(tmp_path / "api.sock")


# ---- get_arbiter -------------------------------------------------------------------------------------------------


def test_sockets_of_get_arbiter_are_there_while_it_runs_and_again_when_it_is_started_again(tmp_path: Path) -> None:
    sock = CircusSocket("web", "127.0.0.1", 0)
    arguments = {**ipc_endpoints(tmp_path).arguments, "sockets": [sock]}
    arbiter = get_arbiter([server("web")], background=True, **arguments)
    for _ in range(2):
        arbiter.start()
        try:
            assert served_by(("127.0.0.1", sock.port)) in arbiter.get_watcher("web").get_active_pids()
            assert arbiter.get_socket("web") is sock and sock.is_open
            assert sock.getsockname() == ("127.0.0.1", sock.port)  # a free one each time
        finally:
            arbiter.stop()
        assert sock.fileno() == -1
        with pytest.raises(ConnectionRefusedError):
            served_by(("127.0.0.1", sock.port))


def test_program_may_open_its_socket_itself_to_know_the_port(tmp_path: Path) -> None:
    sock = CircusSocket("web", "127.0.0.1", 0)
    sock.bind_and_listen()
    with background(tmp_path, server("web"), sockets=[sock]) as arbiter:
        assert served_by(("127.0.0.1", sock.port)) in arbiter.get_watcher("web").pids
        assert arbiter.sockets["web"] is sock


def test_sockets_may_be_added_to_an_arbiter_that_has_none_yet(tmp_path: Path) -> None:
    arbiter = get_arbiter([server("web")], background=True, **ipc_endpoints(tmp_path).arguments)
    assert arbiter.sockets == {} and isinstance(arbiter.sockets, CircusSockets)
    sock = arbiter.sockets.add("web", "127.0.0.1", 0)
    arbiter.start()
    try:
        assert served_by((sock.host, sock.port)) in arbiter.get_watcher("web").pids
    finally:
        arbiter.stop()


def test_every_watcher_knows_the_sockets_of_its_arbiter(tmp_path: Path) -> None:
    sock = CircusSocket("web", "127.0.0.1", 0)
    with background(tmp_path, server("web"), sockets=[sock]) as arbiter:
        assert arbiter.get_watcher("web").sockets["web"] is sock
        assert arbiter.add_watcher("late", "sleep 60").sockets["web"] is sock
    assert Watcher("alone", "sleep 60").sockets == {}


def test_watchers_of_a_configuration_file_know_its_sockets(tmp_path: Path) -> None:
    path = tmp_path / "circus.ini"
    path.write_text(f"[watcher:w]\ncmd = sleep $(circus.sockets.web)\n[socket:Web]\npath = {tmp_path}/web\n")
    arbiter = Arbiter.load_from_config(str(path))
    assert arbiter.get_watcher("w").sockets["web"] is arbiter.get_socket("web") is arbiter.sockets["web"]
    assert arbiter.sockets["web"].fileno() >= 0 and not arbiter.sockets["web"].is_open
    arbiter.sockets.close_all()


def test_a_hook_reaches_the_sockets(tmp_path: Path) -> None:
    found = []

    def before_start(watcher: Any, arbiter: Any, **more: Any) -> bool:
        found.append((watcher.sockets["web"].port, arbiter.get_socket("web").port))
        return True

    watcher = server("web", hooks={"before_start": (before_start, False)})
    with background(tmp_path, watcher, sockets=[CircusSocket("web", "127.0.0.1", 0)]) as arbiter:
        port = arbiter.sockets["web"].port
        assert port and wait_for(lambda: found) == [(port, port)]


def test_a_socket_that_the_program_has_closed_is_said_and_no_other_is_handed_over(tmp_path: Path) -> None:
    sock = CircusSocket("web", "127.0.0.1", 0)
    with background(tmp_path, server("web", autostart=False, max_retry=0), sockets=[sock]) as arbiter:
        wait_for(lambda: sock.is_open)
        sock.close()
        arbiter.get_watcher("web").start().exception(20)
        assert "socket 'web' at 127.0.0.1" in arbiter.reasons()["web"] and "closed" in arbiter.reasons()["web"]


def test_each_process_of_a_socket_with_so_reuseport_has_one_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    sock = CircusSocket("web", "127.0.0.1", port, so_reuseport=True)
    with background(tmp_path, server("web", numprocesses=2), sockets=[sock]) as arbiter:
        pids = set(arbiter.get_watcher("web").pids)
        seen: set[int] = set()
        wait_for(lambda: seen.add(served_by(("127.0.0.1", port))) or seen == pids)
        (told,) = arbiter.sockets_info()
        assert (told["host"], told["port"], told["fd"]) == ("127.0.0.1", port, sock.fileno())


def test_a_process_of_ones_own_is_given_the_sockets_of_its_watcher(tmp_path: Path) -> None:
    with background(tmp_path, server("web"), sockets=[CircusSocket("web", "127.0.0.1", 0)]) as arbiter:
        watcher, sock = arbiter.get_watcher("web"), arbiter.sockets["web"]
        args = ["-c", SERVER, "$(circus.sockets.web)"]
        process = Process("own", 1, sys.executable, args, use_fds=True, watcher=watcher)
        try:
            wait_for(lambda: served_by((sock.host, sock.port)) == process.pid)
        finally:
            process.stop()


# ---- the classes by themselves -----------------------------------------------------------------------------------


def test_arguments_have_the_order_of_earlier_versions(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    given = ("a", "localhost", 0, socket.AF_INET, socket.SOCK_STREAM, 0, 7, path, 0o077, True, None, False, True)
    with CircusSocket(*given) as sock:
        assert isinstance(sock, socket.socket)
        assert (sock.name, sock.family, sock.socktype, sock.proto) == ("a", socket.AF_UNIX, socket.SOCK_STREAM, 0)
        assert (sock.backlog, sock.path, sock.umask, sock.replace) == (7, path, 0o077, True)
        assert (sock.interface, sock.so_reuseport, sock.gettimeout()) == (None, False, None)
    with CircusSocket() as sock:
        assert (sock.name, sock.host, sock.port, sock.backlog) == ("", "localhost", 8080, 2048)
        assert not sock.is_unix and sock.gettimeout() == 0


def test_a_configuration_of_texts_is_understood(tmp_path: Path) -> None:
    text = {
        "name": "web", "host": "127.0.0.1", "port": "0", "family": "af_inet", "type": "Sock_Stream", "backlog": "64",
        "so_reuseport": "Off", "replace": "true", "blocking": "YES", "umask": "022", "proto": "tcp",
        "interface": None, "path": None, "free_form": "x",
    }  # fmt: skip
    with CircusSocket.load_from_config(text) as sock:
        assert (sock.family, sock.type & 0xF, sock.proto) == (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        assert (sock.port, sock.backlog, sock.umask) == (0, 64, 0o022)
        assert (sock.so_reuseport, sock.replace, sock.gettimeout()) == (False, True, None)
        assert sock._cfg == text and sock._cfg is not text
        again = sock.fresh()
        assert again._cfg == text
        again.close()
    with CircusSocket.load_from_config({"name": "api", "path": f"{tmp_path}/api", "umask": "0o77"}) as sock:
        sock.bind_and_listen()
        assert sock.is_unix and stat.S_IMODE(os.stat(sock.path).st_mode) == 0o700


@pytest.mark.parametrize(
    "wrong",
    [{"umask": "9"}, {"port": "70000"}, {"port": "x"}, {"family": "AF_NOPE"}, {"type": "x"}, {"proto": "nope"},
     {"blocking": "maybe"}],
)  # fmt: skip
def test_a_configuration_that_makes_no_sense_is_a_value_error(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        CircusSocket.load_from_config({"name": "web", **wrong})


def test_sockets_of_get_config_can_be_made_into_sockets(tmp_path: Path) -> None:
    path = tmp_path / "circus.ini"
    path.write_text(f"[socket:Web]\nport = 0\n[socket:api]\npath = {tmp_path}/api\numask = 077\nreplace = yes\n")
    sockets = CircusSockets([CircusSocket.load_from_config(each) for each in get_config(str(path))["sockets"]])
    sockets.bind_and_listen_all()
    try:
        assert sorted(sockets) == ["api", "web"]
        assert sockets["web"].port > 0 and stat.S_IMODE(os.stat(tmp_path / "api").st_mode) == 0o700
    finally:
        sockets.close_all()


def test_a_collection_makes_sockets_and_takes_each_name_once(tmp_path: Path) -> None:
    sockets = CircusSockets(backlog=7)
    try:
        web = sockets.add("Web", "127.0.0.1", 0)
        assert (web.name, web.host, web.backlog) == ("Web", "127.0.0.1", 7)
        assert sockets.add("api", path=str(tmp_path / "api"), backlog=9, umask=0o077).backlog == 9
        assert sockets["Web"] is sockets["web"] is web and list(sockets) == ["web", "api"]
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ValueError, match="there is a socket 'web' already"):
            sockets.add("web", port=0)
        assert len(os.listdir("/proc/self/fd")) == before
        with pytest.raises(KeyError):
            sockets["Nope"]
        sockets.bind_and_listen_all()
        assert web.is_open and sockets["api"].is_open
    finally:
        sockets.close_all()
    assert (web.fileno(), os.listdir(tmp_path)) == (-1, [])


def test_closing_twice_does_nothing_and_a_closed_one_is_still_told(tmp_path: Path) -> None:
    sock = CircusSocket("api", path=str(tmp_path / "api"))
    sock.bind_and_listen()
    sock.close()
    sock.close()
    assert str(sock) == f"socket 'api' at {tmp_path}/api"
    assert repr(sock) == f"<circus.sockets.CircusSocket socket 'api' at {tmp_path}/api>"
