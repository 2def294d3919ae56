"""A configuration file as specs, with every problem at once: where it is and what would be right.

The syntax is in `ini`, includes are in `files`, environments in `environments`, checks in `check`; `show` says where
each value came from, and `compat` holds what older programs import from `circus.config`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from circus.common import names, template
from circus.common.listen_fds import names_of
from circus.config import check, check_sockets, foreign
from circus.config.check import unavailable as unavailable
from circus.config.environments import Environments, merged
from circus.config.files import Glob, IsInstalled, ReadFile, find_files, is_installed, read_document, read_text
from circus.config.ini import Document, Entry, Problem, raise_if_fatal
from circus.options.kinds import ARGS, HOOK, OPTIONAL_TEXT, STREAM_VALUE, TEXT, USER
from circus.options.option import Family, Option, Spec
from circus.options.own_programs import FLAPPING
from circus.options.settings import contradiction, is_stored, store
from circus.options.table import CircusSpec, ConfigSpec, PluginSpec, SocketSpec, WatcherSpec

_FOR_PROGRAMS = ("cmd", "args", "shell_args", "env")  # what is said there means nothing to us

# Kinds whose text may use the variables of the watcher's own environment; numbers and switches see only those of
# circusd and `[env]`, as they always did.
_TEXT_KINDS = (TEXT, OPTIONAL_TEXT, ARGS, USER, STREAM_VALUE)


class Remark(NamedTuple):
    """Something about a spec that is only seen on the machine it is for. `may_come`: it may be there by the start."""

    spec: Spec
    key: str
    text: str
    may_come: bool = False


Look = Callable[[ConfigSpec], Iterable[Remark]]


def load(path: str, environ: Mapping[str, str] = os.environ) -> ConfigSpec:
    """The specs of a file. Raises ConfigError with every problem that must be mended; the others are not told."""
    config, problems = read(path, environ)
    raise_if_fatal(problems)
    return config


def read(
    path: str,
    environ: Mapping[str, str],
    open_file: ReadFile = read_text,
    glob: Glob = find_files,
    has: IsInstalled = is_installed,
    look: Look | None = None,
) -> tuple[ConfigSpec, list[Problem]]:
    """Specs of everything that can be used, and all problems in the order of the files.

    `environ` is the environment of circusd; `look` may look at the machine. Never raises for what a file says, nor for
    a file that is not there.
    """
    source = examine(path, environ, open_file, glob, has)
    problems = source.problems + unavailable(source.config)
    for remark in look(source.config) if look else ():
        problems.append(_seen(source, remark))
    return source.config, in_order(source.document, problems)


def _seen(source: Source, remark: Remark) -> Problem:
    spec, key, text, may_come = remark
    section = "circus" if isinstance(spec, CircusSpec) else f"plugin:{spec.name}"
    if isinstance(spec, WatcherSpec):
        section = source.watcher_sections[spec.name]
    if isinstance(spec, SocketSpec):
        section = source.socket_sections[spec.name]
    return Problem("", 0, section, key, text, fatal=False, skips=not may_come)


def in_order(document: Document, problems: list[Problem]) -> list[Problem]:
    """Located, each said once (a line of `[DEFAULT]` is read for every section), by file and line."""
    once: dict[object, Problem] = {}
    for problem in problems:
        document.locate(problem)
        once.setdefault((problem.file, problem.line, problem.key, problem.text), problem)
    return sorted(once.values(), key=lambda p: (document.files.index(p.file) if p.file else -1, p.line))


class Source:
    """A configuration together with what it was made from."""

    def __init__(self, document: Document, environments: Environments) -> None:
        self.document = document
        self.environments = environments
        self.config = ConfigSpec(CircusSpec(), [])
        self.watcher_sections: dict[str, str] = {}  # by name of the watcher
        self.socket_sections: dict[str, str] = {}  # as above
        self.left_out: list[WatcherSpec] = []  # what is well said, but cannot be built here
        self.problems: list[Problem] = []

    def fault(self, section: str, key: str, text: str, fatal: bool = True, skips: bool = False) -> None:
        self.problems.append(Problem("", 0, section, key, text, fatal, skips))


def examine(
    path: str,
    environ: Mapping[str, str],
    open_file: ReadFile = read_text,
    glob: Glob = find_files,
    has: IsInstalled = is_installed,
) -> Source:
    """As `read`, with the origin of everything, and without asking what this version can do."""
    document = read_document(path, environ, open_file, glob)
    source = Source(document, Environments(document, environ))
    circus = _circus(source, has)
    flapping: dict[str, Any] = {}
    plugins = _by_name(_plugins(source, flapping))  # before the watchers: it may set their defaults
    source.config = ConfigSpec(circus, _by_name(_watchers(source, flapping)), _by_name(_sockets(source)), plugins)
    source.problems += document.problems
    source.problems += source.environments.problems
    source.problems += check.sections(document)
    source.problems += check.stray_includes(document)
    source.problems += check_sockets.problems(
        source.config, source.socket_sections, source.watcher_sections, names_of(environ)
    )
    source.problems += source.environments.unused(_watcher_names(source))
    source.problems = in_order(document, source.problems)
    return source


def _watcher_names(source: Source) -> list[str]:
    """Also of those that are left out."""
    sections = [name for name in source.document.sections if name.startswith("watcher:")]
    return [source.document.get(name, "name") or name.removeprefix("watcher:") for name in sections]


def _by_name(specs: Iterator[Any]) -> list[Any]:
    return sorted(specs, key=lambda spec: str(spec.name))


# ---- sections ----------------------------------------------------------------------------------------------------


def _circus(source: Source, has: IsInstalled) -> CircusSpec:
    values: dict[str, Any] = {}
    known = source.environments.known()
    for key, entry in source.document.entries("circus").items():
        option = CircusSpec.lookup(key)
        if option:
            _store(source, "circus", values, option, entry, known)
        elif key in source.document.sections["circus"].entries:
            source.fault("circus", key, check.unknown(key, CircusSpec), fatal=False)
    if "stats_endpoint" in values and not values.get("statsd"):
        source.fault("circus", "stats_endpoint", "switches statsd on; say `statsd = true` to have it so", fatal=False)
        values["statsd"] = True
    spec = CircusSpec("", values)
    gevent_is_wanted = spec.stream_backend == names.GEVENT
    has_gevent = gevent_is_wanted and has("gevent")
    source.problems += check.circus(spec, has_gevent)
    if gevent_is_wanted and not has_gevent:
        return CircusSpec("", {**spec.values, "stream_backend": names.THREAD})
    return spec


def _sockets(source: Source) -> Iterator[SocketSpec]:
    for section, name in _named(source, "socket:"):
        spec: SocketSpec = _plain_section(source, section, SocketSpec, name.lower())
        twin = source.socket_sections.setdefault(spec.name, section)
        if twin != section:
            source.fault(section, "", f"[{twin}] has that name already, for case does not matter")
            continue
        yield spec


def _plugins(source: Source, flapping: dict[str, Any]) -> Iterator[PluginSpec]:
    for section, name in _named(source, "plugin:"):
        spec = _plain_section(source, section, PluginSpec, name)
        if spec.use == FLAPPING:
            flapping.update(_flapping_defaults(source, section))
            continue  # built in: the section only sets the defaults of all watchers
        if not spec.use:
            source.fault(section, "use", "names the class of the plugin and is missing")
        yield spec


def _plain_section(source: Source, section: str, klass: type[Spec], name: str) -> Any:
    values: dict[str, Any] = {}
    extras: dict[str, str] = {}
    known = source.environments.known()
    for key, entry in source.document.entries(section).items():
        option = klass.lookup(key)
        if option:
            _store(source, section, values, option, entry, known)
            continue
        extras[key] = _unquoted(template.expand(entry.value, known))
        source.problems += check.cut(section, entry)
        if klass is SocketSpec:
            source.fault(section, key, check.unknown(key, klass), fatal=False)
    return klass(name, values, extras)


def _unquoted(text: str) -> str:
    """Without one pair of quotes around it: older versions needed them for values with blanks."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _flapping_defaults(source: Source, section: str) -> dict[str, Any]:
    """What `[plugin:flapping]` says, as values of the `flapping.*` options."""
    values: dict[str, Any] = {}
    for key, entry in source.document.entries(section).items():
        option = WatcherSpec.lookup(f"flapping.{key}")
        if option:
            _store(source, section, values, option, entry, source.environments.known())
        else:
            source.problems += check.flapping(section, key)
    return values


