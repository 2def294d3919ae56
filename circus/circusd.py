"""The daemon: `circusd [options] CONFIG`.

Exit codes: 0 normal end; 1 what the user can mend (no or bad configuration, a live pid file, an endpoint in use);
2 wrong words on the command line.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from circus import __version__, config
from circus.common.convert import error_text
from circus.common.flags import Flag, Usage, parse_flags, usage_text
from circus.common.listen_fds import names_of
from circus.exc import CallError
from circus.posix import logs
from circus.posix.daemon import Starter, daemonize_watched
from circus.posix.daemon import closerange as closerange
from circus.posix.daemon import daemonize as daemonize
from circus.posix.daemon import get_maxfd as get_maxfd
from circus.posix.pidfile import Pidfile
from circus.posix.standard import complain, guarded

if TYPE_CHECKING:
    from circus.config import Problem
    from circus.control.session import Listeners
    from circus.options.table import CircusSpec, ConfigSpec
    from circus.sockets import CircusSocket

logger = logging.getLogger("circus")

# Seconds for which a thread may keep the interpreter to itself while others want it. With the usual 5 ms a request
# waits several times that long beside a thread that takes the figures of a thousand processes.
_SWITCH_INTERVAL = 0.001

FLAGS = (
    Flag("log-level", "LEVEL", "info", "critical, error, warning, info or debug", tuple(logs.LOG_LEVELS)),
    Flag("log-output", "FILE", "-", "log file, - for standard error, or syslog://HOST:PORT?FACILITY"),
    Flag("logger-config", "FILE", "", "logging configuration (.ini, .json, .yaml), or default"),
    Flag("daemon", "", "", "go on in the background"),
    Flag("pidfile", "FILE", "", "write the process id there; one daemon at a time can hold it"),
    Flag("check", "", "", "say what is wrong with the configuration and end: 0 if it can be used"),
    Flag("show", "", "", "with --check: the final value of every option and where it came from"),
    Flag("against", "ENDPOINT", "", "with --check: what that running circusd would change to be as the file says"),
    Flag("version", "", "", "print the version and end"),
    Flag("help", "", "", "print this text and end"),
)

# Flags that win over a key of `[circus]`. The specs stay as the file says, for `reloadconfig` to compare.
_OPTION_OF = {
    "log-level": "loglevel",
    "log-output": "logoutput",
    "logger-config": "loggerconfig",
    "pidfile": "pidfile",
}


def main(args: Sequence[str] | None = None) -> int:
    """Run circusd with the words of a command line (`sys.argv` if None); returns the exit code."""
    return guarded("circusd", lambda: _main(sys.argv[1:] if args is None else args))


def _main(args: Sequence[str]) -> int:
    try:
        flags, path = parse(args)
    except Usage as exc:
        return _fail(f"{exc}\nTry: circusd --help", code=2)
    if "help" in flags:
        print(usage())
    elif "version" in flags:
        print(__version__)
    elif path is None:
        print(usage())
        return _fail("no configuration file is given")
    elif "check" in flags or "show" in flags or "against" in flags:
        return check(path, "show" in flags, flags.get("against", ""))
    else:
        return serve(os.path.abspath(path), flags)
    return 0


def parse(args: Sequence[str]) -> tuple[dict[str, str], str | None]:
    """Flags by name and the configuration file. Raises Usage."""
    flags, words = parse_flags(FLAGS, args, max_words=1)
    return flags, words[0] if words else None


def usage() -> str:
    return usage_text(FLAGS, "circusd [options] CONFIG", "Starts, watches and stops programs.")


# ---- the configuration -------------------------------------------------------------------------------------------


def check(path: str, show: bool, against: str = "") -> int:
    """Print all problems of a configuration; 1 if it cannot be used here or a watcher of it would not start.

    `against` is the endpoint of a running circusd, which is asked what it would change.
    """
    from circus.runtime.rehearsal import rehearse  # a daemon finds out by itself

    spec, problems = config.read(path, os.environ, look=lambda read: rehearse(read, os.environ))
    if show:
        from circus.config.show import show as show_lines

        for line in show_lines(path, os.environ):
            print(line.encode(errors="backslashreplace").decode())
    _print(problems)
    if any(problem.fatal or problem.skips for problem in problems):
        return 1
    print(f"{path}: good, with {len(spec.watchers)} watcher{'' if len(spec.watchers) == 1 else 's'}")
    return compare(path, against) if against else 0


def compare(path: str, endpoint: str) -> int:
    """Print the plan of a running circusd for this file; 1 if it has none. It reads the file itself."""
    from circus.commands.base import is_error  # these, because a daemon does without
    from circus.commands.reloadconfig import ReloadConfig
    from circus.wire.client import CircusClient

    command = ReloadConfig()
    message = command.make_message(dry_run=True, file=os.path.abspath(path))
    try:
        with CircusClient(endpoint=endpoint) as client:
            reply = client.call(message)
    except CallError as exc:
        return _fail(f"{endpoint}: {exc}")
    if is_error(reply):
        return _fail(f"{endpoint}: {reply.get('reason')}")
    print(command.console_msg(reply))
    return 0


def _print(problems: list[Problem]) -> None:
    for problem in problems:
        weight = "error" if problem.fatal or problem.skips else "warning"
        complain(f"{weight}: {problem}")


def _is_usable(problems: list[Problem]) -> bool:
    return not config.fatal_texts(problems)


def _log_problems(problems: list[Problem]) -> None:
    for problem in problems:
        logger.log(logging.ERROR if problem.fatal or problem.skips else logging.WARNING, "%s", problem)


# ---- the daemon --------------------------------------------------------------------------------------------------


def serve(path: str, flags: dict[str, str]) -> int:
    """Read the configuration, go into the background if wanted, and run until the end."""
    inherited = _inherited()
    spec, problems = config.read(path, os.environ)
    if not _is_usable(problems):
        _print(problems)
        return 1
    chosen = {_OPTION_OF[name]: value for name, value in flags.items() if name in _OPTION_OF}
    options: CircusSpec = spec.circus.replace(**chosen)
    starter = Starter()
    if "daemon" in flags:
        _print(problems)
        try:
            starter = daemonize_watched(kept=len(names_of(os.environ)))  # before anything is opened
        except ValueError as exc:
            return _fail(error_text(exc))
    runs = _Runs(path, chosen)
    try:
        runs.prepare(spec)
    except (OSError, ValueError, RuntimeError) as exc:
        return _fail(error_text(exc), options if runs.can_log else None, starter)
    _log_problems(problems)
    try:
        runs.run(spec, inherited, lambda: starter.tell(0, _warning(logs.trouble())))
    except (OSError, ImportError) as exc:
        runs.release()  # before it is told that we have not started: then nothing of ours is there
        return _fail(error_text(exc), options, starter)
    finally:
        runs.release()
    return 0


def _inherited() -> Mapping[str, CircusSocket]:
    """Sockets that we were started with."""
    if not names_of(os.environ):
        return {}
    from circus.sockets import activation  # others do without

    activation.drop_if_for_others(os.environ, os.getpid())
    return activation.inherited(os.environ)


class _Runs:
    """Arbiters one after the other, as long as the last one says that everything is to start anew.

    `chosen` are options that the command line has put over those of `[circus]`.
    """

    def __init__(self, path: str, chosen: dict[str, str]) -> None:
        self._path = path
        self._chosen = chosen
        self._pidfile: Pidfile | None = None
        self._umask = os.umask(0o022)  # that of what started us; there is no way to read it without setting it
        os.umask(self._umask)
        self.can_log = False

    def prepare(self, spec: ConfigSpec) -> None:
        """What is done before an arbiter is made. OSError, ValueError or RuntimeError: the rest is not done."""
        options: CircusSpec = spec.circus.replace(**self._chosen)
        os.umask(self._umask if options.umask is None else options.umask)
        logs.configure_logger(logger, options.loglevel or "info", options.logoutput or "-", options.loggerconfig)
        self.can_log = True
        self._hold(options.pidfile)

    def _hold(self, path: str | None) -> None:
        """The new file first: one daemon at a time holds one."""
        held = self._pidfile
        if path is None or held is None or os.path.realpath(path) != os.path.realpath(held.fname or ""):
            fresh = Pidfile(path) if path else None
            if fresh:
                fresh.create(os.getpid())
            self.release()
            self._pidfile = fresh

    def release(self) -> None:
        if self._pidfile:
            self._pidfile.unlink()
        self._pidfile = None

    def run(
        self, spec: ConfigSpec, inherited: Mapping[str, CircusSocket], listening: Callable[[], object]
    ) -> None:
        """Raises OSError if the first one cannot open what it needs; a later one goes on with what was said before."""
        sys.setswitchinterval(_SWITCH_INTERVAL)
        from circus.arbiter import Arbiter  # when it is to run: --check needs neither zmq nor threads
        from circus.posix import limits

        limits.raise_nofile()  # managed sockets may be more than the soft limit allows
        listeners: Listeners | None = None
        before: ConfigSpec | None = None
        while True:
            left = listeners  # by an arbiter that cannot be made
            try:
                arbiter = Arbiter.from_spec(spec, self._path, inherited)
                for name, value in self._chosen.items():
                    setattr(arbiter, name, value)
                left = listeners and listeners.only_sockets()
                restart, listeners = arbiter.run(listeners, listening)
            except OSError as exc:
                if before is None:
                    if left is not None:
                        left.close_sockets()
                    raise
                logger.error("%s; going on with what %s said before", error_text(exc), self._path)
                spec, before, listeners = before, None, left
                self._prepare_again(spec)
                continue
            if not restart:
                return
            before = spec
            spec = self._read_again(spec)

    def _read_again(self, spec: ConfigSpec) -> ConfigSpec:
        """The configuration as it is now; the old one if the new one cannot be used."""
        fresh, problems = config.read(self._path, os.environ)
        _log_problems(problems)
        if not _is_usable(problems):
            logger.error("%s cannot be used, going on with what it said before", self._path)
            return spec
        self._prepare_again(fresh)
        return fresh

    def _prepare_again(self, spec: ConfigSpec) -> None:
        try:
            self.prepare(spec)
        except (OSError, ValueError, RuntimeError) as exc:
            logger.error("log and pid file stay as they were: %s", error_text(exc))


def _warning(text: str) -> str:
    return text and f"circusd: warning: {text}"


def _fail(text: str, options: CircusSpec | None = None, starter: Starter | None = None, code: int = 1) -> int:
    """Say why circusd ends: on the terminal, to a waiting parent, and in the log if that is another place."""
    text = f"circusd: error: {text}"
    complain(text)
    if starter is not None:
        starter.tell(code, text)
    if options is not None and (options.logoutput or "-") != "-":
        logger.error("%s", text.removeprefix("circusd: error: "))
    return code


if __name__ == "__main__":
    sys.exit(main())
