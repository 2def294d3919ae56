"""Who is left of a worker, with programs that do what they can not to be found. Linux."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from circus.posix import mark as marks
from circus.posix import processes, tree
from circus.posix.limits import lent
from circus.posix.spawn import Child, Launch, spawn
from tests.real.posix_support import AS_ROOT, NOBODY, PATH, in_child, is_gone, shell, wait_for

# Leaves parent, group, session and environment behind; three processes, of which the first is dead at once.
DETACH = "env -i /usr/bin/setsid /bin/sh -c '/bin/sleep 1000 & /bin/sleep 1000' & exit 0"


def as_subreaper(function: Callable[[], Any]) -> Any:
    """Run it in a process that adopts; nothing may be left of what it started."""

    def daemon() -> Any:
        assert tree.become_subreaper()
        try:
            return function()
        finally:
            wait_for(_nobody_left)

    return in_child(daemon)


def _nobody_left() -> bool:
    tree.kill_all(lambda: tree.descendants(os.getpid()))
    tree.reap(entry.pid for entry in tree.strangers(()))
    return not tree.descendants(os.getpid())


def start(script: str, **options: Any) -> tuple[Child, int | None]:
    mark = marks.next_mark()
    return spawn(shell(script, mark=mark, **options)), mark


def reap(child: Child) -> None:
    os.waitpid(child.pid, 0)


def names(entries: list[tree.ProcessEntry]) -> list[str]:
    return sorted(entry.name for entry in entries if not entry.is_zombie)


# ---- finding ---------------------------------------------------------------------------------------------------


def test_descendants_that_left_their_session_are_found_when_the_worker_is_dead() -> None:
    def scenario() -> None:
        worker, mark = start(DETACH)
        reap(worker)
        found = wait_for(lambda: _three(tree.leftovers(worker.pid, mark, tree.strangers(()))))
        assert {entry.session for entry in found}.isdisjoint({worker.pid, os.getsid(0)})

    as_subreaper(scenario)


def _three(entries: list[tree.ProcessEntry]) -> list[tree.ProcessEntry] | None:
    """The detached shell and its two sleepers."""
    return entries if names(entries) == ["sh", "sleep", "sleep"] else None


def test_workers_that_die_together_keep_their_own_descendants() -> None:
    def scenario() -> None:
        workers = [start(DETACH) for _ in range(4)]
        for worker, _ in workers:
            reap(worker)
        found = []
        for worker, mark in workers:
            left = partial(tree.leftovers, worker.pid, mark)
            entries = wait_for(lambda left=left: _three(left(tree.strangers(()))))
            found.append({entry.pid for entry in entries})
        assert len(set.union(*found)) == 12

    as_subreaper(scenario)


def test_worker_spawned_by_another_thread_has_its_descendants_found_too() -> None:
    def scenario() -> None:
        workers: list[tuple[Child, int | None]] = []
        hold = threading.Event()

        def arbiter() -> None:
            workers.append(start(DETACH))
            reap(workers[0][0])
            hold.wait(20)

        thread = threading.Thread(target=arbiter)
        thread.start()
        wait_for(lambda: workers)
        worker, mark = workers[0]
        wait_for(lambda: _three(tree.leftovers(worker.pid, mark, tree.strangers(()))))
        hold.set()
        thread.join()

    as_subreaper(scenario)


def test_without_a_mark_session_and_group_tell() -> None:
    def scenario() -> None:
        script = "sleep 1000 & setsid sleep 2000 & exit 0"
        limit = resource.getrlimit(resource.RLIMIT_RTTIME)[1]
        if limit == resource.RLIM_INFINITY:
            limit = 10**12
        worker, mark = start(script, rlimits=(("RTTIME", limit),))
        reap(worker)
        wait_for(lambda: names(tree.strangers(())) == ["sleep", "sleep"])
        found = tree.leftovers(worker.pid, mark, tree.strangers(()))
        assert [entry.session for entry in found] == [worker.pid]

    as_subreaper(scenario)


def test_children_of_a_hook_belong_to_nobody_even_if_born_in_the_moment_of_a_spawn() -> None:
    def scenario() -> None:
        mark = marks.next_mark()
        with lent(False, mark):
            hooks = subprocess.Popen(["sleep", "1000"])
        strangers = tree.strangers(())
        assert [(entry.pid, entry.mark) for entry in strangers] == [(hooks.pid, mark)]
        assert tree.leftovers(999_999, mark, strangers) == []
        hooks.kill()
        hooks.wait()

    as_subreaper(scenario)


def test_own_children_are_no_strangers() -> None:
    def scenario() -> None:
        workers = [start("exec sleep 1000")[0] for _ in range(3)]
        assert len(tree.strangers(())) == 3
        assert tree.strangers({worker.pid for worker in workers}) == []

    as_subreaper(scenario)


INNER = """
import os, signal, sys
from circus.posix import mark, tree
from circus.posix.spawn import Launch, spawn
tree.become_subreaper()
for _ in range(2):
    child = spawn(Launch(argv=("/bin/sh", "-c", sys.argv[1]), env={"PATH": "/usr/bin:/bin"}, mark=mark.next_mark()))
    os.waitpid(child.pid, 0)
