"""The layer table, held against the imports as they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.layers import LAYERS, ORDER, layer_of

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "circus").rglob("*.py"))

# What decides must not be able to look, wait or act.
BANNED_IN_MACHINE = {
    "os",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
    "zmq",
    "psutil",
    "logging",
    "random",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): ast.parse(path.read_text(), str(path)) for path in FILES}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def nodes(tree: ast.AST, deep: bool) -> Iterator[ast.AST]:
    """Statements outside `if TYPE_CHECKING`; with `deep` those inside functions too."""
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            continue
        yield node
        if deep or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from nodes(node, deep)


def imports(module: str, deep: bool = True) -> Iterator[str]:
    for node in nodes(MODULES[module], deep):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full"
            base = node.module or ""
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in MODULES else base


def ours(module: str, deep: bool = True) -> set[str]:
    return {name for name in imports(module, deep) if name in MODULES and name != "circus"}


def test_every_module_has_a_layer():
    assert [module for module in MODULES if not _is_known(module)] == []


def _is_known(module: str) -> bool:
    try:
        return bool(layer_of(module))
    except KeyError:
        return False


def test_every_layer_names_modules_that_exist():
    parts = {module.split(".")[1] if "." in module else "circus" for module in MODULES}
    assert {name for members in LAYERS.values() for name in members} <= parts


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_from_its_own_layer_and_those_above(module):
    if module == "circus":
        return  # the package's own face: everything is loaded when it is first asked for
    rank = ORDER.index(layer_of(module))
    lower = {name for name in ours(module) if ORDER.index(layer_of(name)) > rank}
    assert not lower, f"{module} imports from below: {sorted(lower)}"


def test_the_package_itself_imports_nothing_of_ours_at_once():
    assert ours("circus", deep=False) == set()


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("circus.machine")])
def test_the_machine_cannot_look_wait_or_act(module):
    assert {name.split(".")[0] for name in imports(module)} & BANNED_IN_MACHINE == set()


@pytest.mark.parametrize("module", [m for m in MODULES if layer_of(m) == "effects"])
def test_effects_do_not_know_the_machine(module):
    assert not [name for name in ours(module) if name.startswith("circus.machine")]


# What a one-shot call or the prompt is made of; the rest of the package are the commands themselves.
CLIENT_SIDE = {f"circus.commands.{name}" for name in ("console", "diagnose", "listening", "peers", "shell")}


@pytest.mark.parametrize("module", [m for m in MODULES if layer_of(m) == "commands" and m not in CLIENT_SIDE])
def test_commands_load_neither_daemon_nor_sockets_at_once(module):
    at_once = {layer_of(name) for name in ours(module, deep=False)}
    assert not at_once & {"effects", "shell", "programs", "decisions"}


def test_psutil_is_imported_in_few_places_and_never_at_once():
    users = {module for module in MODULES if "psutil" in {name.split(".")[0] for name in imports(module)}}
    at_once = {module for module in MODULES if "psutil" in {name.split(".")[0] for name in imports(module, False)}}
    assert users <= {"circus.posix.info", "circus.process", "circus.util"}
    assert at_once == set()


def test_there_is_no_circle():
    graph = {module: ours(module, deep=False) for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"circle: {' -> '.join((*path, module))}"
        if module not in done:
            for name in sorted(graph[module]):
                visit(name, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())
