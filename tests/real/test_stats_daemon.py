"""circusd-stats beside a real circusd: what it publishes, whom it follows, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import zmq

from tests.real.support import PATIENCE, Daemon, Endpoints, Program, free_port, ipc_endpoints, is_gone, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")

FIGURES = {
    "mem_info1", "mem_info2", "cpu", "mem", "ctime", "pid", "username", "nice", "create_time", "age", "cmdline",
    "children", "subtopic", "name",
}  # fmt: skip


# As circusd starts it, but in a hurry.
HURRIED = """
from circus import stats
from circus.stats.daemon import questions, streamer
streamer.ROUND_DELAY = 0.25
streamer.AWAY_DELAY = 0.5
questions.ANSWER_TIMEOUT = 1.5
stats.main()
"""


class Stats(Program):
    """circusd-stats."""

    def __init__(self, directory: Path, endpoints: Endpoints, *words: str) -> None:
        self.statspoint = f"ipc://{directory}/stats"
        program = [sys.executable, "-c", HURRIED]
        where = ["--endpoint", endpoints.control, "--pubsub", endpoints.pubsub, "--statspoint", self.statspoint]
        super().__init__([*program, *where, *words], directory)


class Listener:
    """Keeps what is published, newest last."""

    def __init__(self, endpoint: str, topic: str = "stat.") -> None:
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.connect(endpoint)
        self._socket.setsockopt_string(zmq.SUBSCRIBE, topic)

    def receive(self) -> tuple[str, dict[str, Any]]:
        """The next message; waits for it."""
        assert self._socket.poll(int(PATIENCE * 1000)), "nothing is published"
        topic, payload = self._socket.recv_multipart()
        return topic.decode().removeprefix("stat."), json.loads(payload)

    def round(self) -> dict[str, dict[str, Any]]:
        """One whole round by topic: from a message of the group `circus`, which comes first, to the next one."""
        return next(self._rounds())

    def _rounds(self) -> Iterator[dict[str, dict[str, Any]]]:
        found: dict[str, dict[str, Any]] = {}
        while True:
            topic, payload = self.receive()
            if topic.startswith("circus.") and "circus" in found:
                if next(iter(found)).startswith("circus."):
                    yield found
                found = {}
            found[topic] = payload

    def wait_for(self, group: str, pids: list[int]) -> dict[str, dict[str, Any]]:
        """The first round in which a watcher has just these processes; none: it has no topic."""
        seen: list[Any] = []

        def same() -> Any:
            found = self.round()
            seen.append({topic: payload["pid"] for topic, payload in found.items()})
            return found if sorted(found.get(group, {"pid": []})["pid"]) == sorted(pids) else None

        return dict(wait_for(same, what=lambda: f"({group}: {pids}); seen: {seen[-3:]}"))

    def close(self) -> None:
        self._socket.close(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


SLEEPERS = """
[watcher:My Sleepers]
cmd = sleep 1000
numprocesses = 2
[watcher:other.one]
cmd = sleep 1000
"""


# ---- what is published -------------------------------------------------------------------------------------------


def test_each_process_each_watcher_and_circus_itself_have_a_topic(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPERS) as daemon:
        daemon.wait_for(lambda: len(daemon.pids("my sleepers")) == 2 and daemon.pids("other.one"))
        with Stats(tmp_path, daemon.endpoints) as stats, Listener(stats.statspoint) as listener:
            pids = daemon.pids("my sleepers")
            found = listener.wait_for("my_sleepers", pids)
            (other,) = daemon.pids("other.one")
            assert set(found) == {
                "circus", f"circus.{daemon.pid}", f"circus.{stats.pid}",
                "my_sleepers", *(f"my_sleepers.{pid}" for pid in pids),
                "other.one", f"other.one.{other}",
            }  # fmt: skip
            names = {pid: found[f"circus.{pid}"]["name"] for pid in (daemon.pid, stats.pid)}
            assert names == {daemon.pid: "circusd", stats.pid: "circusd-stats"}
            for pid in pids:
                figures = found[f"my_sleepers.{pid}"]
                assert set(figures) == FIGURES
                assert (figures["pid"], figures["subtopic"], figures["name"]) == (pid, pid, None)
                assert (figures["cmdline"], figures["children"]) == ("sleep", [])
            each, total = [found[f"my_sleepers.{pid}"] for pid in pids], found["my_sleepers"]
            assert set(total) == {"pid", "cpu", "mem", "age"}
            assert total["cpu"] == pytest.approx(sum(figures["cpu"] for figures in each) / 2)
            assert total["mem"] == pytest.approx(sum(figures["mem"] for figures in each))
            assert total["age"] == max(figures["age"] for figures in each)


def test_a_process_that_works_uses_cpu(tmp_path: Path) -> None:
    busy = f"[watcher:busy]\ncmd = {sys.executable} -c 'while True: pass'\n"
    with (
        Daemon(tmp_path, busy) as daemon,
        Stats(tmp_path, daemon.endpoints) as stats,
        Listener(stats.statspoint) as listener,
    ):
        wait_for(lambda: listener.round().get("busy", {"cpu": 0})["cpu"] > 1)


def test_who_wants_one_watcher_gets_no_other(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, SLEEPERS) as daemon,
        Stats(tmp_path, daemon.endpoints) as stats,
        Listener(stats.statspoint, "stat.other.one") as listener,
    ):
        topics = {listener.receive()[0] for _ in range(4)}
        assert topics == {"other.one", f"other.one.{daemon.pids('other.one')[0]}"}


def test_nobody_listens_so_nobody_is_looked_at(tmp_path: Path) -> None:
    """Reads are counted: one that looks has some in every round."""

    def reads() -> int:
        text = Path(f"/proc/{stats.pid}/io").read_text()
        return int(text.partition("syscr: ")[2].split()[0])

    def reads_in_some_rounds() -> int:
        before, end_at = reads(), time.monotonic() + 1.1
        wait_for(lambda: time.monotonic() > end_at)
        return reads() - before

    with Daemon(tmp_path, SLEEPERS) as daemon, Stats(tmp_path, daemon.endpoints) as stats:
        with Listener(stats.statspoint) as listener:
            listener.round()
            assert reads_in_some_rounds() >= 2 * 2 * 5  # two files of each of five
        wait_for(lambda: reads_in_some_rounds() == 0)
        with Listener(stats.statspoint) as listener:
            listener.round()


# ---- sockets -----------------------------------------------------------------------------------------------------

SOCKETS = """
statsd = true
stats_endpoint = ipc://{folder}/stats
[socket:web]
host = 127.0.0.1
port = 0
[socket:api]
path = {folder}/api.sock
[socket:dns]
type = SOCK_DGRAM
host = 127.0.0.1
port = 0
[socket:own]
so_reuseport = true
port = {port}
[watcher:idle]
cmd = sleep 1000
use_sockets = true
"""


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[tuple[Daemon, dict[str, dict[str, Any]]]]:
    """A daemon whose sockets nobody accepts from, and what it says of them."""
    with Daemon(tmp_path, SOCKETS.format(folder=tmp_path, port=free_port())) as daemon:
        yield daemon, {each["name"]: each for each in daemon.call("listsockets")["sockets"]}


def switches(pid: int) -> int:
    """How often it has gone to sleep so far."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("voluntary_ctxt_switches:")[2].split()[0])