os.write(1, b"%d %d" % (mark._inherited[0], mark.next_mark()))
signal.pause()
"""


def test_descendants_of_a_killed_circusd_under_ours_are_found_by_its_interval() -> None:
    def scenario() -> None:
        mark = marks.next_mark()
        argv = (sys.executable, "-c", INNER, DETACH)
        inner = spawn(Launch(argv=argv, env=dict(os.environ), cwd=os.getcwd(), mark=mark, stdout="pipe"))
        assert inner.stdout is not None
        shown, inner_mark = map(int, os.read(inner.stdout, 100).split())
        assert shown == mark and marks.owns(mark, inner_mark)
        os.kill(inner.pid, signal.SIGKILL)
        reap(inner)
        twice = ["sh", "sh", "sleep", "sleep", "sleep", "sleep"]
        wait_for(lambda: names(tree.leftovers(inner.pid, mark, tree.strangers(()))) == twice)
        assert tree.leftovers(inner.pid, marks.next_mark(), tree.strangers(())) == []

    as_subreaper(scenario)


def test_mark_of_another_user_s_process_and_of_a_zombie_can_be_read() -> None:
    def scenario() -> None:
        worker, mark = start("exec sleep 1000")
        assert marks.read(worker.pid) == mark
        assert marks.read(os.getpid()) != mark
        if AS_ROOT:
            assert in_child(lambda: (os.setuid(NOBODY), marks.read(worker.pid))[1]) == mark
        os.kill(worker.pid, signal.SIGKILL)
        wait_for(lambda: (entry := processes.look(worker.pid)) and entry.is_zombie)
        assert marks.read(worker.pid) == mark
        reap(worker)
        assert marks.read(worker.pid) is None

    as_subreaper(scenario)


@pytest.mark.parametrize("children_files", [True, False])
def test_descendants_of_a_live_worker_are_seen_at_every_depth(
    children_files: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not children_files:
        monkeypatch.setattr(processes, "_has_children_files", lambda: False)

    def scenario() -> None:
        worker, _ = start("sleep 1000 & sh -c 'setsid sleep 1000 & sleep 1000 & wait' & wait")
        wait_for(lambda: names(tree.descendants(worker.pid)) == ["sh", "sleep", "sleep", "sleep"])
        assert len(tree.children(worker.pid)) == 2
        assert [entry.pid for entry in tree.strangers(())] == [worker.pid]

    as_subreaper(scenario)


def test_children_of_every_thread_of_a_worker_are_seen() -> None:
    program = (
        "import subprocess, threading, signal\n"
        "def run(): subprocess.run(['sleep', '1000'])\n"
        "for _ in range(3): threading.Thread(target=run).start()\n"
        "signal.pause()\n"
    )

    def scenario() -> None:
        worker = spawn(Launch(argv=(sys.executable, "-c", program), env={"PATH": PATH}))
        wait_for(lambda: names(tree.descendants(worker.pid)) == ["sleep"] * 3)

    as_subreaper(scenario)


def test_nobody_below_a_pid_that_does_not_exist() -> None:
    assert tree.descendants(2**22 + 1) == []
    assert tree.children(2**22 + 1) == []


# ---- ending ----------------------------------------------------------------------------------------------------


def test_signal_reaches_only_the_process_that_was_seen() -> None:
    def scenario() -> None:
        worker, _ = start("exec sleep 1000")
        entry = processes.look(worker.pid)
        assert entry is not None
        earlier = entry._replace(birth=entry.birth - 1)
        assert tree.kill_tree([earlier], signal.SIGKILL) == []
        assert not is_gone(worker.pid)
        assert tree.kill_tree([entry], signal.SIGTERM) == [entry]
        _, status = os.waitpid(worker.pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
        assert tree.kill_tree([entry], signal.SIGTERM) == []

    as_subreaper(scenario)


HYDRA = """
import os, signal, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end_at = time.monotonic() + 120

def head(body):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.write(log, b"%d\\n" % os.getpid())
        body()
        os._exit(0)
    os.wait()

def comet():
    # Never two milliseconds the same process.
    while time.monotonic() < end_at:
        time.sleep(0.001)
        if os.fork():
            os._exit(0)
        os.setsid()
        os.write(log, b"%d\\n" % os.getpid())

def sleeper():
    time.sleep(120)

def breeder():
    for _ in range(200):
        head(sleeper)
        time.sleep(0.005)
    time.sleep(120)

for body in (comet, comet, comet, breeder, breeder):
    head(body)
