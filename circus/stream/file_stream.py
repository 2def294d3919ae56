"""Streams that write files: `FileStream` (rotated by size), `WatchedFileStream`, `TimedRotatingFileStream`.

Common to all of them: bytes are appended as they come, unbuffered, none is lost or written twice; a file that was
moved, deleted or truncated by others is noticed; a rotation happens between two lines. Two streams may write
to the same file (stdout and stderr, or several watchers, or several daemons): only one of them rotates it, under
`flock(2)`, and the others follow.
"""

from __future__ import annotations

import logging
import math
import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from circus.common.convert import to_bool
from circus.posix.regular import is_replaceable
from circus.stream.append_file import AppendFile
from circus.stream.base import LineStamper, PartialWriteError, as_bytes
from circus.stream.schedule import Schedule

if TYPE_CHECKING:
    from datetime import datetime

logger = logging.getLogger("circus")

# A rotation or a look at the path that went wrong is tried again after this many seconds.
_RETRY_DELAY = 1.0
# Without a line end in sight a new file takes at least this much, so that a tiny max_bytes cannot make a file per byte.
_SMALLEST_CUT = 4096


class FileStream:
    """Appends everything to a file.

    - `filename`: where to; a new temporary file if None. A relative name is relative to the directory of now.
    - `max_bytes`: rotate before the file reaches this size; 0 = never. Only a regular file is rotated: what is or leads
      to something in /dev or /proc, or is a pipe, is written on.
    - `backup_count`: rotation keeps `filename.1` (youngest) to `filename.N` (oldest). With 0 the file is never
      rotated, whatever `max_bytes` says: there is nowhere to put what is in it, and nothing is ever thrown away.
    - `time_format`: `strftime` format; every line then begins with `TIME [PID] | `.

    Values may be strings; other options are ignored. OSError if the file cannot be opened.
    """

    check_delay = 1.0
    """Seconds of writing after which the path is looked at again."""

    _last_rotation = object()  # replaced at each rotation in this process: others that write to the file look at once

    def __init__(
        self,
        filename: str | None = None,
        max_bytes: int | str = 0,
        backup_count: int | str = 0,
        time_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.max_bytes = int(max_bytes or 0)
        self.backup_count = int(backup_count or 0)
        self.time_format = time_format or None
        self._file = AppendFile(filename or _temporary_file())
        # Looked up at each use, so that `now` can be replaced.
        self._stamper = LineStamper(time_format, lambda: self.now()) if time_format else None  # noqa: PLW0108
        self._check_at = 0.0
        self._rotate_at = 0.0  # not before this monotonic time; set when a rotation failed
        self._seen_rotation = FileStream._last_rotation
        self._warned = False
        self._file.open()  # now, so that a name that cannot be used is refused where it is configured

    @property
    def filename(self) -> str:
        return self._file.path

    @staticmethod
    def now() -> datetime:
        """The local time for `time_format`."""
        from datetime import datetime  # costs 2 ms and is needed only with time_format

        return datetime.now()

    def open(self) -> None:
        """Open the file, or open it again if the path leads to another one by now."""
        self._follow()

    def reopen(self) -> None:
        self.open()

    def close(self) -> None:
        """Write unfinished stamped lines and close the file. The next `open` or write opens it again."""
        try:
            rest = self._stamper.end_all() if self._stamper else b""
            if rest:
                self.write(rest)
        finally:
            self._file.close()

    def __call__(self, data: dict[str, Any]) -> None:
        payload = as_bytes(data["data"])
        if self._stamper is not None:
            payload = self._stamper.feed(data["pid"], data.get("name", ""), payload)
        self.write(payload)

    def end_of_output(self, pid: int, name: str) -> None:
        if self._stamper is not None:
            self.write(self._stamper.end(pid, name))

    def raw_writer(self) -> Callable[[memoryview], None] | None:
        """A function that takes the pump's own buffer, without a copy; None if data must come through `__call__`."""
        own_call = type(self).__call__ is FileStream.__call__ and type(self).write is FileStream.write
        return self.write if own_call and self._stamper is None else None

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`, rotating where needed. Raises PartialWriteError with the exact number of bytes not written."""
        if not data:
            return
        before = self._file.written
        try:
            self._look_at_path()
            self._write(data)
        except OSError as error:
            raise PartialWriteError(error, len(data) - (self._file.written - before)) from None

    def _look_at_path(self) -> None:
        now = time.monotonic()
        followed = self._seen_rotation is FileStream._last_rotation
        if now >= self._check_at or not followed or not self._file.is_open:
            self._seen_rotation = FileStream._last_rotation
            self._follow()
            self._check_at = now + self.check_delay

    def _follow(self) -> None:
        if self._file.check():
            self._rotate_at = 0.0
            self._file_changed()

    def _file_changed(self) -> None:
        """Others began a new file. Nothing to do here: its size is known."""

    def _write(self, data: bytes | memoryview) -> None:
        while (room := self._room(len(data))) < len(data):
            if not self._file.is_replaceable:
                self._give_up_rotating()
                break
            whole = bytes(data)
            cut = self._cut(whole, room)
            self._file.write(whole[:cut])
            data = whole[cut:]
            if not data:
                return
            self._rotate()
        self._file.write(data)

    def _give_up_rotating(self) -> None:
        self._rotate_at = math.inf
        logger.warning("log file %s cannot be rotated: it is no regular file of its own", self._file.path)

    def _room(self, length: int) -> int:
        """How many of the next `length` bytes may go into the open file as far as the rotation rule is concerned."""
        if self.max_bytes <= 0 or self.backup_count <= 0 or self._file.size + length < self.max_bytes:
            return length
        if time.monotonic() < self._rotate_at:
            return length
        return max(0, self.max_bytes - 1 - self._file.size)

    def _cut(self, data: bytes, room: int) -> int:
        """How many bytes go into the open file before it is rotated: whole lines, or the rest of an open line."""
        whole_lines = data.rfind(b"\n", 0, room) + 1
        if whole_lines:
            return whole_lines
        file = self._file
        if file.size and not file.line_open:
            return 0
        line = data.find(b"\n", room) + 1
        if line or file.size:
            return line or room
        return max(room, min(_SMALLEST_CUT, len(data)))

    def _rotate(self) -> None:
        """Put the file aside and begin a new one. If that is impossible the old one just grows: nothing is lost."""
        file = self._file
        try:
            file.lock()
            if file.is_current():
                self._put_aside()
                FileStream._last_rotation = self._seen_rotation = object()
                file.open()  # closes the old one, which gives up the lock
                self._remove_old_backups()
            else:
                file.open()  # others rotated or moved it; whether this one is full is another question
                self._file_changed()
            self._warned = False
        except OSError as error:
            file.unlock()
            self._rotate_at = time.monotonic() + _RETRY_DELAY
            self._warn_once(error)

    def _put_aside(self) -> None:
        path = self._file.path
        last = 1
        while last < self.backup_count and os.path.lexists(f"{path}.{last}"):
            last += 1
        for number in range(1, last + 1):
            if not is_replaceable(f"{path}.{number}"):
                raise FileExistsError(f"{path}.{number} is no regular file")
        for number in range(last, 1, -1):
            os.rename(f"{path}.{number - 1}", f"{path}.{number}")
        os.rename(path, f"{path}.1")

    def _remove_old_backups(self) -> None:
        """Nothing to do: the oldest one was overwritten by the one before it."""

    def _warn_once(self, error: OSError) -> None:
        if not self._warned and not isinstance(error, BlockingIOError):
            logger.warning("log file %s cannot be rotated and goes on growing: %s", self._file.path, error)
            self._warned = True


class WatchedFileStream(FileStream):
    """A `FileStream` for use with an external log rotation: looks at the path before every write."""

    check_delay = 0.0

    def __init__(self, filename: str | None = None, time_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(filename=filename, time_format=time_format)


class TimedRotatingFileStream(FileStream):
    """A `FileStream` rotated by the clock to `filename.SUFFIX`, the suffix telling when the file was begun.

    `rotate_when` is one of `S M H D MIDNIGHT W0`-`W6` in any case, `rotate_interval` a number of these, `utc` chooses
    the calendar; see `circus.stream.schedule`. The newest `backup_count` old files are kept, all of them if 0.
    The suffix is `%Y%m%d`, with `%H`, `%M`, `%S` added as `rotate_when` needs it; a name that is taken already gets
    a number after it. ValueError for a bad `rotate_when` or `rotate_interval`.
    """

    def __init__(
        self,
        filename: str | None = None,
        backup_count: int | str = 0,
        time_format: str | None = None,
        rotate_when: str | None = None,
        rotate_interval: int | str = 1,
        utc: bool | str = False,
        **kwargs: Any,
    ) -> None:
        self._schedule = Schedule(rotate_when, rotate_interval, to_bool(utc))
        start = _last_change(filename)
        super().__init__(filename=filename, backup_count=backup_count, time_format=time_format)
        self._rollover_at = self._schedule.next_after(time.time() if start is None else start)

    def _room(self, length: int) -> int:
        if time.time() < self._rollover_at or time.monotonic() < self._rotate_at:
            return length
        if not self._file.size and self._file.is_replaceable:
            # Nothing to put aside: the period of the file just begins later.
            self._file_changed()
            return length
        return 0

    def _put_aside(self) -> None:
        path = self._file.path
        wanted = target = f"{path}.{self._schedule.suffix_for(self._rollover_at)}"
        number = 0
        while os.path.lexists(target):  # an hour comes twice in autumn; a clock may be set back
            number += 1
            target = f"{wanted}.{number}"
        os.rename(path, target)
        self._file_changed()

    def _file_changed(self) -> None:
        self._rollover_at = self._schedule.next_after(time.time())

    def _remove_old_backups(self) -> None:
        if self.backup_count <= 0:
            return
        directory, base = os.path.split(self._file.path)
        backup = re.compile(rf"{re.escape(base)}\.(\d{{{self._schedule.suffix_length}}})(?:\.(\d+))?")
        found = [
            match
            for name in os.listdir(directory)
            if (match := backup.fullmatch(name)) and is_replaceable(os.path.join(directory, name))
        ]
        found.sort(key=lambda match: (match[1], int(match[2] or 0)))
        for match in found[: -self.backup_count]:
            os.unlink(os.path.join(directory, match[0]))


def _temporary_file() -> str:
    import tempfile  # expensive, and rarely needed

    fd, path = tempfile.mkstemp(prefix="circus-", suffix=".log")
    os.close(fd)
    return path


def _last_change(filename: str | None) -> float | None:
    """When a file that holds something was written last: its period began at that time at the latest."""
    try:
        status = os.stat(filename) if filename else None
    except OSError:
        return None
    return status.st_mtime if status and status.st_size else None
