"""`reloadconfig` with managed sockets: only what differs is bound anew, only its users are replaced, all or nothing."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.proc import descriptors_of, program
from tests.real.support import PATIENCE, Daemon, free_port, is_gone, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]


class House:
    """A daemon with a program on socket `web`, and one without any socket."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self.other_port = free_port(), free_port()
        self.server = f"cmd = {program('answer.py', '$(circus.sockets.web)')}\nnumprocesses = 2\n"
        self.daemon = Daemon(directory, self.text())

    def text(self, web: str | None = None, server: str | None = None, more: str = "", words: str = "old") -> str:
        web = f"host = 127.0.0.1\nport = {self.port}" if web is None else web
        server = self.server + f"args = {words}\n" if server is None else server
        sockets = f"[socket:web]\n{web}\n" if web else ""
        return f"{sockets}[watcher:server]\n{server}\n[watcher:plain]\ncmd = sleep 1000\n{more}"

    def change(self, **changes: str) -> None:
        """Write another configuration, have it applied, and see that it was."""
        self.daemon.write_config(self.text(**changes))
        reply = self.daemon.call("reloadconfig", waiting=True)
        assert (reply["status"], reply.get("reason")) == ("ok", None)

    def refused(self, **changes: str) -> str:
        """As `change`; it must be an error, whose text is returned, and nothing may be different afterwards."""
        before = self.seen()
        self.daemon.write_config(self.text(**changes))
        reply = self.daemon.call("reloadconfig", waiting=True)
        assert reply["status"] == "error"
        assert self.seen() == before
        return str(reply["reason"])

    def seen(self) -> object:
        names = sorted(self.daemon.call("list")["watchers"])
        return self.daemon.call("listsockets")["sockets"], {name: self.daemon.pids(name) for name in names}

    def socket(self, name: str = "web") -> dict[str, object]:
        [found] = [sock for sock in self.daemon.call("listsockets")["sockets"] if sock["name"] == name]
        return found

    def pids(self) -> list[int]:
        return self.daemon.pids("server")


