"""The reference page of the commands."""

from __future__ import annotations

import json
from typing import Any

from circus.commands import get_commands
from circus.commands.base import Command
from circus.ctl.manual import body, flag, rules, summary, usage
from circus.ctl.output import EXIT_CODES

_HEAD = """\
# Commands

What circusd can be asked, by `circusctl` or by a program that talks to its control endpoint. This page is made from
the declarations of the commands; do not edit it, run `python -m circus.reference`.

A request is a JSON object with `command`, `properties` and an `id` of any kind. A property that is null counts as
absent; numbers and booleans may also be given as text. The reply is `{"status": "ok", "time": ..., ..., "id": ...}`,
or `{"status": "error", "reason": ..., "tb": ..., "time": ..., "errno": ..., "id": ...}`. With `"msg_type": "cast"`
in the request there is no reply at all.

Commands that take `waiting` begin something. Without it the reply comes at once; with it, when it has ended. What did
not come about, a watcher that could not be started for instance, is then told in `reason`: beside the keys of the reply
if it has some, else as an error.

| errno | meaning |
| --- | --- |
| 1 | the message is not a JSON object |
| 2 | unknown command |
| 3 | a property is missing or wrong, or names something that is not there |
| 4 | the operating system refused |
| 5 | the command failed |
| 6 | the server failed |

`circusctl` ends with one of these exit codes, with `--json` as without:

| code | meaning |
| --- | --- |
"""

_CODES = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())


def page() -> str:
    commands = get_commands().values()
    contents = "\n".join(f"- [{c.name}](#{c.name}): {summary(c)}" for c in commands)
    return "\n".join([_HEAD + _CODES, contents, "", *map(section, commands)])


def section(command: Command) -> str:
    parts = [f"## {command.name}", f"{summary(command)}.", f"    circusctl {usage(command)}"]
    if text := body(command):
        parts.append(text)
    if command.msg_type != "sub":
        parts.append(f"Message: `{json.dumps(_example(command))}`")
        parts += _table("property | kind | meaning", [(f"`{p.name}`", rules(p), p.doc) for p in command.takes])
    flags = [o for o in command.options if o[1] not in {p.name for p in command.takes}]
    parts += _table("flag | meaning", [(f"`{flag(name, default)}`", text) for _, name, default, text in flags])
    parts += _table("reply | meaning", [(f"`{key}`", text) for key, text in command.replies])
    return "\n\n".join(parts) + "\n"


def _example(command: Command) -> dict[str, Any]:
    values: dict[str, Any] = {"keys": ["max_age"], "object": {"max_age": 3600}, "signal": "HUP", "watcher": "web"}
    required = {p.name: values.get(p.kind.name, f"<{p.name}>") for p in command.takes if p.required}
    return {"command": command.name, "properties": required}


def _table(head: str, rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    ruler = " | ".join("---" for _ in rows[0])
    lines = [head, ruler, *(" | ".join(row) for row in rows)]
    return ["\n".join(f"| {line} |" for line in lines)]
