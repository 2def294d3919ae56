"""circusd with `stream_backend = gevent`, and gevent programs with an arbiter, a client and a consumer in one hub."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from circus.client import CircusClient
from tests.real.support import Daemon, Program, host_program, ipc_endpoints, wait_for

pytest.importorskip("gevent", reason="the extra `green` is not installed; tests/run installs it")

pytestmark = pytest.mark.usefixtures("nobody_left")

LINES = 50_000

WRITER = """
import sys
for number in range(int(sys.argv[2])):
    sys.stdout.write("%s %d\\n" % (sys.argv[1], number))
"""


# ---- circusd -----------------------------------------------------------------------------------------------------


@pytest.fixture
def writer(tmp_path):
    """A program that writes numbered lines and ends."""
    path = tmp_path / "writer.py"
    path.write_text(WRITER)
    return path


def threads_of(pid):
    """Names of its threads, but for those of ZeroMQ."""
    names = [(task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()]
    return [name for name in names if not name.startswith("ZMQbg")]


def written_pid(daemon, path, number):
    """The pid that the process of this number, counted from 1, has written."""
    daemon.wait_for(lambda: path.exists() and path.read_text().count("\n") == number)
    return int(path.read_text().split()[-1])


def assert_complete(path, watchers, processes):
    """Each line of each process is there, whole and in order for its writer."""
    lines = path.read_text().splitlines()
    assert len(lines) == watchers * processes * LINES
    for name in "ab"[:watchers]:
        numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
        assert sorted(numbers) == sorted(list(range(LINES)) * processes)


def test_circusd_with_greenlets_loses_nothing_and_answers_while_logs_pour(tmp_path, writer):
    out = tmp_path / "out"
    out.touch()
    config = "stream_backend = gevent\n"
    for name in "ab":
        config += (
            f"[watcher:{name}]\ncmd = {sys.executable} {writer} {name} {LINES}\nnumprocesses = 2\nrespawn = false\n"
            f"stdout_stream.class = FileStream\nstdout_stream.filename = {out}\n"
        )
    with Daemon(tmp_path, config) as daemon:
        answers = 0
        while out.stat().st_size < 4 * LINES * 5:
            assert daemon.call("numwatchers")["numwatchers"] == 2
            answers += 1
        assert answers
        for name in "ab":
            daemon.wait_for_status(name, "stopped")
    assert_complete(out, watchers=2, processes=2)


def test_circusd_with_greenlets_starts_replaces_restarts_and_ends_as_always(tmp_path):
    out = tmp_path / "out"
    config = f"""
        stream_backend = gevent
        [watcher:web]
        cmd = /bin/sh -c 'echo $$; exec sleep 600'
        stdout_stream.class = FileStream
        stdout_stream.filename = {out}
    """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("web", "active")
        told = [written_pid(daemon, out, 1)]
        assert len(threads_of(daemon.pid)) == 1
        os.kill(told[0], signal.SIGKILL)
        told.append(written_pid(daemon, out, 2))
        for number, command in enumerate(("reload", "restart"), 3):
            assert daemon.call(command, waiting=True)["status"] == "ok"
            told.append(written_pid(daemon, out, number))
        assert len(set(told)) == 4
        daemon.wait_for_status("web", "active")
        assert daemon.pids("web") == told[-1:]
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


def test_hook_of_a_circusd_with_greenlets_has_a_thread_of_its_own(tmp_path):
    (tmp_path / "slow_hooks.py").write_text(
        "import os, time\n"
        "def wait(watcher, arbiter, hook_name, **kwargs):\n"
        "    while not os.path.exists('go'):\n"
        "        time.sleep(0.01)\n"
        "    return arbiter.numwatchers() == 2\n"
    )
    config = """
        stream_backend = gevent
        [watcher:held]
        cmd = sleep 600
        hooks.before_start = slow_hooks.wait
        [watcher:free]
        cmd = sleep 600
    """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("free", "active")
        assert daemon.call("status", name="held")["status"] != "active"
        (tmp_path / "go").touch()
        daemon.wait_for_status("held", "active")


def test_circusd_goes_into_the_background_before_gevent_is_loaded(tmp_path):
    endpoints = ipc_endpoints(tmp_path)
    pidfile = tmp_path / "pid"
    with Daemon(
        tmp_path,
        "stream_backend = gevent\n[watcher:web]\ncmd = sleep 600\n",
        "--daemon",
        "--pidfile",
        str(pidfile),
        "--log-output",
        str(tmp_path / "log"),
        endpoints=endpoints,
    ) as daemon:
        assert daemon.wait() == 0
        wait_for(lambda: daemon.call("status", name="web")["status"] == "active")
        assert daemon.call("quit", waiting=True)["status"] == "ok"
        wait_for(lambda: not pidfile.exists())


def test_circusd_without_gevent_says_what_to_install_and_uses_threads(tmp_path):
    endpoints = ipc_endpoints(tmp_path)
    path = tmp_path / "circus.ini"
    path.write_text(f"{endpoints.section}stream_backend = gevent\n[watcher:web]\ncmd = sleep 600\n")
    script = "import sys; sys.modules['gevent'] = None; from circus.circusd import main; sys.exit(main(sys.argv[1:]))"
    warning = (
        f"{path}:6: [circus] stream_backend: gevent needs the package gevent: "
        "pip install 'circus[green]'; thread is used"
    )
    with Program([sys.executable, "-c", script, "--check", str(path)], tmp_path) as program:
        assert program.wait() == 0
        assert program.output == f"warning: {warning}\n{path}: good, with 1 watcher\n"
    with Program([sys.executable, "-c", script, str(path)], tmp_path) as program:
        program.wait_for_output("Arbiter now waiting for commands")
        assert program.output.count(warning) == 1
        client = CircusClient(endpoint=endpoints.control)
        wait_for(lambda: client.call({"command": "status", "properties": {"name": "web"}})["status"] == "active")
        client.stop()


# ---- programs ----------------------------------------------------------------------------------------------------

BEGIN = """
import sys
if "patched" in sys.argv:
    from gevent import monkey
    monkey.patch_all()
