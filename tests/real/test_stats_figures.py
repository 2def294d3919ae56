"""Figures of real processes: those from /proc against psutil's, and what is noticed about a process that changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from circus.posix import figures
from circus.posix.figures import Gauge
from circus.posix.info import InfoCache
from circus.posix.portable import describe
from tests.real.posix_support import AS_ROOT, NOBODY, wait_for

pytestmark = [
    pytest.mark.usefixtures("nobody_left"),
    pytest.mark.skipif(not figures.is_possible(), reason="there is no /proc"),
]

BUSY = "import os\nwhile True: os.getppid()\n"

# Writes over its own arguments, as programs do that have a title.
CHANGE_TITLE = """
import sys, time
sys.stdin.readline()
start, end = map(int, open("/proc/self/stat").read().rpartition(")")[2].split()[45:47])
with open("/proc/self/mem", "r+b", buffering=0) as memory:
    memory.seek(start)
    memory.write(b"title\\0".ljust(end - start, b"\\0"))
time.sleep(1000)
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Put what must be ended in here."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def start(started: list[subprocess.Popen[bytes]], *words: str, **options: object) -> int:
    process = subprocess.Popen(words, **options)  # type: ignore[call-overload]  # options as they come
    started.append(process)
    return int(process.pid)


def stopped(pid: int) -> int:
    """It does not change any more."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return pid


def same_as_psutil(pid: int) -> None:
    ours, theirs = Gauge(pid).figures(), describe(psutil.Process(pid))
    ages = ours.pop("age"), theirs.pop("age")
    assert ours == theirs and list(ours) == list(theirs)
    assert abs(ages[0] - ages[1]) < 1


def test_values_are_those_of_psutil(started: list[subprocess.Popen[bytes]]) -> None:
    same_as_psutil(stopped(start(started, "sleep", "1000")))
    same_as_psutil(stopped(start(started, sys.executable, "-c", "x = bytearray(30_000_000)\n" + BUSY)))
    same_as_psutil(stopped(start(started, "nice", "-n", "3", "sleep", "1000")))
    same_as_psutil(stopped(start(started, "a (strange) name\n", "1000", executable="/bin/sleep")))
    same_as_psutil(stopped(start(started, "", "1000", executable="/bin/sleep")))


@pytest.mark.skipif(not AS_ROOT, reason="only root can start something as another user")
@pytest.mark.parametrize("user", [NOBODY, 54321])
def test_users_are_those_of_psutil(started: list[subprocess.Popen[bytes]], user: int) -> None:
    same_as_psutil(stopped(start(started, "sleep", "1000", user=user, group=NOBODY)))


def test_a_zombie_is_what_psutil_says(started: list[subprocess.Popen[bytes]]) -> None:
    pid = start(started, "true")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    same_as_psutil(pid)
    assert Gauge(pid).figures()["nice"] == "Zombie"


def test_cpu_is_that_of_psutil_over_the_same_time(started: list[subprocess.Popen[bytes]]) -> None:
    pid = start(started, sys.executable, "-c", BUSY)
    gauge, theirs = Gauge(pid), psutil.Process(pid)
    assert gauge.figures()["cpu"] == theirs.cpu_percent() == 0.0
    begun = sum(theirs.cpu_times()[:2])
    wait_for(lambda: sum(theirs.cpu_times()[:2]) >= begun + 0.5)
    stopped(pid)
    ours, others = gauge.figures()["cpu"], theirs.cpu_percent()
    assert ours > 0 and abs(ours - others) <= others / 10


def test_who_is_gone_is_a_process_lookup_error(started: list[subprocess.Popen[bytes]]) -> None:
    pid = start(started, "sleep", "1000")
    gauge = Gauge(pid)
    gauge.figures()
    started[0].kill()
    started[0].wait()
    with pytest.raises(ProcessLookupError):
        gauge.figures()


def test_another_program_in_the_same_process_is_noticed_at_once(started: list[subprocess.Popen[bytes]]) -> None:
    """Also one of the same name: addresses are random."""
    script = 'read line; exec "$0" -c "read line; exec sleep 1000" other'
    pid = start(started, "/bin/sh", "-c", script, stdin=subprocess.PIPE, executable="/bin/sh")
    cache = InfoCache()
    shell = (cache.info(pid) or {})["cmdline"]
    assert started[0].stdin is not None
    started[0].stdin.write(b"\n\n")
    started[0].stdin.close()
    wait_for(lambda: psutil.Process(pid).name() == "sleep")
    assert (shell, (cache.info(pid) or {})["cmdline"]) == ("sh", "sleep")


def test_a_changed_title_is_noticed_after_a_while(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "REFRESH_DELAY", 1)
    pid = start(started, sys.executable, "-c", CHANGE_TITLE, stdin=subprocess.PIPE)
    gauge = Gauge(pid)
    wait_for(lambda: psutil.Process(pid).cmdline()[1:2] == ["-c"])
    before = gauge.figures()["cmdline"]
    assert started[0].stdin is not None
    started[0].stdin.write(b"\n")
    started[0].stdin.flush()
    wait_for(lambda: gauge.figures()["cmdline"] == "title")
    assert before != "title"
    started[0].stdin.close()


def test_a_pid_that_changed_hands_is_a_new_process() -> None:
    gauge = Gauge(os.getpid())
    mine = gauge.figures()
    gauge._birth, gauge._born, gauge._command, gauge._ticks = b"1", 1.0, "somebody else", -1_000_000
    now = gauge.figures()
    assert (now["create_time"], now["cmdline"], now["cpu"]) == (mine["create_time"], mine["cmdline"], 0.0)


def test_psutil_is_not_loaded_for_figures_on_linux() -> None:
    program = "import sys, os; from circus.posix.info import get_info, InfoCache; get_info(interval=0.001)"
    program += "; InfoCache().info(os.getpid(), with_childs=True); print('psutil' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_names_are_not_cut_at_a_page(started: list[subprocess.Popen[bytes]]) -> None:
    pid = start(started, "x" * 5000 + "/long", "1000", executable="/bin/sleep")
    wait_for(lambda: psutil.Process(pid).cmdline()[-1:] == ["1000"])
    assert Gauge(pid).figures()["cmdline"] == "long"


def test_without_proc_psutil_tells_the_same(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = stopped(start(started, "sleep", "1000"))
    by_proc = InfoCache().info(pid)
    monkeypatch.setattr(figures, "is_possible", lambda: False)
    portable = InfoCache()
    by_psutil = portable.info(pid)
    assert by_proc is not None and by_psutil is not None
    assert by_psutil | {"age": 0} == by_proc | {"age": 0}
    started[0].kill()
    started[0].wait()
    assert portable.info(pid) is None and portable.info(pid) is None