def wake_ups(pid: int) -> int:
    """Of about a second."""
    before, end_at = switches(pid), time.monotonic() + 1.1
    wait_for(lambda: time.monotonic() > end_at)
    return switches(pid) - before


def test_hits_of_each_socket_and_of_all_have_a_topic(
    tmp_path: Path, sockets: tuple[Daemon, dict[str, dict[str, Any]]]
) -> None:
    _, listed = sockets
    web, api, dns = (listed[name] for name in ("web", "api", "dns"))
    addresses = {
        web["fd"]: f"127.0.0.1:{web['port']}", api["fd"]: f"{tmp_path}/api.sock", dns["fd"]: f"127.0.0.1:{dns['port']}",
    }  # fmt: skip
    with Listener(f"ipc://{tmp_path}/stats", "stat.sockets") as listener:

        def figures() -> dict[str, dict[str, Any]]:
            found: dict[str, dict[str, Any]] = {}
            while "sockets" not in found:
                topic, payload = listener.receive()
                found[topic] = payload
            return found

        idle = wait_for(lambda: (found := figures()) and len(found) == 4 and found)
        assert idle["sockets"] == {"addresses": [addresses[fd] for fd in sorted(addresses)], "reads": 0}
        for fd, address in addresses.items():
            assert idle[f"sockets.{fd}"] == {"fd": fd, "subtopic": fd, "reads": 0, "address": address}
        with socket.create_connection(("127.0.0.1", web["port"])):
            busy = wait_for(lambda: (found := figures())["sockets"]["reads"] > 10 and found)
            assert busy[f"sockets.{web['fd']}"]["reads"] == busy["sockets"]["reads"] <= 110
        with socket.socket(socket.AF_UNIX) as client, socket.socket(type=socket.SOCK_DGRAM) as sender:
            client.connect(f"{tmp_path}/api.sock")
            sender.sendto(b"x", ("127.0.0.1", dns["port"]))
            waited = [f"sockets.{each['fd']}" for each in (api, dns)]
            wait_for(lambda: (found := figures()) and all(found[topic]["reads"] for topic in waited))


