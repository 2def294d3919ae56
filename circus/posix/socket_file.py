"""The file of a unix socket: whose it is, and when it may be taken away (unix(7))."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from circus.common.names import MAX_SOCKET_PATH

# A bind takes a millisecond; two seconds are for a machine that is busy.
_TRIES = 100
_TRY_DELAY = 0.02


@contextmanager
def turn_in(folder: str) -> Iterator[None]:
    """One daemon at a time: of two that look at once, both would find none and the later take the file away.

    A lock on the directory leaves nothing behind. A daemon that cannot have it soon goes on without: any user may hold
    one on a directory that is open to all.
    """
    import fcntl  # here, because circusctl, which binds nothing, pays for each module at every call

    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # not there, which is told later, or not ours to read
        yield
        return
    try:
        for _ in range(_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(_TRY_DELAY)
        yield
    finally:
        os.close(fd)


def is_abstract(path: str) -> bool:
    """Whether it is the name of no file: `@NAME`, as ss(8) and systemd write it."""
    return path.startswith("@")


def require_usable(path: str) -> None:
    """OSError whose text says why no socket can be made there: the path is too long, or its directory is missing."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        text = f"the path is longer than {MAX_SOCKET_PATH} bytes, the limit for unix sockets"
        raise OSError(errno.ENAMETOOLONG, text)
    folder = os.path.dirname(path) or "."
    if not is_abstract(path) and not os.path.isdir(folder):
        raise OSError(errno.ENOENT, f"there is no directory {folder}")


def kind_of(path: str) -> str:
    """What is there if it is no socket, for people; empty for a socket. FileNotFoundError if there is nothing."""
    mode = os.lstat(path).st_mode
    kinds = ((stat.S_ISSOCK, ""), (stat.S_ISDIR, "a directory"), (stat.S_ISLNK, "a symbolic link"))
    return next((kind for test, kind in kinds if test(mode)), "a file that is no socket")


def is_left_behind(path: str) -> bool:
    """Whether a socket file is there to which nobody listens any more. OSError if that cannot be found out.

    connect(2) refuses a plain file just as it refuses a dead socket: ask `kind_of` first.
    """
    import socket  # as `fcntl` above

    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as probe:
            probe.setblocking(False)  # a listener whose queue is full is one, too
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                return True
            except BlockingIOError:
                return False
            except OSError as exc:
                if exc.errno != errno.EPROTOTYPE:  # the one at the other end is of another type
                    raise
            else:
                return False
    return False
