"""Managed sockets of a whole circusd: what each program is given, those circusd was started with, and what is wrong."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.real.posix_support import AS_ROOT
from tests.real.proc import descriptors_of
from tests.real.support import Daemon, free_port, is_gone, wait_for

# What is looked at, the descriptors of programs, differs while coverage is measured.
pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

# Of the shell itself: what it runs has more.
SHOW = "ls -l /proc/$$/fd; env; echo pid=$$; echo end; exec sleep 1000"

SOCKETS = """
[socket:Web]
host = 127.0.0.1
port = 0
[socket:api]
path = {folder}/api.sock
[socket:dns]
type = SOCK_DGRAM
host = 127.0.0.1
port = 0
[watcher:show]
stdout_stream.filename = {folder}/shown
"""

PLAIN = f"cmd = /bin/sh -c '{SHOW}'\n"


class Shown(NamedTuple):
    """What a program has found: its sockets by descriptor, as the names circusd has for them."""

    sockets: dict[int, str]
    env: dict[str, str]
    pid: int

    @property
    def listening(self) -> dict[str, str]:
        return {key: value for key, value in self.env.items() if key.startswith("LISTEN")}


@contextlib.contextmanager
def shown(folder: Path, options: str, *words: str, config: str = SOCKETS) -> Iterator[tuple[Daemon, Shown]]:
    with Daemon(folder, config.format(folder=folder) + options, *words) as daemon:
        yield daemon, look(daemon)


def look(daemon: Daemon) -> Shown:
    path = daemon.config_path.parent / "shown"
    # Not that of the daemon, which may be in the background: what was started has ended then.
    wait_for(lambda: path.exists() and path.read_text().endswith("end\n"), what=lambda: daemon.output)
    text = path.read_text()
    names = {os.readlink(f"/proc/{daemon_pid(daemon)}/fd/{fd}"): name for name, fd in numbers(daemon).items()}
    found = {int(fd): where for fd, where in re.findall(r"(\d+) -> (socket:\[\d+\])", text)}
    env = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Za-z_]+=", line))
    return Shown({fd: names.get(where, where) for fd, where in found.items()}, env, int(env["pid"]))


def daemon_pid(daemon: Daemon) -> int:
    return int(daemon.call("dstats")["info"]["pid"])


def numbers(daemon: Daemon) -> dict[str, int]:
    """Descriptors in circusd, by name."""
    return {each["name"]: each["fd"] for each in daemon.call("listsockets")["sockets"]}


def served(address: Any) -> None:
    """Somebody holds it, who may not accept."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as client:
        client.settimeout(20)
        client.connect(address)


# ---- what is handed over -----------------------------------------------------------------------------------------


def test_a_program_that_asks_for_none_is_given_none(tmp_path: Path) -> None:
    with shown(tmp_path, PLAIN + "[watcher:other]\ncmd = sleep 1000\nuse_sockets = true\n") as (_, found):
        assert (found.sockets, found.listening) == ({}, {})


def test_use_sockets_hands_over_all_under_their_own_numbers(tmp_path: Path) -> None:
    with shown(tmp_path, PLAIN + "use_sockets = true\n") as (daemon, found):
        assert found.sockets == {fd: name for name, fd in numbers(daemon).items()}
        assert len(found.sockets) == 3 and found.listening == {}


@pytest.mark.parametrize("variable", ["$(circus.sockets.api)", "((Circus.Sockets.API))"])
@pytest.mark.parametrize("place", ["cmd", "args", "env"])
def test_a_mention_hands_over_that_socket_and_no_other(tmp_path: Path, variable: str, place: str) -> None:
    options = {
        "cmd": f"cmd = /bin/sh -c 'NUMBER={variable}; export NUMBER; {SHOW}'\n",
        "args": f"cmd = /bin/sh\nargs = -c 'NUMBER=$0; export NUMBER; {SHOW}' {variable}\n",
        "env": PLAIN + f"env = NUMBER={variable}\n",
    }[place]
    with shown(tmp_path, options) as (daemon, found):
        assert found.sockets == {numbers(daemon)["api"]: "api"}
        assert found.env["NUMBER"] == str(numbers(daemon)["api"])