def ask(address: tuple[str, int] | str) -> list[str]:
    """The pid and the words of what answers there."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(PATIENCE)
        client.connect(address)
        return client.makefile().readline().split()


def is_refused(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    with house.daemon:
        house.daemon.wait_for_status("server", "active")
        house.daemon.wait_for_status("plain", "active")
        yield house


# ---- what is done ------------------------------------------------------------------------------------------------


def test_unchanged_file_changes_nothing(house: House) -> None:
    before = house.seen()
    house.change()
    assert house.seen() == before


def test_another_port_is_bound_and_only_its_users_are_replaced(house: House) -> None:
    old, plain = house.pids(), house.daemon.pids("plain")
    house.change(web=f"port = {house.other_port}")
    assert ask(("127.0.0.1", house.other_port))[1] == "old"
    wait_for(lambda: is_refused(house.port))
    assert set(old).isdisjoint(house.pids()) and all(map(is_gone, old))
    assert house.daemon.pids("plain") == plain


def test_another_program_comes_by_graceful_reload_on_the_same_socket(house: House) -> None:
    old, sock = house.pids(), house.socket()
    house.change(words="new")
    assert ask(("127.0.0.1", house.port))[1] == "new"
    assert set(old).isdisjoint(house.pids())
    assert house.socket() == sock


def test_new_socket_is_bound_and_one_that_is_gone_is_closed(house: House) -> None:
    pids = house.pids()
    house.change(more=f"[socket:more]\nport = {house.other_port}\n")
    assert not is_refused(house.other_port)
    house.change()
    assert is_refused(house.other_port)
    assert house.pids() == pids


def test_watcher_with_all_sockets_follows_them(house: House) -> None:
    user = "[watcher:all]\ncmd = sleep 1000\nuse_sockets = true\n"
    house.change(more=user)
    [before] = house.daemon.pids("all")
    house.change(more=f"{user}[socket:more]\nport = 0\n")
    [after] = house.daemon.pids("all")
    assert after != before
    assert len(descriptors_of(after)) == 3 + 2


def test_queue_length_changes_in_place(house: House) -> None:
    pids, fd = house.pids(), house.socket()["fd"]
    house.change(web=f"host = 127.0.0.1\nport = {house.port}\nbacklog = 5")
    assert (house.socket()["backlog"], house.socket()["fd"], house.pids()) == (5, fd, pids)


def test_address_that_overlaps_with_the_old_one_is_bound_after_its_users_have_stopped(house: House) -> None:
    old = house.pids()
    house.change(web=f"host = 0.0.0.0\nport = {house.port}", words="new")
    assert house.socket()["host"] == "0.0.0.0"
    assert ask(("127.0.0.1", house.port))[1] == "new"
    assert all(map(is_gone, old))


def test_users_that_stop_or_go_already_are_waited_for(house: House) -> None:
    slow = f"cmd = {program('answer.py', '$(circus.sockets.web)')}\nstop_signal = CONT\ngraceful_timeout = 1\n"
    for number, command in enumerate(("stop", "rm")):
        house.change(server=slow)
        house.daemon.wait_for_status("server", "active" if command == "rm" or not number else "stopped")
        house.daemon.call(command, name="server")
        house.change(web=f"host = 0.0.0.0\nport = {house.port}", server=slow)
        assert house.socket()["host"] == "0.0.0.0"
        house.daemon.call("start", name="server", waiting=True)
        assert ask(("127.0.0.1", house.port))


def test_port_that_was_left_to_the_system_is_written_down(house: House) -> None:
    """Nothing is bound anew, and nobody is replaced."""
    house.change(web="host = 127.0.0.1\nport = 0")
    before = house.seen()
    house.change(web=f"host = 127.0.0.1\nport = {house.socket()['port']}")
    assert house.seen() == before
    house.change(web=f"host = 127.0.0.1\nport = {house.socket()['port']}\nbacklog = 9")
    assert house.seen() != before


def test_file_of_a_socket_that_somebody_has_removed_is_there_again(house: House) -> None:
    path = house.directory / "web"
    house.change(web=f"path = {path}")
    path.unlink()
    house.change(web=f"path = {path}")
    assert ask(str(path))


def test_two_sockets_exchange_their_ports(house: House) -> None:
    def more(port: int) -> str:
        return f"[socket:more]\nhost = 127.0.0.1\nport = {port}\n[watcher:more]\n{house.server}args = more\n".replace(
            "sockets.web", "sockets.more"
        )

    house.change(more=more(house.other_port))
    assert ask(("127.0.0.1", house.other_port))[1] == "more"
    house.change(web=f"host = 127.0.0.1\nport = {house.other_port}", more=more(house.port))
    assert ask(("127.0.0.1", house.other_port))[1] == "old"
    assert ask(("127.0.0.1", house.port))[1] == "more"


def test_port_becomes_a_path_and_another_path(house: House) -> None:
    first, second = f"{house.directory}/1.sock", f"{house.directory}/2.sock"
    house.change(web=f"path = {first}")
    assert ask(first)[1] == "old"
    house.change(web=f"path = {second}\numask = 077")
    assert ask(second)[1] == "old"
    assert not os.path.lexists(first)
    house.change(web=f"path = {second}\numask = 007")
    assert stat.S_IMODE(os.stat(second).st_mode) == 0o770


def test_socket_and_its_user_come_and_go_together(house: House) -> None:
    server = house.server.replace("sockets.web", "sockets.more")
    house.change(more=f"[socket:more]\nport = {house.other_port}\n[watcher:more]\n{server}")
    assert ask(("127.0.0.1", house.other_port))
    house.change()
    assert is_refused(house.other_port)
    assert "more" not in house.daemon.call("list")["watchers"]


def test_watcher_added_by_command_follows_its_socket_and_goes_with_it(house: House) -> None:
    cmd = program("answer.py", "$(circus.sockets.web)")
    house.daemon.call("add", name="extra", cmd=cmd, start=True, waiting=True)
    [before] = house.daemon.pids("extra")
    house.change(web=f"port = {house.other_port}")
    assert house.daemon.pids("extra") != [before]
    house.change(web="", server="cmd = sleep 1000")
    assert "extra" not in house.daemon.call("list")["watchers"]
    assert "added by command, but uses socket web" in house.daemon.output


def test_watcher_that_was_stopped_by_hand_stays_so_when_its_socket_changes(house: House) -> None:
    house.daemon.call("stop", name="server", waiting=True)
    house.change(web=f"host = 0.0.0.0\nport = {house.port}")
    assert house.daemon.call("status", name="server")["status"] == "stopped"
    house.daemon.call("start", name="server", waiting=True)
    assert ask(("127.0.0.1", house.port))[1] == "old"


def test_statistics_follow_the_sockets(house: House) -> None:
    stats = f"statsd = true\nstats_endpoint = ipc://{house.directory}/stats\n"

    def change(body: str) -> None:
        house.daemon.write_config(stats + body)
        assert house.daemon.call("reloadconfig", waiting=True)["status"] == "ok"

    change(house.text())
    [before] = house.daemon.pids("circusd-stats")
    change(house.text(web=f"port = {house.other_port}"))
    assert house.daemon.pids("circusd-stats") != [before]


# ---- what fails --------------------------------------------------------------------------------------------------


def test_port_that_is_taken_changes_nothing(house: House) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        reason = house.refused(web=f"host = 127.0.0.1\nport = {port}", words="new", more="[watcher:x]\ncmd = sleep 1\n")
        assert f"Could not bind socket 'web' at 127.0.0.1:{port}: Address already in use" in reason
        assert ask(("127.0.0.1", house.port))[1] == "old"


def test_every_socket_that_cannot_be_bound_is_named_and_what_was_bound_is_released(house: House) -> None:
    path = house.directory / "file"
    path.write_text("precious")
    more = f"[socket:good]\nport = {house.other_port}\n[socket:a]\npath = {path}\n[socket:b]\ninterface = nope0\n"
    reason = house.refused(more=more)
    assert f"'a' at {path}: a file that is no socket is there" in reason
    assert "there is no network interface 'nope0'" in reason
    assert path.read_text() == "precious"
    assert is_refused(house.other_port)


def test_address_that_is_taken_while_its_users_have_stopped_is_given_back(house: House) -> None:
    """Another program has the same port on another address of the loopback network, so that all cannot be had."""
    with socket.socket() as other:
        other.bind(("127.0.0.2", house.port))
        other.listen()
        before = house.socket()
        house.daemon.write_config(house.text(web=f"host = 0.0.0.0\nport = {house.port}", words="new"))
        reply = house.daemon.call("reloadconfig", waiting=True)
        assert reply["status"] == "error" and "Address already in use" in reply["reason"]
        assert ask(("127.0.0.1", house.port))[1] == "old"
        assert {**house.socket(), "fd": 0} == {**before, "fd": 0}
        assert len(house.pids()) == 2


def test_address_that_nobody_gives_back_leaves_its_socket_closed_until_it_is_free(house: House) -> None:
    """Processes of a watcher that was removed without being stopped hold it."""
    user = f"[watcher:user]\n{house.server}"
    house.change(more=user, server="cmd = sleep 1000")
    kept = house.daemon.pids("user")
    house.daemon.call("rm", name="user", nostop=True)
    house.daemon.write_config(house.text(web=f"host = 0.0.0.0\nport = {house.port}", server="cmd = sleep 1000"))
    reason = house.daemon.call("reloadconfig", waiting=True)["reason"]
    assert "is closed from now on, since it cannot be opened again" in reason
    new = {"name": "new", "cmd": "sleep 1000", "options": {"stdin_socket": "web"}, "start": True}
    assert "was closed" in house.daemon.call("add", **new, waiting=True)["reason"]
    for pid in kept:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: is_gone(pid))
    house.change()
    assert ask(("127.0.0.1", house.port))


def test_hook_that_cannot_be_imported_binds_nothing(house: House) -> None:
    hook = "[watcher:x]\ncmd = sleep 1\nhooks.before_start = no.such.thing\n"
    assert "no.such" in house.refused(web=f"port = {house.other_port}", more=hook)
    assert is_refused(house.other_port)


def test_stream_that_cannot_be_opened_binds_nothing(house: House) -> None:
    stream = f"[watcher:x]\ncmd = sleep 1\nstdout_stream.filename = {house.directory}/no/such/log\n"
    assert "No such file or directory" in house.refused(web=f"port = {house.other_port}", more=stream)
    assert is_refused(house.other_port)


def test_full_disk_changes_nothing(tmp_path: Path) -> None:
    """A file system without a free inode, mounted in a name space of the test's own."""
    script = f"""
        mkdir {tmp_path}/full && mount -t tmpfs -o nr_inodes=1 none {tmp_path}/full || exit 77
        exec {sys.executable} -m circus.circusd {tmp_path}/circus.ini
    """

    class Inside(Daemon):
        through = ("unshare", "--mount", "sh", "-c", script)

    with Inside(tmp_path, "[watcher:plain]\ncmd = sleep 1000\n") as daemon:
        wait_for(lambda: daemon.process.poll() == 77 or "plain started" in daemon.output or "unshare" in daemon.output)
        if "plain started" not in daemon.output:
            pytest.skip("not permitted to mount")
        before = daemon.pids("plain")
        log = f"[watcher:x]\ncmd = sleep 1\nstdout_stream.filename = {tmp_path}/full/log\n"
        daemon.write_config(f"[socket:s]\nport = 0\n[watcher:plain]\ncmd = sleep 1001\nuse_sockets = 1\n{log}")
        reply = daemon.call("reloadconfig", waiting=True)
        assert reply["status"] == "error" and "No space left on device" in reply["reason"]
        assert daemon.pids("plain") == before
        assert daemon.call("listsockets")["sockets"] == []


