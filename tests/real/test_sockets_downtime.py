"""No request is lost while programs on a managed socket are exchanged: two kinds of clients ask all the time, with kept
connections and with new ones, fast and slow pages."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.http_load import Address, Load
from circus.posix import tree
from tests.real.proc import PROGRAMS
from tests.real.support import PATIENCE, ROOT, Daemon, free_port, is_gone

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

REQUESTS = 50
"""At least so many of each kind, before an event and after it."""

PAUSE = 0.01
"""Seconds that a client rests: many tests run beside these. At full speed: below, and in benchmarks/downtime.py."""

EXAMPLES = ROOT / "examples"
GUNICORN = "-m gunicorn -w 1 --no-control-socket --bind fd://$(circus.sockets.web) web_app:application"
SERVERS = {
    "plain": f"{EXAMPLES}/serve_plain.py $(circus.sockets.web)",
    "sync": GUNICORN,
    "gthread": f"{GUNICORN} -k gthread --threads 4",
    "uvicorn": f"{EXAMPLES}/serve_uvicorn.py web_app:asgi $(circus.sockets.web)",
    "waitress": f"{EXAMPLES}/serve_waitress.py web_app:application $(circus.sockets.web)",
}


class Web(Daemon):
    """Two processes of one of `SERVERS`, at a port or a path; `more` are options of their watcher."""

    def __init__(self, directory: Path, server: str, at: str = "", more: str = "", **options: Any) -> None:
        port = free_port()
        self.address: Address = at or ("127.0.0.1", port)
        self._place = f"path = {at}" if at else f"host = 127.0.0.1\nport = {port}"
        self._server = server
        self._more = more
        super().__init__(directory, self.text(version=1), **options)

    def text(self, version: int) -> str:
        return "\n".join(
            [
                f"[socket:web]\n{self._place}",
                f"[watcher:web]\ncmd = {sys.executable} {SERVERS[self._server]}\nnumprocesses = 2\n{self._more}",
                # A client that waits for a processor is not one that has gone.
                f"[env]\nPATH = $PATH\nPYTHONPATH = {PROGRAMS}\nLINGER = {PATIENCE}\nVERSION = {version}\n",
            ]
        )

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Clients ask all the time, before, meanwhile and afterwards; all must be answered."""
        loads = [
            Load(self.address, clients=4, keep_alive=keep, paths=("/", "/", "/", "/slow"), pause=PAUSE)
            for keep in (False, True)
        ]
        with loads[0], loads[1]:
            for load in loads:
                load.wait_for_more(REQUESTS)
            self.wait_until_all_serve()
            yield
            self.wait_until_all_serve()
            for load in loads:
                load.wait_for_more(REQUESTS)
        for load in loads:
            assert not load.failures, f"{load}\n{self.output}"

    def wait_until_all_serve(self) -> None:
        """Every process has answered, itself or by its child: before that gunicorn may not hear that it is to end."""

        def all_serve() -> bool:
            with Load(self.address, clients=2) as load:
                load.wait_for_more(10)
            assert not load.failures, f"{load}\n{self.output}"
            answered.update(map(int, load.bodies))
            return all(answered & {pid, *(entry.pid for entry in tree.descendants(pid))} for pid in self.pids("web"))

        answered: set[int] = set()
        self.wait_for(all_serve)


# ---- events ------------------------------------------------------------------------------------------------------


def others(web: Web, exchange: Callable[[], object]) -> None:
    """Return when all processes are others."""
    before = set(web.pids("web"))
    exchange()
    web.wait_for(lambda: len(now := web.pids("web")) == len(before) and before.isdisjoint(now))


def graceful_reload(web: Web) -> None:
    others(web, lambda: web.call("reload", name="web", waiting=True))


def sequential_reload(web: Web) -> None:
    others(web, lambda: web.call("reload", name="web", sequential=True, waiting=True))


