"""What the observers of servers share: a question every `loop_rate` seconds, and perhaps a restart.

The question is asked in a thread, because a server that hangs would otherwise hold up the end of the plugin, and with
it the end of circusd, for as long as `timeout`.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, NamedTuple

from circus.common.names import ACTIVE
from circus.loop import Timer
from circus.plugins.options import plugin_option, positive, read_options, text_kind
from circus.plugins.statsd import BaseObserver, Metric, ObserverOptions

logger = logging.getLogger("circus")


class Answer(NamedTuple):
    """Of the server, or what is known without one. `trouble` is for people, and empty if all is well."""

    metrics: list[Metric]
    trouble: str = ""
    restart: bool = False  # may help


def seconds(text: str) -> float:
    """What a socket takes as a time-out: more milliseconds than fit an int are an error to poll(2)."""
    return min(positive(text), (2**31 - 1) // 1000)


class ServerOptions(ObserverOptions):
    """Options of everything that asks a server:"""

    __slots__ = ()

    timeout = plugin_option(text_kind("number", seconds), 10.0, "how long an answer may take", unit="s")


class ServerObserver(BaseObserver):
    """Override `ask` and `no_answer`.

    One question at a time: while the thread of one still hangs after its time, the next is answered without asking.
    """

    restarted_bucket = ""
    """Counted with each restart."""

    option_table: type[ServerOptions] = ServerOptions
    is_for_statsd = False

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        self.timeout = read_options(self, self.option_table).timeout
        self._thread: threading.Thread | None = None
        self._timer: Timer | None = None
        self._trouble = ""

    @property
    def target(self) -> str:
        """The server, as shown in the log."""
        raise NotImplementedError

    @property
    def restarts(self) -> str:
        """The watcher to be restarted; empty for none."""
        raise NotImplementedError

    def ask(self) -> Answer:
        """Called in a thread of its own. Must not raise."""
        raise NotImplementedError

    def no_answer(self, trouble: str) -> Answer:
        raise NotImplementedError

    # ---- in the plugin's thread ----------------------------------------------------------------------------------

    def look_after(self) -> None:
        if self._timer is not None:
            return  # the last question still has time
        if self._thread is not None and self._thread.is_alive():
            self.judge(self.no_answer("still does not answer"))
            return
        timer = self._timer = self.loop.call_later(self.timeout, lambda: self._answered(timer, None))
        self._thread = threading.Thread(target=self._work, args=(timer,), name="asking", daemon=True)
        self._thread.start()

    def _answered(self, timer: Timer, answer: Answer | None) -> None:
        if timer is self._timer:  # else it comes too late
            timer.cancel()
            self._timer = None
            self.judge(answer or self.no_answer(f"no answer within {self.timeout:g} s"))

    def judge(self, answer: Answer) -> None:
        """Tell statsd, the log and, if need be, circusd."""
        self.emit(answer.metrics)
        if answer.trouble != self._trouble:  # said once, not at every look
            self._trouble = answer.trouble
            logger.warning("%s: %s", self.target, answer.trouble or "answers again")
        if answer.restart and self.restarts and not self._is_left_alone():
            logger.warning("%s: %s is restarted", self.target, self.restarts)
            self.cast("restart", name=self.restarts)
            self.emit([Metric("increment", self.restarted_bucket)])

    def _is_left_alone(self) -> bool:
        """One that was stopped by hand stays so, and one that just comes or goes is not disturbed.

        A name that stands for several is no watcher's, and its status is an error.
        """
        reply = self.call("status", name=self.restarts)
        return reply.get("status") not in (ACTIVE, "error")

    # ---- in the thread that asks ---------------------------------------------------------------------------------

    def _work(self, timer: Timer) -> None:
        answer = self.ask()
        self.loop.post(lambda: self._answered(timer, answer))
