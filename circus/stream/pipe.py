"""The read end of one pipe: non-blocking, as large as is wise, and safe against descriptors closed by others."""

from __future__ import annotations

import errno
import fcntl
import os

from circus.stream.sink import Sink

NOTHING = 0
ENDED = -1

LARGEST = 1 << 20
DEFAULT = 65536
# Without privilege all pipes of a user together may have 64 MiB (/proc/sys/fs/pipe-user-pages-soft); beyond that the
# kernel gives new ones a page or two, which is slow for all. So the first pipes are made large and later ones
# less so. Descriptors are handed out lowest number first, so the number tells about how many there are: 1 MiB below
# 15, then half as much with each doubling. All that are larger than usual sum up to 36 MiB at most.
_BUDGET = 8 << 20
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", None)
_F_GETPIPE_SZ = getattr(fcntl, "F_GETPIPE_SZ", None)


class Pipe:
    """Owned by a pump's thread. `tail` is the start of a line that waits for its end."""

    __slots__ = ("_identity", "fd", "is_open", "pid", "sink", "tail")

    def __init__(self, fd: int, pid: int, sink: Sink) -> None:
        self.fd = fd
        self.pid = pid
        self.sink = sink
        self.tail = b""
        self.is_open = True
        self._identity = _identity(fd)

    def prepare(self) -> None:
        """Make reads non-blocking and the pipe large. OSError if the descriptor is not open."""
        if not self.is_ours():
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        os.set_blocking(self.fd, False)
        size = min(LARGEST, _BUDGET // (self.fd + 1))
        if size > DEFAULT and _F_SETPIPE_SZ is not None:
            try:
                fcntl.fcntl(self.fd, _F_SETPIPE_SZ, size)
            except OSError:
                pass  # not a pipe, or a limit is reached: it works with any size

    def read(self, room: memoryview) -> int:
        """Read into `room`. The number of bytes, or NOTHING if there are none now, or ENDED."""
        try:
            return os.readv(self.fd, (room,)) or ENDED
        except BlockingIOError:
            return NOTHING
        except OSError:
            # EIO is how the end of a terminal looks; EBADF means that other code closed it. Whatever it is, to try
            # again would be a busy loop.
            return ENDED

    def capacity(self) -> int:
        """An upper bound for what it can hold."""
        if _F_GETPIPE_SZ is not None:
            try:
                return fcntl.fcntl(self.fd, _F_GETPIPE_SZ)
            except OSError:
                pass  # not a pipe
        return LARGEST

    def is_ours(self) -> bool:
        """False if other code closed the descriptor; its number may belong to another file by now."""
        now = _identity(self.fd)
        return now is not None and now == self._identity

    def close(self) -> None:
        self.is_open = False
        if self.is_ours():
            os.close(self.fd)


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None  # not open
    return status.st_dev, status.st_ino
