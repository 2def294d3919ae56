"""What signals mean; their arrival is left to the tests of real daemons."""

from __future__ import annotations

import logging
import signal

import pytest

from circus.control import daemon_signals
from circus.control.daemon_signals import DaemonSignals, Meanings


class NoSignals:
    """In place of what installs handlers in this process."""

    def __init__(self, callback, add_reader, remove_reader, handled) -> None:
        self.callback, self.handled = callback, handled

    def install(self) -> None:
        pass

    def resume(self, add_reader, remove_reader) -> None:
        pass


class Loop:
    add_reader = remove_reader = None


@pytest.fixture
def heard(monkeypatch):
    monkeypatch.setattr(daemon_signals, "Signals", NoSignals)
    return []


def meanings(heard) -> Meanings:
    return Meanings(
        on_quit=lambda again: heard.append(("quit", again)),
        on_reload=lambda: heard.append("reload"),
        on_reopen=lambda: heard.append("reopen"),
        on_child=lambda: heard.append("child"),
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_second_signal_to_end_hurries_and_another_run_begins_anew(heard, signum):
    signals = DaemonSignals(Loop, meanings(heard))
    signals._signals.callback(signum)
    signals._signals.callback(signal.SIGTERM)
    assert heard == [("quit", False), ("quit", True)]
    signals.resume(Loop, meanings(heard))
    signals._signals.callback(signum)
    assert heard[2:] == [("quit", False)]


def test_hup_reloads_usr1_opens_logs_and_a_death_is_told(heard):
    signals = DaemonSignals(Loop, meanings(heard))
    for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
        signals._signals.callback(signum)
    assert heard == ["reload", "reopen", "child"]


@pytest.mark.parametrize("signum", [signal.SIGUSR2, signal.SIGALRM, signal.SIGIO, 40])
def test_other_signals_are_ignored_and_the_log_says_so(heard, signum, caplog):
    signals = DaemonSignals(Loop, meanings(heard))
    assert signum in signals._signals.handled
    with caplog.at_level(logging.INFO, "circus"):
        signals._signals.callback(signum)
    assert heard == []
    assert "ignored" in caplog.text


def test_deaths_are_left_to_a_program_that_wants_them(heard):
    signals = DaemonSignals(Loop, meanings(heard)._replace(on_child=None))
    assert signal.SIGCHLD not in signals._signals.handled
