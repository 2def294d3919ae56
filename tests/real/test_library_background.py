"""An arbiter in a thread of somebody's program: what is the program's stays the program's."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading

import pytest

from circus import get_arbiter
from circus.client import CircusClient
from circus.exc import ConflictError
from circus.library import ThreadedArbiter
from circus.loop import Loop
from circus.stream import QueueStream
from tests.real.support import (
    background,
    descriptors,
    host_program,
    ipc_endpoints,
    is_gone,
    tcp_endpoints,
    threads_named,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("nobody_left")

SLEEP = {"name": "a", "cmd": "sleep 60"}

# Put before the script of every host: an arbiter that is not started yet.
HOST = """
import ctypes, json, os, resource, signal, subprocess, sys, threading, time
from circus import get_arbiter
from circus.posix.processes import adopted, look

def wait_for(fact):
    deadline = time.monotonic() + 20
    while not (value := fact()):
        assert time.monotonic() < deadline, "still not true"
        time.sleep(0.002)
    return value

def tell(**facts):
    print(json.dumps(facts), flush=True)

def host(*watchers, **options):
    return get_arbiter(list(watchers), background=True, controller=sys.argv[1], pubsub_endpoint=sys.argv[2],
                       multicast_endpoint="", **options)
"""


def run_host(tmp_path, script, *words, exit_code=0):
    """What a host has told when it ended."""
    program = host_program(HOST + script, tmp_path, *ipc_endpoints(tmp_path), *words)
    with program:
        assert program.wait(60) == exit_code, program.output
    return program.facts()


# ---- the program's own -------------------------------------------------------------------------------------------


def test_exit_codes_of_the_programs_children_are_never_taken(tmp_path):
    facts = run_host(
        tmp_path,
        """
deaths = []
never_tired = {"flapping.retry_in": 0.01, "flapping.attempts": 1, "flapping.backoff": 1, "flapping.max_retry": -1,
               "flapping.window": 60}
arbiter = host({"name": "dies", "cmd": "sh -c 'exit 3'", "numprocesses": 4, **never_tired,
                "hooks": {"after_reap": lambda exit_code, **_: deaths.append(exit_code)}})
arbiter.start()
codes = set()
for _ in range(100):
    late = subprocess.Popen(["sh", "-c", "exit 8"])
    codes.add(subprocess.run(["sh", "-c", "exit 7"]).returncode)
    codes.add(late.wait())
wait_for(lambda: len(deaths) > 20)
tell(codes=sorted(codes), deaths=sorted(set(deaths)))
arbiter.stop()
        """,
    )
    assert facts == {"codes": [7, 8], "deaths": [3]}


def test_signals_limits_umask_and_orphans_stay_as_the_program_had_them(tmp_path):
    facts = run_host(
        tmp_path,
        """
def look_at():
    return {
        "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "wakeup": wakeup,
        "limits": [resource.getrlimit(which) for which in range(16)],
        "umask": [line for line in open("/proc/self/status") if line.startswith("Umask")],
        "subreaper": subreaper(),
    }

def subreaper():
    flag = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(flag), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
    return flag.value

umask, changes = os.umask, []
os.umask = lambda mask: changes.append(mask) or umask(mask)  # an instant that no look would meet
mine, wakeup = os.pipe()
os.set_blocking(wakeup, False)
signal.set_wakeup_fd(wakeup)
signal.signal(signal.SIGTERM, lambda *_: None)
before, seen, over = look_at(), [], threading.Event()

def watch():
    while not over.is_set():
        limits = [resource.getrlimit(which) for which in range(16)]
        if limits != before["limits"]:
            seen.append(limits)

watcher = threading.Thread(target=watch)
watcher.start()
for _ in range(5):
    arbiter = host({"name": "a", "cmd": "sleep 60", "numprocesses": 10})
    arbiter.start().result(20)
    during = look_at()
    arbiter.stop()
