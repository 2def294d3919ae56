"""Starting real programs by each of the three ways, and failing in every way there is."""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from circus.exc import SpawnError
from circus.posix import limits
from circus.posix.spawn import INHERIT, Launch, spawn
from circus.posix.tree import children
from tests.real.posix_support import (
    AS_ROOT,
    NOBODY,
    PATH,
    WAYS,
    descriptors,
    end,
    every_way,
    in_child,
    output_of,
    read_all,
    shell,
)

pytestmark = pytest.mark.usefixtures("nobody_left")

Way = Callable[[Launch], Launch]


def failure(launch: Launch) -> SpawnError:
    with pytest.raises(SpawnError) as caught:
        spawn(launch)
    return caught.value


# ---- what a child finds ----------------------------------------------------------------------------------------


@every_way
def test_child_has_exactly_the_environment_given(way: Way) -> None:
    env = {"PATH": PATH, "ONE": "1", "EMPTY": "", "BLANKS": "a b=c\n", "BYTES": os.fsdecode(b"\xff\xc3\xa4")}
    shown = output_of(way(Launch(argv=("cat", "/proc/self/environ"), env=env, stdout="pipe")))
    assert sorted(shown.split("\0")[:-1]) == sorted(f"{name}={value}" for name, value in env.items())


@every_way
def test_child_without_any_environment_gets_none(way: Way) -> None:
    assert output_of(way(Launch(argv=("/bin/cat", "/proc/self/environ"), env={}, stdout="pipe"))) == ""


@every_way
@pytest.mark.parametrize("declared", [False, True])
def test_child_has_descriptors_0_to_2_and_the_declared_ones_only(way: Way, declared: bool, tmp_path: Path) -> None:
    with open(tmp_path / "passed", "w") as passed, open(tmp_path / "stray", "w") as stray:
        os.set_inheritable(stray.fileno(), True)
        script = "cd /proc/self/fd && for fd in *; do test -e $fd && echo $fd; done; exit 0"
        extra = (passed.fileno(),) if declared else ()
        child = spawn(way(shell(script, stdout="pipe", stderr="pipe", pass_fds=extra)))
        shown = {int(word) for word in read_all(child.stdout).split()}
        read_all(child.stderr)
        os.waitpid(child.pid, 0)
        assert shown == {0, 1, 2, *extra}


@every_way
def test_child_leads_a_session_of_its_own_in_its_directory_with_its_umask(way: Way, tmp_path: Path) -> None:
    script = "echo $$; cut -d' ' -f5,6 /proc/$$/stat; pwd; umask"
    launch = way(shell(script, stdout="pipe", cwd=str(tmp_path), umask=0o27))
    pid, family, directory, umask = output_of(launch).splitlines()
    assert family.split() == [pid, pid]
    assert directory == str(tmp_path)
    assert int(umask, 8) == 0o27


@every_way
def test_arguments_arrive_unchanged(way: Way) -> None:
    words = ("", "two words", "--nofile=5", "-x", "$HOME;", "ä\n")
    argv = ("/bin/sh", "-c", r'printf "%s\0" "$@"', "name", *words)
    launch = way(Launch(argv=argv, env={"PATH": PATH}, stdout="pipe"))
    assert tuple(output_of(launch).split("\0")[:-1]) == words


def test_executable_is_run_under_the_name_of_argv_0() -> None:
    launch = Launch(argv=("my-name", "-c", "echo $0"), executable="sh", env={"PATH": PATH}, stdout="pipe")
    assert output_of(launch) == "my-name\n"
    limited = Launch(
        argv=("my-name", "-c", "echo $0; ulimit -c"),
        executable="sh",
        env={"PATH": PATH},
        stdout="pipe",
        rlimits=(("CORE", 0),),
    )
    assert output_of(limited) == "my-name\n0\n"


@every_way
def test_stdin_is_dev_null_unless_given(way: Way, tmp_path: Path) -> None:
    assert output_of(way(shell("readlink /proc/self/fd/0", stdout="pipe"))).strip() == "/dev/null"
    (tmp_path / "in").write_text("hello")
    with open(tmp_path / "in") as file:
        assert output_of(way(shell("cat", stdin=file.fileno(), stdout="pipe"))) == "hello"