def test_nobody_listens_to_sockets_so_none_is_looked_at(
    tmp_path: Path, sockets: tuple[Daemon, dict[str, dict[str, Any]]]
) -> None:
    daemon, _ = sockets
    (pid,) = daemon.wait_for(lambda: daemon.pids("circusd-stats"))
    with Listener(f"ipc://{tmp_path}/stats", "stat.sockets") as listener:
        listener.receive()
        assert wake_ups(pid) > 30
    wait_for(lambda: wake_ups(pid) == 0)
    with Listener(f"ipc://{tmp_path}/stats", "stat.idle") as listener:
        listener.receive()
        wait_for(lambda: wake_ups(pid) < 20)


def test_what_it_has_not_inherited_is_not_shown(
    tmp_path: Path, sockets: tuple[Daemon, dict[str, dict[str, Any]]]
) -> None:
    daemon, listed = sockets
    folder = tmp_path / "alone"
    folder.mkdir()
    with Stats(folder, daemon.endpoints) as stats, Listener(stats.statspoint) as listener:
        listener.wait_for("idle", daemon.pids("idle"))
        found = [topic for _ in range(3) for topic in listener.round()]
        assert len(listed) == 4 and not [topic for topic in found if topic.startswith("sockets")]


def test_another_circusd_stats_sees_the_sockets_that_a_reloadconfig_has_opened(tmp_path: Path) -> None:
    config = f"statsd = true\nstats_endpoint = ipc://{tmp_path}/stats\n" + "[watcher:w]\ncmd = sleep 1000\n"
    first, second = (f"[socket:{name}]\npath = {tmp_path}/{name}.sock\n" for name in ("first", "second"))
    with Daemon(tmp_path, config + first) as daemon:
        before = daemon.wait_for(lambda: daemon.pids("circusd-stats"))
        with Listener(f"ipc://{tmp_path}/stats", "stat.sockets") as listener:
            wait_for(lambda: listener.receive()[1].get("addresses") == [f"{tmp_path}/first.sock"])
        daemon.write_config(config + second)
        assert daemon.call("reloadconfig", waiting=True)["status"] == "ok"
        daemon.wait_for(lambda: daemon.pids("circusd-stats") not in (before, []))
        with Listener(f"ipc://{tmp_path}/stats", "stat.sockets") as listener:
            wait_for(lambda: listener.receive()[1].get("addresses") == [f"{tmp_path}/second.sock"])


# ---- whom it follows ---------------------------------------------------------------------------------------------


def test_a_name_with_a_blank_is_one_topic_before_and_after_a_spawn(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, SLEEPERS) as daemon,
        Stats(tmp_path, daemon.endpoints) as stats,
        Listener(stats.statspoint) as listener,
    ):
        listener.wait_for("my_sleepers", daemon.pids("My Sleepers"))
        daemon.call("incr", name="My Sleepers", waiting=True)
        pids = daemon.pids("My Sleepers")
        assert len(pids) == 3
        found = listener.wait_for("my_sleepers", pids)
        groups = {topic.partition(".")[0] for topic in found}
        assert groups == {"circus", "my_sleepers", "other"}