wakeup = signal.set_wakeup_fd(-1)
over.set()
watcher.join()
tell(during=during == before, after=look_at() == before, seen=seen, umasks=changes)
        """,
    )
    assert facts == {"during": True, "after": True, "seen": [], "umasks": []}


def test_socket_file_is_for_the_owner_only_in_a_thread_as_well(tmp_path):
    with background(tmp_path) as arbiter:
        path = arbiter.endpoint.removeprefix("ipc://")
        assert os.stat(path).st_mode & 0o777 == 0o600


def test_dead_workers_leave_no_zombie_in_the_program(tmp_path):
    facts = run_host(
        tmp_path,
        """
arbiter = host({"name": "a", "cmd": "sleep 60", "numprocesses": 5})
arbiter.start().result(20)
first = arbiter.get_watcher("a").get_active_pids()
for pid in first:
    os.kill(pid, signal.SIGKILL)
again = wait_for(lambda: pids if len(pids := arbiter.get_watcher("a").get_active_pids()) == 5
                 and not set(pids) & set(first) else None)
arbiter.stop()
tell(left=[pid for pid in first + again if look(pid) is not None])
        """,
    )
    assert facts == {"left": []}


@pytest.mark.parametrize("how", ["stop", "restart", "kill"])
def test_offspring_that_has_left_the_group_ends_with_its_worker(tmp_path, how):
    script = tmp_path / "family.sh"
    script.write_text(
        "sleep 1001 & echo in $!\n"
        "setsid sh -c 'echo out $$; exec sleep 1002' &\n"
        "setsid -f sh -c 'setsid sh -c \"echo far \\$\\$; exec sleep 1003\" & wait' &\n"
        "echo self $$; wait\n"
    )
    facts = run_host(
        tmp_path,
        f"""
how = {how!r}
arbiter = host({{"name": "a", "cmd": "sh {script}", "stdout_stream": {{"filename": "{tmp_path}/out"}},
                "graceful_timeout": 5}})
arbiter.start().result(20)
words = wait_for(lambda: found if len(found := dict(line.split() for line in open("{tmp_path}/out"))) == 4 else None)
family = [int(pid) for pid in words.values()]
watcher = arbiter.get_watcher("a")
if how == "kill":
    watcher.kill_processes(graceful_timeout=0).result(20)
else:
    getattr(watcher, how)().result(20)
tell(left=sorted(name for name, pid in words.items() if look(int(pid)) and not look(int(pid)).is_zombie))
if how != "stop":
    wait_for(lambda: len(open("{tmp_path}/out").readlines()) == 8)
arbiter.stop()
        """,
    )
    # One that had left even its parent before anybody looked is nobody's: only a daemon, which adopts it, finds it.
    for line in (tmp_path / "out").read_text().splitlines():
        name, pid = line.split()
        if name == "far" and not is_gone(int(pid)):
            os.kill(int(pid), signal.SIGKILL)
    assert [name for name in facts["left"] if name != "far"] == []


def test_offspring_in_the_group_of_a_worker_that_died_by_itself_is_ended(tmp_path):
    facts = run_host(
        tmp_path,
        f"""
arbiter = host({{"name": "a", "cmd": "sh -c 'sleep 1001 & echo $!; exit 0'", "respawn": False,
                "stdout_stream": {{"filename": "{tmp_path}/out"}}}})
arbiter.start().result(20)
pid = int(wait_for(lambda: open("{tmp_path}/out").read()))
wait_for(lambda: (entry := look(pid)) is None or entry.is_zombie)
wait_for(lambda: arbiter.statuses() == {{"a": "stopped"}})
arbiter.stop()
tell(gone=True)
        """,
    )
    assert facts == {"gone": True}


def test_children_of_the_program_that_look_like_strangers_are_left_alone(tmp_path):
    facts = run_host(
        tmp_path,
        """
