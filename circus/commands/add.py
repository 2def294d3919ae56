from __future__ import annotations

from typing import TYPE_CHECKING, Any

from circus.commands.base import Command
from circus.commands.properties import ARGUMENTS, OBJECT, SWITCH, WAITING, Property
from circus.exc import MessageError
from circus.options.kinds import TEXT

if TYPE_CHECKING:
    from circus.commands.base import Result
    from circus.commands.protocols import Arbiter


class Add(Command):
    """Add a watcher

    Adds a watcher while circusd runs. It is not started, whatever its `autostart` says, unless `start` is given.
    It is not written into a configuration file either: put it there to have it after the next start.

        $ circusctl add --start web python3 -m http.server 8000
        ok
        $ circusctl add --start talk sh -c 'echo hello; exec sleep 99'
        ok

    Options are those of `set`:

        {"command": "add", "properties": {"name": "web", "cmd": "python3 -m http.server",
         "args": ["8000"], "options": {"numprocesses": 2, "copy_env": true}, "start": true}}
    """

    name = "add"
    literal = True
    takes = (
        Property("name", TEXT, "name of the new watcher", required=True, word=True),
        Property("cmd", TEXT, "program to run, with arguments", required=True, rest=True),
        Property("args", ARGUMENTS, "more arguments, as a list or one string"),
        Property("options", OBJECT, "options of the watcher"),
        Property("start", SWITCH, "start it at once", flag=True),
        WAITING,
    )
    replies = (
        ("started", "waiting and `start`: list of process ids"),
        ("kept", "waiting and `start`: list of process ids"),
    )

    def from_words(self, *args: Any) -> dict[str, Any]:
        """A single word is a whole command line; of several each stays a word, whatever stands in it."""
        import shlex

        props = super().from_words(*args)
        words = [str(word) for word in props["cmd"]]
        return {**props, "cmd": words[0] if len(words) == 1 else shlex.join(words)}

    def validate(self, props: dict[str, Any]) -> None:
        super().validate(props)
        for key in ("name", "cmd"):
            if not props[key].strip():
                raise MessageError(f"'{key}' is empty")
        from circus.options.settings import check_options

        check_options(props.setdefault("options", {}))

    def execute(self, arbiter: Arbiter, props: dict[str, Any]) -> Result:
        from circus.options.settings import watcher_spec

        options = dict(props["options"])
        if arbiter.endpoint_owner is not None and str(options.get("uid")) != str(arbiter.endpoint_owner):
            raise MessageError("uid does not match endpoint_owner")
        if props.get("args") is not None:
            options["args"] = props["args"]
        spec = watcher_spec(props["name"], props["cmd"], **options)
        return arbiter.operations.add(spec, start=props.get("start", False))