def _watchers(source: Source, flapping: Mapping[str, Any]) -> Iterator[WatcherSpec]:
    folded: dict[str, str] = {}  # section by name, ignoring case
    for section, name in _named(source, "watcher:"):
        spec = _watcher(source, section, source.document.get(section, "name") or name, flapping)
        source.problems += check.slips(section, spec)
        if spec.name in source.watcher_sections:
            taken = f"[{source.watcher_sections[spec.name]}] has the name {spec.name!r} already"
            _leave_out(source, section, spec, "name", taken)
            continue
        source.watcher_sections[spec.name] = section
        keys = source.document.entries(section)
        faults = [*foreign.mistaken(keys)] or [check.impossible(spec) or ("", contradiction(spec) or "")]
        for key, reason in faults:
            if reason:
                _leave_out(source, section, spec, key, reason)
        if any(reason for _, reason in faults):
            source.left_out.append(spec)
            continue
        twin = folded.get(spec.name.lower())
        if twin:
            source.fault(section, "", f"[{twin}] differs only in case: commands find the last one", fatal=False)
        folded[spec.name.lower()] = section
        yield spec


def _leave_out(source: Source, section: str, spec: WatcherSpec, key: str, reason: str) -> None:
    text = f"{reason}. Failed to create watcher {spec.name!r}: it is left out"
    source.fault(section, key, text, fatal=False, skips=True)


