"""Watchers for Circus' own programs: plugins, each in a process of its own, and the statistics daemon.

What `[plugin:NAME]` says reaches the plugin as JSON in its environment: whatever characters a value holds, it is
neither split nor quoted on the way, and a password in it is no part of a command line that everybody can read.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from circus.common.convert import to_bool
from circus.common.names import LOG_LEVELS, STATS_WATCHER
from circus.options.settings import watcher_spec
from circus.options.table import PluginSpec, WatcherSpec

CONFIG_VARIABLE = "CIRCUS_PLUGIN_CONFIG"
PLUGIN_PRIORITY = 1  # so that plugins are there before ordinary watchers begin

FLAPPING = "circus.plugins.flapping.Flapping"
"""Built into the daemon: a section for it only sets defaults, see `flapping_defaults`."""


class Daemon(NamedTuple):
    """What they must know of the daemon they belong to."""

    endpoint: str
    pubsub_endpoint: str
    stats_endpoint: str = ""
    check_delay: float = 5.0
    ssh_server: str | None = None
    loglevel: str | None = None
    debug: bool = False
    statsd: bool = False
    statsd_close_outputs: bool = False


def own_programs(daemon: Daemon, plugins: Iterable[Mapping[str, Any]]) -> list[WatcherSpec]:
    """Specs of all watchers that belong to Circus itself. `plugins` are dicts with `use`, see `plugin_dict`.

    Raises ValueError for a plugin without `use`.
    """
    specs = [stats_watcher(daemon)] if daemon.statsd else []
    return specs + [plugin_watcher(daemon, plugin) for plugin in plugins if plugin.get("use") != FLAPPING]


def plugin_dict(spec: PluginSpec) -> dict[str, Any]:
    """A section in the form programs pass to `get_arbiter(plugins=...)`."""
    return {**spec.extras, "name": f"plugin:{spec.name}", "use": spec.use}


def plugin_watcher(daemon: Daemon, plugin: Mapping[str, Any]) -> WatcherSpec:
    if not plugin.get("use"):
        raise ValueError(f"a plugin needs `use`, the dotted name of its class: {dict(plugin)!r} has none")
    use = str(plugin["use"])
    name = str(plugin.get("name") or f"plugin:{use.replace('.', '-')}")
    config = {key: value for key, value in plugin.items() if key != "use"} | {"name": name}
    return _watcher(
        name,
        [*_program("plugins"), *_where(daemon), "--check-delay", str(daemon.check_delay), use],
        {
            "priority": PLUGIN_PRIORITY,
            "autostart": _is_active(plugin),
            "close_child_stdout": not daemon.debug,
            "stderr_stream": _to_log(name),
            **_watcher_options(plugin),
            "env": {**_env(plugin), CONFIG_VARIABLE: json.dumps(config, default=str)},
        },
    )


def stats_watcher(daemon: Daemon) -> WatcherSpec:
    options = {
        "use_sockets": True,
        "close_child_stdout": daemon.statsd_close_outputs,
        "close_child_stderr": daemon.statsd_close_outputs,
        "stderr_stream": None if daemon.statsd_close_outputs else _to_log(STATS_WATCHER),
    }
    args = [*_program("stats"), *_where(daemon), "--statspoint", daemon.stats_endpoint]
    return _watcher(STATS_WATCHER, args, options)


def flapping_defaults(plugins: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What entries for the flapping plugin say, as values of the watchers' `flapping.*` options."""
    found: dict[str, Any] = {}
    for plugin in plugins:
        if plugin.get("use") == FLAPPING:
            options = {f"flapping.{key}": value for key, value in plugin.items() if key not in ("use", "name")}
            found.update(watcher_spec("flapping", **_known(options)).values)
    return found


def _watcher(name: str, args: list[str], options: Mapping[str, Any]) -> WatcherSpec:
    fixed = {"singleton": True, "copy_env": True, "copy_path": True}
    # Quoted: a command is split into words, and Python may be installed in a directory with a blank in its name.
    python = shlex.quote(sys.executable or "python3")
    return watcher_spec(name, python, **{"args": args, **fixed, **options})


def _program(package: str) -> list[str]:
    # -c and not -m: like this a plugin may lie in the directory circusd was started in, as it always could.
    return ["-c", f"from circus import {package}; {package}.main()"]


def _where(daemon: Daemon) -> list[str]:
    words = ["--endpoint", daemon.endpoint, "--pubsub", daemon.pubsub_endpoint]
    if daemon.ssh_server:
        words += ["--ssh", daemon.ssh_server]
    level = "debug" if daemon.debug else (daemon.loglevel or "").lower()
    # A mistaken level was reported by the reader of the file, and `info` is used: no reason for them not to start.
    return [*words, "--log-level", level] if level in LOG_LEVELS else words


def _to_log(name: str) -> dict[str, Any]:
    return {"class": "circus.stream.log_stream.LogStream", "label": name}


def _is_active(plugin: Mapping[str, Any]) -> bool:
    try:
        return to_bool(plugin.get("active", True))
    except ValueError:
        return True  # a word of its own: the plugin will say what it thinks of it


def _env(plugin: Mapping[str, Any]) -> dict[str, str]:
    env = plugin.get("env")
    return {str(key): str(value) for key, value in env.items()} if isinstance(env, Mapping) else {}


def _watcher_options(plugin: Mapping[str, Any]) -> dict[str, Any]:
    """Those of its keys that mean something to the watcher, and those that mean something to the plugin alone."""
    ours = ("use", "name", "cmd", "args", "env", "active", "singleton", "numprocesses")
    return _known({key: value for key, value in plugin.items() if key not in ours})


def _known(options: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a watcher would refuse: a plugin may have an option of the same name and another meaning."""
    return {key: value for key, value in options.items() if _fits(key, value)}


def _fits(key: str, value: Any) -> bool:
    try:
        watcher_spec("", **{key: value})
    except (ValueError, TypeError):
        return False
    return True