def test_inherited_stdin_is_ours() -> None:
    ours = os.readlink("/proc/self/fd/0")
    assert output_of(shell("readlink /proc/self/fd/0", stdin=INHERIT, stdout="pipe")).strip() == ours


@every_way
def test_outputs_go_where_they_are_told(way: Way) -> None:
    child = spawn(way(shell("echo out; echo err >&2", stdout="pipe", stderr="pipe")))
    assert (read_all(child.stdout), read_all(child.stderr)) == (b"out\n", b"err\n")
    os.waitpid(child.pid, 0)
    assert output_of(way(shell("readlink /proc/self/fd/2", stdout="pipe", stderr="null"))).strip() == "/dev/null"
    child = spawn(way(shell("exit 0")))
    assert (child.stdout, child.stderr) == (None, None)
    os.waitpid(child.pid, 0)


def test_our_pipe_ends_are_not_inherited_by_the_next_child() -> None:
    first = spawn(shell("exec sleep 100", stdout="pipe"))
    try:
        assert first.stdout is not None
        assert not os.get_inheritable(first.stdout)
    finally:
        end(first)


# ---- signals ---------------------------------------------------------------------------------------------------

_SHOW_STATUS = Launch(argv=("cat", "/proc/self/status"), env={"PATH": PATH}, stdout="pipe")


def _signals_of(launch: Launch) -> dict[str, int]:
    rows = (line.split(":") for line in output_of(launch).splitlines())
    # Those that libc keeps for itself are ignored below everything that posix_spawn(3) started, as by make.
    valid = sum(1 << number - 1 for number in signal.valid_signals())
    return {name: int(value, 16) & valid for name, value in rows if name in ("SigBlk", "SigIgn", "SigCgt")}


@every_way
def test_no_signal_is_ignored_or_blocked_in_the_child(way: Way) -> None:
    assert _signals_of(way(_SHOW_STATUS)) == {"SigBlk": 0, "SigIgn": 0, "SigCgt": 0}


def test_signals_we_ignore_or_block_are_default_in_the_child() -> None:
    def daemon() -> dict[str, int]:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        return _signals_of(_SHOW_STATUS)

    assert in_child(daemon) == {"SigBlk": 0, "SigIgn": 0, "SigCgt": 0}


def test_signals_blocked_in_the_spawning_thread_are_open_in_the_child() -> None:
    seen = []

    def thread() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
        seen.append(_signals_of(_SHOW_STATUS))

    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    assert seen == [{"SigBlk": 0, "SigIgn": 0, "SigCgt": 0}]


# ---- limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executable", [None, "/bin/sh"])
def test_limits_hold_from_the_first_instruction_soft_and_hard(executable: str | None) -> None:
    script = "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc; ulimit -Ss"
    wanted = (("NOFILE", 123), ("core", 0), ("RLIMIT_STACK", 16 << 20))
    launch = shell(script, stdout="pipe", rlimits=wanted, executable=executable)
    assert output_of(launch).split() == ["123", "123", "0", "0", str(16 << 10)]


def test_infinite_descriptors_mean_the_hard_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    launch = shell("ulimit -Sn; ulimit -Hn", stdout="pipe", rlimits=(("NOFILE", None),))
    assert output_of(launch).split() == [str(hard), str(hard)]


def test_unknown_limit_is_a_failure_that_names_it() -> None:
    error = failure(shell("exit 0", rlimits=(("SPEED", 5),)))
    assert (error.stage, error.errno) == ("limits", errno.EINVAL)
    assert "'SPEED'" in error.text and "nofile" in error.text


