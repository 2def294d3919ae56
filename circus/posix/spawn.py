"""Start a program: descriptors are prepared first, and every failure has a stage, an errno and a sentence.

Three ways; the fastest that is right for the case is taken (rates: two cores, a program of some 0.5 ms, a daemon
of 16 MiB):

direct    2,200/s  subprocess.Popen, never with preexec_fn. CPython uses vfork for it unless a user is changed;
                   then it forks: 950/s, and slower the bigger the daemon is.
prlimit   1,100/s  The same with prlimit(1) in front. A configured limit must hold before the program's first
                   instruction, so it cannot be set from outside on the fresh pid. prlimit tells a failed exec
                   only by its exit code, so it is used only when nothing is likely to fail.
launcher     80/s  A small Python script in front (`circus.posix.launcher`) that can do everything and reports
                   failures exactly: limits above our hard ones before the uid is given up; signals that are
                   ignored or blocked here; a limit together with `executable`; systems without prlimit(1); and
                   whatever might fail behind prlimit; and descriptors from 3 on, whose LISTEN_PID only the child knows.

Children begin with default signal actions and no blocked signal. exec resets handlers, and subprocess resets
SIGPIPE and SIGXFSZ, which Python ignores; but a signal that this process ignores for another reason (nohup, a
shell's `&`) or blocks in this thread would be inherited, hence the launcher. `circus.posix.signals` sees to it
that a daemon ignores none.
"""

from __future__ import annotations

import errno
import functools
import marshal
import os
import resource
import signal
import socket
import subprocess
import sys
from types import TracebackType

from circus.exc import SpawnError
from circus.posix import limits as rlimits
from circus.posix.diagnosis import diagnose, spawn_error
from circus.posix.launch import INHERIT, Child, Launch, Output, surely_runs
from circus.posix.limits import Limit
from circus.posix.users import user_info

__all__ = ["INHERIT", "Child", "Launch", "Output", "spawn", "user_info"]

# A program may have put another class into `subprocess`, which waits for its children itself; `circus.green` says which
# is the real one.
Popen = subprocess.Popen

_LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "launcher.py")

# What subprocess resets by itself (restore_signals).
_RESTORED = {signal.SIGPIPE, signal.SIGXFSZ}
_POPEN_GROUPS = 64
"""More supplementary groups are refused by subprocess (MAX_GROUPS in its C part), though not by the system."""

# libc keeps signals for itself (glibc 32 and 33), and its posix_spawn(3) leaves them ignored in every child: these are
# not valid ones, and neither ours to reset nor of any effect on programs.
_OURS = signal.valid_signals() - _RESTORED
_OUR_BITS = sum(1 << number - 1 for number in _OURS)


def spawn(launch: Launch) -> Child:
    """Start it in a session of its own. SpawnError tells what failed; then no process and no descriptor is left.

    Returns when exec has succeeded. The caller reaps: nothing else here ever waits for the pid.
    """
    if not launch.argv or not launch.program:
        raise SpawnError("exec", errno.EINVAL, "cannot start a program without a name: cmd is empty")
    try:
        with _Outputs(launch) as outputs:
            pid = _start(launch, outputs)
            return Child(pid, *outputs.keep())
    except (OSError, ValueError, TypeError, subprocess.SubprocessError) as error:
        raise diagnose(launch, error) from error


class _Outputs:
    """The pipes of one child. Its ends are closed in any case, ours unless `keep` was reached."""

    def __init__(self, launch: Launch) -> None:
        self._wanted = (launch.stdout, launch.stderr)
        self._ours: list[int | None] = []
        self._theirs: list[int] = []
        self.child: list[int | None] = []
        """What subprocess is to take as stdout and stderr."""

    def __enter__(self) -> _Outputs:
        try:
            for kind in self._wanted:
                self._add(kind)
        except OSError:
            self._close()
            raise
        return self

    def _add(self, kind: Output) -> None:
        if kind == "pipe":
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
            self._ours.append(read_end)
            self._theirs.append(write_end)
            self.child.append(write_end)
            if rlimits.is_scarce(max(read_end, write_end)):
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        else:
            self._ours.append(None)
            self.child.append(subprocess.DEVNULL if kind == "null" else None)

    def keep(self) -> list[int | None]:
        kept = [fd if fd is None else rlimits.lift(fd) for fd in self._ours]
        self._ours = []
        return kept

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        for fd in (*self._ours, *self._theirs):
            if fd is not None:
                os.close(fd)


