"""Figures of real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from circus.posix.info import InfoCache, get_info
from circus.posix.portable import no_such_process, process_list
from circus.posix.spawn import Child, spawn
from tests.real.posix_support import end, shell, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")

KEYS = {
    "mem_info1", "mem_info2", "cpu", "mem", "ctime", "pid", "username", "nice", "create_time", "age", "cmdline",
    "children",
}  # fmt: skip


@pytest.fixture
def sleeper() -> Iterator[Child]:
    child = spawn(shell("exec sleep 1000"))
    wait_for(lambda: psutil.Process(child.pid).cmdline()[:1] == ["sleep"])
    yield child
    end(child)


def test_figures_have_the_documented_keys_types_and_texts(sleeper: Child) -> None:
    info = get_info(sleeper.pid)
    assert set(info) == KEYS
    assert info["pid"] == sleeper.pid
    assert info["cmdline"] == "sleep"
    assert info["children"] == []
    assert info["nice"] == os.getpriority(os.PRIO_PROCESS, sleeper.pid)
    assert info["username"] == psutil.Process(sleeper.pid).username()
    assert re.fullmatch(r"\d+\.\d\d[KMG]", info["mem_info1"])
    assert re.fullmatch(r"\d+\.\d\d[KMG]", info["mem_info2"])
    assert re.fullmatch(r"\d+:[0-5]\d\.\d\d", info["ctime"])
    assert isinstance(info["cpu"], float) and isinstance(info["mem"], float)
    assert abs(time.time() - info["create_time"] - info["age"]) < 1


def test_nobody_named_means_ourselves_and_a_process_object_is_taken() -> None:
    assert get_info()["pid"] == os.getpid()
    assert get_info(psutil.Process())["pid"] == os.getpid()


def test_direct_children_are_described_without_their_own() -> None:
    child = spawn(shell("sh -c 'sleep 1000 & wait' & wait"))
    try:
        wait_for(lambda: len(psutil.Process(child.pid).children(recursive=True)) == 2)
        info = get_info(child.pid, with_childs=True)
        assert [set(figures) for figures in info["children"]] == [KEYS]
        assert info["children"][0]["children"] == []
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)


def test_cpu_is_measured_since_the_last_call() -> None:
    cache = InfoCache()
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        first = cache.info(busy.pid)
        assert first is not None and first["cpu"] == 0.0
        assert wait_for(lambda: (cache.info(busy.pid) or {})["cpu"] > 1.0)
    finally:
        busy.kill()
        busy.wait()


def test_zombie_is_said_in_place_of_nice() -> None:
    child = spawn(shell("exit 0"))
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    info = get_info(child.pid)
    assert info["nice"] == "Zombie"
    assert info["cmdline"] == "N/A"
    os.waitpid(child.pid, 0)


def test_who_is_gone_has_no_figures(sleeper: Child) -> None:
    cache = InfoCache()
    child = spawn(shell("exit 0"))
    assert cache.info(child.pid) is not None
    os.waitpid(child.pid, 0)
    assert cache.info(child.pid) is None
    with pytest.raises(psutil.NoSuchProcess):
        get_info(child.pid)
    assert isinstance(no_such_process(child.pid), psutil.NoSuchProcess)


def test_forgotten_and_dead_processes_are_not_kept() -> None:
    cache = InfoCache()
    for _ in range(200):
        child = spawn(shell("exit 0"))
        cache.info(child.pid)
        os.waitpid(child.pid, 0)
    assert len(cache._processes) <= 65
    cache.info(os.getpid())
    cache.forget(os.getpid())
    assert os.getpid() not in cache._processes


def test_process_list_has_us_below_our_parent() -> None:
    rows = {pid: (parent, state) for pid, parent, _, state, _ in process_list()}
    assert rows[os.getpid()] == (os.getppid(), "S")


def test_psutil_is_loaded_by_nothing_else() -> None:
    modules = "children daemon info limits mark pidfile processes signals spawn tree"
    program = "import sys; " + "; ".join(f"import circus.posix.{name}" for name in modules.split())
    program += "; print('psutil' in sys.modules, 'ctypes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=os.getcwd())
    assert done.stdout == "False False\n", done.stderr
