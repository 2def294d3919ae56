"""The last steps before the program, for what subprocess cannot do: a script that `spawn` runs in the child.

It places descriptors, resets signals, sets limits while it still may, changes groups, gid and uid (in this order: each
step needs the rights that the next one gives up), and becomes the program. It imports nothing of the project and little
else, because each spawn that needs it pays for it.

Its argument is its end of a socket pair. From there it reads a marshalled dict (see `spawn._through_launcher`),
so that the program's environment is never the launcher's own. It answers `.` just before it becomes the program
and `STAGE ERRNO DETAIL` when a step fails; close-on-exec ends the conversation.
"""

import _signal  # type: ignore[import-not-found]  # what `signal` wraps in enums, which cost 5 ms to build
import errno
import fcntl
import marshal
import os
import sys


class Failure(Exception):
    def __init__(self, stage: str, number: int, detail: object) -> None:
        super().__init__(f"{stage} {number} {detail}")


def main(fd: int) -> None:
    os.set_inheritable(fd, False)
    order = marshal.loads(_read_all(fd))  # noqa: S302  # from our parent; no other process holds the other end
    try:
        fd = _place(fd, order["listen"], order["passed"], order["env"])  # before a limit keeps it from that
        _reset_signals()
        _set_limits(order["limits"])
        _become(order["uid"], order["gid"], order["groups"])
        os.write(fd, b".")
        _execute(order["program"], order["argv"], order["env"])
    except Failure as failure:
        os.write(fd, str(failure).encode(errors="replace"))


def _read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)


def _reset_signals() -> None:
    """Python itself ignores SIGPIPE and SIGXFSZ; the others come from what started the daemon."""
    for number in _signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}:
        if _signal.getsignal(number) != _signal.SIG_DFL:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _set_limits(limits: list[tuple[str, int, int, int]]) -> None:
    if not limits:
        return
    import resource  # a shared library: loaded only where it is needed

    for name, which, soft, hard in limits:
        try:
            resource.setrlimit(which, (soft, hard))
        except ValueError as error:
            # So Python says both EPERM and EINVAL; the latter is for a soft limit above the hard one.
            raise Failure("limits", errno.EPERM, name) from error


def _become(uid: int | None, gid: int | None, groups: list[int] | None) -> None:
    try:
        if groups is not None:
            os.setgroups(groups)
        if gid is not None:
            os.setregid(gid, gid)
        if uid is not None:
            os.setreuid(uid, uid)
    except OSError as error:
        raise Failure("user", error.errno or 0, error) from error
    except (ValueError, OverflowError) as error:  # more groups or greater numbers than there can be
        raise Failure("user", errno.EINVAL, error) from error


def _place(report: int, listen: tuple[int, ...], passed: tuple[int, ...], env: dict[bytes, bytes]) -> int:
    """Put the descriptors of `listen` on 3 and so on; the conversation goes on at the one returned.

    All are copied out of the way first: a source, or our end of the conversation, may have the number of a target.
    """
    if not listen:
        return report
    first = 3
    beyond = max(first + len(listen), report + 1, *(fd + 1 for fd in (*listen, *passed)))
    try:
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, beyond) for fd in (report, *listen)]
    except OSError as error:
        raise Failure("descriptors", error.errno or 0, error) from error
    for fd in {report, *listen} - set(passed):
        os.close(fd)
    for number, copy in enumerate(copies[1:], first):
        os.dup2(copy, number, inheritable=True)
    env[b"LISTEN_PID"] = str(os.getpid()).encode()
    return copies[0]


def _execute(program: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> None:
    try:
        os.execvpe(program, argv, env)
    except OSError as error:
        raise Failure("exec", error.errno or 0, error) from error
    except ValueError as error:  # a zero byte
        raise Failure("exec", errno.EINVAL, f"its command or environment is not usable: {error}") from error
    except MemoryError as error:  # a tight limit is in force already
        raise Failure("exec", errno.ENOMEM, "") from error


if __name__ == "__main__":
    main(int(sys.argv[1]))