def test_a_mention_of_a_longer_name_is_none_of_a_shorter_one(tmp_path: Path) -> None:
    more = f"[socket:api2]\npath = {tmp_path}/api2.sock\n"
    with shown(tmp_path, PLAIN + "env = NUMBER=$(circus.sockets.api2)\n" + more) as (daemon, found):
        assert found.sockets == {numbers(daemon)["api2"]: "api2"}


def test_stdin_socket_is_descriptor_0_and_no_other(tmp_path: Path) -> None:
    with shown(tmp_path, PLAIN + "stdin_socket = WEB\n") as (_, found):
        assert (found.sockets, found.listening) == ({0: "web"}, {})


WAYS = {
    "plain": "",
    "limit of descriptors": "rlimit_nofile = 8\n",
    "another limit": "rlimit_core = 0\n",
    "environment": "copy_env = true\n",
    "no output": "close_child_stderr = true\n",
    "directory": "working_dir = /\n",
    "user": "uid = nobody\n",
}


@pytest.mark.parametrize(
    "way", [way if way != "user" or AS_ROOT else pytest.param(way, marks=pytest.mark.skip) for way in WAYS]
)
def test_listen_fds_are_descriptors_from_3_on_however_the_program_is_started(tmp_path: Path, way: str) -> None:
    with shown(tmp_path, PLAIN + "listen_fds = api, web\n" + WAYS[way]) as (daemon, found):
        assert found.sockets == {3: "api", 4: "web"}
        assert found.listening == {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "api:web", "LISTEN_PID": str(found.pid)}
        assert [found.pid] == daemon.pids("show")


def test_listen_fds_through_a_shell_name_the_shell_which_becomes_the_program(tmp_path: Path) -> None:
    with shown(tmp_path, f"cmd = {SHOW}\nshell = true\nlisten_fds = api\n") as (daemon, found):
        assert found.sockets == {3: "api"}
        assert [int(found.listening["LISTEN_PID"])] == [found.pid] == daemon.pids("show")


def test_all_ways_at_once_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    options = "listen_fds = api, web, dns\nuse_sockets = true\nstdin_socket = web\nenv = N=$(circus.sockets.api)\n"
    with shown(tmp_path, PLAIN + options) as (_, found):
        assert {fd: name for fd, name in found.sockets.items() if fd < 6} == {0: "web", 3: "api", 4: "web", 5: "dns"}
        rest = {fd: name for fd, name in found.sockets.items() if fd >= 6}
        assert sorted(rest.values()) == ["api", "dns", "web"]
        assert rest[int(found.env["N"])] == "api"


def test_a_socket_of_listen_fds_is_blocking_as_programs_made_for_them_expect(tmp_path: Path) -> None:
    with shown(tmp_path, PLAIN + "listen_fds = api\n[watcher:other]\ncmd = sleep 1000\nuse_sockets = true\n") as (
        daemon,
        _,
    ):

        def flags(name: str) -> int:
            text = Path(f"/proc/{daemon.pid}/fdinfo/{numbers(daemon)[name]}").read_text()
            return int(re.findall(r"flags:\s*(\d+)", text)[0], 8)

        assert [bool(flags(name) & os.O_NONBLOCK) for name in ("api", "web")] == [False, True]
        assert all(flags(name) & os.O_CLOEXEC for name in ("api", "web"))


def test_each_process_has_its_own_of_a_socket_with_so_reuseport(tmp_path: Path) -> None:
    port = free_port()
    script = (
        "import os, socket, sys; s = socket.socket(fileno=int(sys.argv[1])); s.setblocking(True)\n"
        "while True: c, _ = s.accept(); c.sendall(b'%d' % os.getpid()); c.close()"
    )
    (tmp_path / "server.py").write_text(script)
    config = f"""
        [socket:web]
        host = 127.0.0.1
        port = {port}
        so_reuseport = true
        [watcher:w]
        cmd = {sys.executable} {tmp_path}/server.py $(circus.sockets.web)
        numprocesses = 2
        [watcher:other]
        cmd = sleep 1000
        use_sockets = true
        """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: len(daemon.pids("w")) == 2)
        seen: set[int] = set()

        def all_answer() -> bool:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)) as client:
                seen.add(int(client.recv(20)))
            return seen == set(daemon.pids("w"))

        daemon.wait_for(all_answer)
        (told,) = daemon.call("listsockets")["sockets"]
        assert (told["host"], told["port"]) == ("127.0.0.1", port)
        line = f"{told['fd']}:socket 'web' at 127.0.0.1:{port}\n"
        assert daemon.ctl("listsockets").stdout == line
        daemon.call("stop", name="w", waiting=True)
        with pytest.raises(ConnectionRefusedError):  # neither circusd nor who asks for all sockets holds one
            served(("127.0.0.1", port))