def test_deaths_stops_starts_and_removals_are_followed(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, SLEEPERS) as daemon,
        Stats(tmp_path, daemon.endpoints) as stats,
        Listener(stats.statspoint) as listener,
    ):
        daemon.wait_for_status("my sleepers", "active")
        first = daemon.pids("my sleepers")
        listener.wait_for("my_sleepers", first)
        os.kill(first[0], signal.SIGKILL)
        daemon.wait_for(lambda: len(set(daemon.pids("my sleepers")) - {first[0]}) == 2)
        found = listener.wait_for("my_sleepers", daemon.pids("my sleepers"))
        assert f"my_sleepers.{first[0]}" not in found
        daemon.call("stop", name="my sleepers", waiting=True)
        listener.wait_for("my_sleepers", [])
        daemon.call("start", name="my sleepers", waiting=True)
        listener.wait_for("my_sleepers", daemon.pids("my sleepers"))
        daemon.call("add", name="Added", cmd="sleep 1000", start=True, waiting=True)
        listener.wait_for("added", daemon.pids("added"))
        daemon.call("rm", name="added", waiting=True)
        listener.wait_for("added", [])


def test_processes_let_go_by_a_removal_are_not_followed_any_more(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, SLEEPERS) as daemon,
        Stats(tmp_path, daemon.endpoints) as stats,
        Listener(stats.statspoint) as listener,
    ):
        daemon.wait_for_status("other.one", "active")
        pids = daemon.pids("other.one")
        listener.wait_for("other.one", pids)
        daemon.call("rm", name="other.one", nostop=True, waiting=True)
        listener.wait_for("other.one", [])
        os.kill(pids[0], signal.SIGKILL)


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[tuple[Daemon, Stats, Any]]:
    """A circusd-stats that gets no events but those the test sends: all others are lost."""
    events = zmq.Context.instance().socket(zmq.PUB)
    events.linger = 0
    events.bind(f"ipc://{tmp_path}/fake")
    try:
        with Daemon(tmp_path, SLEEPERS) as daemon:
            endpoints = Endpoints(daemon.endpoints.control, f"ipc://{tmp_path}/fake")
            with Stats(tmp_path, endpoints) as stats:
                yield daemon, stats, events
    finally:
        events.close(0)


def test_lost_events_are_made_up_for_when_a_process_nobody_knows_dies(deaf: tuple[Daemon, Stats, Any]) -> None:
    daemon, stats, events = deaf
    with Listener(stats.statspoint) as listener:
        before = daemon.pids("my sleepers")
        listener.wait_for("my_sleepers", before)
        daemon.call("incr", name="my sleepers", waiting=True)
        found = listener.wait_for("my_sleepers", before)  # it has not heard of it
        assert len(found["my_sleepers"]["pid"]) == 2
        events.send_multipart([b"watcher.my_sleepers.reap", b'{"process_pid": 1, "time": 0}'])
        listener.wait_for("my_sleepers", daemon.pids("my sleepers"))


def test_lost_events_are_made_up_for_when_somebody_begins_to_listen(deaf: tuple[Daemon, Stats, Any]) -> None:
    daemon, stats, _ = deaf
    with Listener(stats.statspoint) as listener:
        listener.wait_for("my_sleepers", daemon.pids("my sleepers"))
    daemon.call("incr", name="my sleepers", waiting=True)
    with Listener(stats.statspoint) as listener:
        listener.wait_for("my_sleepers", daemon.pids("my sleepers"))


def test_lost_events_are_made_up_for_after_a_pause(deaf: tuple[Daemon, Stats, Any]) -> None:
    daemon, stats, _ = deaf
    with Listener(stats.statspoint) as listener:
        listener.wait_for("my_sleepers", daemon.pids("my sleepers"))
        stats.signal(signal.SIGSTOP)
        daemon.call("incr", name="my sleepers", waiting=True)
        end_at = time.monotonic() + 3.5  # longer than what counts as a pause
        wait_for(lambda: time.monotonic() > end_at)
        stats.signal(signal.SIGCONT)
        listener.wait_for("my_sleepers", daemon.pids("my sleepers"))


