"""Configurations from text, without a file system."""

import fnmatch
from pathlib import Path

from circus import config

DATA = Path(__file__).parents[2] / "data"

ENVIRON = {"HOME": "/home/me", "PATH": "/bin"}


class Result:
    """What reading gave, by name."""

    def __init__(self, spec, problems):
        self.spec = spec
        self.circus = spec.circus
        self.watchers = {watcher.name: watcher for watcher in spec.watchers}
        self.sockets = {socket.name: socket for socket in spec.sockets}
        self.plugins = {plugin.name: plugin for plugin in spec.plugins}
        self.problems = problems
        self.texts = [str(problem) for problem in problems]
        self.fatal = [str(problem) for problem in problems if problem.fatal]
        self.skipping = [str(problem) for problem in problems if problem.skips]

    @property
    def only(self):
        (watcher,) = self.spec.watchers
        return watcher


class Files(dict):
    """A file system of `{path: text}`; a value that is an error is raised."""

    def open_file(self, path):
        if path not in self:
            raise FileNotFoundError(2, "No such file or directory", path)
        if isinstance(self[path], OSError):
            raise self[path]
        return self[path]

    def glob(self, pattern):
        return fnmatch.filter(self, pattern)[::-1]  # in no helpful order, as a real one


def read(text, environ=None, files=(), installed=()):
    disk = Files({"main.ini": text, **dict(files)})
    environ = ENVIRON if environ is None else environ
    return Result(*config.read("main.ini", environ, disk.open_file, disk.glob, installed.__contains__))


def read_file(name, environ=None):
    """One of tests/data."""
    return Result(*config.read(str(DATA / name), ENVIRON if environ is None else environ))