def _start(launch: Launch, outputs: _Outputs) -> int:
    try:
        wanted = rlimits.resolve(launch.rlimits)
    except ValueError as error:
        raise spawn_error(launch, "limits", errno.EINVAL, str(error)) from None
    given = {name for name, _, _ in wanted}
    mark = None if "RTTIME" in given else launch.mark
    nofile = [] if "NOFILE" in given else rlimits.childrens_nofile()
    plain = _signals_are_default() and len(launch.groups or ()) <= _POPEN_GROUPS
    if plain and not launch.listen and not wanted and (not nofile or rlimits.room_below()):
        try:
            return _popen(launch, outputs, mark, lower=bool(nofile))
        except OSError as error:
            if error.errno != errno.EMFILE or not nofile:
                raise  # else: the low numbers were taken after all; the child can set its limit itself
    wanted = nofile + wanted
    if plain and not launch.listen and _prlimit_serves(launch, wanted):
        return _popen(launch._replace(argv=_prlimit_argv(wanted) + launch.argv), outputs, mark)
    return _through_launcher(launch, outputs, wanted, mark)


def _popen(launch: Launch, outputs: _Outputs, mark: int | None, lower: bool = False) -> int:
    """`lower`: let it inherit the descriptor limit we were started with, not the raised one."""
    uid, gid, groups = _new_user(launch)
    with rlimits.lent(lower, mark):
        process = Popen(
            launch.argv,
            executable=launch.executable,
            stdin=_stdin(launch),
            stdout=outputs.child[0],
            stderr=outputs.child[1],
            close_fds=True,
            pass_fds=launch.pass_fds,
            cwd=launch.cwd,
            env=launch.env,
            user=uid,
            group=gid,
            extra_groups=groups,
            umask=launch.umask,
            start_new_session=True,
        )
    # Popen waits for its child when it is collected and at later Popen calls, unless it believes to know the exit
    # code; that would take the real exit code from us.
    process.returncode = 0
    return process.pid


def _stdin(launch: Launch) -> int | None:
    if launch.stdin is None:
        return subprocess.DEVNULL
    return None if launch.stdin == INHERIT else launch.stdin


def _new_user(launch: Launch) -> tuple[int | None, int | None, tuple[int, ...] | None]:
    """Nothing when that is us already: only root may call setgroups, but a section may name the user we are."""
    ourselves = launch.uid in (None, os.geteuid()) and launch.gid in (None, os.getegid())
    if ourselves and os.geteuid() != 0:
        return None, None, None
    return launch.uid, launch.gid, launch.groups


