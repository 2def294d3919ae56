"""One managed socket by itself, as the system sees it: addresses, files, modes, and what is never taken away."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from circus.sockets import CircusSocket, CircusSockets, SocketError
from tests.real.support import ROOT, free_port

HAS_IPV6 = os.path.exists("/proc/net/if_inet6")

KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)


@pytest.fixture
def opened() -> Iterator[Any]:
    """Makes and opens a socket; all are closed in the end."""
    with contextlib.ExitStack() as stack:

        def make(*args: Any, **options: Any) -> CircusSocket:
            sock = stack.enter_context(CircusSocket(*args, **options))
            sock.bind_and_listen()
            return sock

        yield make


def is_answered(sock: CircusSocket) -> bool:
    """Whether a client reaches it."""
    address = sock.getsockname()
    with socket.socket(sock.family, sock.type) as client:
        client.connect(address)
        if sock.socktype == socket.SOCK_DGRAM:
            client.send(b"ping")
            return sock.recv(10) == b"ping"
        client.sendall(b"ping")
        while True:  # who looked whether somebody listens may have come before, and gone
            with sock.accept()[0] as server:
                if server.recv(10) == b"ping":
                    return True


def refusal(sock: CircusSocket) -> str:
    """Why it cannot be opened; one line. Nothing of it may stay."""
    with sock, pytest.raises(SocketError) as caught:
        sock.bind_and_listen()
    assert sock.fileno() == -1
    text = str(caught.value.strerror)
    assert "\n" not in text and text.startswith(f"Could not bind socket {sock.name!r} at ")
    return text


# ---- addresses ---------------------------------------------------------------------------------------------------


def test_a_port_left_to_the_system_is_told_after_it_was_opened(opened: Any) -> None:
    sock = opened("web", "localhost", 0)
    assert (sock.host, sock.port) == sock.getsockname() and sock.port > 0
    assert sock.info() == {
        "fd": sock.fileno(), "name": "web", "backlog": 2048, "host": "127.0.0.1", "port": sock.port,
    }  # fmt: skip
    assert str(sock) == f"socket 'web' at 127.0.0.1:{sock.port}" and sock.location == f"127.0.0.1:{sock.port}"
    assert is_answered(sock)


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
@pytest.mark.parametrize("options", [{}, {"family": socket.AF_INET6}, {"family": "af_inet6"}])
def test_an_ipv6_address_is_bound_and_shown_in_brackets(opened: Any, options: dict[str, Any]) -> None:
    sock = opened("six", "::1", 0, **options)
    assert sock.family == socket.AF_INET6 and sock.info()["host"] == "::1"
    assert sock.location == f"[::1]:{sock.port}"
    assert is_answered(sock)


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
def test_every_ipv6_address_means_every_ipv4_address_too_which_is_said_where_that_is_in_the_way(opened: Any) -> None:
    sock = opened("web", "0.0.0.0", 0)
    text = refusal(CircusSocket("six", "::", sock.port))
    assert "Address already in use (somebody uses it, perhaps for IPv4, for which `::` stands, too" in text


def test_an_empty_host_is_every_address_of_this_machine(opened: Any) -> None:
    sock = opened("any", "", 0)
    assert sock.host == "0.0.0.0"
    assert is_answered(sock)


def test_a_udp_socket_takes_datagrams_and_shares_its_port_with_nobody(opened: Any) -> None:
    sock = opened("dns", "127.0.0.1", 0, type="sock_dgram")
    assert is_answered(sock)
    assert "another program uses it" in refusal(CircusSocket("dns", "127.0.0.1", sock.port, type=socket.SOCK_DGRAM))


def test_a_port_in_use_is_one_line_that_says_what_to_do(opened: Any) -> None:
    sock = opened("web", "127.0.0.1", 0)
    text = refusal(CircusSocket("web", "127.0.0.1", sock.port))
    assert text == (
        f"Could not bind socket 'web' at 127.0.0.1:{sock.port}: Address already in use "
        "(another program uses it: stop that, or choose another port)"
    )
    assert is_answered(sock)


def test_a_port_is_free_again_at_once_after_a_connection(opened: Any) -> None:
    sock = opened("web", "127.0.0.1", 0)
    assert is_answered(sock)  # our end was closed first: the connection stays a minute in TIME_WAIT
    sock.close()
    assert opened("web", "127.0.0.1", sock.port).port == sock.port


@pytest.mark.parametrize(
    ("host", "reason"), [("no.such.host.invalid", "is no address or name"), ("203.0.113.1", "has no such address")]
)
def test_a_host_that_is_not_of_this_machine_is_said(host: str, reason: str) -> None:
    assert reason in refusal(CircusSocket("web", host, 0))


def test_an_unknown_interface_is_refused_with_those_there_are() -> None:
    text = refusal(CircusSocket("web", "127.0.0.1", 0, interface="nope0"))
    assert "there is no network interface 'nope0'; there are lo" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose the interface of a socket everywhere")
def test_a_socket_is_bound_to_an_interface(opened: Any) -> None:
    sock = opened("web", "127.0.0.1", 0, interface="lo")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
    assert is_answered(sock)


# ---- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocking", [False, True])
def test_a_socket_is_blocking_only_if_that_is_asked_for(opened: Any, blocking: bool) -> None:
    sock = opened("web", "127.0.0.1", 0, blocking=blocking)
    assert os.get_blocking(sock.fileno()) is blocking


def test_the_backlog_is_that_of_the_kernel(opened: Any) -> None:
    sock = opened("web", "127.0.0.1", 0, backlog=1)
    waiting = []
    with contextlib.ExitStack() as stack:
        for _ in range(4):  # one more than the backlog is taken, tcp(7)
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                client.connect(sock.getsockname())
                waiting.append(client)
        assert len(waiting) == 2


def test_a_protocol_is_known_by_its_name(opened: Any) -> None:
    assert opened("web", "127.0.0.1", 0, proto="tcp").proto == socket.IPPROTO_TCP
    with pytest.raises(ValueError, match="'nope' is no protocol of this system"):
        CircusSocket("web", proto="nope")
    with pytest.raises(ValueError, match="'SOCK_NOPE' is none of the SOCK_"):
        CircusSocket("web", type="SOCK_NOPE")


def test_sockets_with_so_reuseport_share_a_port_and_the_kernel_balances(opened: Any) -> None:
    port = free_port()
    servers = [opened("web", "127.0.0.1", port, so_reuseport=True, blocking=True) for _ in range(2)]
    taken = [0, 0]
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        for index, server in enumerate(servers):
            server.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    stack.enter_context(server.accept()[0])
                    taken[index] += 1
    assert sum(taken) == 60 and min(taken) > 5, taken
    assert "another program uses it" in refusal(CircusSocket("web", "127.0.0.1", port))


def test_what_is_open_is_not_opened_again_and_stays_as_it_is(opened: Any, tmp_path: Path) -> None:
    sock = opened("web", path=str(tmp_path / "web"))
    with pytest.raises(SocketError, match="is open already"):
        sock.bind_and_listen()
    assert is_answered(sock)


# ---- unix sockets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_unix_socket_has_a_path_and_neither_host_nor_port(opened: Any, tmp_path: Path, kind: int) -> None:
    sock = opened("api", path=str(tmp_path / "api.sock"), type=kind)
    assert sock.is_unix and (sock.host, sock.port) == (None, None)
    assert sock.info() == {
        "fd": sock.fileno(), "name": "api", "backlog": 2048, "path": str(tmp_path / "api.sock"),
    }  # fmt: skip
    assert str(sock) == f"socket 'api' at {tmp_path}/api.sock"
    assert is_answered(sock)
    sock.close()
    assert not os.path.lexists(tmp_path / "api.sock")


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o700), (0o000, 0o777), (0o117, 0o660), (None, 0o755)])
def test_its_file_is_never_open_wider_than_its_umask_says(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int | None, mode: int
) -> None:
    """Looked at before every call that changes a mode. The umask belongs to all threads, and is left alone."""
    path = tmp_path / "api.sock"
    seen = []
    change = os.chmod

    def look(target: Any, wanted: int, **more: Any) -> None:
        seen.append(stat.S_IMODE(os.stat(path).st_mode))
        change(target, wanted, **more)

    before = os.umask(0o022)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "chmod", look)
            patch.setattr(os, "umask", lambda _: pytest.fail("the umask of all threads was changed"))
            opened("api", path=str(path), umask=umask)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert not [each for each in seen if each & ~mode]


def test_a_path_in_use_is_taken_over_only_if_asked(opened: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    left_behind(path, socket.SOCK_STREAM)
    assert "say `replace = true` if it may be taken over" in refusal(CircusSocket("api", path=path))
    assert os.path.lexists(path)
    assert is_answered(opened("api", path=path, replace=True))


def left_behind(path: str, kind: int) -> None:
    """The file of a socket whose program was killed."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.bind(path)
        if kind != socket.SOCK_DGRAM:
            sock.listen()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", KINDS)
