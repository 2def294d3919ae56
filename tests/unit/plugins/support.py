"""A plugin without a circusd: what it is answered is told by the test, what it does is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from circus.plugins import CircusPlugin

Answer = Callable[..., dict[str, Any]]
"""The reply to a command with these properties."""


def build(klass: type[CircusPlugin], answer: Answer | None = None, **config: Any) -> Any:
    """An instance that asks `answer` instead of circusd and keeps in `sent` what it would have cast."""

    class Told(klass):  # type: ignore[misc, valid-type]  # a class made from an argument
        def call(self, command: str, **props: Any) -> dict[str, Any]:
            assert answer is not None, f"nobody expected {command} {props}"
            return answer(command, **props)

        def cast(self, command: str, **props: Any) -> None:
            self.sent.append((command, props))

    plugin = Told("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", 5.0, None, **{"name": "plugin:p", **config})
    plugin.sent = []
    plugin.loop.close()  # nothing runs here
    return plugin


def daemon(watchers: dict[str, tuple[str, list[int]]], options: dict[str, Any] | None = None) -> Answer:
    """The answers of a circusd with these watchers: name to status and pids. The mapping may change."""

    def answer(command: str, **props: Any) -> dict[str, Any]:
        if command == "status" and "name" not in props:
            return {"status": "ok", "statuses": {name: status for name, (status, _) in watchers.items()}}
        if props.get("name") not in watchers:
            return {"status": "error", "reason": f"program {props.get('name')} not found"}
        status, pids = watchers[props["name"]]
        replies = {"status": {"status": status}, "list": {"pids": pids}, "options": {"options": options or {}}}
        return {"status": "ok", **replies[command]}

    return answer


def refuses(klass: type[CircusPlugin], option: str, value: object, **config: Any) -> None:
    """The value is a ValueError that names plugin, option and value."""
    with pytest.raises(ValueError, match=re.escape(f"plugin:p: {option} = {value}: ")):
        build(klass, **{**config, option: value})
