"""What signals mean to the daemon: INT, TERM and QUIT end it, HUP reloads everything, USR1 opens log files anew.

Others are ignored, those included that would end us; USR2 is kept for later.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import NamedTuple

from circus.common.convert import signal_name
from circus.loop import Loop
from circus.posix.signals import HANDLED, Signals, deadly

logger = logging.getLogger("circus")


class Meanings(NamedTuple):
    """What to do; called in the loop."""

    on_quit: Callable[[bool], object]
    """Asked to end; told whether it was asked before."""
    on_reload: Callable[[], object]
    on_reopen: Callable[[], object]
    """Open every log file anew."""
    on_child: Callable[[], object] | None
    """Some child has died. None: SIGCHLD is left to the program around us."""


class DaemonSignals:
    """Installs the handlers; main thread only. `stop` puts the old ones back."""

    def __init__(self, loop: Loop, meanings: Meanings) -> None:
        self._take(meanings)
        handled = [*HANDLED, *deadly()]  # what means nothing must not end us and leave our programs running
        if meanings.on_child is None:
            handled.remove(signal.SIGCHLD)
        self._signals = Signals(self._arrived, loop.add_reader, loop.remove_reader, handled)
        self._signals.install()

    def _take(self, meanings: Meanings) -> None:
        self._was_asked = False
        self._meanings: dict[int, Callable[[], object] | None] = {
            signal.SIGINT: self._quit,
            signal.SIGTERM: self._quit,
            signal.SIGQUIT: self._quit,
            signal.SIGHUP: meanings.on_reload,
            signal.SIGUSR1: meanings.on_reopen,
            signal.SIGCHLD: meanings.on_child,
        }
        self._on_quit = meanings.on_quit

    def stop(self) -> None:
        self._signals.close()

    def flush(self) -> None:
        """Hear what came in the last moment, without waiting for the loop."""
        self._signals.deliver()

    def pause(self) -> None:
        """Keep the handlers, and what they note, for `resume`."""
        self._signals.pause()

    def resume(self, loop: Loop, meanings: Meanings) -> None:
        """Go on for another run."""
        self._take(meanings)
        self._signals.resume(loop.add_reader, loop.remove_reader)

    def _arrived(self, signum: int) -> None:
        """Called in the loop, not in the handler: it may log and act."""
        meaning = self._meanings.get(signum)
        if signum != signal.SIGCHLD:
            name = signal_name(signum).replace("SIG", "SIG_")
            logger.info("Got signal %s%s", name, "" if meaning is not None else ", which means nothing here: ignored")
        if meaning is not None:
            meaning()

    def _quit(self) -> None:
        asked_before, self._was_asked = self._was_asked, True
        self._on_quit(asked_before)
