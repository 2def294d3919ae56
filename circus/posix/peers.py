"""Which process listens at the other end of a connection on this machine, and how it is."""

from __future__ import annotations

import os
import socket
import struct

from circus.posix.users import user_name


class Peer:
    """What could be learnt; everything may be unknown."""

    def __init__(self, pid: int = 0, uid: int | None = None) -> None:
        self.pid = pid
        self.uid = uid
        self.name = _read(f"/proc/{pid}/comm").strip() if pid else ""

    def __str__(self) -> str:
        if not self.pid:
            return "what listens"
        return f"{self.name or 'the process that listens'} (pid {self.pid})"

    @property
    def suspended(self) -> bool:
        """Stopped by a signal or a tracer: T or t in proc(5)."""
        return self.pid != 0 and _read(f"/proc/{self.pid}/stat").rpartition(")")[2].strip()[:1] in ("T", "t")

    @property
    def speaks_zmq(self) -> bool | None:
        """Whether libzmq's background threads, which it names `ZMQbg/...`, are there. None: cannot be known."""
        try:
            tasks = os.listdir(f"/proc/{self.pid}/task") if self.pid else []
        except OSError:
            tasks = []
        if not tasks:
            return None
        return any(_read(f"/proc/{self.pid}/task/{task}/comm").startswith("ZMQbg") for task in tasks)

    @property
    def stranger(self) -> str:
        """Advice if the process is another user's, and will not obey us."""
        if self.uid is None or os.geteuid() in (0, self.uid):
            return ""
        if self.uid == 0:
            return "it obeys only root: run circusctl so"
        return f"it obeys only user {user_name(self.uid)} and root: run circusctl as one of them"


def find_peer(sock: socket.socket) -> Peer:
    if sock.family == socket.AF_UNIX:
        return _unix_peer(sock)
    local, remote = sock.getsockname(), sock.getpeername()
    return _tcp_listener(remote[1]) if local[0] == remote[0] else Peer()


def _unix_peer(sock: socket.socket) -> Peer:
    """For a connected stream socket: the process that called listen(2) (SO_PEERCRED, unix(7))."""
    try:
        pid, uid, _ = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except (OSError, AttributeError):  # not Linux
        return Peer()
    return Peer(pid, uid)


def _tcp_listener(port: int) -> Peer:
    """From /proc/net/tcp, where state 0A is LISTEN (proc(5))."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                return Peer(_holder(f"socket:[{fields[9]}]"), int(fields[7]))
    return Peer()


def _holder(link: str) -> int:
    """The process that holds an open descriptor; 0 if it is none we may look into."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            for fd in os.scandir(f"/proc/{entry}/fd"):
                if os.readlink(fd.path) == link:
                    return int(entry)
        except OSError:  # another user's, or gone
            continue
    return 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
