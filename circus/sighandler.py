"""Signals to the daemon: INT, TERM and QUIT end it, HUP reloads everything, WINCH is ignored."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

from circus.posix.signals import HANDLED, Signals

if TYPE_CHECKING:
    from circus.controller import Controller

logger = logging.getLogger("circus")


class SysHandler:
    """Installs the handlers for the loop of `controller`; main thread only. `stop` puts the old ones back.

    Without `children`, SIGCHLD is left to the program around us.
    """

    SIGNALS = (signal.SIGHUP, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM, signal.SIGWINCH)

    def __init__(self, controller: Controller, children: bool = True) -> None:
        self.controller = controller
        self._quit_asked = False
        assert controller.loop is not None
        handled = [signum for signum in HANDLED if children or signum != signal.SIGCHLD]
        self._signals = Signals(self.signal, controller.loop.add_reader, controller.loop.remove_reader, handled)
        self._signals.install()

    def stop(self) -> None:
        self._signals.close()

    def flush(self) -> None:
        """Hear what came in the last moment, before the loop is left."""
        self._signals.deliver()

    def pause(self) -> None:
        """Keep the handlers, and what they note, for `resume`."""
        self._signals.pause()

    def resume(self, controller: Controller) -> None:
        """Go on for another arbiter."""
        assert controller.loop is not None
        self.controller, self._quit_asked = controller, False
        self._signals.resume(controller.loop.add_reader, controller.loop.remove_reader)

    def signal(self, signum: int) -> None:
        """Called in the loop, not in the handler: it may log and act."""
        name = signal.Signals(signum).name
        if signum == signal.SIGCHLD:
            self.handle_chld()
            return
        logger.info("Got signal %s", name.replace("SIG", "SIG_"))
        handler = getattr(self, f"handle_{name[3:].lower()}", None)
        if handler is not None:
            handler()

    def handle_int(self) -> None:
        self.quit()

    def handle_term(self) -> None:
        self.quit()

    def handle_quit(self) -> None:
        self.quit()

    def quit(self) -> None:
        """Asked a second time, hurry; a third time, leave at once."""
        self.controller.arbiter.ask("quit", hurry=self._quit_asked)
        self._quit_asked = True

    def handle_hup(self) -> None:
        self.controller.arbiter.reload()

    def handle_winch(self) -> None:
        """Somebody resized the terminal circusd was started in."""

    def handle_chld(self) -> None:
        runtime = self.controller.arbiter.runtime
        if runtime is not None:
            runtime.child_signalled()