def test_a_port_that_is_taken_when_a_process_is_to_have_its_own_is_said(tmp_path: Path) -> None:
    port = free_port()
    config = f"[socket:web]\nhost = 127.0.0.1\nport = {port}\nso_reuseport = true\n"
    config += "[watcher:w]\ncmd = sleep 1000\nlisten_fds = web\nautostart = false\nmax_retry = 0\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("w", "stopped")
        with socket.create_server(("127.0.0.1", port)):
            assert daemon.call("start", name="w", waiting=True)["info"]["started"] == []
            reason = daemon.call("status", name="w")["reason_text"]
            assert f"Could not bind socket 'web' at 127.0.0.1:{port}: Address already in use" in reason
        assert len(daemon.call("start", name="w", waiting=True)["info"]["started"]) == 1


def test_a_socket_that_a_hook_has_closed_keeps_back_only_those_who_want_it(tmp_path: Path) -> None:
    hook = "def close(watcher, **about):\n    watcher.sockets['b'].close()\n    return True\n"
    (tmp_path / "hooks.py").write_text(hook)
    config = """
        [socket:a]
        port = 0
        [socket:b]
        port = 0
        [watcher:closer]
        cmd = sleep 1000
        hooks.before_start = hooks.close
        [watcher:other]
        cmd = sleep 1000
        stdin_socket = a
        priority = -1
        [watcher:user]
        cmd = sleep 1000
        stdin_socket = b
        autostart = false
    """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("other", "active")
        assert "was closed" in daemon.call("start", name="user", waiting=True)["reason"]
        daemon.call("reloadconfig", waiting=True)
        assert daemon.call("start", name="user", waiting=True).get("reason") is None


def test_sockets_are_there_before_any_program_and_gone_with_circusd(tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    with shown(tmp_path, PLAIN + "use_sockets = true\n") as (daemon, _):
        served(path)
        daemon.call("stop", waiting=True)
        served(path)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    assert not os.path.lexists(path)


def test_what_a_killed_circusd_has_left_behind_is_taken_over_with_replace(tmp_path: Path) -> None:
    config = (
        f"[socket:api]\npath = {tmp_path}/api.sock\nreplace = true\n[watcher:w]\ncmd = sleep 1000\nuse_sockets = true\n"
    )
    with Daemon(tmp_path, config) as first:
        (pid,) = first.wait_for(lambda: first.pids("w"))
        first.signal(signal.SIGKILL)
        first.wait()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: is_gone(pid))
    assert os.path.lexists(tmp_path / "api.sock")
    with Daemon(tmp_path, config) as second:
        second.wait_for_status("w", "active")
        served(f"{tmp_path}/api.sock")


# ---- sockets that circusd was started with -----------------------------------------------------------------------

# Becomes the rest of its words with sockets from 3 on: of NAME=PATH, and of NAME=PORT on the loopback address.
ACTIVATOR = """
import os, socket, sys
count = int(sys.argv[1])
given, words = sys.argv[2 : 2 + count], sys.argv[2 + count :]
made = []
for each in given:
    name, _, place = each.partition("=")
    sock = socket.socket(socket.AF_INET if place.isdecimal() else socket.AF_UNIX)
    sock.bind(("127.0.0.1", int(place)) if place.isdecimal() else place)
    sock.listen()
    made.append((name, os.dup2(sock.fileno(), 100 + len(made))))
for number, (_, fd) in enumerate(made, 3):
    os.dup2(fd, number)
os.closerange(100, 100 + count)
os.environ["LISTEN_FDS"] = str(count)
os.environ["LISTEN_PID"] = str(os.getpid() + int(os.environ.pop("OFF_BY", "0")))
os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _ in made)
os.execv(words[0], words)
"""


def activated(*sockets: str) -> type[Daemon]:
    class Activated(Daemon):
        through = (sys.executable, "-c", ACTIVATOR, str(len(sockets)), *sockets)

    return Activated