def test_what_was_left_behind_is_replaced_whatever_its_type(
    opened: Any, tmp_path: Path, kind: int, wanted: int
) -> None:
    path = str(tmp_path / "api.sock")
    left_behind(path, kind)
    assert is_answered(opened("api", path=path, type=wanted, replace=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", KINDS)
def test_a_path_at_which_somebody_listens_is_never_taken(opened: Any, tmp_path: Path, kind: int, wanted: int) -> None:
    path = str(tmp_path / "api.sock")
    other = opened("other", path=path, type=kind)
    assert "somebody listens there" in refusal(CircusSocket("api", path=path, type=wanted, replace=True))
    assert is_answered(other)


def test_who_has_a_full_backlog_listens(opened: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    opened("other", path=path, backlog=0)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(path)
        with stack.enter_context(socket.socket(socket.AF_UNIX)) as probe:
            probe.setblocking(False)
            with pytest.raises(BlockingIOError):
                probe.connect(path)
        assert "somebody listens there" in refusal(CircusSocket("api", path=path, replace=True))
    assert os.path.lexists(path)


def plain_file(path: Path) -> None:
    path.write_text("precious")


def directory(path: Path) -> None:
    path.mkdir()


def link_to_socket(path: Path) -> None:
    left_behind(f"{path}.real", socket.SOCK_STREAM)
    path.symlink_to(f"{path}.real")


def link_to_nothing(path: Path) -> None:
    path.symlink_to(f"{path}.missing")


def fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (plain_file, "a file that is no socket"),
        (directory, "a directory"),
        (link_to_socket, "a symbolic link"),
        (link_to_nothing, "a symbolic link"),
        (fifo, "a file that is no socket"),
    ],
)
def test_what_is_no_socket_is_left_alone(tmp_path: Path, make: Any, kind: str) -> None:
    path = tmp_path / "api.sock"
    make(path)
    before = os.lstat(path)
    assert f"{kind} is there, which is left alone" in refusal(CircusSocket("api", path=str(path), replace=True))
    assert os.lstat(path) == before


def test_a_path_that_is_not_ours_any_more_is_not_removed(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    first = opened("api", path=str(path))
    path.unlink()
    second = opened("api", path=str(path))
    first.close()
    assert is_answered(second)


def test_a_missing_directory_and_a_path_that_is_too_long_are_said(tmp_path: Path) -> None:
    assert f"there is no directory {tmp_path}/none" in refusal(CircusSocket("api", path=f"{tmp_path}/none/api"))
    assert "longer than 107 bytes" in refusal(CircusSocket("api", path="/tmp/" + "x" * 103))


def test_a_unix_socket_needs_a_path() -> None:
    assert "a unix socket needs a path" in refusal(CircusSocket("api", family="AF_UNIX"))


def test_an_abstract_name_is_no_file(opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"@circus-test-{os.getpid()}"
    sock = opened("api", path=name)
    assert sock.getsockname() == b"\0" + name[1:].encode()
    assert sock.location == name and is_answered(sock)
    assert "Address already in use" in refusal(CircusSocket("api", path=name))
    assert not list(tmp_path.iterdir())


def test_of_two_that_replace_at_once_one_is_told_that_the_other_listens(opened: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    outcomes: list[str] = []

    def open_it() -> None:
        try:
            opened("api", path=path, replace=True)
            outcomes.append("open")
        except SocketError:
            outcomes.append("refused")

    for _ in range(10):
        left_behind(path, socket.SOCK_STREAM)
        outcomes.clear()
        threads = [threading.Thread(target=open_it) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["open", "refused"]
        os.unlink(path)


# ---- several -----------------------------------------------------------------------------------------------------


def test_sockets_are_opened_together_or_not_at_all(opened: Any, tmp_path: Path) -> None:
    taken = opened("taken", "127.0.0.1", 0)
    (tmp_path / "file").write_text("precious")
    sockets = CircusSockets(
        [
            CircusSocket("good", path=str(tmp_path / "good")),
            CircusSocket("web", "127.0.0.1", taken.port),
            CircusSocket("api", path=str(tmp_path / "file")),
        ]
    )
    with pytest.raises(SocketError) as caught:
        sockets.bind_and_listen_all()
    assert "socket 'web'" in str(caught.value) and "socket 'api'" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    sockets.close_all()


def test_a_socket_with_so_reuseport_is_tried_and_then_left_to_its_processes(opened: Any) -> None:
    port = free_port()
    sockets = CircusSockets([CircusSocket("web", "localhost", port, so_reuseport=True)])
    sockets.bind_and_listen_all()
    try:
        assert sockets["web"].info()["host"] == "127.0.0.1" and sockets["web"].info()["fd"] >= 0
        assert not sockets["web"].is_open
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert is_answered(opened("other", "127.0.0.1", port))
    finally:
        sockets.close_all()


def test_a_port_that_another_has_for_itself_is_refused_also_with_so_reuseport(opened: Any) -> None:
    taken = opened("taken", "127.0.0.1", 0)
    sockets = CircusSockets([CircusSocket("web", "127.0.0.1", taken.port, so_reuseport=True)])
    with pytest.raises(SocketError, match="another program uses it"):
        sockets.bind_and_listen_all()
    sockets.close_all()


def test_what_was_closed_is_opened_again_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "api"
    sockets = CircusSockets([CircusSocket("api", path=str(path), umask=0o077)])
    for _ in range(2):
        sockets.bind_and_listen_all()
        assert is_answered(sockets["api"]) and stat.S_IMODE(path.stat().st_mode) == 0o700
        sockets.close_all()
        assert not path.exists()


def test_a_subclass_with_other_arguments_is_opened_again_and_tried_like_any_other() -> None:
    class Service(CircusSocket):
        def __init__(self, label: str, **options: Any) -> None:
            super().__init__(f"service-{label}", "127.0.0.1", **options)

    sockets = CircusSockets([Service("a", port=0), Service("b", port=free_port(), so_reuseport=True)])
    for _ in range(2):
        sockets.bind_and_listen_all()
        assert is_answered(sockets["service-a"])
        with sockets["service-b"].fresh() as own:
            assert isinstance(own, Service) and own.so_reuseport
        sockets.close_all()


def test_opening_needs_no_umask_also_in_a_program_of_several_threads(tmp_path: Path) -> None:
    """What another thread makes meanwhile has the mode it always has."""
    script = textwrap.dedent(
        f"""
        import os, threading
        from circus.sockets import CircusSocket
        os.umask(0o022)
        modes, ended = set(), threading.Event()
        def make():
            number = 0
            while not ended.is_set():
                path = "{tmp_path}/made%d" % (number := number + 1)
                os.close(os.open(path, os.O_CREAT, 0o666))
                modes.add(oct(os.stat(path).st_mode & 0o777))
                os.unlink(path)
        thread = threading.Thread(target=make)
        thread.start()
        for _ in range(200):
            with CircusSocket("a", path="{tmp_path}/a", umask=0o077) as sock:
                sock.bind_and_listen()
        ended.set()
        thread.join()
        print(modes)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "{'0o644'}\n", done
