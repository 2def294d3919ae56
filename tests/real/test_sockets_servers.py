"""Servers as people run them, on sockets that circusd has opened: each in the way it was made for."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import textwrap
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from benchmarks.http_load import Address, Load
from circus.posix import tree
from tests.real.proc import PROGRAMS, descriptors_of, program
from tests.real.support import ROOT, Daemon, free_port, is_gone, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

EXAMPLES = ROOT / "examples"

GUNICORN = f"{sys.executable} -m gunicorn --no-control-socket --chdir {PROGRAMS} web_app:application"


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


class Server(Daemon):
    """One watcher `web` with two processes on one socket `web`.

    `own` is the configuration of the server itself, in `server.conf`; `sockets` says where to listen, if not on a
    port. In all of them `{port}` and `{here}` are replaced.
    """

    def __init__(self, directory: Path, options: str, own: str = "", sockets: str = "") -> None:
        self.port = free_port()
        values = {"port": self.port, "here": directory}
        (directory / "server.conf").write_text(own.format(**values))
        place = sockets or f"host = 127.0.0.1\nport = {self.port}"
        self.address: Address = ("127.0.0.1", self.port) if not sockets else str(directory / "web.sock")
        config = [
            "[env]\nPATH = $PATH:/usr/sbin",
            f"PYTHONPATH = {PROGRAMS}",
            f"[socket:web]\n{place.format(**values)}",
            "[watcher:web]\nnumprocesses = 2\ngraceful_timeout = 10",
            textwrap.dedent(options).format(**values),
        ]
        super().__init__(directory, "\n".join(config) + "\n")

    def __enter__(self) -> Self:
        super().__enter__()
        self.wait_until_open()
        return self

    def wait_until_open(self) -> None:
        self.wait_for_status("web", "active")

    def get(self) -> str:
        """What a request is answered, waited for as long as it takes."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=20) as answer:
            return str(answer.read().decode())

    def serves(self) -> bool:
        """Every process of the watcher, or a child of it, has answered."""
        with Load(self.address, clients=4) as load:
            load.wait_for_more(20)
        assert not load.failures, f"{load}\n{self.output}"
        served = {int(body) for body in load.bodies}
        return all(served & self._family(pid) for pid in self.pids("web"))

    def _family(self, pid: int) -> set[int]:
        return {pid, *(entry.pid for entry in tree.descendants(pid))}

    def check(self) -> None:
        """It serves, in all its processes; when they are replaced others serve; when they are stopped nobody does."""
        self.wait_for(self.serves)
        old = self.pids("web")
        assert self.call("reload", name="web", waiting=True)["status"] == "ok"
        assert set(old).isdisjoint(self.pids("web"))
        assert all(map(is_gone, old))
        self.wait_for(self.serves)


# ---- web servers in Python ---------------------------------------------------------------------------------------


