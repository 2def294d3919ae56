"""The two ways to run beside greenlets: with a loop that lets them run, and with pumps that are greenlets as well."""

from __future__ import annotations

import importlib.util
import os
from types import SimpleNamespace
from typing import Any

from gevent.monkey import get_original

from circus.green.loop import GreenLoop
from circus.green.pump import GreenPump
from circus.posix import spawn
from circus.runtime.backend import THREADS, Backend


def _plain_popen() -> Any:
    """`Popen` of a copy of `subprocess` that is not patched, now or later.

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

GREEN_LOOP = Backend(GreenLoop, THREADS.make_pump)
"""What carries output is a thread for each watcher."""

GREEN = Backend(GreenLoop, GreenPump)
"""`stream_backend = gevent`."""