import json, os, signal, threading
import gevent, gevent.subprocess
from circus.client import CircusClient
from circus.green import get_arbiter
from circus.green.client import CircusClient
from circus.green.consumer import CircusConsumer

control, pubsub, backend = sys.argv[1:4]

def fact(**facts):
    print(json.dumps(facts), flush=True)

def make(*watchers):
    return get_arbiter(list(watchers), controller=control, pubsub_endpoint=pubsub, multicast_endpoint="",
                       stream_backend=backend)

def until(fact):
    with gevent.Timeout(20):
        while not fact():
            gevent.sleep(0.005)
"""

WORLDS = pytest.mark.parametrize(
    "world", [("thread",), ("gevent",), ("thread", "patched"), ("gevent", "patched")], ids=" ".join
)


def program(script, directory, world):
    endpoints = ipc_endpoints(directory)
    return host_program(BEGIN + script, directory, endpoints.control, endpoints.pubsub, *world)


@WORLDS
def test_greenlets_of_the_program_run_while_the_arbiter_does_and_may_command_it(tmp_path, world):
    script = """
arbiter = make({"name": "web", "cmd": "sleep 600", "numprocesses": 2})
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0)  # once in each turn of the hub

def work():
    until(lambda: arbiter.running and arbiter.statuses() == {"web": "active"})
    web = arbiter.get_watcher("web")
    before = ticks
    fact(started=len(web.restart().result(20)["started"]), ticked_meanwhile=ticks > before)
    fact(count=web.incr().result(20), pids=len(web.pids))
    fact(figures=sorted(arbiter.stats(None, None, False).result(20)["web"]) == sorted(web.pids))
    arbiter.add_watcher("late", "sleep 600").start().result(20)
    fact(statuses=arbiter.statuses(), threads=[thread.name for thread in threading.enumerate()])
    before = ticks
    arbiter.stop().result(20)
    fact(stopped=True)

