"""Options of a watcher as requests, command lines and programs give them: check, apply, list.

Everything here follows from the table in `circus.options.table`. Values are JSON or Python values; the text of a
configuration file is read by `circus.config`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

from circus.common import convert, names
from circus.exc import ArgumentError, MessageError
from circus.options.kinds import BOOLEAN
from circus.options.option import Effect, Family, Option
from circus.options.table import StreamSpec, WatcherSpec

# Arguments of a Watcher that are no options of its: they belong to the program that builds it.
NOT_OPTIONS = ("loop", "prereload_fn")

STREAM_CONFS = {"stdout_stream_conf": WatcherSpec.stdout_stream, "stderr_stream_conf": WatcherSpec.stderr_stream}


@functools.cache
def limit_names() -> frozenset[str]:
    """Resource limits of this system, in lower case and without `rlimit_` (getrlimit(2))."""
    import resource

    return frozenset(name[7:].lower() for name in dir(resource) if name.startswith("RLIMIT_"))


@functools.cache
def watcher_keys() -> tuple[str, ...]:
    """Every key a watcher section or `set` knows, members of families included."""
    members = {"hooks": names.HOOKS, "rlimits": sorted(limit_names())}
    stream_keys = [option.name for option in StreamSpec.options()]
    keys: list[str] = []
    for option in WatcherSpec.options():
        if isinstance(option, Family):
            keys += [option.prefix + member for member in members.get(option.attribute, stream_keys)]
        else:
            keys += [option.name, *option.aliases]
    return tuple(keys)


# ---- requests: `set` and `add` -----------------------------------------------------------------------------------


def check_options(options: object) -> dict[str, Any]:
    """The options of a request, as values of their kinds. MessageError says what is wrong with the first bad one."""
    if not isinstance(options, Mapping):
        raise MessageError("'options' property should be an object")
    checked = {}
    for key, value in options.items():
        option = WatcherSpec.lookup(key)
        if option is None:
            raise MessageError(f"unknown key '{key}'")
        checked[key] = _check(option, key, value)
        if key in ("stdout_stream", "stderr_stream") and "class" not in value:
            raise MessageError(f"'{key}' must have a 'class' key")
    return checked


def apply_options(spec: WatcherSpec, options: Mapping[str, Any]) -> tuple[WatcherSpec, dict[str, Effect]]:
    """A new spec, and for each key what the change costs a running watcher. `spec` stays as it is.

    Raises MessageError for options that are wrong or cannot change, ValueError for ones that contradict each other.
    """
    values = dict(spec.values)
    effects = {}
    for key, value in check_options(options).items():
        option = WatcherSpec.lookup(key)
        assert option is not None
        store(values, option, key, value)
        effects[key] = _cost(spec, values, option)
    changed = WatcherSpec(spec.name, values, spec.extras)
    reason = contradiction(changed)
    if reason and reason != contradiction(spec):
        raise ValueError(reason)
    return changed, effects


def _cost(spec: WatcherSpec, values: Mapping[str, Any], option: Option[Any]) -> Effect:
    """A stream can be swapped under its processes; the first one, or none any more, needs new processes."""
    after = values.get(option.attribute, option.default)
    if option.effect is Effect.STREAM and bool(getattr(spec, option.attribute)) != bool(after):
        return Effect.RELOAD
    return option.effect


def effects_of(old: WatcherSpec, new: WatcherSpec) -> dict[str, Effect]:
    """What a change from one spec to the other costs a running watcher, for each option, as written, that differs."""
    costs = {option.name: _cost(old, new.values, option) for option in old.options()}
    return {name: costs.get(name, Effect.NOTHING) for name in old.diff(new)}  # free-form data costs nothing


# ---- programs: the arguments of a Watcher ------------------------------------------------------------------------


def watcher_spec(name: str, cmd: str | None = None, /, **kwargs: Any) -> WatcherSpec:
    """The spec of a watcher from keyword arguments; None is the default, and what is no option stays free-form.

    `hooks` maps names to callables, dotted names or pairs `(one of these, ignore failure)`; a stream mapping may
    hold a ready `stream` object. Names with a dot are taken too: `**{"stdout_stream.class": "FileStream"}`.
    Raises ValueError for what cannot be right.
    """
    values: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    for key, value in {**({} if cmd is None else {"cmd": cmd}), **kwargs}.items():
        option = WatcherSpec.lookup(key)
        if option is None:
            if key not in NOT_OPTIONS:
                extras[key] = value
        elif value is not None or key.startswith("rlimit_"):
            try:
                store(values, option, key, _check(option, key, _plain_argument(option, value)))
            except MessageError as exc:
                raise ValueError(str(exc)) from None
    spec = WatcherSpec(name, values, extras)
    reason = contradiction(spec)
    if reason:
        raise ValueError(reason)
    return spec


def _plain_argument(option: Option[Any], value: Any) -> Any:
    """What Python programs write where JSON has only one form: paths, any mapping, 0 and 1 for a boolean."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    return bool(value) if option.kind is BOOLEAN and isinstance(value, int) else value


def contradiction(spec: WatcherSpec) -> str | None:
    """Why a watcher cannot be what its options say, taken together; None if it can."""
    if spec.singleton and spec.numprocesses > 1:
        return "Singleton watcher has a single process"
    if spec.copy_path and not spec.copy_env:
        return "copy_path needs copy_env"
    if spec.virtualenv and not spec.copy_env:
        return "virtualenv needs copy_env"
    for stream in ("stdout_stream", "stderr_stream"):
        fault = stream_fault(getattr(spec, stream))
        if fault:
            return f"{stream}.{fault[0]}: {fault[1]}"
    return None


