"""Puts each supervisor into a virtual environment of its own. All pinned versions stand here and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

# The same pyzmq and psutil on both sides, so that Circus is compared and not its libraries.
LIBRARIES = ("pyzmq==27.3.0", "psutil==7.2.2")
PINS: dict[str, tuple[str, ...]] = {
    "circus": (
        *LIBRARIES,
        "setuptools==75.8.0",
    ),  # setuptools: builds this checkout without the package index
    "circus019": ("circus==0.19.0", "tornado==6.5.2", *LIBRARIES, "setuptools==75.8.0"),
    "servers": ("gunicorn==27.0.1", "uvicorn==0.54.0", "waitress==3.0.2"),
    "supervisord": ("supervisor==4.3.0", "setuptools==75.8.0"),
}
SOURCES = ("circus", "setup.py", "pyproject.toml", "README.md")


def environment(name: str, cache: Path) -> Path:
    """The bin directory of the environment with the packages of `PINS[name]`, made now or by an earlier run."""
    home = cache / name
    stamp = home / "pins"
    wanted = "\n".join((sys.version, *PINS[name]))
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        _run([*_pip(home), *PINS[name]])
        stamp.write_text(wanted)
    return home / "bin"


def checkout(source: Path, cache: Path, scratch: Path) -> Path:
    """The bin directory of an environment with the checkout `source`, freshly installed as users install it.

    A copy is built, because building leaves directories behind; and not an editable install, because its
    import hook would be measured with every command.
    """
    bin_dir = environment("circus", cache)
    copy = scratch / "checkout"
    copy.mkdir()
    for name in SOURCES:
        if (source / name).is_dir():
            shutil.copytree(source / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (source / name).exists():
            shutil.copy(source / name, copy)
    _run([*_pip(bin_dir.parent), "--no-deps", "--no-build-isolation", "--force-reinstall", str(copy)])
    return bin_dir


def _pip(home: Path) -> list[str]:
    return [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
