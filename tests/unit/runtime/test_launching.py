"""From a watcher's options to what is executed."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

from circus.exc import SpawnError
from circus.options.settings import watcher_spec
from circus.posix.launch import INHERIT, Lent
from circus.runtime.launching import command_line, launch, variables_of, working_dir

NOTHING_LENT = Lent()


def words(cmd, wid=1, env=None, sockets=None, **options):
    spec = watcher_spec("web", cmd, **options)
    return list(command_line(spec, wid, lambda: variables_of(spec, env or {}, sockets or {})))


def plan(umask=None, mark=None, streams=(False, False), lent=NOTHING_LENT, env=None, **options):
    shape = SimpleNamespace(has_stdout=streams[0], has_stderr=streams[1])
    return launch(watcher_spec("web", "prog", **options), 1, env or {"A": "1"}, shape, umask, mark, lent)


# ---- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cmd", "args", "expected"),
    [
        ("prog -x 'a b'", None, ["prog", "-x", "a b"]),
        ("prog", "-x 'a b'", ["prog", "-x", "a b"]),
        ("prog", ["-x", "a b"], ["prog", "-x", "a b"]),
        ("prog", [1, 2.5], ["prog", "1", "2.5"]),
        ("prog", [], ["prog"]),
        ("prog", "", ["prog"]),
    ],
)
def test_words_are_split_as_a_shell_would_and_lists_are_taken_as_they_are(cmd, args, expected):
    assert words(cmd, args=args) == expected


def test_shell_gets_the_text_as_it_is_written():
    cmd = "echo $HOME | tee 'a b'; exit 3"
    assert words(cmd, shell=True) == ["/bin/sh", "-c", cmd]


def test_shell_gets_args_as_text_and_lists_as_single_words():
    assert words("echo", args="a | b", shell=True) == ["/bin/sh", "-c", "echo a | b"]
    assert words("echo", args=["a | b", "c"], shell=True) == ["/bin/sh", "-c", "echo 'a | b' c"]


def test_shell_args_follow_the_text():
    assert words("echo $0 $1", shell=True, shell_args="zero 'o n e'") == [
        "/bin/sh",
        "-c",
        "echo $0 $1",
        "zero",
        "o n e",
    ]


@pytest.mark.parametrize("options", [{}, {"shell": True}])
def test_nothing_to_run_is_a_spawn_error_that_says_so(options):
    with pytest.raises(SpawnError, match="cmd is empty") as caught:
        words("  ", **options)
    assert (caught.value.stage, caught.value.errno) == ("command", errno.EINVAL)


def test_text_that_cannot_be_split_is_a_spawn_error_that_shows_it():
    with pytest.raises(SpawnError, match=r"prog 'x.*No closing quotation") as caught:
        words("prog 'x")
    assert caught.value.stage == "command"


# ---- variables ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(circus.wid)", "7"),
        ("$(CIRCUS.WID)", "7"),
        ("((circus.wid))", "7"),
        ("$WID", "7"),
        ("x$WID-y", "x7-y"),
        ("$WIDTH", "$WIDTH"),
        ("$(circus.env.HOME)", "/home/me"),
        ("$(circus.env.home)", "/home/me"),
        ("$(circus.sockets.Web)", "12"),
        ("$(circus.numprocesses)", "3"),
        ("$(circus.use_sockets)", "False"),
        ("$(circus.use_fds)", "False"),
        ("$(circus.working_dir)", "/srv"),
        ("$(circus.rlimits.nofile)", "99"),
        ("$(circus.extra_thing)", "$(circus.extra_thing)"),
        ("$(circus.options.extra_thing)", "free"),
        ("$(circus.unknown)", "$(circus.unknown)"),
        ("${circus.wid}", "${circus.wid}"),
    ],
)
def test_variable_in_cmd_is_replaced(text, expected):
    found = words(
        f"prog {text}",
        wid=7,
        env={"HOME": "/home/me"},
        sockets={"web": 12},
        numprocesses=3,
        working_dir="/srv",
        rlimit_nofile=99,
        extra_thing="free",
    )
    assert found == ["prog", expected]


def test_variables_are_replaced_in_args_and_shell_args_too():
    assert words("prog", wid=2, args="--id $(circus.wid)") == ["prog", "--id", "2"]
    assert words("prog", wid=2, args=["--id=$(circus.wid)"]) == ["prog", "--id=2"]
    assert words("prog", wid=2, shell=True, shell_args="$WID") == ["/bin/sh", "-c", "prog", "2"]


def test_blanks_in_a_variable_make_words_in_a_text_and_none_in_a_list():
    env = {"OPTS": "-a -b"}
    assert words("prog $(circus.env.OPTS)", env=env) == ["prog", "-a", "-b"]
    assert words("prog", args=["$(circus.env.OPTS)"], env=env) == ["prog", "-a -b"]


# ---- everything else ---------------------------------------------------------------------------------------------


def test_plain_program_inherits_our_output_and_nothing_to_read():
    made = plan()
    assert (made.argv, made.env, made.executable, made.cwd) == (("prog",), {"A": "1"}, None, None)
    assert (made.stdin, made.stdout, made.stderr) == (None, "inherit", "inherit")
    assert (made.uid, made.gid, made.groups, made.umask, made.rlimits, made.mark) == (None, None, None, -1, (), None)


def test_outputs_are_piped_where_there_is_a_stream_and_closed_where_that_is_wanted():
    assert (plan(streams=(True, False)).stdout, plan(streams=(True, False)).stderr) == ("pipe", "inherit")
    made = plan(streams=(True, True), close_child_stdout=True, close_child_stderr=True)
    assert (made.stdout, made.stderr) == ("null", "null")
    assert plan(close_child_stdin=False).stdin == INHERIT


def test_limits_directory_program_file_umask_and_mark_are_handed_on():
    made = plan(umask=0o27, mark=5, working_dir="/srv", executable="/bin/true", rlimit_nofile=10, rlimit_core=None)
    assert (made.cwd, made.executable, made.program, made.umask, made.mark) == (
        "/srv",
        "/bin/true",
        "/bin/true",
        0o27,
        5,
    )
    assert dict(made.rlimits) == {"nofile": 10, "core": None}


def test_user_brings_its_groups_along():
    made = plan(uid=os.getuid())
    assert (made.uid, made.gid) == (os.getuid(), os.getgid())
    assert made.groups is not None


@pytest.mark.parametrize("option", ["uid", "gid"])
def test_unknown_user_or_group_is_a_spawn_error(option):
    with pytest.raises(SpawnError, match="no-such-name") as caught:
        plan(**{option: "no-such-name"})
    assert caught.value.stage == "user"


def test_working_dir_is_named_as_the_shell_does_while_that_is_the_same_place(tmp_path, monkeypatch):
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    assert working_dir() == str(link)
    for stale in (str(tmp_path), str(tmp_path / "gone"), ""):
        monkeypatch.setenv("PWD", stale)
        assert working_dir() == str(real)


# ---- sockets -----------------------------------------------------------------------------------------------------


def test_sockets_are_named_by_their_descriptors_in_words_and_environment():
    lent = Lent({"web": 7, "api": 9}, passed=(7,))
    env = {"A": "1", "FD": "<$(circus.sockets.web)>"}
    made = plan(lent=lent, env=env, args="$(circus.sockets.API) ((circus.sockets.x))")
    assert made.argv == ("prog", "9", "((circus.sockets.x))")
    assert made.env == {"A": "1", "FD": "<7>"}
    assert (made.pass_fds, made.stdin, made.listen) == ((7,), None, ())


def test_sockets_to_listen_on_are_told_in_the_environment():
    made = plan(lent=Lent({"web": 7, "api": 9}, listen=(("api", 9), ("web", 7))))
    assert made.listen == (9, 7)
    assert made.env == {"A": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "api:web"}


def test_socket_on_standard_input_counts_more_than_what_is_said_of_it():
    assert plan(lent=Lent({"web": 7}, stdin=7)).stdin == 7
    assert plan(lent=Lent({"web": 7}, stdin=7), close_child_stdin=False).stdin == 7
