"""What can be wrong with a configuration although it can be read: slips, contradictions, things not built yet."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

from circus.common import convert, names
from circus.common.convert import did_you_mean
from circus.config import foreign
from circus.config.ini import Document, Entry, Problem
from circus.options.option import Spec
from circus.options.settings import limit_names, stream_fault, watcher_keys
from circus.options.table import CircusSpec, ConfigSpec, StreamSpec, WatcherSpec

SECTIONS = ("circus", "env", "watcher:NAME", "socket:NAME", "plugin:NAME", "env:PATTERN")


def unavailable(config: ConfigSpec) -> list[Problem]:
    """What is asked for and not possible in this version. Each line goes when its part is there."""
    problems = []

    def miss(section: str, key: str, what: str, remedy: str) -> None:
        problems.append(Problem("", 0, section, key, f"{what} not available in this version; {remedy}"))

    if config.circus.httpd:
        miss("circus", "httpd", "the web console is", "remove httpd")
    return problems


def sections(document: Document) -> Iterator[Problem]:
    """A warning for each section that nothing reads."""
    for name in document.sections:
        if name in SECTIONS or name.startswith(("watcher:", "socket:", "plugin:", "env:")):
            continue
        yield Problem("", 0, name, "", f"is not known, so nothing reads it{_guess(name)}", fatal=False)


def _guess(section: str) -> str:
    kind = section.strip().lower().replace(" ", ":", 1).partition(":")[0]
    known = {name.partition(":")[0]: name for name in SECTIONS} | foreign.SECTIONS
    right = known.get(kind) or known.get(convert.nearest(kind, known) or "")
    return f"; did you mean [{right}]?" if right else ""


def stray_includes(document: Document) -> Iterator[Problem]:
    for key in ("include", "include_dir"):
        entry = document.entries("circus").get(key)
        if entry and entry.file != document.files[0]:
            yield Problem("", 0, "circus", key, "has no effect: an included file includes no others", fatal=False)


def circus(spec: CircusSpec, has_gevent: bool) -> Iterator[Problem]:
    for key in ("endpoint", "pubsub_endpoint", "stats_endpoint"):
        endpoint = getattr(spec, key)
        if "://" not in endpoint:
            text = f"{endpoint!r} is not an address such as tcp://127.0.0.1:5555 or ipc:///run/circus.sock"
            yield Problem("", 0, "circus", key, text)
    if spec.multicast_endpoint:
        try:
            convert.multicast_group(spec.multicast_endpoint)
        except ValueError as exc:
            text = f"{spec.multicast_endpoint!r}: {exc}; empty: no discovery"
            yield Problem("", 0, "circus", "multicast_endpoint", text)
    if spec.stream_backend not in (names.THREAD, names.GEVENT):
        text = f"{spec.stream_backend!r} is neither thread nor gevent; thread is used"
        yield Problem("", 0, "circus", "stream_backend", text, fatal=False)
    elif spec.stream_backend == names.GEVENT and not has_gevent:
        yield Problem("", 0, "circus", "stream_backend", f"gevent {names.NEEDS_GEVENT}; thread is used", fatal=False)
    if spec.loglevel and spec.loglevel.lower() not in names.LOG_LEVELS:
        text = f"{spec.loglevel!r} is not one of {', '.join(names.LOG_LEVELS)}; info is used"
        yield Problem("", 0, "circus", "loglevel", text, fatal=False)


def unknown(key: str, klass: type[Spec]) -> str:
    """Text for a key that `klass` does not have."""
    return f"is not known, so it has no effect{did_you_mean(key, _keys(klass))}"


def _keys(klass: type[Spec]) -> Iterable[str]:
    return watcher_keys() if klass is WatcherSpec else [option.name for option in klass.options()]


def free_form(section: str, key: str) -> Iterator[Problem]:
    """A warning if a key, which is kept as data of the user's own, looks like something else."""
    if CircusSpec.lookup(key):
        yield Problem("", 0, section, key, "is an option of [circus]; here it has no effect", fatal=False)
        return
    if foreign.is_decisive(key):
        return
    guess = foreign.right_name(key) or _nearest_watcher_key(key)
    if guess:
        yield Problem("", 0, section, key, f"is not an option, only data; did you mean {guess}?", fatal=False)