gevent.spawn(tick)
worker = gevent.spawn(work)
fact(restart=arbiter.start().result())
worker.get(timeout=20)
fact(ticks=ticks > 10)
"""
    with program(script, tmp_path, world) as host:
        assert host.wait() == 0, host.output
        facts = host.facts()
        assert facts["started"] == 2
        assert facts["ticked_meanwhile"]
        assert (facts["count"], facts["pids"]) == (3, 3)
        assert facts["figures"]
        assert facts["statuses"] == {"web": "active", "late": "active"}
        assert facts["stopped"]
        assert facts["restart"] is False
        assert facts["ticks"]


@WORLDS
def test_output_exit_codes_and_hooks_of_an_arbiter_beside_greenlets(tmp_path, writer, world):
    out = tmp_path / "out"
    (tmp_path / "counting_hooks.py").write_text(
        "def look(watcher, arbiter, hook_name, **kwargs):\n"
        "    return arbiter.get_watcher('other').incr().result(20) == 2\n"
    )
    script = f"""
arbiter = make(
    {{"name": "a", "cmd": sys.executable, "args": [{str(writer)!r}, "a", "{LINES}"], "respawn": False,
     "numprocesses": 2, "stdout_stream": {{"class": "FileStream", "filename": {str(out)!r}}},
     "hooks": {{"before_start": "counting_hooks.look"}}}},
    {{"name": "code", "cmd": "sh -c 'exit 7'", "respawn": False, "autostart": False}},
    {{"name": "other", "cmd": "sleep 600"}},
)
codes = []

def listen():
    for topic, payload in consumer:
        if topic == b"watcher.code.reap":
            codes.append(json.loads(payload)["exit_code"])
            return
        fact(connected=True)

def work():
    until(lambda: arbiter.running)
    client = CircusClient(endpoint=control)
    until(lambda: os.path.exists({str(out)!r}) and os.path.getsize({str(out)!r}))
    until(lambda: arbiter.get_watcher("a").is_stopped())
    fact(others=client.send_message("numprocesses", name="other")["numprocesses"])
    while not codes:  # the first events may pass before the consumer is connected
        client.send_message("start", name="code", waiting=True)
        gevent.sleep(0.05)
    arbiter.stop()
    client.stop()

consumer = CircusConsumer(["watcher.code."], endpoint=pubsub)
listener, worker = gevent.spawn(listen), gevent.spawn(work)
arbiter.start().result()
worker.get(timeout=20)
fact(codes=codes)
consumer.stop()
"""
    with program(script, tmp_path, world) as host:
        assert host.wait() == 0, host.output
        assert host.facts()["others"] == 2
        assert host.facts()["codes"] == [7]
    assert_complete(out, watchers=1, processes=2)


@WORLDS
def test_sigchld_is_left_to_the_program(tmp_path, world):
    """Whoever handles it there, as libev does when gevent starts a program, may reap what is not his."""
    script = """
arbiter = make({"name": "web", "cmd": "sleep 600"})

def work():
    until(lambda: arbiter.running and arbiter.statuses() == {"web": "active"})
    with open("/proc/self/status") as file:
        caught = next(int(line.split()[1], 16) for line in file if line.startswith("SigCgt"))
    fact(caught=bool(caught & 1 << signal.SIGCHLD - 1))
    arbiter.stop()

worker = gevent.spawn(work)
arbiter.start().result()
worker.get(timeout=20)
"""
    with program(script, tmp_path, world) as host:
        assert host.wait() == 0, host.output
        assert host.facts() == {"caught": False}


@WORLDS
def test_programs_that_gevent_runs_for_the_program_are_not_disturbed(tmp_path, world):
    script = """
arbiter = make({"name": "web", "cmd": "sleep 600"})

def work():
    until(lambda: arbiter.running and arbiter.statuses() == {"web": "active"})
    fact(first=gevent.subprocess.run(["sh", "-c", "exit 3"]).returncode)
    web = arbiter.get_watcher("web")
    [pid] = web.pids
    os.kill(pid, signal.SIGKILL)
    until(lambda: web.pids not in ([], [pid]))
    fact(second=gevent.subprocess.run(["sh", "-c", "exit 4"]).returncode)
    arbiter.stop()

worker = gevent.spawn(work)
arbiter.start().result()
worker.get(timeout=20)
fact(third=gevent.subprocess.run(["sh", "-c", "exit 5"]).returncode)
"""
    with program(script, tmp_path, world) as host:
        assert host.wait() == 0, host.output
        assert [host.facts()[key] for key in ("first", "second", "third")] == [3, 4, 5]


@WORLDS
def test_sigterm_ends_the_arbiter_and_the_program_goes_on(tmp_path, world):
    script = """
