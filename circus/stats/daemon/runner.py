"""The program `circusd-stats`.

Exit codes: 0 after a stop; 1 for an endpoint that is in use or none, with one line that says so; 2 for wrong words on
the command line.
"""

from __future__ import annotations

import logging
import os
import signal
import stat
import sys
from collections.abc import Sequence

from circus import __version__
from circus.common.convert import error_text
from circus.common.flags import Flag, Usage, defaults, parse_flags, usage_text
from circus.common.names import DEFAULT_ENDPOINT_DEALER, DEFAULT_ENDPOINT_STATS, DEFAULT_ENDPOINT_SUB
from circus.posix.logs import LOG_LEVELS, configure_logger, write_for_circusd
from circus.posix.standard import complain, guarded

logger = logging.getLogger("circus")

FLAGS = (
    Flag("endpoint", "ENDPOINT", DEFAULT_ENDPOINT_DEALER, "where circusd takes commands"),
    Flag("pubsub", "ENDPOINT", DEFAULT_ENDPOINT_SUB, "where circusd publishes events"),
    Flag("statspoint", "ENDPOINT", DEFAULT_ENDPOINT_STATS, "where to publish figures"),
    Flag("log-level", "LEVEL", "info", "critical, error, warning, info or debug", tuple(LOG_LEVELS)),
    Flag("log-output", "FILE", "-", "log file, - for standard error"),
    Flag("ssh", "USER@HOST[:PORT]", "", "reach circusd through an ssh tunnel"),
    Flag("ssh_keyfile", "FILE", "", "key for the ssh tunnel"),
    Flag("version", "", "", "print the version and end"),
    Flag("help", "", "", "print this text and end"),
)

STOPS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGWINCH)


def main(args: Sequence[str] | None = None) -> int:
    return guarded("circusd-stats", lambda: _main(sys.argv[1:] if args is None else args))


def _main(args: Sequence[str]) -> int:
    try:
        flags = parse(args)
    except Usage as exc:
        complain(f"circusd-stats: error: {exc}\nTry: circusd-stats --help")
        return 2
    if "help" in flags:
        print(usage())
    elif "version" in flags:
        print(__version__)
    else:
        return run(flags)
    return 0


def parse(args: Sequence[str]) -> dict[str, str]:
    """Values by flag; those that were not given have their defaults. Raises Usage."""
    given, _ = parse_flags(FLAGS, args)
    return defaults(FLAGS) | given


def usage() -> str:
    return usage_text(FLAGS, "circusd-stats [options]", "Publishes figures of the processes of circusd.")


def run(flags: dict[str, str]) -> int:
    """Until a signal, or until the circusd that started us is gone."""
    from circus.exc import CallError
    from circus.stats.daemon.streamer import Streamer  # here, so that --help needs no sockets

    try:
        configure_logger(logger, flags["log-level"], flags["log-output"])
        if flags["log-output"] == "-" and stat.S_ISFIFO(os.fstat(2).st_mode):
            write_for_circusd()  # it is circusd that reads the pipe
        server, keyfile = flags["ssh"] or None, flags["ssh_keyfile"] or None
        streamer = Streamer(flags["endpoint"], flags["pubsub"], flags["statspoint"], server, ssh_keyfile=keyfile)
        for signum in STOPS:
            signal.signal(signum, lambda *_: streamer.stop())
        streamer.run()
    except (OSError, CallError) as exc:
        complain(f"circusd-stats: error: {error_text(exc)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
