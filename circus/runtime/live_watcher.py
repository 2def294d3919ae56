"""What one watcher holds of the system: its environment, hooks and streams, and while it runs its pump and hook thread.

What it wants and where it stands is decided elsewhere, in `circus.machine.watcher`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from circus.common import names
from circus.common.convert import error_text
from circus.loop import Loop
from circus.machine.process import Process
from circus.machine.watcher import Watcher as Decided
from circus.options.socket_use import NOTHING, socket_use
from circus.options.table import WatcherSpec
from circus.runtime import search_path
from circus.runtime.environment import python_paths, watcher_env
from circus.runtime.hooks import Hook, HookRunner, Outcome, Run, resolve_hook

if TYPE_CHECKING:
    from circus.runtime.backend import Pump

logger = logging.getLogger("circus")

OUTPUTS = ("stdout", "stderr")

MakePump = Callable[[str, Mapping[str, Any]], "Pump"]

_ENVIRONMENT = {"env", "user_env", "uid", "copy_env", "copy_path", "virtualenv", "virtualenv_py_ver"}


class Prepared(NamedTuple):
    """Everything about another spec that can fail, done. `streams` are those that differ."""

    spec: WatcherSpec
    env: dict[str, str]
    hooks: dict[str, Hook]
    streams: dict[str, Any]


class LiveWatcher:
    """One watcher, from its making until its last process has ended.

    `face` is what hooks are handed as `watcher`; nothing here looks into it. Until `build` it has neither hooks nor
    streams; `obstacle` says why that failed, for people.
    """

    def __init__(self, spec: WatcherSpec, face: object = None) -> None:
        self.spec = spec
        self.face = face
        self.env: dict[str, str] = {}
        self.socket_use = NOTHING
        self.hooks: dict[str, Hook] = {}
        self.streams: dict[str, Any] = dict.fromkeys(OUTPUTS)
        self.pump: Pump | None = None
        self._unused: set[str] = set()  # outputs whose stream no pump has had, which would close it
        self.obstacle = ""
        self.is_built = False
        self.is_added = False  # by a command or the program: no file speaks of it
        self.prereload: Callable[[], object] | None = None
        """Called before each graceful reload."""
        self.on_exit: Callable[[int, int | None], object] | None = None
        """Told the pid and exit code of each process that was reaped."""
        self._decided: Decided | None = None
        self._hook_runner: HookRunner | None = None
        self._searched: list[str] = []  # directories in `sys.path` for us

    # ---- its deciding half -------------------------------------------------------------------------------------

    @property
    def decided(self) -> Decided:
        """The deciding half. Only a watcher that was admitted to an arbiter has one."""
        assert self._decided is not None, f"watcher {self.name!r} belongs to no arbiter yet"
        return self._decided

    def belong(self, decided: Decided) -> None:
        self._decided = decided
        decided.obstacle = self.obstacle

    @property
    def is_admitted(self) -> bool:
        return self._decided is not None

    @property
    def key(self) -> int:
        return self.decided.key

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def res_name(self) -> str:
        return names.res_name(self.spec.name)

    @property
    def status(self) -> str:
        return self._decided.status if self._decided is not None else names.STOPPED

    def live(self) -> list[Process]:
        """Its processes with a pid that has not been reaped, oldest first; those that are ending included."""
        # Over a copy: the loop may be changing the table while another thread looks.
        table = self._decided.table if self._decided is not None else ()
        return [process for process in table if process.is_live]

    def find(self, pid: int) -> Process | None:
        return next((process for process in self.live() if process.pid == pid), None)

    # ---- spec: what can fail first, then what cannot -----------------------------------------------------------

    def build(self) -> None:
        """Make what the spec names. Raises whatever a module with hooks or a stream class raises."""
        try:
            self.take(self.prepare(self.spec))
        except Exception as exc:
            self._hinder(error_text(exc))
            raise

    def try_to_build(self) -> None:
        """As `build`, but what is wrong is said by `obstacle` and by `status`. Nothing happens if it is built."""
        if not self.is_built:
            try:
                self.build()
            except Exception:  # whatever a user's module raises: kept as `obstacle`
                return

    def prepare(self, spec: WatcherSpec) -> Prepared:
        """What another spec needs. Changes nothing; raises ValueError, OSError, ImportError or what a module raises."""
        is_same = self.is_built and not spec.diff(self.spec) & _ENVIRONMENT
        env = self.env if is_same else watcher_env(spec, os.environ, search_path.own())
        with search_path.searched(python_paths(env)):
            hooks = {key: self._hook(key, value) for key, value in spec.hooks.items()}
            return Prepared(spec, env, hooks, self._changed_streams(spec))

    def _hook(self, key: str, value: Any) -> Hook:
        if key in self.hooks and self.spec.hooks.get(key) == value:
            return self.hooks[key]
        return resolve_hook(key, value, reload=self.is_built)

    def _changed_streams(self, spec: WatcherSpec) -> dict[str, Any]:
        made: dict[str, Any] = {}
        try:
            for name in OUTPUTS:
                before = _conf(self.spec, name) if self.is_built else {}
                if dict(_conf(spec, name)) != dict(before):
                    made[name] = _stream(_conf(spec, name))
        except BaseException:
            _close(made)
            raise
        return made

    def take(self, prepared: Prepared) -> None:
        """Go on with what was prepared. Cannot fail."""
        self.spec, self.env, self.hooks, swaps = prepared
        self.socket_use = socket_use(self.spec)
        self._close_unused(swaps)
        self.streams.update(swaps)
        self.is_built = True
        self._hinder("")
        self._search(python_paths(self.env) if self.hooks or any(self.streams.values()) else [])
        for name, stream in swaps.items():
            if self.pump is not None:
                self.pump.swap(name, stream)
            else:
                self._unused.add(name)

    def _hinder(self, obstacle: str) -> None:
        self.obstacle = obstacle
        if self._decided is not None:
            self._decided.obstacle = obstacle

    def _search(self, paths: list[str]) -> None:
        search_path.add(paths)
        search_path.remove(self._searched)
        self._searched = paths

    # ---- output ------------------------------------------------------------------------------------------------

    @property
    def has_stdout(self) -> bool:
        return self.streams["stdout"] is not None

    @property
    def has_stderr(self) -> bool:
        return self.streams["stderr"] is not None

    @property
    def complaint(self) -> str:
        """The last error a program of Circus' own has logged; see `circus.stream.log_stream`."""
        return str(getattr(self.streams["stderr"], "complaint", ""))

    def open_streams(self, make_pump: MakePump) -> None:
        if self.has_stdout or self.has_stderr:
            self._start_pump(make_pump)

    def _start_pump(self, make_pump: MakePump) -> Pump:
        pump = make_pump(self.name, self.streams)
        pump.start()
        self.pump = pump
        self._unused.clear()
        return pump

    def pump_output(self, pid: int, pipes: dict[str, int], make_pump: MakePump) -> None:
        if pipes:
            (self.pump or self._start_pump(make_pump)).add(pid, pipes)

    def process_ended(self, pid: int, exit_code: int | None) -> None:
        if self.on_exit is not None:
            self.on_exit(pid, exit_code)
        if self.pump is not None:
            self.pump.finish(pid)

    def reopen_streams(self) -> None:
        """Log files were moved: write to new ones from now on."""
        if self.pump is not None:
            self.pump.reopen()

    def close_streams(self, done: Callable[[], object] = lambda: None) -> None:
        """Write what there is and close them; `done` is called in the loop when that is done."""
        pump, self.pump = self.pump, None
        if pump is None:
            done()
        else:
            pump.close(done)

    def _close_unused(self, outputs: Iterable[str]) -> None:
        """These streams are not wanted any more: close those that no pump closes."""
        unused = self._unused.intersection(outputs)
        self._unused -= unused
        _close({name: self.streams[name] for name in unused})

    # ---- hooks -------------------------------------------------------------------------------------------------

    def submit_hook(
        self,
        loop: Loop,
        hook: Hook,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        done: Callable[[Outcome], None],
    ) -> None:
        """Run a hook in the thread of this watcher, no longer than `hooks_timeout`; `done` is called in the loop."""
        runner = self._hook_runner
        if runner is None:
            runner = self._hook_runner = HookRunner(self.name, loop.post, self)
        timeout = self.spec.hooks_timeout

        def begun(run: Run) -> None:
            loop.call_later(timeout, runner.abandon, run, f"did not return within {timeout} s")

        runner.submit(hook, args, kwargs, done, begun if timeout > 0 else None)

    def close_hooks(self) -> None:
        """No hook is submitted any more; those that wait are still called."""
        runner, self._hook_runner = self._hook_runner, None
        if runner is not None:
            runner.close()

    def retire(self) -> None:
        """It is forgotten: no hook of it is called any more, and streams that no pump has had are closed."""
        self.close_hooks()
        self._close_unused(OUTPUTS)
        self._search([])

    def discard(self) -> None:
        """It was built and is not wanted: close what was opened for it."""
        _close(self.streams)
        self._search([])


def discard(prepared: Prepared) -> None:
    """It is not taken: close what was opened for it."""
    _close(prepared.streams)


def _close(streams: Mapping[str, Any]) -> None:
    for stream in streams.values():
        close = getattr(stream, "close", None)
        if close is None:
            continue
        try:
            close()
        except Exception:  # a user's class may raise anything, and what goes on without this stream must go on
            logger.exception("cannot close %r", stream)


def _conf(spec: WatcherSpec, output: str) -> Mapping[str, Any]:
    conf: Mapping[str, Any] = getattr(spec, f"{output}_stream")
    return conf


def _stream(conf: Mapping[str, Any]) -> Any:
    if not conf:
        return None
    from circus.stream import get_stream

    try:
        return get_stream(dict(conf))
    except SystemExit as exc:  # a class is third-party code; this program is not for it to end
        raise RuntimeError(f"{conf['class']} ends the program instead of making a stream") from exc
