"""The final value of every option of a configuration, and where it came from: `circusd --check --show`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from circus.common import convert
from circus.config.files import Glob, ReadFile, find_files, read_text
from circus.config.ini import Entry
from circus.config.reader import Source, examine
from circus.options.kinds import HOOK, OCTAL, SIGNAL
from circus.options.option import Family, Option, Spec
from circus.options.own_programs import FLAPPING

Line = tuple[str, str, str]  # name, value, origin


def show(
    path: str, environ: Mapping[str, str], open_file: ReadFile = read_text, glob: Glob = find_files
) -> Iterator[str]:
    """Lines for people: a heading for each section, then `name = value` and the origin of each."""
    source = examine(path, environ, open_file, glob)
    yield from _section("circus", _options(source, "circus", source.config.circus))
    for kind in ("socket", "plugin", "watcher"):
        for spec in getattr(source.config, f"{kind}s"):
            section = _written(source, kind, spec.name)
            lines = [*_options(source, section, spec), *_extras(source, section, spec)]
            if kind == "watcher":
                lines += _environment(source, section, spec.name)
            yield from _section(section, lines)


def _section(heading: str, lines: Iterable[Line]) -> Iterator[str]:
    yield f"[{heading}]"
    for name, value, origin in lines:
        shown = value.replace("\n", "\n    ")  # as a file would continue it
        yield f"{name} = {shown}".rstrip() + f"  ({origin})"
    yield ""


def _written(source: Source, kind: str, name: str) -> str:
    """The section a spec was made from: its name may be given by a key or lower-cased."""
    for section in source.document.sections:
        own = source.document.get(section, "name") if kind == "watcher" else None
        if section.startswith(f"{kind}:") and name in (own, section.removeprefix(f"{kind}:")):
            return section
    return next(s for s in source.document.sections if s.lower() == f"{kind}:{name}".lower())


def _options(source: Source, section: str, spec: Spec) -> Iterator[Line]:
    entries = source.document.entries(section)
    for option in spec.options():
        value = getattr(spec, option.attribute)
        if isinstance(option, Family):
            for member, item in value.items():
                key = f"{option.prefix}{member}"
                folded = {name.lower(): entry for name, entry in entries.items()}
                yield key, _text(option.item, item), _place(entries.get(key) or folded[key.lower()])
        elif option.name != "env":
            yield option.name, _text(option.kind, value), _origin(source, section, option, spec)


def _extras(source: Source, section: str, spec: Spec) -> Iterator[Line]:
    entries = source.document.entries(section)
    for key, value in spec.extras.items():
        yield key, str(value), f"free-form, {_place(entries[key])}"


def _environment(source: Source, section: str, name: str) -> Iterator[Line]:
    final: dict[str, Line] = {}
    for origin, key, env in source.environments.layers(name, section):
        entries = source.document.entries(origin)
        for variable, value in env.items():
            place = _place(entries[key or variable])
            final[variable] = (f"env {variable}", value, place if key else f"[{origin}] {place}")
    yield from final.values()


def _origin(source: Source, section: str, option: Option[Any], spec: Spec) -> str:
    entries = source.document.entries(section)
    for name in (option.name, *option.aliases):
        if name in entries:
            return _place(entries[name])
    if option.attribute not in spec.values:
        return "default"
    for plugin in source.document.sections:
        entry = source.document.entries(plugin).get(option.name.removeprefix("flapping."))
        if entry and source.document.get(plugin, "use") == FLAPPING:
            return f"[{plugin}] {_place(entry)}"
    return "follows from stats_endpoint"


def _place(entry: Entry) -> str:
    return f"{entry.file}:{entry.line}"


def _text(kind: Any, value: Any) -> str:
    """A value as a file would say it."""
    if kind is HOOK:
        return f"{value[0]}, true" if value[1] else str(value[0])
    if kind is SIGNAL:
        return convert.signal_name(value).removeprefix("SIG")
    if kind is OCTAL and value is not None:
        return f"{value:03o}"
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else convert.value_text(value)