def stream_fault(conf: Mapping[str, Any]) -> tuple[str, str] | None:
    """The key of a value that no stream class of ours can take, and why. Others know for themselves."""
    if any(letter in str(conf.get("class", "")) for letter in ".:"):
        return None
    for key, value in conf.items():
        option = StreamSpec.lookup(key)
        try:
            if option and value and isinstance(value, (str, int)):
                option.kind.parse(str(value))
        except ValueError as exc:
            return key, str(exc)
    return None


# ---- one option --------------------------------------------------------------------------------------------------


def _check(option: Option[Any], key: str, value: Any) -> Any:
    if not isinstance(option, Family):
        return option.kind.check(key, value)
    if key != option.attribute:
        return _check_member(option, key, value)
    if not isinstance(value, Mapping):
        raise MessageError(f"{value!r} isn't a valid hook dict" if key == "hooks" else f"'{key}' isn't a valid object")
    return {member: _check_member(option, f"{option.prefix}{member}", item) for member, item in value.items()}


def _check_member(family: Family[Any], key: str, value: Any) -> Any:
    member = key.removeprefix(family.prefix)
    if family is WatcherSpec.hooks and member not in names.HOOKS:
        raise MessageError(f"Unknown hook {member!r}")
    if family is WatcherSpec.rlimits and member.lower() not in limit_names():
        raise MessageError(f"'{key}' isn't a valid rlimit setting")
    if family is WatcherSpec.hooks and value is None:
        return None
    return family.item.check(key, value)


def store(values: dict[str, Any], option: Option[Any], key: str, value: Any) -> None:
    """Put a value of `option`, written `key`, among `values`. A hook or stream option of None is taken away."""
    if option is WatcherSpec.numprocesses:
        value = max(0, value)
    if isinstance(option, Family):
        whole = key == option.attribute
        members = dict(value) if whole else {**values.get(option.attribute, {}), _member(option, key): value}
        if option is WatcherSpec.rlimits:
            value = {name.lower(): limit for name, limit in members.items()}
        else:
            value = {name: item for name, item in members.items() if item is not None}
    values[option.attribute] = value


def is_stored(values: Mapping[str, Any], option: Option[Any], key: str) -> bool:
    """Whether `values` says something about what is written `key`."""
    if isinstance(option, Family):
        return _member(option, key) in values.get(option.attribute, {})
    return option.attribute in values


def _member(family: Family[Any], key: str) -> str:
    """The name within its family of what is written `key`. Limits are known in any case."""
    name = key.removeprefix(family.prefix)
    return name.lower() if family is WatcherSpec.rlimits else name


# ---- reading back: `options` and `get` ---------------------------------------------------------------------------


def option_values(spec: WatcherSpec, working_dir: str | None = None) -> list[tuple[str, Any]]:
    """Names and JSON values as the `options` command lists them, sorted. `working_dir` stands in where none is set."""
    values = {option.name: lookup_value(spec, option.name, working_dir) for option in spec.options() if option.listed}
    values.update((key, lookup_value(spec, key)) for key in (*STREAM_CONFS, *spec.extras))
    return sorted(values.items())


def lookup_value(spec: WatcherSpec, key: str, working_dir: str | None = None) -> Any:
    """JSON value of an option, of a member of a family, or of a free-form key. KeyError if there is none."""
    if key in STREAM_CONFS:
        conf = getattr(spec, STREAM_CONFS[key].attribute)
        return {name: _plain(value) for name, value in conf.items() if name != "class"}
    option = WatcherSpec.lookup(key)
    if option is None:
        return _plain(spec.extras[key])
    value = getattr(spec, option.attribute)
    if option is WatcherSpec.working_dir and value is None:
        return working_dir
    if isinstance(option, Family) and key != option.attribute:
        return _plain(value[_member(option, key)])
    return _plain(value)


def _plain(value: Any) -> Any:
    """A value in the words of JSON; a hook as it stands in a file: `dotted.name, true`."""
    if isinstance(value, tuple) and len(value) == 2:
        return f"{_plain(value[0])}, true" if value[1] else _plain(value[0])
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    if hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    return str(value)


# ---- command lines -----------------------------------------------------------------------------------------------


def parse_word(key: str, word: str) -> Any:
    """The JSON value of one `circusctl set` word. ArgumentError, with the nearest right name of an unknown key."""
    option = WatcherSpec.lookup(key)
    if option is None:
        guess = convert.nearest(key, watcher_keys())
        raise ArgumentError(f"unknown key '{key}'" + (f"; did you mean '{guess}'?" if guess else ""))
    try:
        if not isinstance(option, Family):
            return option.kind.parse(word)
        if key == option.attribute:
            return _parse_family(option, word)
        checked = _check_member(option, key, word)
        return checked if option is WatcherSpec.rlimits else word
    except (ValueError, MessageError) as exc:
        raise ArgumentError(f"{key}: {exc}") from None


def _parse_family(option: Family[Any], word: str) -> dict[str, str]:
    """`before_start:module.function,after_stop:...`; only hooks can be written in one word."""
    if option is not WatcherSpec.hooks:
        example = "rlimit_nofile" if option is WatcherSpec.rlimits else f"{option.name}filename"
        raise ValueError(f"set its parts one by one, such as {example}")
    hooks: dict[str, str] = {}
    name = ""
    for part in word.split(","):
        before, colon, dotted = part.strip().partition(":")
        if colon:
            name = before
            hooks[name] = dotted
        elif name:
            hooks[name] += f",{before}"
    _check(option, "hooks", hooks or word)
    return hooks
