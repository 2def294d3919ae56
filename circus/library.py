"""Circus inside a program: `get_arbiter` builds everything from a few words.

    from circus import get_arbiter

    arbiter = get_arbiter([{"cmd": "python -u worker.py", "numprocesses": 4}])
    try:
        arbiter.start()
    finally:
        arbiter.stop()

With `background=True` the arbiter runs in a thread of the program; the program's own children and signals are
left alone.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from circus.arbiter import Arbiter
from circus.common import names
from circus.common.future import Future
from circus.loop import Loop
from circus.runtime import hooks
from circus.watcher import Watcher


class ThreadedArbiter(Arbiter):
    """An arbiter in a thread of its own, which leaves the program's children, signals and limits alone.

    `start` returns when requests are answered, `stop` when all is down. What the program forgets to stop is stopped
    when it ends.
    """

    _thread: threading.Thread | None = None

    def start(self, cb: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Future of the watchers being up. What keeps the arbiter from starting is raised here."""
        if self.is_alive():
            raise RuntimeError("this arbiter runs already")
        opened: Future[Future[Any]] = Future()
        self._thread = threading.Thread(target=self._work, args=(cb, opened), name="circus arbiter", daemon=True)
        self._thread.start()
        return opened.result()

    def _work(self, cb: Callable[[Future[Any]], object] | None, opened: Future[Future[Any]]) -> None:
        self._own_loop = True  # also one that the caller gave: it is run here
        try:
            up = self._open(cb)
        except Exception as exc:  # raised in the thread that called `start`
            opened.set_exception(exc)
            return
        atexit.register(self._at_exit)
        try:
            # From within the loop, so that a call that comes at once is handed over to it and not done beside it.
            self.loop.post(lambda: opened.set_result(up))
            self._run()
        finally:
            atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        if os.getpid() == self.pid:  # a fork of the program has no such thread, and no such children
            self.stop()

    def stop(self) -> Future[Any]:
        """Stop everything and wait for that, except where the end itself would have to wait: in the loop, in a hook."""
        future = super().stop()
        if hooks.current()[1] is None:
            self.join()
        return future

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end; at once in the arbiter's own thread."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


class ArbiterHandler:
    """`get_arbiter` as a class, for programs that choose another kind of arbiter."""

    def _get_arbiter_klass(self, background: bool) -> type[Arbiter]:
        return ThreadedArbiter if background else Arbiter

    def __call__(
        self,
        watchers: str | Sequence[Mapping[str, Any]],
        controller: str | int | None = None,
        pubsub_endpoint: str | None = None,
        statsd: bool = False,
        stats_endpoint: str | None = None,
        statsd_close_outputs: bool = False,
        multicast_endpoint: str | None = None,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
        context: Any = None,
        background: bool = False,
        stream_backend: str = names.THREAD,
        httpd: bool = False,
        plugins: Sequence[Mapping[str, Any]] | None = None,
        debug: bool = False,
        proc_name: str = "circusd",
        loop: Loop | None = None,
        check_delay: float = 1.0,
        **options: Any,
    ) -> Arbiter:
        """An arbiter for a list of watchers, each a dict with `cmd` and any watcher option.

        The short form `get_arbiter("program", 4)` or `get_arbiter("program", numprocesses=4)` runs one program.
        With `stream_backend="gevent"` it runs in a greenlet; see `circus.green`. `env` and `name` are accepted and have
        no effect. Other keywords go to `Arbiter`.
        """
        if isinstance(watchers, str):
            count = controller if isinstance(controller, int) else options.pop("numprocesses", 1)
            watchers = [{"cmd": watchers, "numprocesses": count}]
        if not isinstance(controller, str):
            controller = names.DEFAULT_ENDPOINT_DEALER
        make = self._get_arbiter_klass(background)
        if stream_backend == names.GEVENT:
            from circus.green.arbiter import with_greenlets

            make = with_greenlets(make)
        return make(
            [Watcher.load_from_config(watcher) for watcher in watchers],
            controller,
            pubsub_endpoint or names.DEFAULT_ENDPOINT_SUB,
            statsd=statsd or stats_endpoint is not None,
            stats_endpoint=stats_endpoint or names.DEFAULT_ENDPOINT_STATS,
            statsd_close_outputs=statsd_close_outputs,
            multicast_endpoint=multicast_endpoint,
            context=context,
            httpd=httpd,
            plugins=plugins,
            debug=debug,
            proc_name=proc_name,
            loop=loop,
            check_delay=check_delay,
            **options,
        )


get_arbiter = ArbiterHandler()
