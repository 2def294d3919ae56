"""The reference page of the options."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from circus.common import convert
from circus.options.kinds import ARGS, BOOLEAN, ENV, HOOK, OCTAL, RLIMIT, SIGNAL, USER
from circus.options.option import Effect, Family, Option, Spec
from circus.options.table import CircusSpec, PluginSpec, SocketSpec, StreamSpec, WatcherSpec

_HEAD = """\
# Options

What a configuration file may say. This page is made from the table in `circus/options/table.py`; do not edit it, run
`python -m circus.reference`.

`circusd --check FILE` tells every problem of a configuration with its file, line and remedy, and `--show` the final
value of every option and where it came from.

## The file

    [circus]
    check_delay = 5

    [env:web]
    DATABASE = postgres://localhost/$USER

    [watcher:web]
    cmd = python3 -u web.py --number $(circus.wid)
    numprocesses = 4   ; a comment

- Names of sections and keys are case-sensitive. `=` or `:` separates a key from its value, whichever comes first.
- `#`, `;` and `rem` in column 1 start a comment. After a value, a blank and `;` do; `#` does not. A comment that cuts
  what a program is given (`cmd`, `args`, environments, data) gets a warning that shows what is left.
- An indented line continues the value above it, whatever it starts with.
- `key =` and `key = ""` are empty; other quotes are part of the value. `%` has no meaning.
- A section may be written several times. Of several definitions of a key the first one counts: that of the main file
  before those of included files, in the order of `include`, then `include_dir`, files sorted by name.
- `[DEFAULT]` gives keys to all other sections, those of environments included.
- Booleans are `yes true on 1` or `no false off 0`, in any case.
- Keys of a watcher that are no options are kept as its own data: `circusctl options` shows them, hooks and plugins read
  them. A key that looks like a slip of an option gets a warning. `user`, `command`, `numprocs` and `autorestart`, as
  other supervisors call `uid`, `cmd`, `numprocesses` and `respawn`, are errors: what would run is not what was meant.

## Environments and variables

`[env]` is the environment of all watchers, `[env:NAME]` or `[env:web*,worker]` that of some, by shell patterns. Of the
same variable in several places the last one of these counts: the environment of circusd (only with `copy_env`),
`[env]`, the key `env` of the watcher, `[env:...]` in the order of the file. **Without `copy_env` a program gets nothing
but these**, not even a `PATH`.

`uid` changes the user, not the environment: HOME, USER and LOGNAME are those of circusd with `copy_env`, and else not
set at all. `user_env = true` sets them to those of the user, below the variables of these sections.

In the values of these sections, and only there, `$NAME` (upper-case letters, digits and `_`, a letter first) stands
for a variable of circusd's own environment, and for nothing if it is not set. `$$NAME` stands for the text `$NAME`.
Every other `$` is an ordinary letter.

In any value `$(circus.env.NAME)` or `((circus.env.NAME))`, in any case, stands for a variable of circusd's environment
or of `[env]`; in values that are text, also of the watcher's own environment. In `cmd`, `args` and `shell_args`,
`$(circus.wid)` or `$WID` stands for the number of the process within its watcher, and `$(circus.OPTION)` for an
option; there and in values of the environment `$(circus.sockets.NAME)` stands for the descriptor of a managed socket,
which the program is given then, and `$(circus.sockets.NAME.port)` for its port, also the one that `port = 0` has got. A
name that is not known stays as it is.

`reloadconfig` changes `backlog`, `blocking`, `umask` and `replace` of a socket in place. For any other option, or if
the file of a unix socket was removed, the socket is bound anew, and the processes that use it are replaced by graceful
reload; if the new address is the old one, or overlaps with it, they are stopped before.

## What this version cannot do

`httpd` is read and checked, but circusd says that the web console is missing and does not start.
"""

_KINDS: dict[Any, str] = {
    ARGS: "text (list in requests)",
    BOOLEAN: "boolean",
    ENV: "`NAME=VALUE,NAME=VALUE` (object in requests)",
    HOOK: "`module.function` or `module.function, true`",
    OCTAL: "octal number",
    RLIMIT: "integer, or empty",
    SIGNAL: "signal name or number",
    USER: "name or number",
}


def page() -> str:
    return "\n".join(
        [
            _HEAD,
            _section("[circus]", CircusSpec, ("`reloadconfig`", _after_reloadconfig)),
            _section("[watcher:NAME]", WatcherSpec, ("`set`", _after_set)),
            _section("stdout_stream.X and stderr_stream.X", StreamSpec),
            _section("[socket:NAME]", SocketSpec),
            _section("[plugin:NAME]", PluginSpec),
        ]
    )


# A column on what a change at run time costs: its head, and its text for an effect.
Change = tuple[str, Callable[[Effect], str]]


def _after_reloadconfig(effect: Effect) -> str:
    return effect.value


def _after_set(effect: Effect) -> str:
    return "no" if effect is Effect.FIXED else f"yes; {effect.value}"


def _section(title: str, spec: type[Spec], change: Change | None = None) -> str:
    return f"## {title}\n\n{(spec.__doc__ or '').strip()}\n\n{table_of(spec, change)}\n"


def table_of(spec: type[Spec], change: Change | None = None) -> str:
    heads = ["option", "type", "default", *([change[0]] if change else []), "meaning"]
    rows = [_row(option, change) for option in spec.options()]
    table = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def _row(option: Option[Any], change: Change | None) -> list[str]:
    family = isinstance(option, Family)
    kind = option.item if isinstance(option, Family) else option.kind
    name = f"`{option.prefix}X`" if isinstance(option, Family) else f"`{option.name}`"
    also = [f"`{alias}`" for alias in option.aliases]
    meaning = option.doc + (f" (also written {', '.join(also)})" if also else "")
    cost = [change[1](option.effect)] if change else []
    default = "" if family else _default(option)
    return [name, _KINDS.get(kind, str(kind.name)), default, *cost, meaning]


def _default(option: Option[Any]) -> str:
    value = option.default
    if value is None or value == [] or value == "":
        return ""
    if option.kind is SIGNAL:
        return convert.signal_name(value).removeprefix("SIG")
    if isinstance(value, re.Pattern):
        return f"`{value.pattern}`"
    text = str(value).lower() if option.kind is BOOLEAN else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {option.unit}".strip()
