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

from collections.abc import Mapping, Sequence
from typing import Any

from circus.arbiter import Arbiter, ThreadedArbiter
from circus.common import names
from circus.loop import Loop
from circus.runtime.backend import backend
from circus.watcher import Watcher

NO_GREEN_THREADS = "there is no background arbiter under gevent: start it in a greenlet of its own"


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
        if "endpoint" in options:
            raise TypeError("get_arbiter() has no argument 'endpoint': the control endpoint is called 'controller'")
        if isinstance(watchers, str):
            count = controller if isinstance(controller, int) else options.pop("numprocesses", 1)
            watchers = [{"cmd": watchers, "numprocesses": count}]
        if not isinstance(controller, str):
            controller = names.DEFAULT_ENDPOINT_DEALER
        make = self._get_arbiter_klass(background)
        if stream_backend == names.GEVENT and issubclass(make, ThreadedArbiter):
            raise NotImplementedError(NO_GREEN_THREADS)
        arbiter = make(
            [_watcher(watcher) for watcher in watchers],
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
        if stream_backend == names.GEVENT:
            arbiter.supervisor.backend = backend(stream_backend)
        return arbiter


def _watcher(config: Mapping[str, Any]) -> Watcher:
    if not config.get("cmd"):
        raise ValueError(f"a watcher needs a cmd: {dict(config)!r} has none")
    return Watcher.load_from_config(config)


get_arbiter = ArbiterHandler()
