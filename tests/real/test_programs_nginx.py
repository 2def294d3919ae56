"""nginx in the foreground, reloaded by SIGHUP under requests."""

from __future__ import annotations

import os
import shutil
import threading
import urllib.request
from pathlib import Path

import pytest

from tests.real.proc import children_of
from tests.real.support import Daemon, free_port, wait_for

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.usefixtures("nobody_left"),
    pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed"),
]

NGINX = """
daemon off;
{user}
pid {directory}/nginx.pid;
error_log stderr;
worker_processes 2;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "{text}"; }}
    }}
}}
"""


class Clients:
    """Ask all the time, until left; `answers` and `errors` are what they got."""

    def __init__(self, url: str) -> None:
        self.answers: list[str] = []
        self.errors: list[str] = []
        self._url = url
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(3)]

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                self.answers.append(fetch(self._url))
            except OSError as error:
                self.errors.append(str(error))

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def answers(url: str) -> str:
    try:
        return fetch(url)
    except OSError:
        return ""


def test_reload_with_send_hup_never_refuses_a_request(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    user = "user root;" if os.geteuid() == 0 else ""

    def write(text: str) -> None:
        (tmp_path / "nginx.conf").write_text(NGINX.format(directory=tmp_path, port=port, text=text, user=user))

    write("one")
    config = f"""
        [env]
        PATH = $PATH:/usr/sbin
        [watcher:nginx]
        cmd = nginx -p {tmp_path} -c {tmp_path}/nginx.conf
        stop_signal = QUIT
        send_hup = True
        """
    with Daemon(tmp_path, config) as daemon:
        wait_for(lambda: answers(url) == "one", what=lambda: daemon.output)
        [master] = daemon.pids("nginx")
        workers = {entry.pid for entry in children_of(master)}
        with Clients(url) as clients:
            for text in ("two", "three"):
                write(text)
                assert daemon.call("reload", name="nginx", waiting=True)["status"] == "ok"
                wait_for(lambda text=text: clients.answers and clients.answers[-1] == text)
        assert not clients.errors
        assert {"one", "two", "three"} >= set(clients.answers)
        assert daemon.pids("nginx") == [master]
        wait_for(lambda: workers.isdisjoint(entry.pid for entry in children_of(master)))

        daemon.call("stop", name="nginx", waiting=True)
        assert answers(url) == ""
        daemon.call("start", name="nginx", waiting=True)
        wait_for(lambda: answers(url) == "three")