time.sleep(120)
"""


@pytest.mark.untraced
def test_nothing_is_left_of_a_program_that_detaches_ignores_term_and_forks_while_killed(tmp_path: Path) -> None:
    log = tmp_path / "pids"

    def scenario() -> None:
        mark = marks.next_mark()
        worker = spawn(Launch(argv=(sys.executable, "-c", HYDRA, str(log)), env={"PATH": PATH}, mark=mark))

        def left() -> list[tree.ProcessEntry]:
            entries = tree.leftovers(worker.pid, mark, tree.strangers({worker.pid}))
            return entries + tree.descendants(worker.pid)

        wait_for(lambda: log.exists() and log.read_text().count("\n") > 100)
        tree.kill_tree(left(), signal.SIGTERM)
        assert names(left())
        os.kill(worker.pid, signal.SIGKILL)
        reap(worker)

        def ended() -> bool:
            tree.kill_all(left)
            entries = left()
            tree.reap(entry.pid for entry in entries if entry.is_zombie)
            return not entries

        wait_for(ended)
        assert tree.strangers(()) == []
        heads = {int(line) for line in log.read_text().split()}
        assert len(heads) > 100 and all(is_gone(pid) for pid in heads)

    as_subreaper(scenario)


# ---- zombies ---------------------------------------------------------------------------------------------------


def test_dead_stranger_is_reaped_when_nobody_has_waited_for_it() -> None:
    def scenario() -> None:
        orphans = tree.Orphans(delay=5.0)
        hooks = subprocess.Popen(["true"])
        wait_for(lambda: (entry := processes.look(hooks.pid)) and entry.is_zombie)
        assert orphans.next_at is None
        assert orphans.reap(tree.strangers(()), 100.0) == []
        assert orphans.next_at == 105.0
        assert orphans.reap(tree.strangers(()), 104.9) == []
        assert processes.look(hooks.pid)
        assert orphans.reap(tree.strangers(()), 105.0) == [hooks.pid]
        assert processes.look(hooks.pid) is None
        assert orphans.next_at is None

    as_subreaper(scenario)


def test_hook_that_waits_in_time_gets_its_exit_code() -> None:
    def scenario() -> None:
        orphans = tree.Orphans(delay=5.0)
        hooks = subprocess.Popen(["false"])
        wait_for(lambda: (entry := processes.look(hooks.pid)) and entry.is_zombie)
        orphans.reap(tree.strangers(()), 100.0)
        assert hooks.wait() == 1
        assert orphans.reap(tree.strangers(()), 200.0) == []

    as_subreaper(scenario)


def test_dead_descendant_of_a_worker_is_reaped_at_once_and_a_live_one_is_not() -> None:
    def scenario() -> None:
        orphans = tree.Orphans(delay=5.0)
        worker, mark = start("setsid true & setsid sleep 1000 & exit 0")
        reap(worker)
        wait_for(lambda: sorted(entry.is_zombie for entry in tree.strangers(())) == [False, True])
        strangers = tree.strangers(())
        ours = {entry.pid for entry in tree.leftovers(worker.pid, mark, strangers)}
        dead = [entry.pid for entry in strangers if entry.is_zombie]
        assert orphans.reap(strangers, 100.0, ours) == dead
        assert len(tree.strangers(())) == 1

    as_subreaper(scenario)


ORPHANS = """
import os, sys, time
from circus.posix import mark, tree
from circus.posix.spawn import Launch, spawn
assert os.getpid() == 1 and tree.become_subreaper()
own = mark.next_mark()
script = "for i in $(seq 1000); do (exit 3 &) ; done; exit 7"
worker = spawn(Launch(argv=("/bin/sh", "-c", script), env={"PATH": "/usr/bin:/bin"}, mark=own))
orphans, code, reaped, deadline = tree.Orphans(), None, 0, time.monotonic() + 30
while code is None or tree.strangers(()):
    assert time.monotonic() < deadline
    strangers = tree.strangers({worker.pid})
    ours = {entry.pid for entry in tree.leftovers(worker.pid, own, strangers)}
    reaped += len(orphans.reap(strangers, time.monotonic(), ours))
    if code is None and os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
print(code, reaped)
"""


def test_as_process_1_every_orphan_is_reaped_and_the_worker_keeps_its_exit_code() -> None:
    namespace = ["unshare", "--pid", "--fork", "--mount-proc", *(() if AS_ROOT else ("--map-root-user",))]
    done = subprocess.run(
        [*namespace, sys.executable, "-c", ORPHANS], capture_output=True, text=True, timeout=60, cwd=os.getcwd()
    )
    if "unshare failed" in done.stderr:
        pytest.skip(f"no process namespaces here: {done.stderr.strip()}")
    assert (done.stdout, done.stderr) == ("7 1000\n", "")


def test_kill_all_gives_up_on_who_does_not_die_and_returns_everybody_hit() -> None:
    looks = []

    def scenario() -> None:
        worker, _ = start("exec sleep 1000")

        def find() -> list[tree.ProcessEntry]:
            looks.append(time.monotonic())
            entry = processes.look(worker.pid)
            return [entry] if entry else []

        hit = tree.kill_all(find)
        assert [entry.pid for entry in hit] == [worker.pid]
        assert len(looks) == 2
        reap(worker)

    as_subreaper(scenario)
