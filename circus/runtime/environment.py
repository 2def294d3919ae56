"""The environment a watcher's processes start with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from circus.common import listen_fds
from circus.options.table import WatcherSpec
from circus.posix.users import user_variables

FindPackages = Callable[[str, str], "list[str]"]
FindUser = Callable[["str | int | None"], "dict[str, str]"]


def virtualenv_packages(directory: str, version: str) -> list[str]:
    """Where the packages of a virtualenv are: its site-packages and what the `.pth` files there name.

    `version` is that of its Python, X.Y. ValueError if there is no such directory. Source: the `site` module.
    """
    if not os.path.isdir(directory):
        raise ValueError(f"virtualenv {directory!r} is not a directory")
    packages = os.path.join(directory, "lib", f"python{version}", "site-packages")
    try:
        names = sorted(os.listdir(packages))
    except OSError as exc:
        raise ValueError(f"virtualenv {directory!r} has no packages for Python {version}: {exc}") from None
    found = [packages]
    for name in names:
        if name.endswith(".pth"):
            found += _pth_paths(packages, name)
    return found


def _pth_paths(packages: str, name: str) -> Iterator[str]:
    try:
        with open(os.path.join(packages, name), encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError:
        return  # `site` takes what it can read, too
    for line in lines:
        path = os.path.abspath(os.path.join(packages, line.rstrip()))
        if line.strip() and not line.startswith(("#", "import ", "import\t")) and os.path.exists(path):
            yield path


def watcher_env(
    spec: WatcherSpec,
    environ: Mapping[str, str],
    python_path: Sequence[str] | None = None,
    find_packages: FindPackages = virtualenv_packages,
    find_user: FindUser = user_variables,
) -> dict[str, str]:
    """The environment of a watcher; empty unless its section says something about it.

    `environ` is that of circusd and lies below everything if `copy_env` is set; `python_path` (`sys.path` if None) is
    what `copy_path` copies. ValueError for a virtualenv without packages, or an unknown user.
    """
    env = _without_listen_fds(environ) if spec.copy_env else {}
    if spec.copy_path:
        env["PYTHONPATH"] = os.pathsep.join(sys.path if python_path is None else python_path)
    if spec.user_env:
        env.update(find_user(spec.uid))
    env.update(spec.env or {})
    if spec.virtualenv:
        version = spec.virtualenv_py_ver or f"{sys.version_info[0]}.{sys.version_info[1]}"
        _put_first(env, "PYTHONPATH", find_packages(spec.virtualenv, version))
        _put_first(env, "PATH", [os.path.join(spec.virtualenv, "bin")])
    return env


def _without_listen_fds(environ: Mapping[str, str]) -> dict[str, str]:
    """They are about descriptors of ours, which a program is given by its section or not at all."""
    return {name: value for name, value in environ.items() if name not in listen_fds.VARIABLES}


def _put_first(env: dict[str, str], name: str, paths: Sequence[str]) -> None:
    rest = [path for path in env.get(name, "").split(os.pathsep) if path and path not in paths]
    env[name] = os.pathsep.join([*paths, *rest])


def python_paths(env: Mapping[str, str]) -> list[str]:
    """Directories of the environment's `PYTHONPATH`: hooks of a watcher are looked for there, too."""
    return [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