own = subprocess.Popen(["sleep", "1004"], start_new_session=True)
arbiter = host({"name": "a", "cmd": "sleep 60", "numprocesses": 3})
arbiter.start().result(20)
also = subprocess.Popen(["sleep", "1005"])
arbiter.get_watcher("a").restart().result(20)
arbiter.stop()
tell(alive=[own.poll(), also.poll()])
own.kill(); also.kill()
tell(codes=[own.wait(), also.wait()])
        """,
    )
    assert facts == {"alive": [None, None], "codes": [-9, -9]}


# ---- beginning and end -------------------------------------------------------------------------------------------


def test_start_and_stop_again_and_again_leaks_neither_threads_nor_descriptors(tmp_path):
    watcher = {**SLEEP, "stdout_stream": {"class": "QueueStream"}, "hooks": {"before_start": lambda **_: True}}
    arbiter = get_arbiter([watcher], background=True, **ipc_endpoints(tmp_path).arguments)
    counts = []
    for _ in range(6):
        arbiter.start().result(20)
        arbiter.stop()
        wait_for(lambda: not threads_named("circus", "hooks of", "sampling"))
        counts.append(len(descriptors()))
    assert len(set(counts[1:])) == 1, counts  # the first one may open what Python keeps


@pytest.mark.parametrize("which", ["control", "pubsub"])
def test_endpoint_in_use_is_raised_by_start_and_another_start_works(tmp_path, which):
    endpoints = tcp_endpoints()
    arbiter = get_arbiter([SLEEP], background=True, **endpoints.arguments)
    assert arbiter.loop  # made now, and kept for the next start
    taken = {("controller" if which == "control" else "pubsub_endpoint"): getattr(endpoints, which)}
    with background(tmp_path, **taken):
        before = len(descriptors())
        with pytest.raises(OSError, match="already in use"):
            arbiter.start()
        assert not arbiter.is_alive()
        assert len(descriptors()) == before
        assert arbiter.stop().result(20) is None
    arbiter.start().result(20)
    assert arbiter.statuses() == {"a": "active"}
    arbiter.stop()


def test_arbiter_that_runs_cannot_be_started_a_second_time(tmp_path):
    with background(tmp_path, SLEEP) as arbiter, pytest.raises(RuntimeError, match="runs already"):
        arbiter.start()


def test_stop_before_the_start_and_after_the_end_is_nothing(tmp_path):
    arbiter = get_arbiter([SLEEP], background=True, **ipc_endpoints(tmp_path).arguments)
    assert arbiter.stop().result(0) is None
    arbiter.start()
    arbiter.stop()
    assert arbiter.stop().result(0) is None
    assert arbiter.get_watcher("a").stop().result(0) is None


def test_stop_in_the_middle_of_a_start_wins(tmp_path):
    slow = {"name": "slow", "cmd": "sleep 60", "numprocesses": 100, "warmup_delay": 3600}
    arbiter = get_arbiter([slow], background=True, **ipc_endpoints(tmp_path).arguments)
    up = arbiter.start()
    arbiter.stop()
    assert isinstance(up.exception(0), ConflictError)
    assert not arbiter.is_alive()


def test_stop_from_several_threads_at_once_ends_each_worker_gracefully(tmp_path):
    out = QueueStream()
    script = "trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done"
    with background(tmp_path, {"name": "a", "cmd": script, "shell": True, "stdout_stream": {"stream": out}}) as arbiter:
        assert out.get(timeout=20)["data"] == b"up\n"
        threads = [threading.Thread(target=arbiter.stop) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert out.get(timeout=20)["data"] == b"bye\n"
        assert not arbiter.is_alive()


def test_stop_from_the_loop_and_from_a_client_ends_the_thread(tmp_path):
    for end in (
        lambda arbiter: arbiter.loop.add_callback(arbiter.stop),
        lambda arbiter: arbiter.loop.call(lambda: arbiter.stop().add_done_callback(lambda _: None)),
        lambda arbiter: CircusClient(endpoint=arbiter.endpoint, timeout=20).send_message("quit", waiting=True),
    ):
        with background(tmp_path, SLEEP) as arbiter:
            end(arbiter)
            arbiter.join(20)
            assert not arbiter.is_alive()


@pytest.mark.parametrize("name", ["before_start", "after_start", "after_spawn", "before_stop", "after_stop"])
def test_stop_from_a_hook_ends_everything(tmp_path, name):
    called = []

    def hook(watcher, arbiter, hook_name, **_):
        called.append(hook_name)
        arbiter.stop()
        return True

    with background(tmp_path, {**SLEEP, "hooks": {name: hook}}, SLEEP | {"name": "b"}) as arbiter:
        if name in ("before_stop", "after_stop"):
            wait_for(arbiter.get_watcher("a").is_active)
            arbiter.get_watcher("a").stop()
        arbiter.join(20)
        assert not arbiter.is_alive()
    assert called[0] == name


def test_program_that_forgets_to_stop_leaves_nobody_behind(tmp_path):
    facts = run_host(
        tmp_path,
        """
