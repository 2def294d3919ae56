"""Where log lines go: standard error, a file, syslog, or what a logging configuration file says."""

from __future__ import annotations

import logging
import os
import stat
from importlib import import_module
from typing import Any, TextIO

from circus.common import names
from circus.posix.error_log import ErrorLog
from circus.posix.log_trouble import TroubleHandler

LOG_LEVELS: dict[str, int] = {name: getattr(logging, name.upper()) for name in names.LOG_LEVELS}
LOG_FMT = "%(asctime)s %(name)s[%(process)d] [%(levelname)s] %(message)s"
LOG_FMT_BELOW = "[%(levelname)s] %(message)s"
"""Of programs of ours that circusd reads: it adds time and name. `circus.stream.log_stream` takes it apart."""
LOG_DATE_FMT = "%Y-%m-%d %H:%M:%S"
LOG_DATE_SYSLOG_FMT = "%b %d %H:%M:%S"

_installed: logging.Handler | None = None  # so that configuring again closes what we opened, and nothing else


def configure_logger(
    logger: logging.Logger,
    level: str | int = "INFO",
    output: str = "-",
    loggerconfig: str | None = None,
    name: str | None = None,
) -> None:
    """Set up the root logger, through which `logger` writes like any other. `name` has no effect.

    `output`: `-` is standard error; `syslog://host[:port]?facility` or `syslog:///socket?facility`; else a file, which
    is opened again when it was moved. `loggerconfig` (.ini, .json, .yaml, or `default` for none) replaces both.
    An unknown level means info. Raises OSError if the output cannot be opened, ValueError for a bad `loggerconfig`.
    """
    if loggerconfig is not None and loggerconfig.strip().lower() != "default":
        _load_config(os.path.abspath(loggerconfig))
        return
    handler, date_format = _handler(output)
    handler.setFormatter(logging.Formatter(LOG_FMT, date_format))
    _install(handler)
    logging.getLogger().setLevel(level if isinstance(level, int) else LOG_LEVELS.get(level.lower(), logging.INFO))


def release() -> None:
    """Close what `configure_logger` opened."""
    _install(None)


def trouble() -> str:
    """Why the log cannot be written at the moment; empty if it can, as far as we know."""
    return _installed.trouble.text if isinstance(_installed, TroubleHandler) else ""


def _install(handler: logging.Handler | None) -> None:
    global _installed
    previous, _installed = _installed, handler
    root = logging.getLogger()
    if handler is not None:
        root.handlers = [handler]
    if previous is not None:
        root.removeHandler(previous)
        previous.close()


def _handler(output: str) -> tuple[logging.Handler, str]:
    if output in ("-", "stdout"):
        return ErrorLog(), LOG_DATE_FMT
    if output.startswith("syslog://"):
        return _syslog_handler(output), LOG_DATE_SYSLOG_FMT
    return LogFile(output), LOG_DATE_FMT


def _syslog_handler(url: str) -> logging.Handler:
    from urllib.parse import urlparse

    from circus.posix.syslog import SysLog  # here, because it costs the daemon 0.4 MiB

    parts = urlparse(url)
    facility = parts.query if parts.query in SysLog.facility_names else "user"
    address: tuple[str, int] | str = parts.path
    if parts.hostname:
        address = (parts.hostname, parts.port or 514)
    return SysLog(address, SysLog.facility_names[facility])


class LogFile(TroubleHandler, logging.FileHandler):
    """A log file that is opened again when it was moved or removed (as `logrotate` does).

    Like `logging.handlers.WatchedFileHandler`, but an error while doing so never reaches the code that logs: the old
    file goes on being written until the new one can be opened. A full disk is told of once.
    """

    def __init__(self, filename: str) -> None:
        TroubleHandler.__init__(self, filename)
        logging.FileHandler.__init__(self, filename, encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        stream = self.stream
        if stream is not None and self._was_moved(stream.fileno()):
            try:
                self.stream = self._open()
            except OSError:
                pass  # the directory is gone or full; the next record tries again
            else:
                _close(stream)
        super().emit(record)

    def close(self) -> None:
        try:
            super().close()
        except OSError:
            pass  # the disk is full; what it still held is counted as lost

    def _was_moved(self, fd: int) -> bool:
        opened = os.fstat(fd)
        if not stat.S_ISREG(opened.st_mode):
            return False  # a pipe or a device is not made anew as a file
        try:
            there = os.stat(self.baseFilename)
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (opened.st_dev, opened.st_ino)


def _close(stream: TextIO) -> None:
    try:
        stream.close()
    except OSError:
        pass  # the disk is full; what it still held is counted as lost


def write_for_circusd() -> None:
    """After `configure_logger`: log lines as the circusd that started us reads them."""
    logging.getLogger().handlers[0].setFormatter(logging.Formatter(LOG_FMT_BELOW))


def _load_config(path: str) -> None:
    from logging import config  # here, because it costs the daemon 0.5 MiB

    kind = os.path.splitext(path)[1].lower()
    if kind not in (".ini", ".json", ".yaml"):
        raise ValueError(f"{path} is no logging configuration: the name must end in .ini, .json or .yaml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        if kind == ".ini":
            config.fileConfig(path, disable_existing_loggers=False)
        else:
            # Loggers it does not name go on writing through those above them, unless it says otherwise.
            config.dictConfig({"disable_existing_loggers": False, **_parse(kind, text)})
    except Exception as exc:  # these functions raise whatever they run into
        raise ValueError(f"{path} is no usable logging configuration: {exc}") from exc
    release()


def _parse(kind: str, text: str) -> Any:
    if kind == ".json":
        import json

        return json.loads(text)
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        raise ValueError("reading YAML needs the package PyYAML; install it or write the file as JSON") from None
    return yaml.safe_load(text)
