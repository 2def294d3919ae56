"""circus-top: what the processes of a running circusd use, on the screen, as text or as JSON."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from circus import __version__
from circus.common.names import DEFAULT_ENDPOINT_STATS
from circus.exc import CallError
from circus.posix.standard import complain, guarded
from circus.stats.feed import StatsClient
from circus.stats.top.model import Model, Round

if TYPE_CHECKING:
    import argparse

OK = 0
FAILED = 1

FIGURES_TIMEOUT = 3.0  # seconds for the first figures, when they are asked for once; circusd-stats sends once a second

PAPER = 120  # columns of text that goes to no terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run `circus-top`. Returns the exit code: 0, 1 no figures or no terminal, 2 usage."""
    return guarded("circus-top", lambda: _main(argv), FAILED)


def _main(argv: Sequence[str] | None) -> int:
    options = _parser().parse_args(argv)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return FAILED
    except OSError:
        raise  # what is printed cannot be written
    except CallError as exc:
        return _fail(str(exc))
    except Exception as exc:
        return _fail(f"internal error: {type(exc).__name__}: {exc}")


def _run(options: argparse.Namespace) -> int:
    is_once = options.once or options.json
    if not is_once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _fail("this is no terminal to draw on; use --once or --json")
    model = Model(options.process_timeout)
    with StatsClient(options.endpoint, options.ssh, ssh_keyfile=options.ssh_keyfile) as client:
        if is_once:
            return _print_once(client, model, options.json)
        from circus.stats.top.screen import NoScreen, show

        try:
            ended_by = show(client, model)
        except NoScreen as exc:
            return _fail(f"{exc}; use --once or --json")
    return _end(ended_by)


def _end(signum: int) -> int:
    """Now that the terminal is in order, die of the signal, so that its sender sees that it worked."""
    if signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
    return OK


def _print_once(client: StatsClient, model: Model, as_json: bool) -> int:
    from circus.stats.top.layout import REMEDY, plain
    from circus.stats.top.text import printable
    from circus.stats.top.view import View

    if not collect(client, model, FIGURES_TIMEOUT):
        return _fail(f"no figures from {printable(client.endpoint)} within {FIGURES_TIMEOUT:g} s. {REMEDY}")
    if as_json:
        import json

        # JSON leaves DEL as it is, the one control character.
        print(json.dumps(model.snapshot()).replace("\x7f", "\\u007f"), flush=True)
        return OK
    import shutil

    width = shutil.get_terminal_size((PAPER, 24)).columns
    print("\n".join(plain(model.groups(), View(), width, sys.stdout.encoding)), flush=True)
    return OK


def collect(client: StatsClient, model: Model, timeout: float) -> bool:
    """Put all figures of one round into the model. False if nothing came within `timeout` seconds."""
    heard = Round()
    give_up_at = time.monotonic() + timeout
    while (left := (heard.over_at if heard.over_at < math.inf else give_up_at) - time.monotonic()) > 0:
        stat = client.receive(left)
        if stat is not None:
            now = time.monotonic()
            model.add(*stat, now)
            heard.hear(*stat[:2], now)
    return model.last_at is not None


def _fail(text: str) -> int:
    complain(f"circus-top: {text}")
    return FAILED


def _parser() -> argparse.ArgumentParser:
    from circus.posix.arguments import ArgumentParser

    parser = ArgumentParser(
        prog="circus-top",
        allow_abbrev=False,
        description="Shows what the processes of a running circusd use of processors and memory, once a second. "
        "circusd publishes that with `statsd = true` in its section [circus]. In the display, press h for help.",
    )
    parser.add_argument(
        "--endpoint", default=DEFAULT_ENDPOINT_STATS, help="stats endpoint of circusd, %(default)s if not given"
    )
    parser.add_argument("--ssh", metavar="USER@HOST[:PORT]", help="reach it through an ssh tunnel")
    parser.add_argument("--ssh_keyfile", metavar="FILE", help="key for the ssh tunnel")
    parser.add_argument(
        "--process-timeout",
        metavar="SECONDS",
        type=_seconds,
        default=3.0,
        help="drop a process that was not heard of for so long, %(default)g if not given",
    )
    parser.add_argument("--once", action="store_true", help="print the figures once, as text, and exit")
    parser.add_argument("--json", action="store_true", help="print the figures once, as JSON, and exit")
    parser.add_argument("--version", action="version", version=__version__, help="show the version and exit")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


_seconds.__name__ = "number of seconds"  # how argparse calls it: "invalid number of seconds value: 'x'"


if __name__ == "__main__":
    sys.exit(main())
