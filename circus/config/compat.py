"""What older programs import from `circus.config`: a file as dictionaries, and the parser behind it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any

from circus.common import template
from circus.common.convert import to_bool
from circus.config.environments import Environments, merged
from circus.config.files import find_files, read_document, read_text
from circus.config.ini import Document, raise_if_fatal
from circus.config.reader import Source, examine
from circus.options.kinds import RLIMIT
from circus.options.option import Family
from circus.options.table import CircusSpec, WatcherSpec

__all__ = ["DefaultConfigParser", "get_config", "read_config", "rlimit_value", "watcher_defaults"]

# The keys of `watcher_defaults`, which programs go through one by one.
_DEFAULTS = {
    "cmd", "args", "numprocesses", "warmup_delay", "executable", "working_dir", "shell", "uid", "gid",
    "send_hup", "stop_signal", "stop_children", "max_retry", "graceful_timeout", "rlimits", "stderr_stream",
    "stdout_stream", "priority", "use_sockets", "singleton", "copy_env", "copy_path", "hooks", "respawn",
    "autostart", "on_demand",
}


def get_config(config_file: str) -> dict[str, Any]:
    """`[circus]` keys, and `watchers`, `plugins`, `sockets` as lists of dictionaries sorted by name.

    A watcher that cannot be built here is among them: the code that builds it is told. `$NAME` in an environment is
    replaced by `Watcher.load_from_config`.

    OSError if the file is not there, ConfigError with every problem if it cannot be used.
    """
    if not os.path.exists(config_file):
        raise FileNotFoundError(errno.ENOENT, "the configuration file does not exist", config_file)
    source = examine(config_file, os.environ)
    raise_if_fatal(source.problems)
    circus = source.config.circus
    config = {o.name: getattr(circus, o.attribute) for o in CircusSpec.options() if not o.name.startswith("include")}
    environments = Environments(source.document, os.environ, expands_dollars=False)
    specs = sorted([*source.config.watchers, *source.left_out], key=lambda spec: spec.name)
    config["watchers"] = [_watcher(spec, environments, source.watcher_sections[spec.name]) for spec in specs]
    config["plugins"] = _sections(source, "plugin:", _plugin)
    config["sockets"] = _sections(source, "socket:", _socket)
    return config


def watcher_defaults() -> dict[str, Any]:
    """What a watcher section that says nothing means."""
    options = [option for option in WatcherSpec.options() if option.attribute in _DEFAULTS]
    defaults = {o.attribute: {} if isinstance(o, Family) else o.default for o in options}
    return {**defaults, "name": "", "args": ""}


def rlimit_value(value: str) -> int:
    """A limit from text; empty is infinity (getrlimit(2))."""
    import resource

    limit = RLIMIT.parse(value)
    return resource.RLIM_INFINITY if limit is None else limit


def _watcher(spec: WatcherSpec, environments: Environments, section: str) -> dict[str, Any]:
    options = [o for o in WatcherSpec.options() if o.attribute in spec.values and not isinstance(o, Family)]
    values = {o.name: spec.values[o.attribute] for o in options}
    families = {
        "rlimits": {name: rlimit_value("" if limit is None else str(limit)) for name, limit in spec.rlimits.items()},
        "hooks": {name: list(hook) for name, hook in spec.hooks.items()},
        "stdout_stream": dict(spec.stdout_stream),
        "stderr_stream": dict(spec.stderr_stream),
    }
    outer = environments.outer if spec.copy_env else {}
    env = {**outer, **merged(environments.layers(spec.name, section))}
    return {**watcher_defaults(), **values, **families, **spec.extras, "name": spec.name, "env": env}


def _sections(source: Source, prefix: str, finish: Callable[[str, dict[str, Any]], None]) -> list[dict[str, Any]]:
    """Sections as they stand in the file, variables replaced."""
    known = source.environments.known()
    found = []
    for section in source.document.sections:
        entries = source.document.entries(section)
        if section.startswith(prefix) and entries:
            items: dict[str, Any] = {key: template.expand(entry.value, known) for key, entry in entries.items()}
            finish(section, items)
            found.append(items)
    return sorted(found, key=lambda items: str(items["name"]))


def _plugin(section: str, items: dict[str, Any]) -> None:
    items["name"] = section
    if "priority" in items:
        items["priority"] = int(items["priority"])


def _socket(section: str, items: dict[str, Any]) -> None:
    items["name"] = section.removeprefix("socket:").lower()
    for key in ("so_reuseport", "replace"):
        items[key] = to_bool(items.get(key))


class DefaultConfigParser:
    """The part of `configparser` that programs use on a Circus configuration, with variables replaced."""

    def __init__(self, document: Document | None = None) -> None:
        self._document = document or Document()
        self._env: Mapping[str, str] = dict(os.environ)

    def set_env(self, env: Mapping[str, str]) -> None:
        """Variables for `$(circus.env.NAME)`."""
        self._env = dict(env)

    def read(self, names: str | list[str]) -> list[str]:
        """Add files; those that cannot be read are left out of the answer. ConfigError if one is broken."""
        done = []
        for name in [names] if isinstance(names, str) else names:
            try:
                text = read_text(name)
            except OSError:
                continue
            self._document.parse(text, name)
            done.append(name)
        raise_if_fatal(self._document.problems)
        return done

    def sections(self) -> list[str]:
        return list(self._document.sections)

    def has_section(self, section: str) -> bool:
        return section in self._document.sections

    def options(self, section: str) -> list[str]:
        return list(self._document.entries(section))

    def has_option(self, section: str, option: str) -> bool:
        return option in self._document.entries(section)

    def items(self, section: str, noreplace: bool = False) -> list[tuple[str, str]]:
        entries = self._document.entries(section)
        return [(key, entry.value if noreplace else self._expand(entry.value)) for key, entry in entries.items()]

    def get(self, section: str, option: str) -> str:
        """KeyError if there is no such section or option."""
        return self._expand(self._document.entries(section)[option].value)

    def dget(self, section: str, option: str, default: Any = None, type: Callable[[str], Any] = str) -> Any:
        """The value as `type`, or `default`. ValueError if it cannot be one."""
        if not self.has_option(section, option):
            return default
        text = self.get(section, option)
        return to_bool(text) if type is bool else type(text)

    def _expand(self, text: str) -> str:
        return template.expand(text, {f"env.{name}": value for name, value in self._env.items()})


def read_config(config_path: str) -> tuple[DefaultConfigParser, list[str]]:
    """A parser holding a file and its includes, and the names of all files. OSError, ConfigError."""
    read_text(config_path)  # for its error
    document = read_document(config_path, os.environ, read_text, find_files)
    raise_if_fatal(document.problems)
    return DefaultConfigParser(document), list(document.files)