def test_daemon_out_of_descriptors_changes_nothing(house: House) -> None:
    soft, hard = resource.prlimit(house.daemon.pid, resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir(f"/proc/{house.daemon.pid}/fd"))
    more = "".join(f"[socket:s{number}]\nport = 0\n" for number in range(highest))
    before = house.seen()
    house.daemon.write_config(house.text(more=more))
    resource.prlimit(house.daemon.pid, resource.RLIMIT_NOFILE, (highest + 20, hard))
    try:
        reply = house.daemon.call("reloadconfig", waiting=True)
    finally:
        resource.prlimit(house.daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert reply["status"] == "error" and "Too many open files" in reply["reason"]
    assert house.seen() == before
    house.change()
    assert house.seen() == before


def test_another_reloadconfig_waits_for_nobody(house: House) -> None:
    """While the users of an address are being stopped no second plan may be made."""
    stubborn = f"cmd = {program('answer.py', '$(circus.sockets.web)')}\nstop_signal = CONT\ngraceful_timeout = 2\n"
    house.change(server=stubborn)
    house.daemon.write_config(house.text(web=f"host = 0.0.0.0\nport = {house.port}", server=stubborn))
    house.daemon.call("reloadconfig")
    reply = house.daemon.call("reloadconfig")
    assert (reply["status"], reply["reason"]) == (
        "error",
        "a reloadconfig is under way: it waits for the end of server",
    )
    house.daemon.wait_for(lambda: house.socket()["host"] == "0.0.0.0")


def test_old_processes_that_still_hold_the_address_are_named_as_what_may_be_in_the_way(house: House) -> None:
    stubborn = f"cmd = {program('answer.py', '$(circus.sockets.web)')}\nstop_signal = CONT\ngraceful_timeout = 2\n"
    house.change(server=stubborn)
    house.daemon.write_config(house.text(web=f"port = {house.other_port}", server=stubborn))
    house.daemon.call("reloadconfig")
    back = house.text(server=stubborn)
    house.daemon.write_config(back)
    assert "its old processes may hold the address" in house.daemon.call("reloadconfig")["reason"]
    house.daemon.wait_for(lambda: house.daemon.call("reloadconfig")["status"] == "ok")
    assert ask(("127.0.0.1", house.port))


def test_program_that_does_not_come_up_holds_up_no_later_configuration(house: House) -> None:
    (house.directory / "hooks.py").write_text("import time\ndef slow(**about):\n    time.sleep(3)\n    return True\n")
    more = "[watcher:slow]\ncmd = sleep 1000\nhooks.before_start = hooks.slow\n"
    house.daemon.write_config(house.text(more=more))
    assert house.daemon.call("reloadconfig")["status"] == "ok"
    house.change(more="numprocesses = 2\n")
    assert len(house.daemon.pids("plain")) == 2
    assert "slow" not in house.daemon.call("list")["watchers"]
