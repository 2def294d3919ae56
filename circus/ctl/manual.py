"""Help texts, made from the declarations of the commands."""

from __future__ import annotations

from circus.commands.base import Command
from circus.commands.properties import Property


def summary(command: Command) -> str:
    """The first line of the docstring."""
    return (command.__doc__ or "").strip().partition("\n")[0]


def body(command: Command) -> str:
    """The docstring without its first line and without the common indentation."""
    lines = (command.__doc__ or "").strip().split("\n")[1:]
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    # The first text line sets the margin, unless the page is nothing but an example.
    margin = min(min(indents, default=0), 4)
    return "\n".join(line[margin:].rstrip() for line in lines).strip("\n")


def usage(command: Command) -> str:
    """`start [<name>] [--match MATCH] [--waiting]`."""
    declared = type(command).message is Command.message  # else only the command knows what it takes
    words = [_word(p) for p in command.takes if p.word] if declared else ["[<word>...]"]
    flags = [f"[{flag(name, default)}]" for _, name, default, _ in command.options]
    return " ".join([command.name, *words, *flags])


def flag(name: str, default: object) -> str:
    return f"--{name}" if isinstance(default, bool) else f"--{name} {name.upper()}"


def _word(p: Property) -> str:
    word = f"<{p.label}>" + ("..." if p.rest else "")
    return word if p.required else f"[{word}]"


def rules(p: Property) -> str:
    """`integer, default 1`."""
    need = "required" if p.required else "" if p.default is None else f"default {_json(p.default)}"
    return ", ".join(part for part in (p.kind.name, need) if part)


def _json(value: object) -> str:
    import json

    return json.dumps(value)


def manual(command: Command) -> str:
    """The long help, as `help CMD` prints it."""
    title = summary(command)
    parts = [f"{title}\n{'=' * len(title)}", f"usage: circusctl {usage(command)}"]
    if text := body(command):
        parts.append(text)
    if command.options:
        flags = [(flag(name, default), text) for _, name, default, text in command.options]
        parts.append("Options:\n\n" + _columns(flags))
    if command.takes and command.msg_type != "sub":
        rows = [(f"{p.name} ({rules(p)})", p.doc) for p in command.takes]
        parts.append(f'Properties of the message "{command.name}":\n\n' + _columns(rows))
    if command.replies:
        parts.append("Keys of the reply:\n\n" + _columns(list(command.replies)))
    return "\n\n".join(parts)


def _columns(rows: list[tuple[str, str]]) -> str:
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left.ljust(width)}  {right}" for left, right in rows)


def overview(commands: dict[str, Command]) -> str:
    """Names and summaries, two columns."""
    return _columns([(name, summary(command)) for name, command in sorted(commands.items())])