arbiter = make({"name": "web", "cmd": "sleep 600"})

def tell():
    until(lambda: arbiter.running and arbiter.statuses() == {"web": "active"})
    print("up", flush=True)

gevent.spawn(tell)
arbiter.start().result()
fact(handler=signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""
    with program(script, tmp_path, world) as host:
        host.wait_for_output("up")
        host.signal(signal.SIGTERM)
        assert host.wait() == 0, host.output
        assert host.facts()["handler"]


def test_two_arbiters_in_two_greenlets_end_in_any_order(tmp_path):
    script = """
from circus.green import get_arbiter

def one(number):
    return get_arbiter([{"name": "web", "cmd": "sleep 600"}], controller=control + number,
                       pubsub_endpoint=pubsub + number, multicast_endpoint="")

first, second = one("1"), one("2")
runs = [gevent.spawn(arbiter.start) for arbiter in (first, second)]
until(lambda: first.running and second.running)
until(lambda: first.statuses() == second.statuses() == {"web": "active"})
first.stop().result(20)
fact(first=runs[0].get(timeout=20).result(), second=second.statuses())
second.stop().result(20)
fact(end=runs[1].get(timeout=20).result(), handler=signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""
    with program(script, tmp_path, ("gevent",)) as host:
        assert host.wait() == 0, host.output
        assert host.facts() == {"first": False, "second": {"web": "active"}, "end": False, "handler": True}


def test_arbiter_whose_greenlet_is_killed_leaves_no_process_behind(tmp_path):
    script = """
arbiter = make({"name": "web", "cmd": "sleep 600", "numprocesses": 3})
run = gevent.spawn(arbiter.start)
until(lambda: arbiter.running and len(arbiter.get_watcher("web").pids) == 3)
run.kill()
fact(running=arbiter.running)
"""
    with program(script, tmp_path, ("thread",)) as host:  # nobody_left looks for the processes
        assert host.wait() == 0, host.output
        assert host.facts() == {"running": False}


# ---- clients and consumers ---------------------------------------------------------------------------------------


def test_client_and_consumer_of_one_hub_take_turns(tmp_path):
    script = """
ticks, seen = 0, []

def tick():
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0.001)

def listen():
    for topic, payload in consumer:
        seen.append(topic.decode())

def ask():
    with CircusClient(endpoint=control, timeout=20) as client:
        return client.send_message("restart", name="slow", waiting=True)["status"]

gevent.spawn(tick)
consumer = CircusConsumer("watcher.slow.", endpoint=pubsub)
listener = gevent.spawn(listen)
before = ticks
askers = [gevent.spawn(ask) for _ in range(3)]
fact(answers=[asker.get(timeout=20) for asker in askers], ticked=ticks > before)
until(lambda: "watcher.slow.reap" in seen or ask() is None)
consumer.stop()
listener.get(timeout=20)
fact(ended=True)

import zmq
from circus.exc import CallError
context = zmq.Context()
with CircusClient(context, endpoint=control, timeout=20) as client:
    fact(own_context=client.send_message("numwatchers")["numwatchers"])
    try:
        client.timeout = 0
        client.send_message("stop", name="slow", waiting=True)
    except CallError as exc:
        fact(timeout=str(exc))
    client.timeout = 20000
    client.call({"command": "quit", "properties": {}, "msg_type": "cast"})
context.term()
fact(done=True)
"""
    config = """
        [watcher:slow]
        cmd = /bin/sh -c 'trap "sleep 0.2; exit" TERM; while :; do sleep 0.05; done'
    """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("slow", "active")
        with program(script, tmp_path, ("thread",)) as host:
            assert host.wait() == 0, host.output
            facts = host.facts()
        assert facts["answers"] == ["ok"] * 3
        assert facts["ticked"]
        assert facts["ended"]
        assert facts["own_context"] == 1
        assert facts["timeout"] == "Timed out."
        assert facts["done"]
        assert daemon.wait() == 0