def places(daemon: Daemon) -> dict[str, Any]:
    return {each["name"]: each.get("path") or each["port"] for each in daemon.call("listsockets")["sockets"]}


def test_sockets_that_circusd_was_started_with_are_managed_ones_of_their_names(tmp_path: Path) -> None:
    port = free_port()
    config = f"[watcher:show]\nstdout_stream.filename = {tmp_path}/shown\ncopy_env = true\n" + PLAIN
    config += "listen_fds = admin\n[watcher:w]\ncmd = sleep $(circus.sockets.web)000\ncopy_env = true\n"
    with activated(f"Web={port}", f"admin={tmp_path}/admin.sock")(tmp_path, config) as daemon:
        found = look(daemon)
        assert places(daemon) == {"web": port, "admin": f"{tmp_path}/admin.sock"}
        assert found.sockets == {3: "admin"}
        assert found.listening == {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "admin", "LISTEN_PID": str(found.pid)}
        (pid,) = daemon.pids("w")
        assert Path(f"/proc/{pid}/cmdline").read_text() == "sleep\x003000\x00"
        assert b"LISTEN" not in Path(f"/proc/{pid}/environ").read_bytes()
        served(("127.0.0.1", port))
    assert os.path.lexists(tmp_path / "admin.sock")  # not circusd's to remove


def test_a_section_of_its_name_takes_one_over_instead_of_binding(tmp_path: Path) -> None:
    config = f"[socket:web]\npath = {tmp_path}/unbound.sock\n[watcher:w]\ncmd = sleep 1000\nuse_sockets = true\n"
    with activated(f"web={tmp_path}/given.sock")(tmp_path, config) as daemon:
        assert places(daemon) == {"web": f"{tmp_path}/given.sock"}
        assert not os.path.lexists(tmp_path / "unbound.sock")
    assert os.path.lexists(tmp_path / "given.sock")


def test_they_stay_through_a_restart_and_a_reloadconfig(tmp_path: Path) -> None:
    config = "[watcher:w]\ncmd = sleep 1000\nuse_sockets = true\n"
    with activated(f"web={tmp_path}/given.sock")(tmp_path, config) as daemon:
        daemon.wait_for_status("w", "active")
        assert daemon.call("reloadconfig", waiting=True)["status"] == "ok"
        assert places(daemon) == {"web": f"{tmp_path}/given.sock"}
        for _ in range(2):
            (pid,) = daemon.pids("w")
            daemon.call("restart")
            daemon.wait_for(lambda pid=pid: daemon.pids("w") not in ([], [pid]))
            assert places(daemon) == {"web": f"{tmp_path}/given.sock"}
            served(f"{tmp_path}/given.sock")
            (pid,) = daemon.pids("w")
            fd = numbers(daemon)["web"]
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == os.readlink(f"/proc/{daemon.pid}/fd/{fd}")


def test_they_stay_through_the_way_into_the_background(tmp_path: Path) -> None:
    config = f"[watcher:show]\nstdout_stream.filename = {tmp_path}/shown\n" + PLAIN + "listen_fds = web\n"
    with activated(f"web={tmp_path}/given.sock")(tmp_path, config, "--daemon") as daemon:
        assert daemon.wait() == 0
        pid = daemon_pid(daemon)
        try:
            found = look(daemon)
            assert found.sockets == {3: "web"} and found.listening["LISTEN_PID"] == str(found.pid)
        finally:
            daemon.call("quit", waiting=True)
            wait_for(lambda: is_gone(pid))


def test_those_for_another_process_are_none_of_ours(tmp_path: Path) -> None:
    config = "[watcher:w]\ncmd = sleep 1000\ncopy_env = true\n"
    with activated(f"web={tmp_path}/given.sock")(tmp_path, config, env={"OFF_BY": "1"}) as daemon:
        (pid,) = daemon.wait_for(lambda: daemon.pids("w"))
        assert places(daemon) == {}
        assert b"LISTEN" not in Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.parametrize("count", ["x", "-1", "1000000000", "9" * 5000])
def test_a_number_of_descriptors_that_is_none_means_none(tmp_path: Path, count: str) -> None:
    with Daemon(tmp_path, "[watcher:w]\ncmd = sleep 1000\n", env={"LISTEN_FDS": count, "LISTEN_PID": "1"}) as daemon:
        daemon.wait_for_status("w", "active")
        assert places(daemon) == {}


