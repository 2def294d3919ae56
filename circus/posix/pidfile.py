"""The pid file. A kernel lock (flock(2)) decides whether its daemon lives; the number in it is only text.

A lock ends with the process that holds it, at kill -9 and power loss too. So a file that names a dead process, a
recycled pid, pid 1 or rubbish never keeps a daemon from starting, and of two started at once one wins.

The file is written aside, locked, and renamed into its place, so that a reader finds either pid, never half of
one. Since a lock belongs to the file and not to its name, a process that gets one must see whether the file still is
the one that has the name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from circus.posix.processes import exists
from circus.posix.regular import is_replaceable

# `validate` holds the lock for an instant, in whatever process; a daemon that starts just then must not give up.
_TRIES = 10
_TRY_DELAY = 0.02


# A lock is shared with every process forked from us, and one that a hook leaves behind must not go on holding it
# after our death. What is executed has lost it by close-on-exec.
_held: set[int] = set()


def _let_go() -> None:
    for fd in _held:
        os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


class Pidfile:
    """`fname` is the path ("" or None: a temporary file is made), `pid` what `create` wrote."""

    perm_mode = 0o644
    """Of the file; a class or an object may have another."""

    def __init__(self, fname: str | None) -> None:
        self.fname = fname
        self.pid: int | None = None
        self._lock: int | None = None

    def create(self, pid: int) -> None:
        """Write it and hold it until `unlink` or the end of this process. RuntimeError if another one holds it."""
        shared = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 -- the name is random and the file made with O_EXCL
        directory = os.path.dirname(self.fname) if self.fname else shared
        if directory and not os.path.isdir(directory):
            raise RuntimeError(f"{directory} doesn't exist. Can't create pidfile")
        if self.fname and not is_replaceable(self.fname):
            raise RuntimeError(f"{self.fname} is no regular file of its own. Can't create pidfile")
        pid = int(pid)
        guard = None
        if self.fname:
            # Through a symbolic link, so that the link stays one.
            self.fname = os.path.realpath(self.fname) if os.path.islink(self.fname) else self.fname
            guard = _take(self.fname)
            if guard is None:
                self._taken_by_another(pid)
                return
        try:
            written, self._lock = _write_aside(directory, pid, self.perm_mode)
            if self.fname:
                os.rename(written, self.fname)
            else:
                self.fname = written
        finally:
            if guard is not None:
                os.close(guard)
        _held.add(self._lock)
        self.pid = pid

    def rename(self, path: str) -> None:
        """Move it. RuntimeError, and nothing changed, if a live daemon holds the new path."""
        if self.pid is None:
            self.fname = path
            return
        moved = Pidfile(path)
        moved.create(self.pid)
        pid = self.pid
        self.unlink()
        self.fname, self.pid, self._lock = moved.fname, pid, moved._lock

    def unlink(self) -> None:
        """Remove it if it is ours, also if another object of this process has made it; never raises."""
        try:
            if self.fname and _read_pid(self.fname) in (self.pid or os.getpid(), os.getpid()):
                os.unlink(self.fname)
        except OSError:
            pass  # gone, or not ours to remove any more
        if self._lock is not None:
            _held.discard(self._lock)
            os.close(self._lock)
            self._lock = None
        self.pid = None

    def validate(self) -> int | None:
        """The pid of the live daemon it names, or None. For anybody who may read the file.

        Held: its daemon lives. Not held: ours is dead; but another program may write pid files without a lock,
        so it also counts when that process exists and began before the file was written. One that began later
        has the pid of a dead one.
        """
        if not self.fname:
            return None
        try:
            fd = os.open(self.fname, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            pid = _parse(os.read(fd, 64))
            if pid is None or not _try_lock(fd, fcntl.LOCK_SH):
                return pid
            return pid if exists(pid) and _born_before(pid, os.fstat(fd).st_mtime) else None
        except OSError:
            return None
        finally:
            os.close(fd)

    def _taken_by_another(self, pid: int) -> None:
        assert self.fname
        other = _read_pid(self.fname)
        if other == pid:
            self.pid = pid  # ourselves, by another object
            return
        who = "unknown" if other is None else other
        raise RuntimeError(taken(self.fname, who))


def taken(path: str, pid: object) -> str:
    """What is said of a pid file that a live daemon holds."""
    return f"another daemon runs and holds the pid file '{path}', current pid {pid}: stop it or choose another file"


def _take(path: str) -> int | None:
    """A locked descriptor of the file at `path`, made if need be; None if another process holds it."""
    for _ in range(_TRIES):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        if not _try_lock(fd, fcntl.LOCK_EX):
            os.close(fd)
            time.sleep(_TRY_DELAY)
        elif _is_at(fd, path):
            return fd
        else:
            os.close(fd)  # replaced or removed between open and lock
    return None


def _write_aside(directory: str, pid: int, mode: int) -> tuple[str, int]:
    path = os.path.join(directory, f".pid-{os.urandom(8).hex()}")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(fd, mode)
        os.write(fd, b"%d\n" % pid)
    except OSError:
        os.close(fd)
        os.unlink(path)
        raise
    return path, fd


def _try_lock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def _read_pid(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            return _parse(file.read(64))
    except OSError:
        return None


def _parse(text: bytes) -> int | None:
    """Decimal digits and nothing else; 0 and what no system uses as a pid are rubbish (kill(2) reads 0 as a group)."""
    word = text.strip()
    pid = int(word) if word.isdigit() and len(word) < 11 else 0
    return pid or None


def _born_before(pid: int, wall: float) -> bool:
    """By /proc; where there is none the benefit of the doubt."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])  # field 22, starttime: since boot
    except (OSError, IndexError, ValueError):
        return True
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age <= wall + 1.0  # ticks are rounded, and the clock may be slewed
