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

    `watcher` is what `current` tells a running hook it belongs to.
    """

    def __init__(self, name: str, post: Callable[[Callable[[], object]], None], watcher: object = None) -> None:
        self._name = name
        self._post = post
        self._watcher = watcher
        self._queue: SimpleQueue[Run | None] | None = None

    def submit(
        self,
        hook: Hook,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        done: Callable[[Outcome], None],
        begun: Callable[[Run], None] | None = None,
    ) -> Run:
        """Call the hook after those submitted before; `begun` and `done` run in the main loop.

        `done` is called in any case, also if there is no thread to call the hook in.
        """
        run = Run(hook, args, kwargs, done, begun)
        self._put([run])
        return run

    def abandon(self, run: Run, error: str) -> None:
        """Count a hook that has begun as failed and leave its thread behind; those that wait get a fresh one."""
        if run.finished:
            return
        stuck, self._queue = self._queue, None
        if stuck is not None:
            waiting = []
            while not stuck.empty():
                waiting.append(stuck.get())
            stuck.put(None)  # should the hook return one day, its thread ends
            self._put([other for other in waiting if other is not None])
        run.finish(Outcome(run.hook.ignore_failure, error))

    def close(self) -> None:
        if self._queue is not None:
            self._queue.put(None)
            self._queue = None

    def _put(self, runs: list[Run]) -> None:
        try:
            queue = self._ensure_thread()
        except RuntimeError as exc:  # no thread left: the limits of the system, or of our control group
            for run in runs:
                logger.error("Hook '%s' of watcher '%s' is not called: %s", run.hook.name, self._name, exc)
                run.finish(Outcome(run.hook.ignore_failure, f"not called: {exc}"))
            return
        for run in runs:
            queue.put(run)

    def _ensure_thread(self) -> SimpleQueue[Run | None]:
        if self._queue is None:
            queue: SimpleQueue[Run | None] = SimpleQueue()
            # A daemon thread: a hook that never returns must not keep circusd from exiting.
            name = f"hooks of {self._name}"
            threading.Thread(target=self._work, args=(queue,), name=name, daemon=True).start()
            self._queue = queue
        return self._queue

    def _work(self, queue: SimpleQueue[Run | None]) -> None:
        while (run := queue.get()) is not None:
            self._call(run)

    def _call(self, run: Run) -> None:
        if run.begun is not None:
            self._post(run.begin)
        _here.hook, _here.watcher = run.hook.name, self._watcher
        outcome = run.hook.call(*run.args, **run.kwargs)
        self._post(lambda: run.finish(outcome))


class Run:
    """One call under way; `finish` counts once."""

    __slots__ = ("_done", "args", "begun", "finished", "hook", "kwargs")

    def __init__(
        self,
        hook: Hook,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        done: Callable[[Outcome], None],
        begun: Callable[[Run], None] | None,
    ) -> None:
        self.hook = hook
        self.args = args
        self.kwargs = kwargs
        self.finished = False
        self._done = done
        self.begun = begun

    def begin(self) -> None:
        if self.begun is not None and not self.finished:
            self.begun(self)

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
