"""Plugins: programs that follow the events of a circusd and give it commands, each in a process of its own.

Derive from `CircusPlugin`, override `handle_recv`, and name the class in a `[plugin:NAME]` section. docs/plugins.md
tells more. Everything a plugin does happens in one thread, its main thread: events, timers and calls never overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from circus.common.convert import split_words
from circus.options.own_programs import Daemon, plugin_watcher
from circus.plugins.base import CircusPlugin, Repeated

__all__ = ["CircusPlugin", "Repeated", "get_plugin_cmd", "main"]


def get_plugin_cmd(
    config: Mapping[str, Any],
    endpoint: str,
    pubsub: str,
    check_delay: float,
    ssh_server: str | None = None,
    debug: bool = False,
    loglevel: str | None = None,
    logoutput: str | None = None,
) -> str:
    """The shell words that run a plugin by hand; `config` needs `use`. circusd itself does without `--config`."""
    import shlex

    from circus.plugins.runner import join_config

    daemon = Daemon(endpoint, pubsub, "", check_delay, ssh_server, loglevel, debug)
    spec = plugin_watcher(daemon, config)
    *words, use = [*split_words(spec.cmd), *map(str, spec.args or ())]
    values = {key: value for key, value in config.items() if key != "use"}
    if logoutput:
        words += ["--log-output", logoutput]
    if values:
        words += ["--config", join_config(values)]
    return shlex.join([*words, use])


def main(args: Sequence[str] | None = None) -> int:
    """The program `circus-plugin`. SystemExit with another exit code than 0."""
    from circus.plugins.runner import main as run

    code = run(args)
    if code:
        raise SystemExit(code)  # also when what we return is not passed on, as in `python -c "...; main()"`
    return code