def test_a_descriptor_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """Of five that were named only the first is one; who needs another is told so."""
    config = "[watcher:w]\ncmd = sleep 1000\nlisten_fds = fifth\n[watcher:good]\ncmd = sleep 1000\nlisten_fds = web\n"
    start = activated(f"web={tmp_path}/given.sock")
    more = 'os.environ.update(LISTEN_FDS="5", LISTEN_FDNAMES="web:pipe:file:none:fifth"); os.dup2(os.pipe()[0], 4)\n'
    start.through = (*start.through[:2], ACTIVATOR.replace("os.execv", f"{more}os.execv"), *start.through[3:])
    with start(tmp_path, config) as daemon:
        daemon.wait_for_status("good", "active")
        assert places(daemon) == {"web": f"{tmp_path}/given.sock"}
        daemon.wait_for(lambda: "there is no socket 'fifth'" in daemon.call("status", name="w").get("reason_text", ""))


# ---- what is wrong -----------------------------------------------------------------------------------------------


def complaint(folder: Path, config: str) -> str:
    """The only line circusd says before it ends with 1. What it had opened by then is closed and gone."""
    good = f"[socket:good]\npath = {folder}/good.sock\n[watcher:w]\ncmd = sleep 1000\nuse_sockets = true\n"
    with Daemon(folder, good + config) as daemon:
        assert daemon.wait() == 1, daemon.output
        lines = [line for line in daemon.output.splitlines() if "warning" not in line.lower()]
    assert not os.path.lexists(folder / "good.sock")
    (line,) = lines
    return line


def write_precious(path: Path) -> None:
    path.write_text("precious")


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "precious").touch()


def make_link(path: Path) -> None:
    path.symlink_to("precious")


@pytest.mark.parametrize(
    ("make", "kind"),
    [(write_precious, "a file that is no socket"), (make_directory, "a directory"), (make_link, "a symbolic link")],
)
@pytest.mark.parametrize("replace", ["yes", "no"])
def test_a_path_that_is_no_socket_is_one_line_and_stays(tmp_path: Path, make: Any, kind: str, replace: str) -> None:
    path = tmp_path / "api.sock"
    make(path)
    before = os.lstat(path)
    line = complaint(tmp_path, f"[socket:api]\npath = {path}\nreplace = {replace}\n")
    assert line.endswith(
        f"Could not bind socket 'api' at {path}: {kind} is there, which is left alone: choose another path"
    )
    assert os.lstat(path) == before


