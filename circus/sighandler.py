"""Signal handlers for an arbiter that is driven by hand; circusd's own are `circus.control.daemon_signals`."""

from __future__ import annotations

import signal
from typing import Any

from circus.control.daemon_signals import DaemonSignals, Meanings


class SysHandler:
    """Installs the handlers for the loop of `controller`; main thread only. `stop` puts the old ones back.

    Without `children`, SIGCHLD is left to the program around us.
    """

    SIGNALS = (signal.SIGHUP, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM, signal.SIGWINCH)

    def __init__(self, controller: Any, children: bool = True) -> None:
        self.controller = controller
        self._was_asked = False
        self._signals = DaemonSignals(
            controller.loop,
            Meanings(
                on_quit=lambda _: self.quit(),
                on_reload=self.handle_hup,
                on_reopen=controller.arbiter.supervisor.reopen_logs,
                on_child=(self.handle_chld) if children else None,
            ),
        )

    def stop(self) -> None:
        self._signals.stop()

    def quit(self) -> None:
        """Asked a second time, hurry; a third time, leave at once."""
        hurry, self._was_asked = self._was_asked, True
        self.controller.arbiter.operations.quit(hurry=hurry)

    handle_int = handle_term = handle_quit = quit

    def handle_hup(self) -> None:
        self.controller.arbiter.reload()

    def handle_winch(self) -> None:
        """The terminal circusd was started in was resized."""

    def handle_chld(self) -> None:
        runtime = self.controller.arbiter.runtime
        if runtime is not None:
            runtime.workers.child_signalled()