def _watcher(source: Source, section: str, name: str, flapping: Mapping[str, Any]) -> WatcherSpec:
    values: dict[str, Any] = {}
    extras: dict[str, str] = {}
    env = merged(source.environments.layers(name, section))
    known, own = source.environments.known(), source.environments.known(env)
    for key, entry in source.document.entries(section).items():
        option = WatcherSpec.lookup(key)
        if option is None or option.attribute in _FOR_PROGRAMS:
            source.problems += check.cut(section, entry)
        if key in ("name", "env"):
            continue  # the caller and `env` above have used them
        if option:
            _store(source, section, values, option, entry, own if _kind(option) in _TEXT_KINDS else known)
        else:
            extras[key] = template.expand(entry.value, own)
            source.problems += check.free_form(section, key)
    if env:
        values["env"] = env
    return WatcherSpec(name, {**flapping, **values}, extras)


# ---- one entry ---------------------------------------------------------------------------------------------------


def _named(source: Source, prefix: str) -> Iterator[tuple[str, str]]:
    """Sections `prefix`NAME that say something, and their NAME."""
    for section in source.document.sections:
        if not section.startswith(prefix):
            continue
        name = section.removeprefix(prefix)
        if not source.document.entries(section):
            source.fault(section, "", "is empty, so it is left out", fatal=False)
        elif not name.strip():
            source.fault(section, "", f"has no name; write [{prefix}NAME]")
        else:
            yield section, name


def _kind(option: Option[Any]) -> Any:
    return option.item if isinstance(option, Family) else option.kind


def _store(
    source: Source,
    section: str,
    values: dict[str, Any],
    option: Option[Any],
    entry: Entry,
    variables: Mapping[str, object],
) -> None:
    """Parse an entry into `values`. The first of several spellings of an option stays."""
    kind = _kind(option)
    text = entry.value if kind is HOOK else template.expand(entry.value, variables)
    if isinstance(option, Family) and entry.key == option.attribute:
        source.fault(section, entry.key, f"is set by its parts; write {option.prefix}NAME = ...")
        return
    if kind in (OPTIONAL_TEXT, USER) and not text:
        return  # `uid =` says nothing
    try:
        value = kind.parse(text)
    except ValueError as exc:
        source.fault(section, entry.key, str(exc))
        return
    if not is_stored(values, option, entry.key):
        store(values, option, entry.key, value)
