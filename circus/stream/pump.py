"""The thread that carries the output of one watcher's processes from their pipes into the stream objects.

Why a thread: a stream may block (a slow disk, a network file system, a third-party class). Then only the programs of
this watcher wait, never the daemon. Others talk to it through its mailbox; it answers through `post`. It uses no
processor time while nothing is written.

Everything below the line "pump thread only" belongs to the thread, and so do the descriptors given to `add`.
"""

from __future__ import annotations

import logging
import os
import selectors
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from circus.stream.base import Stream
from circus.stream.mailbox import Mailbox
from circus.stream.pipe import ENDED, Pipe
from circus.stream.reader import Reader
from circus.stream.sink import Sink

_logger = logging.getLogger("circus")

# Only touched pages cost memory, but below 2 MiB no huge page is ever used for a stack. Streams are third-party code,
# so there is room for regular expressions, sockets and the like.
_STACK = 524288
REPAIR_DELAY = 0.1
_LOG_DELAY = 60.0

_starting = threading.Lock()  # threading.stack_size is one setting for the whole process


class Pump:
    """Reads pipes and feeds the streams of one watcher.

    - `name`: the watcher's, for the log and the thread.
    - `streams`: for "stdout" and "stderr" the stream object; output without one is read and thrown away.
    - `post`: runs a callable later in the main loop; called from the pump's thread.
    - `on_drained(pid)`: posted after `finish(pid)`, when everything the process wrote was handed to the streams;
      circusd need not know, tests wait for it.
    """

    def __init__(
        self,
        name: str,
        streams: Mapping[str, Stream | None],
        post: Callable[[Callable[[], object]], object],
        log: logging.Logger = _logger,
        on_drained: Callable[[int], object] | None = None,
    ) -> None:
        self.name = name
        self._post = post
        self._log = log
        self._on_drained = on_drained
        self._sinks = {kind: Sink(name, kind, streams.get(kind), log) for kind in {"stdout", "stderr", *streams}}
        self._mailbox = Mailbox()
        self._thread: Any = None
        self._start_lock = threading.Lock()
        # pump thread only
        self._selector: selectors.BaseSelector
        self._pipes: dict[int, list[Pipe]] = {}  # by pid; none is empty
        self._reader = Reader()
        self._closing: list[Callable[[], object]] | None = None
        self._log_at = 0.0

    # ---- from any thread; never blocks ---------------------------------------------------------------------------

    def start(self) -> None:
        """Open the streams and begin to read. OSError or RuntimeError if there is no descriptor or thread left."""
        with self._start_lock:
            if self._thread is not None:
                return
            self._new_selector()
            try:
                self._thread = self._start_thread()
            except BaseException:
                self._selector.close()
                raise

    def add(self, pid: int, pipes: Mapping[str, int]) -> None:
        """Take over the read ends (`{"stdout": fd, ...}`) of a new process; they are closed here, whatever happens."""
        if not self._mailbox.put(self._add, pid, dict(pipes)):
            for fd in pipes.values():
                os.close(fd)

    def finish(self, pid: int) -> None:
        """The process is dead: read what its pipes hold, and go on only for descendants that still have them."""
        if not self._mailbox.put(self._finish, pid):
            self._tell_drained(pid)

    def remove(self, pid: int, name: str | None = None) -> None:
        """Read what the pipes of a process (or the one called `name`) hold, then close them."""
        self._mailbox.put(self._remove, pid, name)

    def swap(self, name: str, stream: Stream | None) -> None:
        """Give everything read so far to the old stream, close it, and go on with this one."""
        self._mailbox.put(self._swap, name, stream)

    def reopen(self) -> None:
        """Have the streams open their files anew."""
        self._mailbox.put(self._reopen)

    def close(self, done: Callable[[], object] = lambda: None) -> None:
        """Read what the pipes hold now, close streams and descriptors, end the thread, then post `done`.

        May be called again: each `done` is posted once. A stream that blocks delays `done`, and nothing else.
        """
        if not self._mailbox.put(self._begin_close, done):
            self._post(done)
        elif self._thread is None:  # streams and pipes given to us so far are closed in the one place that does it
            try:
                self.start()
            except (OSError, RuntimeError):
                self._selector = selectors.SelectSelector()  # needs no descriptor
                self._close_all()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread after `close`; False if it has not ended after `timeout` seconds."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def stats(self) -> dict[str, dict[str, int]]:
        """For each output the bytes `read` from the programs and those of them that were `dropped`; for tests."""
        return {kind: {"read": sink.received, "dropped": sink.dropped} for kind, sink in list(self._sinks.items())}

    def _tell_drained(self, pid: int) -> None:
        drained = self._on_drained
        if drained is not None:
            self._post(lambda: drained(pid))

    def _new_selector(self) -> None:
        selector = self._make_selector()
        try:
            selector.register(self._mailbox.open(), selectors.EVENT_READ)
        except BaseException:
            selector.close()
            raise
        self._selector = selector

    # ---- what `circus.green` does in another way -----------------------------------------------------------------

    def _start_thread(self) -> Any:
        """Have `_run` run; returns what has `join(timeout)` and `is_alive()`."""
        thread = threading.Thread(target=self._run, name=f"circus-pump-{self.name}", daemon=True)
        with _starting:
            usual = threading.stack_size(_STACK)
            try:
                thread.start()
            finally:
                threading.stack_size(usual)
        return thread

    def _make_selector(self) -> selectors.BaseSelector:
        return selectors.DefaultSelector()

    def _pause(self) -> None:
        time.sleep(REPAIR_DELAY)

    # ---- pump thread only: the loop ------------------------------------------------------------------------------

    def _run(self) -> None:
        for sink in self._sinks.values():
            sink.open()
        broken = False
        while self._closing is None:
            try:
                if broken:
                    self._repair()
                    broken = False
                self._mailbox.run_requests()
                if self._closing is None:
                    self._serve()
            except Exception:  # a descriptor of ours closed by other code, or our own fault: programs must not hang
                broken = True
                self._stumbled()
        self._close_all()

    def _serve(self) -> None:
        """One pass: wait, then one read for each pipe that has something, so that none of them starves the others."""
        events = self._selector.select(self._reader.timeout())
        if any(key.data is None for key, _ in events):
            # First what was asked, so that output written after `swap` has returned goes to the new stream.
            self._mailbox.clear_wake()
            self._mailbox.run_requests()
        for key, _ in events:
            pipe = key.data
            if pipe is not None and pipe.is_open and self._reader.read(pipe) == ENDED:
                self._end(pipe)
        self._reader.tidy(idle=not events)

    def _stumbled(self) -> None:
        now = time.monotonic()
        if now >= self._log_at:
            self._log_at = now + _LOG_DELAY
            self._log.exception("the pump of watcher %r stumbled and goes on", self.name)
        self._pause()  # whatever it is, it must not become a busy loop

    def _repair(self) -> None:
        """Begin again with a new selector and a new wake descriptor, keeping the pipes that are still ours."""
        self._close_selector()
        self._new_selector()
        for pipe in self._all_pipes():
            self._watch(pipe)

    # ---- pump thread only: requests ------------------------------------------------------------------------------

    def _add(self, pid: int, pipes: dict[str, int]) -> None:
        for name, fd in pipes.items():
            sink = self._sink(name)
            stale = self._selector.get_map().get(fd)
            if stale is not None:  # closed by other code, and the kernel has given its number to the new pipe
                self._end(stale.data)
            sink.feeders += 1
            pipe = Pipe(fd, pid, sink)
            self._pipes.setdefault(pid, []).append(pipe)
            self._watch(pipe)

    def _finish(self, pid: int) -> None:
        for pipe in list(self._pipes.get(pid, ())):
            if self._drain(pipe):
                pipe.sink.end_of_output(pid)
        self._tell_drained(pid)

    def _remove(self, pid: int, name: str | None) -> None:
        for pipe in list(self._pipes.get(pid, ())):
            if name in (None, pipe.sink.name) and self._drain(pipe):
                self._end(pipe)

    def _swap(self, name: str, stream: Stream | None) -> None:
        sink = self._sink(name)
        for pipe in self._all_pipes():
            if pipe.sink is sink:
                self._reader.let_go(pipe)
        if not any(other.stream is sink.stream for other in self._sinks.values() if other is not sink):
            sink.close()
        sink.replace(stream)
        sink.open()

    def _reopen(self) -> None:
        for sink in self._sinks.values():
            sink.reopen()

    def _sink(self, name: str) -> Sink:
        sink = self._sinks.get(name)
        if sink is None:
            sink = self._sinks[name] = Sink(self.name, name, None, self._log)
        return sink

    def _begin_close(self, done: Callable[[], object]) -> None:
        if self._closing is None:
            self._closing = []
        self._closing.append(done)

    # ---- pump thread only: pipes ---------------------------------------------------------------------------------

    def _watch(self, pipe: Pipe) -> None:
        try:
            pipe.prepare()
            self._selector.register(pipe.fd, selectors.EVENT_READ, pipe)
        except (OSError, ValueError) as error:
            self._log.error("cannot read %s of pid %d of watcher %r: %s", pipe.sink.name, pipe.pid, self.name, error)
            self._end(pipe)

    def _drain(self, pipe: Pipe) -> bool:
        """Read what the pipe holds now. False if it is at its end, and gone."""
        if pipe.is_ours() and self._reader.drain(pipe) != ENDED:
            return True
        self._end(pipe)
        return False

    def _end(self, pipe: Pipe) -> None:
        """The pipe is at its end, or of no use: out of the selector first, then closed, then forgotten."""
        try:
            self._selector.unregister(pipe.fd)
        except (KeyError, ValueError, OSError):
            pass  # never registered, or closed by other code
        pipe.close()
        pipes = self._pipes[pipe.pid]
        pipes.remove(pipe)
        if not pipes:
            del self._pipes[pipe.pid]
        self._reader.let_go(pipe)
        pipe.sink.feeders -= 1
        pipe.sink.end_of_output(pipe.pid)

    def _all_pipes(self) -> list[Pipe]:
        return [pipe for pipes in self._pipes.values() for pipe in pipes]

    # ---- pump thread only: the end -------------------------------------------------------------------------------

    def _close_all(self) -> None:
        """Serves what is asked meanwhile, too: every descriptor is closed here and every `done` is posted."""
        try:
            while True:
                self._mailbox.run_requests()
                for pipe in self._all_pipes():
                    if self._drain(pipe):
                        self._end(pipe)
                self._close_sinks()
                if self._mailbox.shut_if_empty():
                    break
        except Exception:  # `done` is promised, whatever is wrong with us
            self._log.exception("the pump of watcher %r stumbled while it closed", self.name)
        self._mailbox.close()
        self._close_selector()
        closing, self._closing = self._closing, []
        for done in closing or ():
            self._post(done)

    def _close_selector(self) -> None:
        try:
            self._selector.close()
        except OSError:
            pass  # other code closed its descriptor

    def _close_sinks(self) -> None:
        closed: list[Stream] = []
        for sink in self._sinks.values():  # one object may serve stdout and stderr
            if sink.stream is not None and not any(sink.stream is stream for stream in closed):
                closed.append(sink.stream)
                sink.close()
