"""The log on a syslog socket, which may be missing at first or for a while."""

from __future__ import annotations

import logging
import time
from logging.handlers import SysLogHandler
from typing import Any

from circus.posix.log_trouble import TroubleHandler

# A socket whose reader stands still takes nothing, and a daemon has more to do than to wait for it.
_SEND_TIMEOUT = 0.2
# A socket that is not there is tried by every line; one that let us wait only after so many seconds.
_RETRY_DELAY = 5.0


class SysLog(TroubleHandler, SysLogHandler):
    """As `SysLogHandler`; a socket that takes nothing is told of once, and the lines until it does are counted."""

    socket: Any  # not in typeshed

    def __init__(self, address: tuple[str, int] | str, facility: int) -> None:
        place = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
        TroubleHandler.__init__(self, f"syslog://{place}")
        self._retry_at = 0.0
        SysLogHandler.__init__(self, address, facility)

    def emit(self, record: logging.LogRecord) -> None:
        started = time.monotonic()
        if started < self._retry_at:
            self.trouble.lost += 1
            return
        super().emit(record)
        if self.trouble.text and time.monotonic() - started >= _SEND_TIMEOUT:
            self._retry_at = time.monotonic() + _RETRY_DELAY

    def _connect_unixsocket(self, address: str) -> None:
        """Also called when the handler is made, which is silent about a socket that is not there."""
        try:
            super()._connect_unixsocket(address)  # type: ignore[misc]  # not in typeshed
        except OSError as error:
            self.trouble.begin(error)
            raise
        self.socket.settimeout(_SEND_TIMEOUT)
