"""Which stage an error belongs to, and that its sentence names what to look at."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from circus.posix.diagnosis import diagnose
from circus.posix.launch import Launch


def launch(**options: Any) -> Launch:
    options.setdefault("argv", ("/no/program",))
    return Launch(env={"PATH": "/bin"}, **options)


def error(number: int, filename: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), filename)


STAGES: list[tuple[Launch, OSError, str, str]] = [
    (launch(), error(errno.ENOENT, "/no/program"), "exec", "/no/program"),
    (launch(), error(errno.EMFILE), "descriptors", "ulimit -n"),
    (launch(), error(errno.ENFILE), "descriptors", "fs.file-max"),
    (launch(), error(errno.EBADF), "descriptors", "not open"),
    (launch(), error(errno.EAGAIN), "fork", "nproc"),
    (launch(), error(errno.ENOMEM), "fork", "memory"),
    (launch(cwd="/gone"), error(errno.ENOENT, "/gone"), "directory", "'/gone' does not exist"),
    (launch(cwd="/file"), error(errno.ENOTDIR, "/file"), "directory", "not a directory"),
    (launch(cwd="/shut"), error(errno.EACCES, "/shut"), "directory", "x permission"),
    (launch(cwd="/loop"), error(errno.ELOOP, "/loop"), "directory", os.strerror(errno.ELOOP)),
    (launch(uid=33, gid=34), error(errno.EPERM), "user", "uid 33 gid 34"),
    (launch(uid=33, cwd="/tmp"), error(errno.EPERM, "/tmp"), "user", "as root"),
    (launch(uid=33), error(errno.EAGAIN), "user", "nproc"),
    (launch(gid=34), error(errno.EINVAL), "user", "gid 34"),
    (launch(), error(errno.EACCES, "/usr/bin/prlimit"), "exec", "/usr/bin/prlimit, which is to start it"),
    (launch(argv=("/",), cwd="/"), error(errno.EACCES, "/"), "exec", "/ is a directory"),
    (launch(argv=("/gone",), cwd="/gone"), error(errno.ENOENT, "/gone"), "directory", "working_dir"),
]


@pytest.mark.parametrize(("what", "raised", "stage", "words"), STAGES)
def test_error_has_its_stage_and_words(what: Launch, raised: OSError, stage: str, words: str) -> None:
    told = diagnose(what, raised)
    assert (told.stage, told.errno) == (stage, raised.errno)
    assert words in told.text
    assert what.argv[0] in told.text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOEXEC, "#!"),
        (errno.E2BIG, "arguments and environment"),
        (errno.ETXTBSY, "written to"),
        (errno.EAGAIN, "nproc"),
        (errno.ENOMEM, "memory"),
        (errno.EACCES, "x of the file"),
        (errno.ELOOP, os.strerror(errno.ELOOP)),
        (errno.ENOENT, "loader"),
    ],
)
def test_failed_exec_of_a_file_that_is_there_says_what_is_wrong(number: int, words: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    told = diagnose(launch(argv=(str(file),)), error(number, str(file)))
    assert told.stage == "exec"
    assert str(file) in told.text and words in told.text


def test_broken_link_is_said_to_be_one(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    told = diagnose(launch(argv=(str(link),)), error(errno.ENOENT, str(link)))
    assert "leads to a file that does not exist" in told.text


def test_value_the_system_cannot_take_is_no_crash() -> None:
    told = diagnose(launch(), ValueError("embedded null byte"))
    assert (told.stage, told.errno) == ("exec", errno.EINVAL)
    assert "embedded null byte" in told.text
