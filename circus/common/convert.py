"""Text to value and back. Pure: nothing here asks the operating system for more than its constant names."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterable, Mapping

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
    """The number a text stands for; 0, which is no signal, if it stands for none."""
    if text.isdecimal():
        return _short_number(text)
    base, plus, offset = text.partition("+")
    if not base.startswith("SIG"):
        base = "SIG" + base
    number = getattr(signal, base, None)
    if not isinstance(number, signal.Signals):
        return 0
    if not plus:
        return int(number)
    return int(number) + _short_number(offset) if base == "SIGRTMIN" and offset.isdecimal() else 0


def _short_number(digits: str) -> int:
    """No signal for what is far too long: int() itself refuses thousands of digits with a text of its own."""
    return int(digits) if len(digits) < 6 else signal.NSIG


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


def address_text(host: object, port: object, path: object = None) -> str:
    """Where a socket listens: `host:port` with an IPv6 host in brackets, or the path if that is not None."""
    if path is not None:
        return str(path) or "a unix socket without a path"
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


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
    """Inverse of `bytes2human`; the unit is required. ValueError otherwise, TypeError for what is no text."""
    if not isinstance(text, str):
        raise TypeError(f"a text is needed, not {text!r}")
    text = text.strip()
    unit = text[-1:].upper()
    try:
        return int(float(text[:-1]) * 1024 ** _SIZE_UNITS.index(unit or "?"))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a size: a number and one of {' '.join(_SIZE_UNITS)} are needed") from None


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


_DOLLAR_NAME = re.compile(r"\$(\$?)([A-Z][A-Z0-9_]*)")


def expand_dollars(value: str, environ: Mapping[str, str]) -> str:
    """Replace `$NAME` (upper-case letters, digits, underscore) from `environ`; undefined is empty; ends trimmed.

    Source: the `[env]` sections of a configuration. `$$NAME` stands for the text `$NAME`; every other dollar
    (`$5`, `${NAME}`, `$name`, `$(circus...)`) stays as it is.
    """

    def replace(match: re.Match[str]) -> str:
        escape, name = match.groups()
        return f"${name}" if escape else environ.get(name, "")

    return _DOLLAR_NAME.sub(replace, value).strip()


def dollar_names(value: str) -> list[str]:
    """The names `expand_dollars` would replace."""
    return [name for escape, name in _DOLLAR_NAME.findall(value) if not escape]


def multicast_group(endpoint: str) -> tuple[str, int]:
    """Address and port of `udp://ADDRESS:PORT`. ValueError if that is no group of IPv4."""
    found = re.fullmatch(r"udp://([^:/]+):([0-9]{1,5})", endpoint)
    if not found or not 0 < int(found[2]) < 65536:
        raise ValueError("udp://ADDRESS:PORT is needed, such as udp://237.219.251.97:12027")
    numbers = found[1].split(".")
    if len(numbers) != 4 or not all(re.fullmatch(r"[0-9]{1,3}", number) and int(number) < 256 for number in numbers):
        raise ValueError(f"{found[1]} is no IPv4 address")
    if not 224 <= int(numbers[0]) <= 239:
        raise ValueError("the address must be between 224.0.0.0 and 239.255.255.255")
    return found[1], int(found[2])


def split_words(text: str) -> list[str]:
    """Words as a shell would split them. ValueError names what is not closed."""
    try:
        return shlex.split(text)
    except ValueError as exc:
        raise ValueError(f"{text!r} cannot be split into words: {exc}") from None


def value_text(value: object) -> str:
    """How `get`, `options` and `globaloptions` print a value."""
    return "" if value is None else str(value)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` looks like a slip of: one letter wrong, one more for every eight. None if none."""
    limit = 1 + len(word) // 8
    close = [(distance, name) for name in known if (distance := _distance(word, name, limit)) <= limit]
    distance, name = min(close, default=(0, ""))
    return name if distance else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about a word that is not known; empty if nothing is near it."""
    guess = nearest(word, known)
    return f"; did you mean {guess}?" if guess else ""


def _distance(a: str, b: str, limit: int) -> int:
    """How many letters to insert, drop, change or swap with a neighbour to turn `a` into `b`; more than `limit` is
    just more: a file may hold thousands of keys to compare."""
    if abs(len(a) - len(b)) > limit or len({*a} ^ {*b}) > 2 * limit:  # each step changes two letters at most
        return limit + 1
    older: list[int] = []
    previous: list[int] = []
    current = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        older, previous, current = previous, current, [i]
        for j, other in enumerate(b, 1):
            best = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and other == a[i - 2]:
                best = min(best, older[j - 2] + 1)
            current.append(best)
        if min(current) > limit and min(previous) > limit:
            return limit + 1
    return current[-1]


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
    module_name = module_name or name
    parts = path.split(".") if path and module_name != name else []
    while True:
        try:
            module = importlib.import_module(module_name)
            break
        except (Exception, SystemExit) as exc:  # whatever the module's code raises: there is nothing to call
            head, _, tail = module_name.rpartition(".")
            if colon or not head or not _is_missing(module_name, exc):
                raise ImportStringError(f"cannot import {name!r}: {_import_error_text(exc)}") from exc
            module_name, parts = head, [tail, *parts]  # `tail` may be a class: `package.module.Class.method`
    target: object = module
    try:
        if reload:
            target = importlib.reload(module)
        for part in parts:
            if not hasattr(target, part) and target is module:
                importlib.import_module(f"{module_name}.{part}")  # a submodule not imported yet
            target = getattr(target, part)
    except (Exception, SystemExit) as exc:  # see above
        raise ImportStringError(f"cannot import {name!r}: {_import_error_text(exc)}") from exc
    return target


def error_text(error: Exception) -> str:
    """An error's text without the number: `No such file or directory: /x/y`."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _import_error_text(error: BaseException) -> str:
    # A script without a guard around its main part: importing it must not end the program that imports.
    return "its module ends the program" if isinstance(error, SystemExit) else str(error)


def _is_missing(module_name: str, error: BaseException) -> bool:
    """Whether the module itself or one of its parents is not there, rather than something it imports."""
    return isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}.")
