"""Which file a program's name means, and whether it will surely run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from circus.posix.launch import Launch, candidates, interpreter_of, surely_runs


def launch(program: str, **options: Any) -> Launch:
    return Launch(argv=(program,), env={"PATH": "/one:two"}, **options)


def test_name_is_looked_up_in_the_path_of_the_child() -> None:
    assert list(candidates(launch("prog"))) == ["/one/prog", "two/prog"]
    assert list(candidates(launch("prog", cwd="/base"))) == ["/one/prog", "/base/two/prog"]


def test_name_with_a_slash_is_a_path_from_the_child_s_directory() -> None:
    assert list(candidates(launch("./prog", cwd="/base"))) == ["/base/./prog"]
    assert list(candidates(launch("/abs/prog", cwd="/base"))) == ["/abs/prog"]


def test_executable_takes_the_place_of_argv_0() -> None:
    assert list(candidates(launch("shown", executable="/real"))) == ["/real"]


@pytest.mark.parametrize(
    ("head", "interpreter"),
    [(b"#!/bin/sh\n", "/bin/sh"), (b"#! /usr/bin/env python3\nx", "/usr/bin/env"), (b"#!\n", ""), (b"#!/a\tb", "/a")],
)
def test_interpreter_is_the_first_word_of_the_first_line(head: bytes, interpreter: str) -> None:
    assert interpreter_of(head) == interpreter


def program(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_sure_are_programs_and_scripts_of_this_machine(tmp_path: Path) -> None:
    assert surely_runs(launch("/bin/sh"))
    assert surely_runs(launch(program(tmp_path / "script", "#!/bin/sh\n")))


def test_not_sure_is_whatever_may_fail(tmp_path: Path) -> None:
    doubtful = [
        program(tmp_path / "mode", "#!/bin/sh\n", 0o644),
        program(tmp_path / "text", "echo\n"),
        program(tmp_path / "empty", ""),
        program(tmp_path / "interpreter", "#!/no/such\n"),
        program(tmp_path / "nothing", "#!\n"),
        program(tmp_path / "other-machine", "\x7fELF\x05\x05"),
        str(tmp_path),
        str(tmp_path / "missing"),
        "not-in-path",
    ]
    assert [path for path in doubtful if surely_runs(launch(path))] == []


def test_for_another_user_sure_is_only_what_everybody_may_run(tmp_path: Path) -> None:
    assert surely_runs(launch("/bin/sh", uid=54321))
    assert not surely_runs(launch(program(tmp_path / "group", "#!/bin/sh\n", 0o750), uid=54321))
    closed = tmp_path / "closed"
    closed.mkdir()
    path = program(closed / "open", "#!/bin/sh\n")
    closed.chmod(0o700)
    assert not surely_runs(launch(path, uid=54321))