@functools.cache
def _nearest_watcher_key(key: str) -> str | None:
    """Remembered: all watchers of a file may have the same keys of their own."""
    return convert.nearest(key, watcher_keys())


def flapping(section: str, key: str) -> Iterator[Problem]:
    """A warning for a key of the flapping plugin that is neither its own nor one of any watcher."""
    if WatcherSpec.lookup(key) is None and key not in ("use", "name"):
        prefix = "flapping."
        own = [option.name.removeprefix(prefix) for option in WatcherSpec.options() if option.name.startswith(prefix)]
        text = f"is not known, so it has no effect{did_you_mean(key, own)}"
        yield Problem("", 0, section, key, text, fatal=False)


def cut(section: str, entry: Entry) -> Iterator[Problem]:
    """A warning for a comment that may be part of a value: of one for a program only the program can tell."""
    if entry.is_cut:
        text = (
            f"a blank and `;` begin a comment, so the value is only {entry.value!r}; "
            "write `;` without a blank before it"
        )
        yield Problem("", 0, section, entry.key, text, fatal=False)


def slips(section: str, spec: WatcherSpec) -> Iterator[Problem]:
    """Warnings about a watcher that can be built, but perhaps not as meant."""

    def warn(key: str, text: str) -> Problem:
        return Problem("", 0, section, key, text, fatal=False)

    for name in spec.hooks:
        if name not in names.HOOKS:
            hint = did_you_mean(name, names.HOOKS)
            yield warn(f"hooks.{name}", f"there is no such hook, so it is never called{hint}")
    for stream in ("stdout_stream", "stderr_stream"):
        conf = getattr(spec, stream)
        for key in conf:
            if "." not in str(conf.get("class", "")) and StreamSpec.lookup(key) is None:
                hint = did_you_mean(key, _keys(StreamSpec))
                yield warn(f"{stream}.{key}", f"the stream has no such option{hint}")
        if conf.get("max_bytes") and not conf.get("backup_count") and "." not in str(conf.get("class", "")):
            yield warn(f"{stream}.max_bytes", "has no effect without backup_count: the file is never rotated")
    if spec.idle_timeout > 0 and not spec.on_demand:
        yield warn("idle_timeout", "has no effect without on_demand: nothing would start it again")
    if not spec.cmd:
        yield warn("", "has no cmd, so there is nothing to run")
    try:
        if not spec.shell and any(letter in spec.cmd for letter in "'\"\\"):  # nothing else can go wrong
            convert.split_words(spec.cmd)
    except ValueError as exc:
        yield warn("cmd", str(exc))


def impossible(spec: WatcherSpec) -> tuple[str, str] | None:
    """The key of an option that this system or a stream class cannot follow, and why; None if all is well."""
    for name in spec.rlimits:
        if name not in limit_names():
            hint = did_you_mean(name, sorted(limit_names()))
            return f"rlimit_{name}", f"this system has no such limit{hint}"
    for stream in ("stdout_stream", "stderr_stream"):
        found = _impossible_stream(getattr(spec, stream))
        if found:
            return f"{stream}.{found[0]}", found[1]
    return None


def _impossible_stream(conf: Mapping[str, object]) -> tuple[str, str] | None:
    name = str(conf.get("class", ""))
    if "." in name or ":" in name or not conf:
        return None  # a class of the user's own: only it can tell
    if not name and "filename" not in conf:
        return next(iter(conf)), "a stream needs a class or a filename"
    if name and name not in names.STREAM_CLASSES:
        return "class", f"there is no stream class {name}{did_you_mean(name, names.STREAM_CLASSES)}"
    return stream_fault(conf)