def test_events_that_are_none_are_passed_over(deaf: tuple[Daemon, Stats, Any]) -> None:
    daemon, stats, events = deaf
    with Listener(stats.statspoint) as listener:
        listener.round()
        for frames in (
            [b"watcher."],
            [b"watcher.a.spawn", b"{"],
            [b"watcher.a.reap", b"[]"],
            [b"watcher.\xff.x", b"1"],
        ):
            events.send_multipart(frames)
        listener.wait_for("my_sleepers", daemon.pids("my sleepers"))
    assert "Traceback" not in stats.output


def test_another_circusd_at_the_same_place_is_found(tmp_path: Path) -> None:
    endpoints = ipc_endpoints(tmp_path)
    (tmp_path / "second").mkdir()
    with Daemon(tmp_path, SLEEPERS, endpoints=endpoints) as first:
        stats = Stats(tmp_path, endpoints)
        listener = Listener(stats.statspoint)
        try:
            listener.wait_for("my_sleepers", first.pids("my sleepers"))
            first.end()
            listener.wait_for("my_sleepers", [])
            with Daemon(tmp_path / "second", SLEEPERS, endpoints=endpoints) as second:
                second.wait_for(lambda: len(second.pids("my sleepers")) == 2)
                found = listener.wait_for("my_sleepers", second.pids("my sleepers"))
                assert f"circus.{second.pid}" in found or listener.wait_for("circus", [second.pid, stats.pid])
        finally:
            listener.close()
            stats.end()


# ---- how it ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT", "SIGWINCH"])
def test_signals_end_it_well(tmp_path: Path, name: str) -> None:
    with (
        Daemon(tmp_path, SLEEPERS) as daemon,
        Stats(tmp_path, daemon.endpoints) as stats,
        Listener(stats.statspoint) as listener,
    ):
        listener.round()
        stats.signal(getattr(signal, name))
        assert stats.wait() == 0
        assert stats.output == ""


def test_an_endpoint_in_use_is_one_line_and_1(tmp_path: Path) -> None:
    with Daemon(tmp_path, SLEEPERS) as daemon, Stats(tmp_path, daemon.endpoints) as first:
        with Listener(first.statspoint) as listener:
            listener.round()
        with Stats(tmp_path, daemon.endpoints) as second:
            assert second.wait() == 1
            (line,) = second.output.splitlines()
            assert line.startswith("circusd-stats: error: ") and first.statspoint in line


@pytest.mark.parametrize("flag", ["--endpoint", "--pubsub", "--statspoint"])
def test_an_endpoint_that_is_none_is_one_line_and_1(tmp_path: Path, flag: str) -> None:
    with Stats(tmp_path, ipc_endpoints(tmp_path), flag, "nonsense") as stats:
        assert stats.wait() == 1
        (line,) = stats.output.splitlines()
        assert "nonsense" in line


def test_without_circusd_it_says_so_and_idles(tmp_path: Path) -> None:
    with Stats(tmp_path, ipc_endpoints(tmp_path)) as stats, Listener(stats.statspoint) as listener:
        assert set(listener.round()) == {"circus", f"circus.{stats.pid}"}
        stats.wait_for_output("circusd does not answer")
        before = time.clock_gettime((~stats.pid << 3) | 2)  # the CPU clock of another process
        listener.round()
        assert time.clock_gettime((~stats.pid << 3) | 2) - before < 0.5
        assert stats.process.poll() is None


def test_started_by_circusd_it_is_in_the_group_and_ends_with_it_even_if_that_is_killed(tmp_path: Path) -> None:
    statspoint = f"ipc://{tmp_path}/stats"
    config = f"statsd = true\nstats_endpoint = {statspoint}\n"
    with Daemon(tmp_path, config) as daemon:
        (pid,) = daemon.wait_for(lambda: daemon.pids("circusd-stats"))
        with Listener(statspoint) as listener:
            found = listener.wait_for("circus", [daemon.pid, pid])
            assert set(found) == {"circus", f"circus.{daemon.pid}", f"circus.{pid}"}
            assert found[f"circus.{pid}"]["name"] == "circusd-stats"
        assert "_psutil" not in Path(f"/proc/{pid}/maps").read_text()
        assert "_psutil" not in Path(f"/proc/{daemon.pid}/maps").read_text()
        daemon.signal(signal.SIGKILL)
        wait_for(lambda: is_gone(pid))
