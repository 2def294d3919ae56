"""How long others wait for a start or a stop: counted from its last step, and said when it is over."""

from __future__ import annotations

import itertools

from circus.machine.actions import Log
from circus.machine.context import Context
from circus.machine.deadlines import Timer
from circus.machine.progress_timeout import ProgressTimeout
from circus.options.table import WatcherSpec


def test_timeout_is_counted_from_the_last_step_and_said_once_it_is_over() -> None:
    context = Context(1, WatcherSpec("web", {}), itertools.count(1), lambda: 0.5)
    timeout = ProgressTimeout(context, Timer.STOP_TIMEOUT, "stop")
    timeout.renew(1000.0, 30.0)
    timeout.renew(1010.0, 30.0)
    assert context.deadlines.earliest() == 1040.0
    assert (timeout.is_over, timeout.reason()) == (False, "")
    timeout.timed_out()
    assert (timeout.is_over, timeout.reason()) == (True, "its stop makes no progress")
    assert context.take_actions() == [Log("warning", "web: its stop makes no progress; others no longer wait for it")]


def test_timeout_that_is_dropped_does_not_come() -> None:
    context = Context(1, WatcherSpec("web", {}), itertools.count(1), lambda: 0.5)
    timeout = ProgressTimeout(context, Timer.START_TIMEOUT, "start")
    timeout.renew(1000.0, 90.0)
    timeout.timed_out()
    timeout.drop()
    assert (timeout.is_over, context.deadlines.earliest()) == (False, None)