arbiter = host({"name": "a", "cmd": "sleep 60", "numprocesses": 3})
arbiter.start().result(20)
tell(pids=arbiter.get_watcher("a").get_active_pids())
        """,
    )
    assert len(facts["pids"]) == 3
    assert all(map(is_gone, facts["pids"]))


def test_program_that_dies_of_an_error_leaves_nobody_behind(tmp_path):
    facts = run_host(
        tmp_path,
        """
arbiter = host({"name": "a", "cmd": "sleep 60"})
arbiter.start().result(20)
tell(pids=arbiter.get_watcher("a").get_active_pids())
raise SystemExit(4)
        """,
        exit_code=4,
    )
    assert all(map(is_gone, facts["pids"]))


def test_fork_of_the_program_ends_by_itself(tmp_path):
    facts = run_host(
        tmp_path,
        """
arbiter = host({"name": "a", "cmd": "sleep 60"})
arbiter.start().result(20)
pid = os.fork()
if pid == 0:
    sys.exit(5)  # runs what is registered for the end of the program, too
tell(code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), status=arbiter.statuses()["a"])
arbiter.stop()
        """,
    )
    assert facts == {"code": 5, "status": "active"}


# ---- several -----------------------------------------------------------------------------------------------------


def test_two_arbiters_in_one_program_do_not_know_each_other(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    with background(tmp_path / "1", SLEEP) as first, background(tmp_path / "2", {**SLEEP, "numprocesses": 2}) as second:
        wait_for(lambda: (first.numprocesses(), second.numprocesses()) == (1, 2))
        ours = first.get_watcher("a").get_active_pids()
        theirs = second.get_watcher("a").get_active_pids()
        os.kill(ours[0], signal.SIGKILL)
        os.kill(theirs[0], signal.SIGKILL)
        wait_for(lambda: first.get_watcher("a").get_active_pids() not in ([], ours))
        wait_for(lambda: len(pids := second.get_watcher("a").get_active_pids()) == 2 and pids != theirs)
        first.stop()
        assert second.statuses() == {"a": "active"}
        assert theirs[1] in second.get_watcher("a").get_active_pids()


def test_two_arbiters_can_share_a_loop_of_the_program(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    loop = Loop()
    arbiters = [get_arbiter([SLEEP], loop=loop, **ipc_endpoints(tmp_path / number).arguments) for number in ("1", "2")]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)}

    def program():
        for arbiter in arbiters:
            assert loop.run_sync(arbiter.start) == {}
        assert [arbiter.statuses() for arbiter in arbiters] == [{"a": "active"}] * 2
        loop.run_sync(arbiters[0].stop)
        assert [arbiter.statuses()["a"] for arbiter in arbiters] == ["stopped", "active"]
        loop.run_sync(arbiters[1].stop)
        loop.run_sync(lambda: None)  # what the end has posted
        assert not any(arbiter.running for arbiter in arbiters)

    thread = threading.Thread(target=program)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert [arbiter.statuses()["a"] for arbiter in arbiters] == ["stopped", "stopped"]
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    loop.close()


# ---- any thread --------------------------------------------------------------------------------------------------


def test_every_thread_may_ask_at_any_moment(tmp_path):
    """Eight threads do everything at once for a while; the last wish wins, and nobody is refused or hangs."""
    errors = []
    watchers = [{**SLEEP, "name": name, "numprocesses": 2} for name in ("a", "b", "c")]

    def pester(arbiter: ThreadedArbiter, number: int) -> None:
        try:
            for turn in range(12):
                watcher = arbiter.get_watcher("abc"[(number + turn) % 3])
                for verb in (watcher.start, watcher.incr, watcher.reload, watcher.stop, watcher.decr, watcher.restart):
                    verb()
                watcher.numprocesses = 2
                _ = watcher.processes, watcher.status(), watcher.options(), arbiter.statuses(), arbiter.reasons()
                _ = [process.is_alive() for process in watcher.get_active_processes()]
                arbiter.add_watcher(f"x{number}-{turn}", "sleep 60").start()
                arbiter.rm_watcher(f"x{number}-{turn}")
        except Exception as error:  # shown by the test
            errors.append(error)

    with background(tmp_path, *watchers) as arbiter:
        threads = [threading.Thread(target=pester, args=(arbiter, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert errors == []
        for name in "abc":
            watcher = arbiter.get_watcher(name)
            watcher.set_numprocesses(1)
            assert watcher.start().exception(20) is None
        wait_for(lambda: arbiter.statuses() == {"a": "active", "b": "active", "c": "active"})
        wait_for(lambda: arbiter.numprocesses() == 3)


def test_calls_that_meet_the_end_return(tmp_path):
    over = threading.Event()
    errors = []

    def pester(arbiter: ThreadedArbiter) -> None:
        while not over.is_set():
            try:
                arbiter.get_watcher("a").restart()
                arbiter.statuses()
                arbiter.get_watcher("a").numprocesses = 2
            except Exception as error:  # shown by the test
                errors.append(error)
                return

    for _ in range(5):
        over.clear()
        with background(tmp_path, SLEEP) as arbiter:
            threads = [threading.Thread(target=pester, args=(arbiter,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            wait_for(lambda: arbiter.get_watcher("a").numprocesses == 2)
            arbiter.stop()
        over.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    assert errors == []


def test_futures_can_be_awaited(tmp_path):
    async def program(arbiter):
        watcher = arbiter.get_watcher("a")
        first = await watcher.restart()
        both = await asyncio.gather(watcher.incr(), arbiter.stats(["a"], None, False))
        await watcher.stop()
        return first, both

    with background(tmp_path, SLEEP) as arbiter:
        first, (number, stats) = asyncio.run(program(arbiter))
    assert len(first["started"]) == 1
    assert number == 2
    assert set(stats) == {"a"}


def test_waiting_in_the_loops_own_thread_is_refused_and_not_a_deadlock(tmp_path):
    with background(tmp_path, SLEEP) as arbiter:
        watcher = arbiter.get_watcher("a")
        wait_for(watcher.is_active)
        for ask in (
            lambda: watcher.restart().result(),
            lambda: watcher.restart().exception(),
            lambda: arbiter.stop_watchers().result(),
            lambda: watcher.incr().then(str).result(),
            lambda: arbiter.dstats().result(),  # measures for some milliseconds, so it is never there at once
        ):
            with pytest.raises(RuntimeError, match="wait for itself"):
                arbiter.loop.call(ask)
        assert watcher.start().exception(20) is None


def test_statistics_of_everything_are_there_without_a_wait_of_the_loop(tmp_path):
    with background(tmp_path, {**SLEEP, "numprocesses": 3}) as arbiter:
        wait_for(lambda: arbiter.numprocesses() == 3)
        infos = arbiter.stats(None, None, False).result(20)
        assert sorted(infos["a"]) == sorted(arbiter.get_watcher("a").get_active_pids())
        assert arbiter.dstats().result(20)["pid"] == os.getpid()


def test_program_around_goes_on_while_the_arbiter_works(tmp_path):
    with background(tmp_path, {**SLEEP, "numprocesses": 20}) as arbiter:
        for _ in range(20):
            assert subprocess.run(["sh", "-c", "exit 3"]).returncode == 3
            arbiter.get_watcher("a").restart()
        assert arbiter.get_watcher("a").start().exception(20) is None


def test_context_of_the_program_is_used_and_left_open(tmp_path):
    import zmq

    context = zmq.Context()
    with background(tmp_path, SLEEP, context=context) as arbiter:
        assert arbiter.context is context
    assert not context.closed
    context.term()


def test_port_that_is_chosen_by_the_system_is_told(tmp_path):
    with background(tmp_path, controller="tcp://127.0.0.1:*", pubsub_endpoint="tcp://127.0.0.1:0") as arbiter:
        for endpoint in (arbiter.endpoint, arbiter.pubsub_endpoint):
            assert int(endpoint.rpartition(":")[2]) > 0
        client = CircusClient(endpoint=arbiter.endpoint, timeout=20)
        assert client.send_message("numwatchers")["numwatchers"] == 0
        client.stop()
