from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import NAME, OBJECT, WAITING, Property
from circus.exc import ArgumentError, MessageError

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Set(Command):
    """Set a watcher option

    Changes options of a watcher while circusd runs. What a change costs differs: most options that shape the
    program (`cmd`, `env`, `uid`, ...) replace its processes gracefully, others only take effect. A stopped
    watcher stays stopped. The reference of the configuration file has a table of all options.

        $ circusctl set web numprocesses 3 max_age 3600
        ok
        $ circusctl set web stdout_stream.filename /var/log/web.log
        ok
    """

    name = "set"
    literal = True
    takes = (
        NAME,
        Property("options", OBJECT, "object of names and values", required=True, rest=True, label="key> <value"),
        WAITING,
    )

    def from_words(self, *args: Any) -> dict[str, Any]:
        from circus.options.settings import parse_word

        if len(args) < 3:
            raise ArgumentError("Invalid number of arguments")
        if len(args) % 2 == 0:
            raise ArgumentError("List of key/values is invalid")
        keys = [key.lower() for key in args[1::2]]
        values = [parse_word(key, word) for key, word in zip(keys, args[2::2], strict=True)]
        return {"name": args[0], "options": dict(zip(keys, values, strict=True))}

    def validate(self, props: dict[str, Any]) -> None:
        if props.get("options") is None:  # the oldest clients put the options beside the name
            flat = {key: props[key] for key in props if key not in ("name", "waiting", "options")}
            if flat:
                props["options"] = flat
        super().validate(props)
        if not props["options"]:
            raise MessageError("message invalid 'options' is missing")
        from circus.options.settings import check_options

        check_options(props["options"])

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        return arbiter.operations.set(arbiter.find(props["name"]).key, props["options"])
