"""Hooks: functions of the user, called in a thread of their watcher.

A hook may sleep, call back into watcher and arbiter, raise, or never return: only its own watcher waits for it.
Hooks of one watcher run one after the other, in the order they were asked for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from circus.common import names
from circus.common.convert import resolve_name, to_bool

logger = logging.getLogger("circus")

Function = Callable[..., Any]

# Their watcher does not go on before they have returned.
AWAITED = (
    names.BEFORE_START,
    names.AFTER_START,
    names.BEFORE_SPAWN,
    names.AFTER_SPAWN,
    names.BEFORE_STOP,
    names.AFTER_STOP,
)


class Outcome:
    """How one call of a hook ended; `error` is the text of `cause`, the exception, or empty."""

    __slots__ = ("cause", "error", "result")

    def __init__(self, result: bool, error: str = "", cause: BaseException | None = None) -> None:
        self.result = result
        self.error = error
        self.cause = cause

    def event(self, hook: str) -> tuple[str, dict[str, Any]]:
        """What is published about it: `hook_success` or `hook_failure`."""
        if self.error:
            return names.HOOK_FAILURE, {"name": hook, "error": self.error}
        return names.HOOK_SUCCESS, {"name": hook}


class Hook:
    """One hook of a watcher: the function and whether its failure counts."""

    __slots__ = ("function", "ignore_failure", "name")

    def __init__(self, name: str, function: Function, ignore_failure: bool) -> None:
        self.name = name
        self.function = function
        self.ignore_failure = ignore_failure or name in names.HOOKS_IGNORING_FAILURE

    def call(self, *args: Any, **kwargs: Any) -> Outcome:
        """Never raises: an exception becomes the outcome, true if failure is ignored."""
        try:
            return Outcome(bool(self.function(*args, **kwargs)))
        except (Exception, SystemExit) as exc:  # user code may raise anything; the outcome and the log say what
            watcher = kwargs.get("watcher", args[0] if args else None)
            logger.exception("Hook '%s' failed for watcher '%s'", self.name, getattr(watcher, "name", watcher))
            return Outcome(self.ignore_failure, str(exc) or type(exc).__name__, exc)


def resolve_hook(name: str, value: Any, reload: bool = False) -> Hook:
    """A hook from what a section or program says: a callable, `"dotted.name"`, `"dotted.name, true"`, or a pair.

    Raises ImportStringError (an ImportError) or ValueError.
    """
    ignore: object = False
    if isinstance(value, (tuple, list)):
        value, ignore = value[0], value[1] if len(value) > 1 else False
    if isinstance(value, str):
        dotted, comma, flag = value.partition(",")
        if comma:
            ignore = flag.strip()
        value = resolve_name(dotted.strip(), reload=reload)
    if not callable(value):
        raise ValueError(f"hook {name}: {value!r} cannot be called")
    return Hook(name, value, to_bool(ignore))


class HookRunner:
    """The hook thread of one watcher, started on first use. `post` hands a callable to the main loop.

    `watcher` is whatever `current` is to tell a running hook about whom it belongs to.
    """

    def __init__(self, name: str, post: Callable[[Callable[[], object]], None], watcher: object = None) -> None:
        self._name = name
        self._post = post
        self._watcher = watcher
        self._queue: SimpleQueue[Callable[[], None] | None] | None = None

    def submit(
        self,
        hook: Hook,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        done: Callable[[Outcome], None],
        begun: Callable[[Run], None] | None = None,
    ) -> Run:
        """Call the hook after those submitted before; `begun` and `done` run in the main loop."""
        run = Run(hook, done)

        def work() -> None:
            if begun is not None:
                self._post(lambda: None if run.finished else begun(run))
            _here.hook, _here.watcher = hook.name, self._watcher
            outcome = hook.call(*args, **kwargs)
            self._post(lambda: run.finish(outcome))

        self._ensure_thread().put(work)
        return run

    def abandon(self, run: Run, error: str) -> None:
        """Count a hook that has begun as failed and leave its thread behind; those that wait get a fresh one."""
        if run.finished:
            return
        stuck, self._queue = self._queue, None
        if stuck is not None:
            fresh = self._ensure_thread()
            while not stuck.empty():
                fresh.put(stuck.get())
            stuck.put(None)  # should the hook return one day, its thread ends
        run.finish(Outcome(run.hook.ignore_failure, error))

    def close(self) -> None:
        if self._queue is not None:
            self._queue.put(None)
            self._queue = None

    def _ensure_thread(self) -> SimpleQueue[Callable[[], None] | None]:
        if self._queue is None:
            queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
            # A daemon thread: a hook that never returns must not keep circusd from exiting.
            threading.Thread(target=_work, args=(queue,), name=f"hooks of {self._name}", daemon=True).start()
            self._queue = queue
        return self._queue


class Run:
    """One call under way; `finish` counts once."""

    __slots__ = ("_done", "finished", "hook")

    def __init__(self, hook: Hook, done: Callable[[Outcome], None]) -> None:
        self.hook = hook
        self.finished = False
        self._done = done

    def finish(self, outcome: Outcome) -> None:
        if not self.finished:
            self.finished = True
            self._done(outcome)


class _Here(threading.local):
    hook = ""
    watcher: object = None


_here = _Here()


def current() -> tuple[str, object]:
    """Name and watcher of the hook that runs in the calling thread; empty and None elsewhere."""
    return _here.hook, _here.watcher


def _work(queue: SimpleQueue[Callable[[], None] | None]) -> None:
    while (work := queue.get()) is not None:
        work()
