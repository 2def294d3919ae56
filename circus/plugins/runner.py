"""The program `circus-plugin`: loads one plugin class and runs it until it is told to stop.

Exit codes: 0 after a stop, and without a class; 1 for a plugin that cannot be loaded or started, with one line that
says why, or whose `handle_stop` does not end; 2 for wrong words on the command line.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from circus import __version__
from circus.common.convert import resolve_name
from circus.common.names import DEFAULT_ENDPOINT_DEALER, DEFAULT_ENDPOINT_SUB
from circus.options.own_programs import CONFIG_VARIABLE
from circus.plugins.base import CircusPlugin
from circus.plugins.stop_limit import StopLimit
from circus.posix.arguments import ArgumentParser
from circus.posix.logs import LOG_LEVELS, configure_logger, write_for_circusd
from circus.posix.parent import call_when_gone
from circus.posix.standard import guarded

logger = logging.getLogger("circus")

SEPARATOR = ":::"


def main(args: Sequence[str] | None = None) -> int:
    return guarded("circus-plugin", lambda: _main(args))


def _main(args: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(args)
    if options.plugin is None:
        parser.print_usage()
        return 0
    configure_logger(logger, options.log_level, options.log_output)
    is_below_circusd = CONFIG_VARIABLE in os.environ
    if is_below_circusd:
        write_for_circusd()
    limit = StopLimit(options.plugin)
    try:
        config = {**config_of_daemon(), **split_config(options.config)}
        logger.info("Loading the plugin...")
        logger.info("Endpoint: %r", options.endpoint)
        logger.info("Pub/sub: %r", options.pubsub)
        plugin = build(resolve_name(options.plugin), options, config)
        plugin.ssh_keyfile = options.ssh_keyfile
    except Exception as exc:  # a class of the user: whatever it raises, one line says it
        return limit.finish(_refuse(options.plugin, exc))
    if is_below_circusd:
        call_when_gone(plugin.loop, os.getppid(), lambda: _orphaned(plugin))
    plugin._on_stopping = limit.begin
    return limit.finish(run(plugin, options.plugin))


def _orphaned(plugin: CircusPlugin) -> None:
    logger.error("circusd is gone")
    plugin.stop()


def run(plugin: CircusPlugin, name: str) -> int:
    """Until it stops, by itself or by a signal."""

    def end(signum: int, frame: FrameType | None) -> None:
        plugin._is_asked_to_stop = True  # a call that waits need not wait any longer
        plugin.loop.post(plugin.stop)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(signum, end)
    logger.info("Starting")
    try:
        plugin.start()
    except Exception as exc:  # what it does before the first event may fail as its loading may
        if exc is plugin._failure:
            logger.error("the plugin %s ends: %s", name, exc)
            return 1
        return _refuse(name, exc)
    logger.info("Stopping")
    return 0


def build(factory: Any, options: Any, config: dict[str, Any]) -> CircusPlugin:
    """An instance. The oldest plugins know no ssh_server, and some take nothing but keywords."""
    delay, where = options.check_delay, (options.endpoint, options.pubsub)
    if not callable(factory):
        raise TypeError("it is no class")
    for positional, keywords in (
        ((*where, delay, options.ssh), {}),
        ((*where, delay), {}),
        ((), {"endpoint": where[0], "pubsub_endpoint": where[1], "check_delay": delay, "ssh_server": options.ssh}),
        ((), {}),
    ):
        if _takes(factory, positional, {**keywords, **config}):
            plugin: CircusPlugin = factory(*positional, **{**keywords, **config})
            return plugin
    raise TypeError("its __init__ does not take (endpoint, pubsub_endpoint, check_delay, ssh_server, **config)")


def _takes(factory: Any, positional: tuple[Any, ...], keywords: Mapping[str, Any]) -> bool:
    """Asked before the call, so that a TypeError inside __init__ is not taken for a wrong signature."""
    import inspect

    try:
        inspect.signature(factory).bind(*positional, **keywords)
    except TypeError:
        return False
    except ValueError:  # something built in that cannot tell
        return True
    return True


def config_of_daemon() -> dict[str, Any]:
    """What circusd put into our environment; taken out of it, so that no program started from here finds it."""
    config: dict[str, Any] = json.loads(os.environ.pop(CONFIG_VARIABLE, "{}"))
    return config


def split_config(text: str) -> dict[str, str]:
    """`key:value` pairs joined by `:::`. ValueError for what is none."""
    config = {}
    for pair in filter(None, text.split(SEPARATOR)):
        key, colon, value = pair.partition(":")
        if not colon:
            raise ValueError(f"--config: {pair!r} is not KEY:VALUE")
        config[key] = value
    return config


def join_config(config: Mapping[str, Any]) -> str:
    """The reverse. ValueError for a value this form cannot hold; circusd passes such values in another way."""
    for key, value in config.items():
        if SEPARATOR in f"{key}:{value}" or ":" in key or str(value).startswith(":") or str(value).endswith(":"):
            raise ValueError(f"option {key!r} cannot be written as KEY:VALUE joined by {SEPARATOR!r}")
    return SEPARATOR.join(f"{key}:{value}" for key, value in config.items())


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="circus-plugin", description="Run a Circus plugin.")
    add = parser.add_argument
    levels = [*LOG_LEVELS, *map(str.upper, LOG_LEVELS)]
    add("--endpoint", default=DEFAULT_ENDPOINT_DEALER, help="where circusd takes commands (%(default)s)")
    add("--pubsub", default=DEFAULT_ENDPOINT_SUB, help="where circusd publishes events (%(default)s)")
    add("--config", default="", metavar="K:V:::K:V", help="options of the plugin")
    add("--check-delay", type=float, default=5.0, metavar="SECONDS", help="passed to the plugin (%(default)s)")
    add("--log-level", default="info", choices=levels, metavar="LEVEL", help=f"{', '.join(LOG_LEVELS)} (%(default)s)")
    add("--log-output", default="-", metavar="FILE", help="log file, - for standard error (%(default)s)")
    add("--ssh", default=None, metavar="USER@HOST[:PORT]", help="reach circusd through an ssh tunnel")
    add("--ssh_keyfile", default=None, metavar="FILE", help="key for the ssh tunnel")
    add("--version", action="version", version=__version__)
    add("plugin", nargs="?", help="dotted name of the class")
    return parser


def _refuse(name: str, error: Exception) -> int:
    logger.error("the plugin %s cannot be started: %s", name, f"{type(error).__name__}: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
