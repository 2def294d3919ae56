"""Why a program could not be started, in words: from an exception to a `SpawnError` (stage, errno, sentence)."""

from __future__ import annotations

import errno
import os
import resource

from circus.exc import SpawnError
from circus.posix.launch import Launch, candidates, header, interpreter_of


def diagnose(launch: Launch, error: Exception) -> SpawnError:
    """For whatever subprocess raises. ValueError, TypeError: what the system cannot take (zero byte, no text)."""
    if not isinstance(error, OSError):
        return spawn_error(launch, "exec", errno.EINVAL, f"its command or environment is not usable: {error}")
    stage = _stage(launch, error)
    helper = stage == "exec" and error.filename != launch.program
    detail = f"{error.filename}, which is to start it, does not run: {error.strerror}" if helper else ""
    return spawn_error(launch, stage, error.errno or 0, detail)


def spawn_error(launch: Launch, stage: str, number: int, detail: str = "") -> SpawnError:
    """`detail` is the sentence where it is known; else it is made from the stage and the number."""
    explain = _EXPLAIN.get(stage)
    sentence = detail or (explain(launch, number) if explain else "") or os.strerror(number)
    return SpawnError(stage, number, f"cannot start {launch.argv[0]!r}: {sentence}")


def _stage(launch: Launch, error: OSError) -> str:
    """subprocess puts the program's name into an error of exec, and the directory or nothing into earlier ones."""
    number = error.errno
    if number in (errno.EMFILE, errno.ENFILE, errno.EBADF):
        return "descriptors"
    before_exec = error.filename in (None, launch.cwd)
    if before_exec and launch.cwd == launch.program:
        before_exec = not os.path.isdir(launch.program)  # a directory was given as the program
    if not before_exec:
        return "exec"
    # chdir(2) and fork(2) know none of these; setgroups(2), setregid(2) and setreuid(2) do.
    if _changes_user(launch) and number in (errno.EPERM, errno.EINVAL, errno.EAGAIN):
        return "user"
    return "fork" if error.filename is None else "directory"


def _changes_user(launch: Launch) -> bool:
    return launch.uid is not None or launch.gid is not None or launch.groups is not None


def _directory(launch: Launch, number: int) -> str:
    what = {
        errno.ENOENT: "does not exist; create it or correct working_dir",
        errno.ENOTDIR: "is not a directory; correct working_dir",
        errno.EACCES: f"may not be entered by uid {os.geteuid()}; give it the x permission",
    }.get(number, f"cannot be entered: {os.strerror(number)}")
    return f"the working directory {launch.cwd!r} {what}"


def _user(launch: Launch, number: int) -> str:
    who = " ".join(f"{kind} {value}" for kind, value in (("uid", launch.uid), ("gid", launch.gid)) if value is not None)
    if number == errno.EPERM:
        return f"circusd runs as uid {os.geteuid()} and may not become {who}; start it as root or drop uid and gid"
    if number == errno.EAGAIN:
        return f"{who} has as many processes as its limit (nproc) allows"
    return f"cannot become {who}: {os.strerror(number)}"


def _descriptors(launch: Launch, number: int) -> str:
    if number == errno.EMFILE:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f"circusd has used up its {limit} descriptors; raise the limit it is started with (ulimit -n)"
    if number == errno.ENFILE:
        return "the whole system has used up its descriptors (fs.file-max)"
    return "a descriptor it is to get is not open"


def _fork(launch: Launch, number: int) -> str:
    if number == errno.EAGAIN:
        return "no more processes are allowed here (limit nproc, or pids of the control group)"
    return f"no process could be made: {os.strerror(number)}"


def _exec(launch: Launch, number: int) -> str:
    found = next((path for path in candidates(launch) if os.path.lexists(path)), None)
    if found is None:
        return _nowhere(launch)
    if number == errno.ENOENT:
        return _half_there(found)
    if number == errno.EACCES:
        return _not_allowed(launch, found)
    what = {
        errno.ENOEXEC: "is neither a program for this machine nor a script that begins with #!",
        errno.E2BIG: "gets more arguments and environment than the system allows",
        errno.ETXTBSY: "is being written to at this moment",
        errno.EAGAIN: "would exceed the number of processes its user may have (limit nproc)",
        errno.ENOMEM: "does not fit into the memory that is left or allowed (limits as, data, stack)",
    }.get(number)
    return f"{found} {what}" if what else f"{found}: {os.strerror(number)}"


def _nowhere(launch: Launch) -> str:
    if os.path.dirname(launch.program):
        return f"there is no {next(candidates(launch))}; correct cmd, executable or working_dir"
    path = os.pathsep.join(os.get_exec_path(dict(launch.env)))
    return f"no {launch.program!r} in PATH ({path}); give the full path or correct PATH in its env"


def _half_there(found: str) -> str:
    """It exists, and still the kernel misses a file: what the program itself needs to be run."""
    head = header(found)
    if head.startswith(b"#!"):
        return f"{found} wants the interpreter {interpreter_of(head)!r} (its first line), which does not exist"
    if head:
        return f"{found} wants a program loader that does not exist (built for another system or C library?)"
    return f"{found} leads to a file that does not exist"


def _not_allowed(launch: Launch, found: str) -> str:
    if os.path.isdir(found):
        return f"{found} is a directory"
    who = os.geteuid() if launch.uid is None else launch.uid
    head = header(found)
    if head.startswith(b"#!") and os.access(found, os.X_OK):
        found = f"{found} or its interpreter {interpreter_of(head)}"
    return f"uid {who} may not execute {found}; check x of the file and its directories, and noexec mounts"


_EXPLAIN = {"directory": _directory, "user": _user, "descriptors": _descriptors, "fork": _fork, "exec": _exec}
