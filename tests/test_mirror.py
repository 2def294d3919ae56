"""Holds tests/unit to the shape of circus: whoever changes a module finds its tests under the same path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layers import PURE, layer_of

ROOT = Path(__file__).resolve().parent.parent
UNIT = ROOT / "tests" / "unit"

# `test_init.py` is of a package's `__init__.py`, `test_main.py` of its `__main__.py`.
DUNDERS = {"init": "__init__", "main": "__main__"}

# Files that are of a whole folder, since what they look at is in no single module of it.
ACROSS = {
    "commands": {"execute", "messages", "registry"},  # each command by itself, as classes, and the list of them
    "green": {"green", "green_missing"},  # the names of all modules, with gevent and without
    # Life stories: a fact goes through all modules.
    "machine": {"hooks", "quit", "random_walks", "refusal", "reload", "removal", "start"},
}

# Modules of words, data and decisions that are tested through others only. Exact: a module that gets a file leaves.
WITHOUT = {
    *("circus.config.check", "circus.config.environments"),  # through test_reader
    *("circus.machine.actions", "circus.machine.events"),  # declarations
    # Through the life stories.
    *("circus.machine.arbiter", "circus.machine.watcher", "circus.machine.watcher_state", "circus.machine.process"),
    *("circus.machine.awaited_hook", "circus.machine.context"),
}


def module_of(test: Path) -> str | None:
    """`circus.a.b` of tests/unit/a/test_b.py; None if there is no such module."""
    folder = test.parent.relative_to(UNIT)
    word = test.stem.removeprefix("test_")
    if not (ROOT / "circus" / folder / f"{DUNDERS.get(word, word)}.py").is_file():
        return None
    return ".".join(["circus", *folder.parts, DUNDERS.get(word, word)])


TESTS = sorted(UNIT.rglob("test_*.py"))


@pytest.mark.parametrize("test", TESTS, ids=lambda test: str(test.relative_to(UNIT)))
def test_file_of_unit_tests_is_of_a_module_or_of_a_folder(test: Path) -> None:
    across = ACROSS.get(str(test.parent.relative_to(UNIT)), set())
    is_of_the_folder = test.stem.removeprefix("test_") in across
    assert (module_of(test) is None) is is_of_the_folder, "rename it after its module, or correct ACROSS"


def test_every_module_that_decides_has_a_file_of_unit_tests() -> None:
    tested = {module_of(test) for test in TESTS}
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "circus").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert {module for module in modules - tested if layer_of(module) in PURE} == WITHOUT


def test_files_that_are_of_a_folder_exist() -> None:
    missing = [f"{folder}/test_{word}.py" for folder, words in ACROSS.items() for word in words]
    assert not [name for name in missing if not (UNIT / name).is_file()]
