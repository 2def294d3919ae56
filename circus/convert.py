"""Text to value and back. Pure: nothing here asks the operating system for more than its constant names."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Mapping

from circus.exc import ImportStringError

TRUE_WORDS = ("yes", "true", "on", "1")
FALSE_WORDS = ("no", "false", "off", "0")

_SIZE_UNITS = "BKMGTPEZY"


def to_bool(value: object) -> bool:
    """`yes true on 1` / `no false off 0` in any case; None is False. ValueError otherwise."""
    if value is None:
        return False
    if isinstance(value, (bool, int)):
        return bool(value)
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(f"{value!r} is neither true (yes, true, on, 1) nor false (no, false, off, 0)")


def to_signum(value: object) -> int:
    """Signal number from a number, a digit string or a name in any case, with or without `SIG`.

    `SIGRTMIN+3` is understood. ValueError for anything else (signal(7)).
    """
    if isinstance(value, int) and not isinstance(value, bool):
        number = int(value)
    else:
        number = _named_signal(str(value).strip().upper())
    if not 0 < number < signal.NSIG:
        raise ValueError(f"signal invalid: {value!r} (use a number below {signal.NSIG} or a name such as TERM)")
    return number


def _named_signal(text: str) -> int:
    if text.isdigit():
        return int(text)
    base, plus, offset = text.partition("+")
    if not base.startswith("SIG"):
        base = "SIG" + base
    number = getattr(signal, base, None) if base.isidentifier() and "_" not in base else None
    if not isinstance(number, signal.Signals) or (plus and not offset.isdigit()):
        return 0
    return int(number) + (int(offset) if plus else 0)


def signal_name(signum: int) -> str:
    """`SIGTERM` for 15; the bare number as text when it has no name."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return str(signum)


def exit_text(exit_code: int | None) -> str:
    """How a process ended, for people: `exit code 3`, `signal SIGKILL`."""
    if exit_code is None:
        return "unknown exit code"
    if exit_code < 0:
        return f"signal {signal_name(-exit_code)}"
    return f"exit code {exit_code}"


def to_str(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def to_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def bytes2human(size: float) -> str:
    """`1023B`, `1.00K`, `31.05M`: two decimals and a power of 1024."""
    if not isinstance(size, (int, float)):
        raise TypeError(f"a number of bytes is needed, not {size!r}")
    power = 0
    while abs(size) >= 1024 and power < len(_SIZE_UNITS) - 1:
        size /= 1024
        power += 1
    return f"{int(size)}B" if power == 0 else f"{size:.2f}{_SIZE_UNITS[power]}"


def human2bytes(text: str) -> int:
    """Inverse of `bytes2human`; the unit is required. ValueError otherwise."""
    text = text.strip()
    unit = text[-1:].upper()
    if not unit or unit not in _SIZE_UNITS:
        raise ValueError(f"{text!r} is not a size: a number and one of {' '.join(_SIZE_UNITS)} are needed")
    return int(float(text[:-1]) * 1024 ** _SIZE_UNITS.index(unit))


def parse_env_str(text: str) -> dict[str, str]:
    """`A=1,B=2` to a dict. A comma inside a value stays when what follows it has no `=`. ValueError if no `=`."""
    env: dict[str, str] = {}
    key = ""
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals:
            key = name.strip()
            env[key] = value.strip()
        elif key:
            env[key] += "," + part
        elif part.strip():
            raise ValueError(f"{part.strip()!r} is not of the form NAME=VALUE")
    return env


def env_to_str(env: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((env or {}).items()))


_DOLLAR_NAME = re.compile(r"\$([A-Z0-9_]+)|\$\{([A-Z0-9_]+)\}")


def expand_dollars(value: str, environ: Mapping[str, str]) -> str:
    """Replace `$NAME` (upper-case letters, digits, underscore) from `environ`; undefined is empty; ends trimmed.

    Source: the `[env]` sections of a configuration. `$$` is a literal dollar; `$(circus...)` is left alone.
    """

    def replace(match: re.Match[str]) -> str:
        return environ.get(match[1] or match[2] or "", "")

    return "$".join(_DOLLAR_NAME.sub(replace, part) for part in value.split("$$")).strip()


def split_words(text: str) -> list[str]:
    """Words as a shell would split them. ValueError names what is not closed."""
    try:
        return shlex.split(text)
    except ValueError as exc:
        raise ValueError(f"{text!r} cannot be split into words: {exc}") from None


def value_text(value: object) -> str:
    """How `get`, `options` and `globaloptions` print a value."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return str(value)
    return str(value)


def resolve_name(name: str, silent: bool = False, reload: bool = False) -> object:
    """The object behind `package.module.attribute` or `package.module:attribute`.

    Raises `ImportStringError` that names the part which failed, or returns None if `silent`.
    """
    try:
        return _resolve(name, reload)
    except ImportStringError:
        if silent:
            return None
        raise


def _resolve(name: str, reload: bool) -> object:
    import importlib  # here, because the client tools never resolve anything

    module_name, colon, path = name.partition(":")
    if not colon:
        module_name, _, path = name.rpartition(".")
    parts = path.split(".") if path else []
    if not module_name:
        module_name, parts = name, []
    while True:
        try:
            module = importlib.import_module(module_name)
            break
        except ImportError as exc:
            head, _, tail = module_name.rpartition(".")
            missing_itself = isinstance(exc, ModuleNotFoundError) and module_name.startswith(exc.name or "\0")
            if colon or not head or not missing_itself:
                raise ImportStringError(f"cannot import {name!r}: {exc}") from exc
            module_name, parts = head, [tail, *parts]  # `tail` may be a class: `package.module.Class.method`
    if reload:
        importlib.reload(module)
    target: object = module
    for part in parts:
        try:
            target = getattr(target, part)
        except AttributeError:
            raise ImportStringError(f"cannot import {name!r}: {module_name!r} has no {part!r}") from None
    return target
