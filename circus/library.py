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

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from circus import names
from circus.arbiter import Arbiter
from circus.future import Future
from circus.loop import Loop
from circus.watcher import Watcher


class ThreadedArbiter(Arbiter):
    """An arbiter in a thread of its own. `start` returns when the watchers are up, `stop` when all is down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._background = True
        self._thread: threading.Thread | None = None
        self._ready: Future[Any] = Future()

    def start(self, cb: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Future of the watchers being up; what keeps the arbiter from starting is raised here."""
        self._ready = Future()
        self._thread = threading.Thread(target=self._work, args=(cb,), name="circus arbiter", daemon=True)
        self._thread.start()
        self._ready.result()
        return self._ready

    def _work(self, cb: Callable[[Future[Any]], object] | None) -> None:
        outcome = super().start(self._up(cb))
        error = outcome.exception()
        if error is not None:
            self._ready.set_exception(error)

    def _up(self, cb: Callable[[Future[Any]], object] | None) -> Callable[[Future[Any]], object]:
        def up(future: Future[Any]) -> None:
            error = future.exception()
            if error is not None:
                self._ready.set_exception(error)
            self._ready.set_result(None)
            if cb is not None:
                cb(future)

        return up

    def stop(self) -> Future[Any]:
        """Stop everything and wait for the thread, unless called from it."""
        future = super().stop()
        self.join()
        return future

    def join(self, timeout: float | None = None) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


ArbiterHandler = Arbiter


def get_arbiter(
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
    stream_backend: str = "thread",
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
    `env` and `name` are accepted and have no effect. Other keywords go to `Arbiter`.
    """
    if isinstance(watchers, str):
        watchers = [{"cmd": watchers}]
        count = options.pop("numprocesses", controller if isinstance(controller, int) else None)
        watchers[0] = {**watchers[0], **({"numprocesses": count} if count is not None else {})}
    if isinstance(controller, int):
        controller = None
    kind = ThreadedArbiter if background else Arbiter
    return kind(
        [Watcher.load_from_config(dict(watcher)) for watcher in watchers],
        controller or names.DEFAULT_ENDPOINT_DEALER,
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