def test_gunicorn_serves_from_a_socket_named_in_its_bind(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    with Server(tmp_path, f"cmd = {GUNICORN} -w 1 --bind fd://$(circus.sockets.web)") as server:
        server.check()


def test_gunicorn_serves_from_listen_fds_without_being_told(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    with Server(tmp_path, f"cmd = {GUNICORN} -w 1\nlisten_fds = web") as server:
        server.check()


def test_uvicorn_serves_from_a_socket_given_by_fd(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    words = "--fd $(circus.sockets.web) --lifespan off --log-level warning web_app:asgi"
    with Server(tmp_path, f"cmd = {sys.executable} -m uvicorn {words}") as server:
        server.check()


def test_uvicorn_in_a_program_of_its_own_serves(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    words = f"{EXAMPLES}/serve_uvicorn.py web_app:asgi $(circus.sockets.web)"
    with Server(tmp_path, f"cmd = {sys.executable} {words}") as server:
        server.check()


def test_waitress_in_a_program_of_its_own_serves(tmp_path: Path) -> None:
    pytest.importorskip("waitress")
    words = f"{EXAMPLES}/serve_waitress.py web_app:application $(circus.sockets.web)"
    with Server(tmp_path, f"cmd = {sys.executable} {words}") as server:
        server.check()


def test_server_of_the_library_of_python_serves(tmp_path: Path) -> None:
    with Server(tmp_path, f"cmd = {sys.executable} {EXAMPLES}/serve_plain.py $(circus.sockets.web)") as server:
        server.check()


# ---- web servers that are no Python ------------------------------------------------------------------------------


LIGHTTPD = """
server.document-root = "{here}"
server.systemd-socket-activation = "enable"
server.bind = "127.0.0.1"
server.port = {port}
index-file.names = ("index.html")
"""


@needs("lighttpd")
def test_lighttpd_serves_from_listen_fds(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("from lighttpd")
    options = "cmd = lighttpd -D -f {here}/server.conf\nlisten_fds = web"
    with Server(tmp_path, options, LIGHTTPD) as server:
        assert server.get() == "from lighttpd"
        one, other = ({*descriptors_of(pid).values()} for pid in server.pids("web"))
        assert any(target.startswith("socket:") for target in one & other)


NGINX = f"""
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
error_log stderr;
events {{{{ worker_connections 64; }}}}
http {{{{
    access_log off;
    client_body_temp_path {{here}}/body;
    proxy_temp_path {{here}}/proxy;
    fastcgi_temp_path {{here}}/fastcgi;
    uwsgi_temp_path {{here}}/uwsgi;
    scgi_temp_path {{here}}/scgi;
    server {{{{
        listen 127.0.0.1:{{port}};
        location / {{{{ return 200 $pid; }}}}
    }}}}
}}}}
"""


@needs("nginx")
def test_nginx_serves_from_the_socket_in_its_variable(tmp_path: Path) -> None:
    options = """
        cmd = nginx -p {here} -c {here}/server.conf -g "pid {here}/nginx-$(circus.wid).pid;"
        stop_signal = QUIT
        [env:web]
        NGINX = $(circus.sockets.web);
        """
    with Server(tmp_path, options, NGINX) as server:
        server.check()


@needs("uwsgi-core")
@pytest.mark.parametrize(
    "options",
    ["cmd = {words} --http-socket fd://$(circus.sockets.web)", "cmd = {words} --protocol http\nlisten_fds = web"],
    ids=["by number", "by listen_fds"],
)
def test_uwsgi_serves(tmp_path: Path, options: str) -> None:
    words = f"uwsgi-core --plugin python3 --die-on-term --need-app --chdir {PROGRAMS} --wsgi-file web_app.py"
    with Server(tmp_path, options.format(words=words)) as server:
        server.check()


# ---- services of inetd, datagrams, files -------------------------------------------------------------------------


def echo(sock: socket.socket, text: str) -> tuple[int, str]:
    """Who answered, and what."""
    sock.sendall(text.encode() + b"\n")
    pid, _, answer = sock.recv(65536).decode().partition(" ")
    return int(pid), answer.rstrip("\n")


def test_service_of_inetd_that_waits_takes_connections_from_its_standard_input(tmp_path: Path) -> None:
    with Server(tmp_path, f"cmd = {program('echo.py')}\nstdin_socket = web") as server:

        def served() -> set[int]:
            with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
                pid, answer = echo(connection, "hello")
            assert answer == "hello"
            seen.add(pid)
            return seen

        seen: set[int] = set()
        server.wait_for(lambda: served() == set(server.pids("web")))


@needs("micro-httpd")
def test_service_of_inetd_that_is_started_for_each_connection(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("from micro-httpd")
    options = f"cmd = {program('inetd.py', 'micro-httpd')} {{here}}\nstdin_socket = web"
    with Server(tmp_path, options) as server:
        assert [server.get() for _ in range(5)] == ["from micro-httpd"] * 5


def test_datagrams_that_come_while_programs_are_exchanged_are_answered(tmp_path: Path) -> None:
    place = "type = SOCK_DGRAM\nhost = 127.0.0.1\nport = {port}"
    options = f"cmd = {program('echo.py')}\nstdin_socket = web"
    with Server(tmp_path, options, sockets=place) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect(("127.0.0.1", server.port))
        for sequential in (False, True):
            old = set(server.pids("web"))
            server.call("reload", name="web", sequential=sequential)
            answers = []
            while not answers or old & set(server.pids("web")):
                answers.append(echo(client, str(len(answers))))
            answers.append(echo(client, str(len(answers))))
            assert [text for _, text in answers] == [str(number) for number in range(len(answers))]
            assert answers[-1][0] not in old


def unix_server(directory: Path, handed_over: str) -> Server:
    place = "path = {here}/web.sock\numask = 0117"
    return Server(directory, f"cmd = {GUNICORN} -w 1 {handed_over}", sockets=place)


def test_gunicorn_serves_from_a_unix_socket_of_its_mode(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    path = tmp_path / "web.sock"
    with unix_server(tmp_path, "\nlisten_fds = web") as server:
        server.check()
        assert stat.filemode(path.stat().st_mode) == "srw-rw----"
    assert not path.exists()


def test_socket_file_that_a_program_has_removed_comes_back_with_the_next_restart(tmp_path: Path) -> None:
    """gunicorn removes the file of any unix socket it was not given by LISTEN_FDS."""
    pytest.importorskip("gunicorn")
    path = tmp_path / "web.sock"
    with unix_server(tmp_path, "--bind fd://$(circus.sockets.web)") as server:
        server.wait_for(server.serves)
        server.call("reload", name="web", waiting=True)
        wait_for(lambda: not path.exists())
        before = set(server.pids("web"))
        server.call("restart")
        server.wait_for(lambda: (now := server.pids("web")) and before.isdisjoint(now))  # so somebody listens
        assert path.exists()
        server.wait_for(server.serves)


# ---- circusd that is itself started with sockets -----------------------------------------------------------------


class Activated(Server):
    """circusd is started by the first connection, with the socket, as by a `.socket` unit."""

    @property
    def through(self) -> tuple[str, ...]:  # type: ignore[override]  # a class has no port
        return ("systemd-socket-activate", "-l", f"127.0.0.1:{self.port}", "--fdname=web")

    def wait_until_open(self) -> None:
        def answers() -> bool:
            try:
                return bool(self.get())
            except OSError:  # what waits for the first connection does not listen yet
                return False

        self.wait_for(answers)


@needs("systemd-socket-activate")
def test_circusd_started_by_systemd_hands_its_sockets_on(tmp_path: Path) -> None:
    options = f"cmd = {sys.executable} {EXAMPLES}/serve_plain.py $(circus.sockets.web)"
    with Activated(tmp_path, options) as server:
        server.check()