def test_limit_above_our_hard_one_is_set_before_the_uid_goes_if_we_may_at_all() -> None:
    def daemon() -> Any:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
        user = {"uid": NOBODY, "gid": NOBODY, "groups": ()} if AS_ROOT else {}
        launch = shell("ulimit -n; id -u", stdout="pipe", rlimits=(("NOFILE", 400),), **user)
        if _may_raise_limits():
            assert output_of(launch).split() == ["400", str(NOBODY)]
        else:
            error = failure(launch)
            assert (error.stage, error.errno) == ("limits", errno.EPERM)
            assert "NOFILE" in error.text and "hard limit" in error.text

    in_child(daemon)


def _may_raise_limits() -> bool:
    """CAP_SYS_RESOURCE, bit 24; root in a container may lack it (capabilities(7))."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.split("CapEff:")[1].split()[0], 16) & 1 << 24)


@every_way
def test_children_get_the_descriptor_limit_we_were_started_with(way: Way) -> None:
    def daemon() -> Any:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 400))
        before = limits.raise_nofile()
        again = limits.raise_nofile()
        ours = resource.getrlimit(resource.RLIMIT_NOFILE)
        child = output_of(way(shell("ulimit -Sn; ulimit -Hn", stdout="pipe"))).split()
        return before, again, ours, child, resource.getrlimit(resource.RLIMIT_NOFILE)

    expected = ((200, 400), (200, 400), (400, 400), ["200", "400"], (400, 400))
    assert in_child(daemon) == expected


@pytest.mark.parametrize("crowd", [150, 195, 200, 300])
def test_children_get_that_limit_also_when_the_low_numbers_are_taken(crowd: int) -> None:
    def daemon() -> Any:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 400))
        limits.raise_nofile()
        while os.open("/dev/null", os.O_RDONLY) < crowd:
            pass
        return output_of(shell("ulimit -Sn; ulimit -Hn", stdout="pipe")).split()

    assert in_child(daemon) == ["200", "400"]


def test_children_get_that_limit_also_when_it_leaves_no_room_at_all() -> None:
    def daemon() -> Any:
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, 400))
        limits.raise_nofile()
        assert not limits.room_below()
        return output_of(shell("ulimit -Sn; ulimit -Hn", stdout="pipe")).split()

    assert in_child(daemon) == ["60", "400"]


@pytest.mark.untraced
def test_children_get_that_limit_also_when_the_low_numbers_only_look_free() -> None:
    def daemon() -> Any:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 400))
        limits.raise_nofile()
        for fd in set(range(3, 200)) - {100, 101, 200 - limits._ROOM} - set(descriptors()):
            os.dup2(2, fd)
        assert limits.room_below()
        return output_of(shell("ulimit -Sn; ulimit -Hn", stdout="pipe")).split()

    assert in_child(daemon) == ["200", "400"]


def test_pipes_of_children_stay_above_the_old_limit() -> None:
    def daemon() -> Any:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 400))
        limits.raise_nofile()
        child = spawn(shell("echo here", stdout="pipe", stderr="pipe"))
        assert child.stdout is not None and child.stderr is not None
        high = child.stdout >= 200 and child.stderr >= 200 and not os.get_inheritable(child.stdout)
        return high, read_all(child.stdout)

    assert in_child(daemon) == (True, b"here\n")


# ---- user ------------------------------------------------------------------------------------------------------


@every_way
def test_child_runs_as_another_user_with_that_user_s_groups_or_says_why_not(way: Way) -> None:
    script = "id -u; id -g; id -G; grep Uid /proc/self/status"
    launch = way(shell(script, stdout="pipe", uid=NOBODY, gid=NOBODY, groups=(NOBODY, 4)))
    if AS_ROOT:
        uid, gid, groups, ids = output_of(launch).splitlines()
        assert (uid, gid, set(groups.split())) == (str(NOBODY), str(NOBODY), {str(NOBODY), "4"})
        assert set(ids.split()[1:]) == {str(NOBODY)}
    else:
        error = failure(launch)
        assert (error.stage, error.errno) == ("user", errno.EPERM)
        assert "root" in error.text


def _as_somebody(function: Any) -> Any:
    """In a process without rights."""

    def unprivileged() -> Any:
        if AS_ROOT:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return function()

    return in_child(unprivileged)


def test_naming_oneself_as_the_user_needs_no_rights() -> None:
    def daemon() -> Any:
        launch = shell("id -u", stdout="pipe", uid=os.geteuid(), gid=os.getegid(), groups=(os.getegid(), 7))
        return output_of(launch).strip() == str(os.geteuid())

    assert _as_somebody(daemon)


def test_another_user_without_rights_is_a_failure_of_stage_user() -> None:
    def daemon() -> Any:
        error = failure(shell("exit 0", uid=1, gid=1, groups=(), cwd="/"))
        return error.stage, error.errno

    assert _as_somebody(daemon) == ("user", errno.EPERM)


@pytest.mark.parametrize("number", [65, 70_000])
def test_many_supplementary_groups_are_taken_on_or_refused_by_the_system(number: int) -> None:
    launch = shell("id -G", stdout="pipe", uid=NOBODY, gid=NOBODY, groups=tuple(range(1, number + 1)))
    if AS_ROOT and number < 1000:
        assert set(output_of(launch).split()) == {str(NOBODY), *map(str, range(1, number + 1))}
    else:
        error = failure(launch)
        assert error.stage == "user" and error.errno in (errno.EINVAL, errno.EPERM)


def test_program_that_only_another_user_may_run_fails_exactly_behind_a_limit() -> None:
    if not AS_ROOT:
        return
    directory = Path(os.path.realpath("/tmp")) / f"circus-test-{os.getpid()}"
    directory.mkdir(mode=0o700)
    try:
        program = directory / "program"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        error = failure(
            Launch(argv=(str(program),), env={}, uid=NOBODY, gid=NOBODY, groups=(), rlimits=(("CORE", 0),))
        )
        assert (error.stage, error.errno) == ("exec", errno.EACCES)
        assert str(NOBODY) in error.text
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


# ---- failures --------------------------------------------------------------------------------------------------


@every_way
def test_missing_program_names_the_path(way: Way, tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    error = failure(way(Launch(argv=(missing,), env={"PATH": PATH})))
    assert (error.stage, error.errno) == ("exec", errno.ENOENT)
    assert missing in error.text


@every_way
def test_the_path_of_the_child_decides_and_is_named(way: Way, tmp_path: Path) -> None:
    error = failure(way(Launch(argv=("sh", "-c", "exit 0"), env={"PATH": str(tmp_path)})))
    assert (error.stage, error.errno) == ("exec", errno.ENOENT)
    assert str(tmp_path) in error.text
    program = tmp_path / "only-here"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    launch = way(Launch(argv=("only-here",), env={"PATH": f"{tmp_path}:{PATH}"}, stdout="pipe"))
    assert output_of(launch) == "found\n"


@every_way
def test_relative_program_starts_from_the_child_s_directory(way: Way, tmp_path: Path) -> None:
    program = tmp_path / "run"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    assert output_of(way(Launch(argv=("./run",), env={}, cwd=str(tmp_path), stdout="pipe"))) == "ran\n"


@every_way
def test_program_that_is_not_executable_says_so(way: Way, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("#!/bin/sh\n")
    error = failure(way(Launch(argv=(str(file),), env={})))
    assert (error.stage, error.errno) == ("exec", errno.EACCES)
    assert str(file) in error.text


@every_way
def test_directory_as_program_says_so(way: Way, tmp_path: Path) -> None:
    error = failure(way(Launch(argv=(str(tmp_path),), env={}, cwd=str(tmp_path))))
    assert (error.stage, error.errno) == ("exec", errno.EACCES)
    assert "is a directory" in error.text


@every_way
def test_file_that_is_no_program_says_so(way: Way, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("echo no first line\n")
    file.chmod(0o755)
    error = failure(way(Launch(argv=(str(file),), env={})))
    assert (error.stage, error.errno) == ("exec", errno.ENOEXEC)
    assert "#!" in error.text


@every_way
def test_script_without_its_interpreter_names_the_interpreter(way: Way, tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text("#!/no/such/python3\n")
    file.chmod(0o755)
    error = failure(way(Launch(argv=(str(file),), env={})))
    assert (error.stage, error.errno) == ("exec", errno.ENOENT)
    assert "/no/such/python3" in error.text


@every_way
@pytest.mark.parametrize(("directory", "number"), [("missing", errno.ENOENT), ("file", errno.ENOTDIR)])
def test_bad_working_directory_is_a_stage_of_its_own(
    way: Way, directory: str, number: int, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    error = failure(way(shell("exit 0", cwd=str(tmp_path / directory))))
    assert (error.stage, error.errno) == ("directory", number)
    assert str(tmp_path / directory) in error.text and "working_dir" in error.text


@every_way
def test_zero_byte_in_the_environment_is_a_failure_not_a_crash(way: Way) -> None:
    error = failure(way(shell("exit 0", env={"PATH": PATH, "BAD": "a\0b"})))
    assert (error.stage, error.errno) == ("exec", errno.EINVAL)


@every_way
def test_number_in_the_environment_is_a_failure_not_a_crash(way: Way) -> None:
    error = failure(way(shell("exit 0", env={"PATH": PATH, "NUMBER": 5})))
    assert (error.stage, error.errno) == ("exec", errno.EINVAL)


@pytest.mark.parametrize("argv", [(), ("",)])
def test_empty_command_is_a_failure(argv: tuple[str, ...]) -> None:
    assert failure(Launch(argv=argv, env={})).stage == "exec"


def test_closed_descriptor_to_pass_is_a_failure_of_stage_descriptors() -> None:
    assert failure(shell("exit 0", stdin=987654)).stage == "descriptors"


@every_way
@pytest.mark.parametrize("free", [0, 1, 3, 4, 5, 6])
def test_no_descriptor_left_is_a_failure_or_works_but_leaks_none(way: Way, free: int) -> None:
    def daemon() -> Any:
        used = max(descriptors()) + 1
        for fd in range(used):
            try:
                os.fstat(fd)
            except OSError:
                os.dup2(2, fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + free, used + free))
        before = descriptors() if free > 1 else None
        stage = ""
        try:
            child = spawn(way(shell("exit 0", stdout="pipe", stderr="pipe")))
            read_all(child.stdout)
            read_all(child.stderr)
            os.waitpid(child.pid, 0)
        except SpawnError as error:
            stage = f"{error.stage} {error.errno}"
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + free, used + free))
        return stage, before is None or before == descriptors()

    stage, clean = in_child(daemon)
    assert stage == f"descriptors {errno.EMFILE}" if free < 4 else stage in ("", f"descriptors {errno.EMFILE}")
    assert clean


def test_no_process_left_is_a_failure_of_stage_fork() -> None:
    def daemon() -> Any:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        error = failure(shell("exit 0"))
        return error.stage, error.errno

    assert _as_somebody(daemon) == ("fork", errno.EAGAIN)


@every_way
def test_hundreds_of_failures_leave_no_descriptor_and_no_child(way: Way, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    launches = [
        way(Launch(argv=(missing,), env={}, stdout="pipe", stderr="pipe")),
        shell("exit 0", cwd=missing, stdout="pipe", stderr="pipe"),
        shell("exit 0", rlimits=(("NO", 1),), stdout="pipe"),
        way(shell("exit 0", env={"NUMBER": 5}, stdout="pipe")),
    ]
    times = 75 if way is WAYS["direct"] else 20  # times four; the launcher takes its time
    gc.collect()  # loops of other tests have descriptors, too
    before, ours = descriptors(), {entry.pid for entry in children(os.getpid())}
    for _ in range(times):
        for launch in launches:
            failure(launch)
    assert descriptors() == before
    assert {entry.pid for entry in children(os.getpid())} <= ours


def test_nobody_but_the_caller_waits_for_the_child() -> None:
    children = [spawn(shell("exit 7")) for _ in range(5)]
    gc.collect()
    for _ in range(3):
        subprocess.run(["/bin/true"], check=True)
    gc.collect()
    codes = [os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) for child in children]
    assert codes == [7] * 5
