"""What would go wrong on this machine if a configuration were started now, found without starting anything.

Modules with hooks, streams and plugins are imported, as the daemon would.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from circus.common import names
from circus.common.convert import nearest, resolve_name
from circus.config.reader import Remark
from circus.exc import ImportStringError, SpawnError
from circus.options.option import Spec
from circus.options.table import CircusSpec, ConfigSpec, PluginSpec, SocketSpec, WatcherSpec
from circus.posix import socket_file
from circus.posix.diagnosis import spawn_error
from circus.posix.launch import Launch, candidates
from circus.posix.regular import is_replaceable
from circus.posix.users import user_id, user_info
from circus.runtime import search_path
from circus.runtime.environment import python_paths, watcher_env
from circus.runtime.launching import command_line, variables_of
from circus.sockets.managed import interfaces, no_interface

OUTPUTS = ("stdout_stream", "stderr_stream")

# These append to `filename`; no class means the first one.
_FILE_CLASSES = ("", *names.FILE_STREAM_CLASSES)


def rehearse(config: ConfigSpec, environ: Mapping[str, str]) -> Iterator[Remark]:
    """All that can be seen. `environ` is the environment of circusd."""
    yield from _circus(config.circus)
    for sock in config.sockets:
        yield from _socket(sock)
    for watcher in config.watchers:
        yield from _watcher(watcher, environ)
    for plugin in config.plugins:
        yield from _plugin(plugin)


def _circus(spec: CircusSpec) -> Iterator[Remark]:
    log = spec.logoutput or "-"
    log_file = "" if log in ("-", "stdout") or log.startswith("syslog://") else log
    for key, path in (("pidfile", spec.pidfile), ("logoutput", log_file)):
        text = _not_a_file(path) if path else ""
        if text:
            yield Remark(spec, key, text)
    rules = spec.loggerconfig or "default"
    if rules.strip().lower() != "default" and not os.path.exists(rules):
        yield Remark(spec, "loggerconfig", f"there is no file {rules}")
    if spec.endpoint_owner:
        try:
            user_id(spec.endpoint_owner)
        except ValueError as exc:
            yield Remark(spec, "endpoint_owner", str(exc))


def _socket(spec: SocketSpec) -> Iterator[Remark]:
    """What can be seen without binding it. A port may be that of the circusd which runs now."""
    if spec.interface and spec.interface not in interfaces():
        yield Remark(spec, "interface", no_interface(spec.interface))
    if spec.path and not socket_file.is_abstract(spec.path):
        text = _path_fault(spec.path)
        if text:
            yield Remark(spec, "path", text, may_come=not os.path.isdir(os.path.dirname(spec.path) or "."))


def _path_fault(path: str) -> str:
    try:
        socket_file.require_usable(path)
    except OSError as exc:
        return str(exc.strerror)
    kind = socket_file.kind_of(path) if os.path.lexists(path) else ""
    return f"{kind} is there, which is left alone: choose another path" if kind else ""


def _watcher(spec: WatcherSpec, environ: Mapping[str, str]) -> Iterator[Remark]:
    yield from _user(spec)
    yield from _directory(spec)
    try:
        env = watcher_env(spec, environ, search_path.own())
    except ValueError as exc:
        if "virtualenv" in str(exc):
            yield Remark(spec, "virtualenv", str(exc), may_come=not os.path.lexists(str(spec.virtualenv)))
        else:
            yield Remark(spec, "user_env", str(exc))
        return
    yield from _hooks_and_streams(spec, env)
    yield from _program(spec, env)


def _user(spec: WatcherSpec) -> Iterator[Remark]:
    key = "gid"
    try:
        user_info(None, spec.gid)
        key = "uid"
        user_info(spec.uid, spec.gid)
    except ValueError as exc:
        yield Remark(spec, key, str(exc))


def _directory(spec: WatcherSpec) -> Iterator[Remark]:
    path = spec.working_dir
    if path and not os.path.isdir(path):
        is_there = os.path.lexists(path)
        what = "is not a directory" if is_there else "does not exist"
        yield Remark(spec, "working_dir", f"{path} {what}", may_come=not is_there)


def _hooks_and_streams(spec: WatcherSpec, env: Mapping[str, str]) -> Iterator[Remark]:
    paths = python_paths(env)
    for name, (target, _) in spec.hooks.items():
        if isinstance(target, str):
            yield from _imports(spec, f"hooks.{name}", target, paths)
    for output in OUTPUTS:
        conf = getattr(spec, output)
        kind = str(conf.get("class") or "")
        if "." in kind or ":" in kind:
            yield from _imports(spec, f"{output}.class", kind, paths)
        elif kind in _FILE_CLASSES and conf.get("filename"):
            yield from _log_file(spec, f"{output}.filename", conf)


def _log_file(spec: WatcherSpec, key: str, conf: Mapping[str, Any]) -> Iterator[Remark]:
    path = str(conf["filename"])
    text = _not_a_file(path)
    if text:
        yield Remark(spec, key, text)
    elif (conf.get("max_bytes") or conf.get("rotate_when")) and not is_replaceable(path):
        yield Remark(spec, key, f"{path} cannot be rotated: it is no regular file of its own", may_come=True)


def _plugin(spec: PluginSpec) -> Iterator[Remark]:
    remarks = list(_imports(spec, "use", spec.use, [])) if spec.use else []
    yield from remarks
    if remarks or not spec.use:  # the reader of the file says that it is missing
        return
    table = getattr(resolve_name(spec.use), "option_table", None)
    if isinstance(table, type) and issubclass(table, Spec):
        yield from _plugin_options(spec, table)


def _plugin_options(spec: PluginSpec, table: type[Spec]) -> Iterator[Remark]:
    """What a plugin that declares its options would not understand, or not look at."""
    known = [option.name for option in table.options()]
    for key, text in spec.extras.items():
        option = table.lookup(key)
        try:
            if option and str(text).strip():
                option.kind.parse(str(text).strip())
        except (ValueError, re.error) as exc:
            yield Remark(spec, key, f"{text}: {exc}")
        guess = nearest(key, known)
        if option is None and guess and WatcherSpec.lookup(key) is None:
            yield Remark(spec, key, f"is not an option of the plugin; did you mean {guess}?", may_come=True)


def _imports(spec: WatcherSpec | PluginSpec, key: str, dotted: str, paths: list[str]) -> Iterator[Remark]:
    try:
        with search_path.searched(paths):
            resolve_name(dotted)
    except ImportStringError as exc:
        yield Remark(spec, key, str(exc))


def _program(spec: WatcherSpec, env: Mapping[str, str]) -> Iterator[Remark]:
    if spec.working_dir and not os.path.isdir(spec.working_dir):
        return  # names may count from there
    try:
        argv = command_line(spec, 1, lambda: variables_of(spec, env, {}))
    except SpawnError:
        return  # said by the reader of the file
    launch = Launch(argv, env, executable=spec.executable, cwd=spec.working_dir)
    found = [path for path in candidates(launch) if os.path.lexists(path)]
    if any(os.path.isfile(path) and os.access(path, os.X_OK) for path in found):
        return
    key = "executable" if spec.executable else "cmd"
    error = spawn_error(launch, "exec", errno.EACCES if found else errno.ENOENT)
    yield Remark(spec, key, error.text, may_come=not found)


def _not_a_file(path: str) -> str:
    """Why nothing can be written to `path`; empty if something can."""
    if os.path.isdir(path):
        return f"{path} is a directory"
    directory = os.path.dirname(os.path.abspath(path))
    return "" if os.path.isdir(directory) else f"the directory {directory} does not exist"