@pytest.mark.parametrize("replace", ["yes", "no"])
def test_somebody_elses_socket_is_one_line_and_goes_on(tmp_path: Path, replace: str) -> None:
    path = str(tmp_path / "api.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        line = complaint(tmp_path, f"[socket:api]\npath = {path}\nreplace = {replace}\n")
        reason = "somebody listens there" if replace == "yes" else "there is a socket already"
        assert f"Could not bind socket 'api' at {path}: {reason}" in line
        served(path)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = complaint(tmp_path, f"[socket:web]\nhost = 127.0.0.1\nport = {port}\n")
    assert f"Could not bind socket 'web' at 127.0.0.1:{port}: Address already in use" in line


def test_everything_that_cannot_be_bound_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "api.sock").touch()
    config = f"[socket:api]\npath = {tmp_path}/api.sock\n[socket:web]\nhost = 203.0.113.1\nport = 8080\n"
    line = complaint(tmp_path, config)
    assert "socket 'api'" in line and "socket 'web' at 203.0.113.1:8080" in line


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[socket:web]\nport = 70000\n", r"circus.ini:12: \[socket:web\] port: 70000 is out of range"),
        ("[socket:web]\nport = web\n", r"circus.ini:12: \[socket:web\] port: 'web' is not a whole number"),
        ("[socket:web]\nfamily = AF_INTE\n", r"\[socket:web\] family: 'AF_INTE' is none of .*AF_INET"),
        ("[socket:web]\numask = 9\n", r"\[socket:web\] umask: "),
        ("[socket:web]\ninterface = nope0\n", r"there is no network interface 'nope0'; there are lo"),
        ("[socket:web]\nproto = nope\n", r"'nope' is no protocol"),
        ("[socket:web]\nhost = no.such.host.invalid\n", r"no.such.host.invalid is no address or name"),
        ("[socket:api]\npath = /no/such/folder/api.sock\n", r"there is no directory /no/such/folder"),
        (f"[socket:api]\npath = /tmp/{'x' * 120}\n", r"\[socket:api\] path: is longer than 107 bytes"),
        ("[watcher:x]\ncmd = x $(circus.sockets.goood)\n", r"\[watcher:x\] cmd: there is no socket 'goood'.*good"),
        ("[watcher:x]\ncmd = x\nlisten_fds = goood\n", r"\[watcher:x\] listen_fds: there is no socket 'goood'.*good"),
        ("[watcher:x]\ncmd = x\nstdin_socket = zzz\n", r"stdin_socket: there is no socket 'zzz'; add \[socket:zzz\]"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line_that_says_where(tmp_path: Path, config: str, said: str) -> None:
    line = complaint(tmp_path, config)
    assert re.search(said, line), line


def test_a_socket_that_nobody_uses_is_opened_all_the_same_and_an_error_of_check(tmp_path: Path) -> None:
    config = "[socket:idle]\nhost = 127.0.0.1\nport = 0\n[watcher:w]\ncmd = sleep 1000\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_status("w", "active")
        assert "circus.ini:6: [socket:idle]: is used by no watcher" in daemon.wait_for_output("is used by no watcher")
    done = subprocess.run(
        [sys.executable, "-m", "circus.circusd", "--check", daemon.config_path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "[socket:idle]: is used by no watcher" in done.stderr


def test_there_may_be_more_sockets_than_the_soft_limit_allows(tmp_path: Path) -> None:
    class Limited(Daemon):
        through = ("prlimit", "--nofile=64:1024")

    sockets = "".join(f"[socket:s{number}]\npath = {tmp_path}/{number}\n" for number in range(80))
    with Limited(tmp_path, f"{sockets}[watcher:w]\ncmd = sleep 1000\nuse_sockets = true\n") as daemon:
        daemon.wait_for_status("w", "active")
        assert len(daemon.call("listsockets")["sockets"]) == 80


def test_a_port_that_the_system_has_chosen_is_told_to_programs_that_are_not_given_the_socket(tmp_path: Path) -> None:
    config = f"""
        [socket:web]
        host = 127.0.0.1
        port = 0
        [socket:api]
        path = {tmp_path}/api.sock
        [env:show]
        PORT = <$(circus.sockets.web.port)>
        [watcher:show]
        cmd = /bin/sh -c 'echo port $(circus.sockets.web.port) $PORT end; exec /bin/sleep 1000'
        stdout_stream.filename = {tmp_path}/shown
        [watcher:none]
        cmd = sleep $(circus.sockets.api.port)
        max_retry = 1
        autostart = false
    """
    with Daemon(tmp_path, config) as daemon:
        wait_for(lambda: (tmp_path / "shown").exists() and "end" in (tmp_path / "shown").read_text())
        [port] = [sock["port"] for sock in daemon.call("listsockets")["sockets"] if sock["name"] == "web"]
        assert (tmp_path / "shown").read_text().split() == ["port", str(port), f"<{port}>", "end"]
        [pid] = daemon.pids("show")
        assert "socket:" not in "".join(descriptors_of(pid).values())
        reply = daemon.call("start", name="none", waiting=True)
        assert f"socket 'api' at {tmp_path}/api.sock has no port" in reply["reason"]


def test_sockets_of_a_reloadconfig_that_fails_are_all_closed(tmp_path: Path) -> None:
    with Daemon(tmp_path, "[watcher:w]\ncmd = sleep 1000\n") as daemon:
        daemon.wait_for_status("w", "active")
        before = len(os.listdir(f"/proc/{daemon.pid}/fd"))
        daemon.write_config(
            f"[socket:a]\npath = {tmp_path}/a\n[socket:b]\ninterface = nope0\n"
            "[socket:c]\nport = 0\n[watcher:w]\ncmd = sleep 1000\nuse_sockets = true\n"
        )
        assert daemon.call("reloadconfig", waiting=True)["status"] == "error"
        assert not os.path.lexists(tmp_path / "a")
        assert len(os.listdir(f"/proc/{daemon.pid}/fd")) == before
