"""The screen of circus-top: the only part that knows curses, and waits for keys, figures and signals at once."""

from __future__ import annotations

import curses
import locale
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import zmq

from circus.stats.feed import StatsClient
from circus.stats.top import view
from circus.stats.top.layout import BOLD, DIM, PLAIN, REVERSE, Frame, Silence, lay_out
from circus.stats.top.model import Model
from circus.stats.top.view import View

REFRESH = 1.0  # seconds

# Messages taken in one go, so that keys are heard between them.
_SWALLOW = 1000

_ESCAPE_DELAY = 100  # milliseconds until an escape is the key and not the beginning of another; some lines are slow

_REDRAW = "\x0c"  # Ctrl-L, when something else has written on the screen

_STYLES = {PLAIN: curses.A_NORMAL, BOLD: curses.A_BOLD, DIM: curses.A_DIM, REVERSE: curses.A_REVERSE}

_KEYS: dict[int | str, str] = {
    curses.KEY_UP: view.UP,
    curses.KEY_DOWN: view.DOWN,
    curses.KEY_PPAGE: view.PAGE_UP,
    curses.KEY_NPAGE: view.PAGE_DOWN,
    curses.KEY_HOME: view.HOME,
    curses.KEY_END: view.END,
    curses.KEY_BTAB: view.BACK_TAB,
    curses.KEY_ENTER: view.ENTER,
    curses.KEY_BACKSPACE: view.BACKSPACE,
    "\t": view.TAB,
    "\n": view.ENTER,
    "\r": view.ENTER,
    "\x1b": view.ESCAPE,
    "\x7f": view.BACKSPACE,
    "\x08": view.BACKSPACE,
    "\x15": view.CLEAR,  # Ctrl-U
}


class NoScreen(Exception):
    """The terminal cannot be drawn on."""


def show(client: StatsClient, model: Model) -> int:
    """Show the figures until the user or a signal ends it. Returns the number of that signal, or 0.

    The terminal is then as it was, whatever happened. Raises `NoScreen`, and `CallError` when a tunnel has ended.
    """
    with _Signals() as signals, _window() as window:
        return _Screen(window, client, model).run(signals)


class _Screen:
    def __init__(self, window: curses.window, client: StatsClient, model: Model) -> None:
        self.window = window
        self.client = client
        self.model = model
        self.view = View()
        self.started_at = time.monotonic()

    def run(self, signals: _Signals) -> int:
        poller = zmq.Poller()
        keyboard = sys.stdin.fileno()
        tunnel = self.client.tunnel
        for source in (keyboard, signals.wake_fd, self.client.pubsub_socket, *([tunnel] if tunnel else [])):
            poller.register(source, zmq.POLLIN)
        draw_at = self.started_at
        while not signals.ended_by:
            now = time.monotonic()
            if now >= draw_at:
                self.draw(now)
                draw_at = now + REFRESH
            ready: dict[Any, int] = dict(poller.poll(math.ceil((draw_at - now) * 1000)))
            if ready.get(keyboard, 0) & zmq.POLLERR:
                return signal.SIGHUP  # the terminal is gone, and no signal said so
            if keyboard in ready and not self.take_keys():
                return 0
            if signals.suspended:
                signals.suspend(curses.endwin)  # the next drawing takes the terminal back
            if self.client.pubsub_socket in ready:
                self.take_figures()
            if tunnel is not None and tunnel in ready:
                tunnel.check()
            if keyboard in ready or signals.take():
                draw_at = now
        return signals.ended_by

    def take_figures(self) -> None:
        now = time.monotonic()
        for _ in range(_SWALLOW):
            stat = self.client.receive()
            if stat is not None:
                self.model.add(*stat, now)
            elif not self.client.pubsub_socket.poll(0):
                return

    def take_keys(self) -> bool:
        """All that were typed. False when one of them was to leave."""
        while True:
            try:
                key = self.window.get_wch()
            except curses.error:  # no more
                return True
            if key == _REDRAW:
                self.window.redrawwin()
                continue
            name = _KEYS.get(key, key)
            # Other numbers are keys that mean nothing here, and notes of curses about a new size.
            if isinstance(name, str) and not self.view.press(name):
                return False

    def draw(self, now: float) -> None:
        self.model.expire(now)
        height, width = self.size()
        last_at = self.model.last_at
        since = self.started_at if last_at is None else last_at
        silence = Silence(now - since, last_at is not None, self.client.endpoint)
        frame = lay_out(self.model.groups(), self.view, width, height, silence, self.window.encoding)
        self.view.place = frame.place
        self.put(frame, height)

    def put(self, frame: Frame, height: int) -> None:
        self.window.erase()
        for y, line in enumerate(frame.lines[:height]):
            try:
                self.window.addstr(y, 0, line.text, _STYLES[line.style])
            except curses.error:
                pass  # drawn, but the cursor has no place after the last cell of the screen
        self.window.refresh()

    def size(self) -> tuple[int, int]:
        """Rows and columns. Asked each time: a signal that tells of a change may come while we are suspended."""
        known = self.window.getmaxyx()
        try:
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
        except OSError:  # the terminal is gone, which we hear of in a moment
            return known
        if rows and columns and (rows, columns) != known:  # zero: the terminal does not know
            curses.resizeterm(rows, columns)
            return rows, columns
        return known


@contextmanager
def _window() -> Iterator[curses.window]:
    """The terminal in curses' hands, and back."""
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        pass  # the environment names a locale that is not installed: ASCII is shown
    try:
        # Checked first: where initscr finds no fitting terminal it ends the program, there and then.
        curses.setupterm()
        if not curses.tigetstr("cup"):
            raise curses.error("its cursor cannot be moved")
    except curses.error as exc:
        raise NoScreen(f"cannot draw on a terminal of type {os.environ.get('TERM', '')!r} ($TERM): {exc}") from exc
    window = curses.initscr()
    try:
        curses.noecho()
        curses.cbreak()
        curses.set_escdelay(_ESCAPE_DELAY)
        window.keypad(True)
        window.nodelay(True)
        try:
            curses.curs_set(0)
        except curses.error:
            pass  # some terminals cannot hide it
        yield window
    finally:
        try:
            curses.endwin()
        except curses.error:
            pass  # the terminal is gone, with all its settings


class _Signals:
    """Signals that would end or suspend us, and that of a new size, noted; `wake_fd` can be read then.

    Those that were ignored when we came (nohup) stay so. Curses would care for Ctrl-Z and a new size too, but does
    not hear a Ctrl-Z while it draws; where it finds a handler, it leaves both to that.
    """

    ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def __init__(self) -> None:
        self.ended_by = 0
        self.suspended = False
        self.wake_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> _Signals:
        self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for signum in (*self.ENDING, signal.SIGTSTP, signal.SIGWINCH):
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.wake_fd)
        os.close(self._write_fd)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum in self.ENDING:
            self.ended_by = signum
        elif signum == signal.SIGTSTP:
            self.suspended = True

    def suspend(self, leave: Callable[[], object]) -> None:
        """Stop as the user wants; returns when we are continued."""
        self.suspended = False
        leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._note)

    def take(self) -> bool:
        """Whether a signal came since the last call."""
        try:
            return bool(os.read(self.wake_fd, 1024))
        except BlockingIOError:
            return False
