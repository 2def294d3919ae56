"""What a child is made of, and a look at the program file before it is started."""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

Output = Literal["inherit", "pipe", "null"]

INHERIT = -1


class Lent(NamedTuple):
    """What a process is given of the managed sockets: descriptors of ours.

    `numbers`: by name, for `$(circus.sockets.NAME)`; under NAME.port the port. `passed`: those the process gets under
    the same number. `stdin`: the one that becomes its descriptor 0. `listen`: (name, descriptor) of those that become 3
    and so on.
    """

    numbers: Mapping[str, int] = {}
    passed: tuple[int, ...] = ()
    stdin: int | None = None
    listen: tuple[tuple[str, int], ...] = ()


class Launch(NamedTuple):
    """Nothing is added to it: the child's environment and descriptors are exactly these."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    executable: str | None = None
    """Program file when it is not argv[0]. Looked up in the PATH of `env` like argv[0] (os.get_exec_path)."""
    cwd: str | None = None
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    umask: int = -1
    """-1: ours."""
    rlimits: tuple[tuple[str, int | None], ...] = ()
    """Names as in RLIMIT_NAME (getrlimit(2)); soft = hard; None: infinity."""
    stdin: int | None = None
    """A descriptor; None: /dev/null; INHERIT: ours."""
    stdout: Output = "inherit"
    stderr: Output = "inherit"
    pass_fds: tuple[int, ...] = ()
    """Descriptors it gets under the same numbers."""
    listen: tuple[int, ...] = ()
    """Descriptors it gets as 3, 4 and so on, with its pid in LISTEN_PID (sd_listen_fds(3))."""
    mark: int | None = None
    """Birth mark (`circus.posix.mark.next_mark`); a configured RTTIME limit takes its place."""

    @property
    def program(self) -> str:
        return self.executable or self.argv[0]


class Child(NamedTuple):
    """A running child. The descriptors are blocking, close-on-exec, and the caller's to close."""

    pid: int
    stdout: int | None
    stderr: int | None


def candidates(launch: Launch) -> Iterator[str]:
    """The files the program's name can mean, in the order the child would try them."""
    base = launch.cwd or ""
    if os.path.dirname(launch.program):
        yield os.path.join(base, launch.program)
    else:
        for directory in os.get_exec_path(dict(launch.env)):
            yield os.path.join(base, directory, launch.program)


def surely_runs(launch: Launch) -> bool:
    """Whether the child's exec will succeed as far as one can tell; False means "perhaps not"."""
    path = next((path for path in candidates(launch) if os.path.exists(path)), None)
    if path is None or not _may_execute(launch, path):
        return False
    head = header(path)
    if head.startswith(b"#!"):
        interpreter = interpreter_of(head)
        return _may_execute(launch, interpreter) and header(interpreter).startswith(_our_kind())
    return head.startswith(_our_kind())


def header(path: str) -> bytes:
    """The first bytes of a file; as many as the kernel looks at (BINPRM_BUF_SIZE, 256). Empty if unreadable."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # never waits for a pipe's other end
    except OSError:
        return b""
    try:
        return os.read(fd, 256)
    except OSError:
        return b""
    finally:
        os.close(fd)


def interpreter_of(head: bytes) -> str:
    """The program a `#!` line names; empty if it names none."""
    words = head[2:].split(b"\n")[0].split()
    return os.fsdecode(words[0]) if words else ""


def _may_execute(launch: Launch, path: str) -> bool:
    if launch.uid is None and launch.gid is None:
        return os.path.isfile(path) and os.access(path, os.X_OK)
    # For another user the answer is sure only when everybody may.
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        path = os.path.realpath(path)
        while path != "/":
            if not os.stat(path).st_mode & stat.S_IXOTH:
                return False
            path = os.path.dirname(path)
    except OSError:
        return False
    return True


@functools.cache
def _our_kind() -> bytes:
    """How a program for this machine begins: for ELF, magic, word size and byte order (elf(5))."""
    head = header(sys.executable)
    return head[:6] if head.startswith(b"\x7fELF") else b"\x7fELF"
