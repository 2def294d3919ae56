"""gunicorn: a master with workers that share a listening socket, killed from below and from above."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from circus.posix import tree
from tests.real.proc import PROGRAMS, marked
from tests.real.support import Daemon, free_port, is_gone, wait_for

pytest.importorskip("gunicorn")
pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

WORKERS = 3


class Web:
    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.mark = f"WEB_TEST={self.port}-{os.getpid()}"
        words = f"-m gunicorn -w {WORKERS} -b 127.0.0.1:{self.port} --chdir {PROGRAMS} web_app:application"
        self.daemon = Daemon(
            directory,
            f"""
            [env]
            {self.mark}
            [watcher:web]
            cmd = {sys.executable} {words} --worker-tmp-dir {directory} --no-control-socket
            flapping.retry_in = 0.2
            # A worker that is told to end in its first moment may not hear it, and its master waits for it.
            graceful_timeout = 5
            """,
        )

    def server(self) -> int:
        """The process that serves; 0 if nobody does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
                return int(answer.read())
        except OSError:
            return 0

    def family(self) -> set[int]:
        """The master and its workers, once there are as many as there should be."""
        pids = self.daemon.pids("web")
        found = {entry.pid for entry in tree.descendants(pids[0])} if pids else set()
        return {*pids, *found} if len(found) == WORKERS else set()

    def wait_for_family(self, old: int = 0) -> set[int]:
        """Complete, without the process `old`, and serving."""
        wait_for(self.server, what=lambda: self.daemon.output)
        return set(wait_for(lambda: (found := self.family()) and old not in found and found))


def test_killed_worker_of_gunicorn_is_replaced_by_its_master(tmp_path: Path) -> None:
    web = Web(tmp_path)
    with web.daemon:
        web.wait_for_family()
        [master] = web.daemon.pids("web")
        victim = web.server()
        os.kill(victim, signal.SIGKILL)
        web.wait_for_family(old=victim)
        assert web.daemon.pids("web") == [master]


def test_killed_master_of_gunicorn_leaves_no_worker_on_the_port_and_service_comes_back(tmp_path: Path) -> None:
    web = Web(tmp_path)
    with web.daemon:
        for _ in range(2):
            before = web.wait_for_family()
            [master] = web.daemon.pids("web")
            os.kill(master, signal.SIGKILL)
            after = web.wait_for_family(old=master)
            assert before.isdisjoint(after)
            assert all(map(is_gone, before))
            assert set(marked(web.mark)) == after
        web.daemon.call("stop", name="web", waiting=True)
        assert marked(web.mark) == []
        assert web.server() == 0
