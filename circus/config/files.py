"""Which files make up a configuration: the one that is named, then those its `[circus]` section includes.

What is asked of the system on the way stands here, for tests to put something else in its place.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Mapping

from circus.common import template
from circus.config.ini import Document, Problem

ReadFile = Callable[[str], str]
Glob = Callable[[str], "list[str]"]
IsInstalled = Callable[[str], bool]


def read_text(path: str) -> str:
    """Content of a file; OSError if it cannot be read. Bytes that are not UTF-8 survive, as in file names (PEP 383)."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def find_files(pattern: str) -> list[str]:
    from glob import glob  # here, because few configurations include others

    return glob(pattern)


def is_installed(package: str) -> bool:
    """Without loading it: a program may not fork any more, to go into the background, once gevent is there."""
    from importlib.util import find_spec

    return find_spec(package) is not None


def read_document(path: str, environ: Mapping[str, str], read_file: ReadFile, glob: Glob) -> Document:
    """The main file and its includes, one level deep. Unreadable ones are problems; only the main one is needed."""
    document = Document()
    _read(document, path, read_file, fatal=True)
    variables = {f"env.{name}": value for name, value in environ.items()}
    for key, pattern in list(_patterns(document, os.path.dirname(path), variables)):
        found = sorted(glob(pattern))  # in the order of names: that of the file system changes from machine to machine
        if not found:
            text = f"no file is called {pattern!r}; paths are relative to the directory of {path}"
            document.problems.append(document.locate(Problem("", 0, "circus", key, text, fatal=False)))
        for name in found:
            if name not in document.files:
                _read(document, name, read_file, fatal=False)
    return document


def _read(document: Document, name: str, read_file: ReadFile, fatal: bool) -> None:
    document.files.append(name)
    try:
        text = read_file(name)
    except OSError as exc:
        document.problems.append(Problem(name, 0, "", "", f"cannot be read: {exc.strerror or exc}", fatal))
    else:
        document.parse(text, name)


def _patterns(document: Document, directory: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, tail in (("include", ""), ("include_dir", "*.ini")):
        words = template.expand(document.get("circus", key) or "", variables).split()
        for word in words:
            yield key, os.path.join(directory, word, tail) if tail else os.path.join(directory, word)