def _signals_are_default() -> bool:
    """Whether a child of this thread would begin with default actions and an empty mask, of what exec keeps."""
    try:
        fd = os.open("/proc/thread-self/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return _python_says_default()
    try:
        status = os.read(fd, 8192)
    finally:
        os.close(fd)
    # proc(5): "SigBlk:\t<16 hex digits>", then SigIgn; bit n - 1 is signal n. Some 10 µs; signal.getsignal for
    # each takes 70 and does not know what was changed outside Python.
    at = status.find(b"SigBlk:\t")
    if at < 0:
        return _python_says_default()
    fields = status[at:].split(None, 4)
    return int(fields[1], 16) == 0 and int(fields[3], 16) & _OUR_BITS == 0


def _python_says_default() -> bool:
    if signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return False
    return all(signal.getsignal(number) is not signal.SIG_IGN for number in _OURS)


# ---- prlimit(1) ----------------------------------------------------------------------------------------------------


@functools.cache
def _prlimit() -> str | None:
    return next((path for path in ("/usr/bin/prlimit", "/bin/prlimit") if os.access(path, os.X_OK)), None)


def _prlimit_serves(launch: Launch, wanted: list[Limit]) -> bool:
    """It makes argv[0] the program's name, and has no more rights to raise a limit than the child."""
    if _prlimit() is None or launch.executable is not None:
        return False
    return all(_is_within_hard(limit) for limit in wanted) and surely_runs(launch)


def _is_within_hard(limit: Limit) -> bool:
    name, _, hard = limit
    ours = resource.getrlimit(rlimits.known()[name])[1]
    return ours == resource.RLIM_INFINITY or 0 <= hard <= ours  # infinity is negative here


def _prlimit_argv(wanted: list[Limit]) -> tuple[str, ...]:
    def text(number: int) -> str:
        return "unlimited" if number == resource.RLIM_INFINITY else str(number)

    options = (f"--{name.lower()}={text(soft)}:{text(hard)}" for name, soft, hard in wanted)
    return (str(_prlimit()), *options, "--")


# ---- the launcher --------------------------------------------------------------------------------------------------


def _through_launcher(launch: Launch, outputs: _Outputs, wanted: list[Limit], mark: int | None) -> int:
    if not sys.executable:
        raise spawn_error(launch, "exec", errno.ENOENT, "no Python interpreter is known that could prepare it")
    order = _order(launch, wanted)
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            script = launch._replace(
                argv=(sys.executable, "-I", "-S", _LAUNCHER, str(theirs.fileno())),
                executable=None,
                env={},
                uid=None,
                gid=None,
                groups=None,
                pass_fds=(*launch.pass_fds, *launch.listen, theirs.fileno()),
            )
            pid = _popen(script, outputs, mark)
        report = _converse(ours, order)
    if report == b".":
        return pid
    _wait(pid)
    raise _failure(launch, report)


def _order(launch: Launch, wanted: list[Limit]) -> bytes:
    """What `launcher.main` reads. Everything the system sees as bytes is bytes already, in our encoding."""
    uid, gid, groups = _new_user(launch)
    numbers = rlimits.known()
    return marshal.dumps(
        {
            "limits": [(name, numbers[name], soft, hard) for name, soft, hard in wanted],
            "uid": uid,
            "gid": gid,
            "groups": groups,
            "program": os.fsencode(launch.program),
            "listen": launch.listen,
            "passed": launch.pass_fds,
            "argv": [os.fsencode(word) for word in launch.argv],
            "env": {os.fsencode(name): os.fsencode(value) for name, value in launch.env.items()},
        }
    )


def _converse(ours: socket.socket, order: bytes) -> bytes:
    """Send the order; the report is complete when the launcher has become the program or has ended."""
    parts = []
    try:
        ours.sendall(order)
        ours.shutdown(socket.SHUT_WR)
        while part := ours.recv(4096):
            parts.append(part)
    except OSError:
        pass  # it died before it had read everything: what it said, if anything, decides
    return b"".join(parts)


def _wait(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # other code waits for every child of this program, or SIGCHLD is ignored


def _failure(launch: Launch, report: bytes) -> SpawnError:
    words = report.removeprefix(b".").decode(errors="replace").split(" ", 2)
    if len(words) < 3:
        return spawn_error(launch, "exec", 0, f"its launcher ({sys.executable} {_LAUNCHER}) did not run")
    stage, number, detail = words[0], int(words[1]), words[2]
    if stage == "limits":
        detail = (
            f"limit {detail} may not be set to what its section says, for our own hard limit is lower: "
            "start circusd with a higher one, or as root with the right to raise it (CAP_SYS_RESOURCE)"
        )
    return spawn_error(launch, stage, number, detail if number == errno.EINVAL or stage == "limits" else "")
