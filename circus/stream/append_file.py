"""A file that is only ever appended to, and that notices when it is moved, deleted or replaced."""

from __future__ import annotations

import fcntl
import logging
import os
import stat

from circus.posix.regular import leads_into_system

logger = logging.getLogger("circus")

# Readable for all and writable for the group at most, less what the umask takes away: a log is never world-writable.
_MODE = 0o664
# O_NONBLOCK is for the opening only: a FIFO without a reader gives an error instead of a daemon that hangs.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_NEWLINE = 0x0A


class AppendFile:
    """The open end of one log file. Used by one thread at a time.

    `size` is the file's length as far as we know (others may write to it too: `check` asks again),
    `line_open` tells that the last byte we wrote was not a line end, `written` counts all bytes we ever wrote.
    `is_replaceable`: it is a regular file, at a path where another may take its place.
    """

    def __init__(self, path: str) -> None:
        self._fd = -1
        # Absolute from the start: the daemon, or the program it lives in, may change its directory later.
        self.path = os.path.abspath(path)
        self.size = 0
        self.line_open = False
        self.written = 0
        self.is_replaceable = not leads_into_system(self.path)
        self._was_pipe = False
        self._identity = (0, 0)
        self._warned = False

    def __del__(self) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def fileno(self) -> int:
        return self._fd

    def open(self) -> None:
        """Open what the path leads to now, in place of what was open before. Raises OSError and changes nothing."""
        # In /dev and /proc, and in the place of a pipe, no file is made.
        may_create = not self._was_pipe and not leads_into_system(self.path)
        fd = os.open(self.path, _FLAGS if may_create else _FLAGS & ~os.O_CREAT, _MODE)
        try:
            os.set_blocking(fd, True)
            status = os.fstat(fd)
        except OSError:
            os.close(fd)
            raise
        self.close()
        self._fd = fd
        self.is_replaceable = stat.S_ISREG(status.st_mode) and not leads_into_system(self.path)
        self._was_pipe = stat.S_ISFIFO(status.st_mode)
        self._identity = (status.st_dev, status.st_ino)
        self.size = status.st_size
        self._warned = False

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        self.line_open = False
        if fd >= 0:
            os.close(fd)

    def check(self) -> bool:
        """Make sure that we write to the file the path leads to; open it again if not. Also learns the real size.

        True if it is another file than before. When the path cannot be opened (a directory took its place, no
        permission) but the old file still has a name somewhere, writing goes on there and nothing is lost. OSError
        only if the bytes would go where they can never be read.
        """
        if self.is_open and self.is_current():
            return False
        before = self._identity
        try:
            self.open()
        except OSError as error:
            if not self.is_open or (self.is_replaceable and os.fstat(self._fd).st_nlink == 0):
                raise  # of a pipe the other end may still be there
            self._warn_once(error)
        return self._identity != before

    def is_current(self) -> bool:
        """Whether the path still leads to the file we write to. Also learns its real size: others may write too."""
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        if (status.st_dev, status.st_ino) != self._identity:
            return False
        self.size = status.st_size
        return True

    def lock(self) -> None:
        """Take the turn to rotate this file until `close`; BlockingIOError if another has it (flock(2))."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a file system without locks: better unguarded than never

    def unlock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError:
            pass  # as above

    def write(self, data: bytes | memoryview) -> None:
        """Append all of it. OSError if that failed on the way; `written` tells how far it came."""
        left = memoryview(data)
        last = left[-1:]
        while left:
            try:
                count = os.write(self._fd, left)
            except OSError as error:
                raise OSError(error.errno, error.strerror, self.path) from None
            self.size += count
            self.written += count
            left = left[count:]
            self.line_open = True
        if last:
            self.line_open = last[0] != _NEWLINE

    def _warn_once(self, error: OSError) -> None:
        if not self._warned:
            logger.warning(
                "log file %s was moved and cannot be opened again: %s; still writing to the old one", self.path, error
            )
            self._warned = True