def more_and_fewer(web: Web) -> None:
    assert web.call("incr", name="web", nb=2, waiting=True)["numprocesses"] == 4
    web.wait_until_all_serve()
    assert web.call("decr", name="web", nb=3, waiting=True)["numprocesses"] == 1
    assert web.call("incr", name="web", waiting=True)["numprocesses"] == 2


def restart_of_the_watcher(web: Web) -> None:
    others(web, lambda: web.call("restart", name="web", waiting=True))


def restart_of_circusd(web: Web) -> None:
    others(web, lambda: web.call("restart"))
    assert web.process.poll() is None


def new_version(web: Web) -> None:
    web.write_config(web.text(version=2))
    others(web, lambda: web.call("reloadconfig", waiting=True))
    web.wait_until_all_serve()
    web.write_config(web.text(version=1))
    others(web, lambda: web.call("reloadconfig", waiting=True))


EVENTS = [
    graceful_reload,
    sequential_reload,
    more_and_fewer,
    restart_of_the_watcher,
    restart_of_circusd,
    new_version,
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_no_request_is_lost_by(tmp_path: Path, event: Callable[[Web], None]) -> None:
    with Web(tmp_path, "plain") as web:
        web.wait_for_status("web", "active")
        with web.asked():
            event(web)


@pytest.mark.parametrize("server", ["sync", "gthread", "uvicorn", "waitress"])
def test_no_request_is_lost_by_what_exchanges_all_of(tmp_path: Path, server: str) -> None:
    pytest.importorskip({"sync": "gunicorn", "gthread": "gunicorn"}.get(server, server))
    with Web(tmp_path, server) as web:
        web.wait_for_status("web", "active")
        for event in (graceful_reload, more_and_fewer, restart_of_circusd, new_version):
            with web.asked():
                event(web)


def test_no_request_to_a_unix_socket_is_lost(tmp_path: Path) -> None:
    with Web(tmp_path, "plain", at=str(tmp_path / "web.sock")) as web:
        web.wait_for_status("web", "active")
        for event in (sequential_reload, restart_of_circusd):
            with web.asked():
                event(web)


def test_reload_to_a_program_that_cannot_start_loses_no_request(tmp_path: Path) -> None:
    with Web(tmp_path, "plain") as web:
        web.wait_for_status("web", "active")
        before = web.pids("web")
        with web.asked():
            web.write_config(web.text(version=1).replace(sys.executable, "/nowhere/python"))
            assert "/nowhere/python" in web.call("reloadconfig", waiting=True)["reason"]
            assert web.pids("web") == before


def test_old_processes_serve_until_the_after_spawn_hook_of_the_new_ones_returns(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    ready.touch()
    hook = "hooks.after_spawn = tests.real.programs.hooks.wait_for_file"
    with Web(tmp_path, "plain", more=hook, env={"HOOK_FILE": str(ready)}) as web:
        web.wait_for_status("web", "active")
        before = set(web.pids("web"))
        ready.unlink()
        with web.asked():
            web.call("reload", name="web")
            web.wait_for(lambda: len([entry for entry in tree.descendants(web.pid) if entry.parent == web.pid]) > 2)
            web.wait_until_all_serve()
            assert not any(map(is_gone, before))
            ready.touch()
            web.wait_for(lambda: len(now := web.pids("web")) == 2 and before.isdisjoint(now))


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_no_request_is_lost_at_full_speed(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    with Web(tmp_path, "gthread") as web:
        web.wait_for_status("web", "active")
        web.wait_until_all_serve()
        host, port = web.address
        words = ["wrk", "-t", "2", "-c", "32", "-d", "60", "--timeout", "30", f"http://{host}:{port}/"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as wrk:
            try:
                for event in (graceful_reload, restart_of_circusd):
                    event(web)
                    web.wait_until_all_serve()
            finally:
                wrk.send_signal(signal.SIGINT)
            said = wrk.communicate(timeout=PATIENCE)[0]
        assert "Socket errors" not in said, said
        assert "Non-2xx" not in said, said
        found = re.search(r"(\d+) requests in", said)
        assert found, said
        assert int(found[1]) >= REQUESTS
