"""Holds the layer table of docs/design.md: a module imports only from its own layer and those before it."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.layers import LAYERS, layer_of

ROOT = Path(__file__).resolve().parent.parent

NOT_FOR_CIRCUSCTL = ("decisions", "runtime", "control")

MACHINE_NEVER = {
    *("os", "signal", "socket", "select", "selectors", "subprocess", "threading", "time", "datetime", "random"),
    *("zmq", "psutil", "logging", "asyncio"),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted((ROOT / "circus").rglob("*.py"))}


def imported(node: ast.AST, everywhere: bool) -> Iterator[str]:
    """Names of the modules a source imports when it is loaded.

    With `everywhere` also those that functions import and those that only the type checker sees: they, too, are
    something that a reader of the module has to know.
    """
    for child in ast.iter_child_nodes(node):
        if not everywhere and (
            isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        ):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports name the whole path"
            for alias in child.names:
                full = f"{child.module}.{alias.name}"
                yield full if full in SOURCES else child.module or ""
        yield from imported(child, everywhere)


TREES = {name: ast.parse(path.read_text(encoding="utf-8"), str(path)) for name, path in SOURCES.items()}
AT_IMPORT = {name: sorted(set(imported(tree, everywhere=False))) for name, tree in TREES.items()}
EVER = {name: sorted(set(imported(tree, everywhere=True))) for name, tree in TREES.items()}


# The package itself is above all others: it hands out its library names on first use.
MODULES = [module for module in SOURCES if module != "circus"]


def in_layer(layer: str) -> list[str]:
    found = []
    for module in MODULES:
        with contextlib.suppress(LookupError):  # nobody has placed it: `test_every_module_has_a_layer` says so
            found += [module] if layer_of(module) == layer else []
    return found


def own(modules: list[str]) -> list[str]:
    return [module for module in modules if module.startswith("circus.")]


def depth(module: str) -> int:
    return list(LAYERS).index(layer_of(module))


def test_every_module_has_a_layer() -> None:
    for module in MODULES:
        layer_of(module)


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_nothing_from_a_layer_after_its_own(module: str) -> None:
    wrong = [other for other in own(EVER[module]) if depth(other) > depth(module)]
    assert not wrong, f"{module} ({layer_of(module)}) imports {wrong}"


def test_package_itself_imports_nothing_before_it_is_asked() -> None:
    assert own(AT_IMPORT["circus"]) == []
    assert own(EVER["circus"]) == ["circus.library"]


@pytest.mark.parametrize("module", in_layer("decisions"))
def test_machine_reads_no_clock_and_asks_no_system(module: str) -> None:
    wrong = {name.split(".")[0] for name in EVER[module]} & MACHINE_NEVER
    assert not wrong, f"{module} imports {sorted(wrong)}: it must be told instead"


@pytest.mark.parametrize("module", in_layer("effects"))
def test_effects_know_nothing_of_the_machine(module: str) -> None:
    wrong = [other for other in own(EVER[module]) if layer_of(other) == "decisions"]
    assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize("module", in_layer("commands"))
def test_commands_load_neither_effects_nor_the_machine(module: str) -> None:
    wrong = [other for other in own(AT_IMPORT[module]) if layer_of(other) in (*NOT_FOR_CIRCUSCTL, "effects", "faces")]
    assert not wrong, f"{module} imports {wrong}: circusctl pays for it at every call"


def test_only_the_module_for_process_figures_imports_psutil() -> None:
    users = [module for module, others in EVER.items() if any(name.split(".")[0] == "psutil" for name in others)]
    assert users in ([], ["circus.posix.portable"])


def test_ground_and_data_need_no_sockets_or_processes() -> None:
    for module in in_layer("ground") + in_layer("data"):
        wrong = {name.split(".")[0] for name in EVER[module]} & {"zmq", "psutil", "subprocess", "multiprocessing"}
        assert not wrong, f"{module} imports {sorted(wrong)}"


def test_circusctl_never_loads_the_daemon() -> None:
    loaded, waiting = set(), ["circus.circusctl"]
    while waiting:
        module = waiting.pop()
        if module not in loaded:
            loaded.add(module)
            waiting += [other for other in AT_IMPORT.get(module, ()) if other in SOURCES]
    daemon = [module for module in sorted(loaded - {"circus"}) if layer_of(module) in NOT_FOR_CIRCUSCTL]
    assert not daemon, f"circusctl loads {daemon}"


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group: none may be read without all of them."""
    reached: dict[str, set[str]] = {}
    for module in arrows:
        found: set[str] = set()
        waiting = [module]
        while waiting:
            new = {other for other in arrows[waiting.pop()] if other in arrows} - found
            found |= new
            waiting += new
        reached[module] = found
    groups = {frozenset(b for b in reached[a] if a in reached[b]) for a in arrows}
    return sorted(sorted(group) for group in groups if group)


def test_no_module_imports_itself_by_a_detour() -> None:
    found = circles({module: [other for other in EVER[module] if other != "circus"] for module in MODULES})
    assert not found, f"a circle: {found}"


# ---- the reading itself --------------------------------------------------------------------------------------------

SAMPLE = """
from typing import TYPE_CHECKING
import os.path
from circus.exc import MessageError
from circus.common.names import HOOKS
if TYPE_CHECKING:
    import circus.arbiter
try:
    import zmq
except ImportError:
    pass
class A:
    import json
def f():
    from circus.common.convert import exit_text
"""


def test_imports_are_found_wherever_they_hide() -> None:
    at_import = {"typing", "os.path", "circus.common.names", "circus.exc", "zmq", "json"}
    assert set(imported(ast.parse(SAMPLE), everywhere=False)) == at_import
    later = {"circus.common.convert", "circus.arbiter"}
    assert set(imported(ast.parse(SAMPLE), everywhere=True)) == at_import | later


def test_circles_are_found_whatever_leads_to_them_and_away() -> None:
    assert circles({"a": ["b"], "b": ["c", "zmq"], "c": []}) == []
    assert circles({"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": ["e"], "e": ["d"]}) == [["b", "c"], ["d", "e"]]
    assert circles({"a": ["a"]}) == [["a"]]


def test_module_that_nobody_has_placed_is_noticed() -> None:
    with pytest.raises(LookupError, match=r"circus\.novelty has no layer"):
        layer_of("circus.novelty")
    assert layer_of("circus.ctl.prompt") == "programs"
    assert layer_of("circus.commands.stop") == layer_of("circus.commands") == "commands"
