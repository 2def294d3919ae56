"""An arbiter in a greenlet: `start` blocks its caller, and the other greenlets of the program go on."""

from __future__ import annotations

import importlib.util
import os
from types import SimpleNamespace
from typing import Any, NoReturn

from gevent.monkey import get_original

from circus import arbiter, library
from circus.green.loop import GreenLoop
from circus.green.pump import GreenPump
from circus.posix import spawn
from circus.stream.pump import Pump
from circus.watcher import Watcher

__all__ = ["Arbiter", "ArbiterHandler", "PumpingArbiter", "get_arbiter", "with_greenlets"]


def _plain_popen() -> Any:
    """`Popen` of a copy of `subprocess` that nobody patches, now or later.

    gevent's has libev wait for every child of the process, ours included. And the original class finds nothing but
    patched parts around it: no `_fork_exec`, and a `close` that is put off, while it reads the pipe until it is closed.
    """
    spec = importlib.util.find_spec("subprocess")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plain = {name: get_original("os", name) for name in ("close", "waitpid")}
    module.__dict__["os"] = SimpleNamespace(**{**vars(os), **plain})
    return module.Popen


spawn.Popen = _plain_popen()


class Arbiter(arbiter.Arbiter):
    """As `circus.arbiter.Arbiter`. Children, orphans and limits of the program around it are left alone."""

    pump_class: type[Pump] | None = None
    """What carries output; None: a thread for each watcher."""

    def _ensure_ioloop(self) -> None:
        if self._loop is None:
            self._loop, self._own_loop = GreenLoop(), True

    def admit(self, watcher: Watcher, announce: bool = False) -> None:
        watcher.pump_class = self.pump_class
        super().admit(watcher, announce)


class PumpingArbiter(Arbiter):
    """With `stream_backend = gevent`."""

    pump_class = GreenPump


class ArbiterHandler(library.ArbiterHandler):
    """`get_arbiter` for gevent programs; arguments are those of `circus.get_arbiter`, without `background`."""

    def _get_arbiter_klass(self, background: bool) -> type[arbiter.Arbiter]:
        return _refuse_background() if background else Arbiter


def with_greenlets(klass: type[arbiter.Arbiter]) -> type[arbiter.Arbiter]:
    """The same kind of arbiter with `stream_backend = gevent`."""
    if issubclass(klass, library.ThreadedArbiter):
        _refuse_background()
    if issubclass(PumpingArbiter, klass):
        return PumpingArbiter
    return type(klass.__name__, (PumpingArbiter, klass), {})  # a program's own kind


def _refuse_background() -> NoReturn:
    raise NotImplementedError("there is no background arbiter under gevent: start it in a greenlet of its own")


get_arbiter = ArbiterHandler()
