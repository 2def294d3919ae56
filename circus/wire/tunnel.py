"""A way to an endpoint of another machine, through the program `ssh`. Loaded only if one is asked for.

The near end is a unix socket in a directory that nobody else can open: a port of the loopback address would be open to
every user of this machine. ssh ends when the pipe to it is closed; that of a client that is killed closes the kernel.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from typing import Any

import zmq

from circus.exc import CallError
from circus.wire import ssh

# Seconds for ssh to log in: by itself, and with somebody who has to type a password. sshd gives up after 120.
START_TIMEOUT = 30.0
ASKING_TIMEOUT = 120.0

# Seconds until an ssh that was asked to end is killed.
END_TIMEOUT = 3.0

# Milliseconds from one attempt of ZeroMQ to connect to the next: each one is a question to the other machine.
RECONNECT_INTERVAL = 1000

_KEPT = 4000  # characters of what ssh said last

# Where a socket can be reached by a descriptor, its file is removed at once: nothing is left when we are killed.
_HAS_DESCRIPTOR_PATHS = hasattr(os, "O_PATH") and os.path.isdir("/proc/self/fd")


class Tunnel:
    """`path` and `address` lead to `endpoint` as the ssh server sees it, until `close`, or until this object is gone.

    `server` is `user@host[:port]`; keys, names of hosts and all else are those of ~/.ssh/config. `is_heard` promises
    that `check` is called now and then. Raises `CallError`: one line that says why, and what to do.
    """

    def __init__(
        self,
        server: str,
        endpoint: str,
        keyfile: str | None = None,
        is_heard: bool = True,
        poller: Any = zmq.Poller,  # `circus.green` has another one
    ) -> None:
        self.server = ssh.parse_server(server)
        self.endpoint = endpoint
        self._poller = poller
        self._said = ""
        far = ssh.far_end(endpoint)
        if keyfile and not os.access(os.path.expanduser(keyfile), os.R_OK):
            raise self._failure(f"the key {keyfile} cannot be read")
        may_ask = sys.stderr is not None and sys.stderr.isatty()  # it is /dev/null for a completion
        folder = tempfile.mkdtemp(prefix="circus-ssh-", dir=_directory())
        self._ssh = _Ssh(folder)
        self._end = weakref.finalize(self, self._ssh.end)
        try:
            self._start(ssh.command_line(self.server, self._ssh.near, far, keyfile, may_ask, is_heard))
            self._wait_until_ready(ASKING_TIMEOUT if may_ask else START_TIMEOUT)
            self.path = self._ssh.hold()
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Readable when ssh says something or has ended: `check` then. -1 when closed."""
        return self._ssh.output

    @property
    def is_open(self) -> bool:
        """Whether ssh was there when it was last looked at."""
        return self._end.alive

    @property
    def address(self) -> str:
        return f"ipc://{self.path}"

    def refusal(self) -> str:
        """Why the other machine has refused a connection since this was last asked; empty if it has not."""
        self.check()
        said, self._said = self._said, ""
        return ssh.refusal(self.server, self.endpoint, said)

    def connect(self, socket: zmq.Socket[Any]) -> None:
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_INTERVAL)
        socket.connect(self.address)

    def check(self) -> None:
        """Take what ssh says. Raises `CallError` when it has ended."""
        if self.is_open and self.hear():
            return
        self.close()
        raise self.ending()

    def hear(self) -> bool:
        """Take what ssh says. False when it has ended."""
        while data := self._ssh.read():
            self._said = (self._said + data.decode(errors="replace"))[-_KEPT:]
        return data is None

    def ending(self) -> CallError:
        """What to raise once it has ended."""
        words = ssh.last_words(self._said) or "no reason known"
        return CallError(f"the ssh tunnel through {self.server} has ended: {words}")

    def close(self, timeout: float = 0.0) -> None:
        """End ssh; not before what is on its way has arrived, or `timeout` seconds have passed."""
        if timeout and self.is_open:
            self._ssh.hang_up()
            end_at = time.monotonic() + timeout
            while self.hear() and self._wait(end_at):
                pass
        self._end()

    # ---- start -----------------------------------------------------------------------------------------------------

    def _start(self, words: list[str]) -> None:
        try:
            self._ssh.start(words)
        except FileNotFoundError:
            raise self._failure("there is no program ssh; install an OpenSSH client") from None
        except OSError as exc:
            raise self._failure(str(exc)) from exc

    def _wait_until_ready(self, timeout: float) -> None:
        """Until the command at the other end echoes a line. By then ssh listens, or has said why it does not."""
        line = f"circus {os.urandom(8).hex()}"
        try:
            os.write(self._ssh.input, f"{line}\n".encode())
        except BrokenPipeError:
            pass  # it has ended already, and has said why
        end_at = time.monotonic() + timeout
        while line not in self._said:
            if not self.hear():
                raise CallError(ssh.failure(self.server, self._said))
            if line not in self._said and not self._wait(end_at):
                raise CallError(ssh.failure(self.server, f"{self._said}\nit timed out after {timeout:g} s"))
        self._said = self._said.replace(line, "")
        if not os.path.exists(self._ssh.near):
            raise CallError(ssh.failure(self.server, self._said))

    def _wait(self, end_at: float) -> bool:
        """Until ssh says something. False when the time is over."""
        poller = self._poller()
        poller.register(self._ssh.output, zmq.POLLIN)
        return bool(poller.poll(max(0, int((end_at - time.monotonic()) * 1000) + 1))) or time.monotonic() < end_at

    def _failure(self, text: str) -> CallError:
        return CallError(f"no ssh tunnel through {self.server}: {text}")


class _Ssh:
    """What a tunnel holds of the system; `end` gives it back."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.near = os.path.join(folder, "s")
        self.input = self.output = self._held = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def start(self, words: list[str]) -> None:
        input_read, self.input = os.pipe()
        self.output, output_write = os.pipe()
        os.set_blocking(self.output, False)
        # Ctrl-C at a prompt ends a command and not the tunnel; ssh inherits that these are blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGQUIT})
        try:
            self._process = subprocess.Popen(words, stdin=input_read, stdout=output_write, stderr=output_write)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(input_read)
            os.close(output_write)

    def hold(self) -> str:
        """The path of the socket on which ssh listens now."""
        if not _HAS_DESCRIPTOR_PATHS:
            return self.near
        self._held = os.open(self.near, os.O_PATH | os.O_CLOEXEC)
        shutil.rmtree(self.folder, ignore_errors=True)
        return f"/proc/self/fd/{self._held}"

    def read(self) -> bytes | None:
        """What ssh has said; None if there is nothing now, empty if it has ended."""
        try:
            return os.read(self.output, 4096)
        except BlockingIOError:
            return None

    def hang_up(self) -> None:
        self.input = _close(self.input)

    def end(self) -> None:
        if os.getpid() != self._owner:
            return  # a copy made by fork; also when it ends
        self.hang_up()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.output = _close(self.output)
        self._held = _close(self._held)
        shutil.rmtree(self.folder, ignore_errors=True)


def _directory() -> str:
    """For temporary files: the usual one, if the path of a socket in it is not too long (108 bytes, unix(7))."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) < 80 else "/tmp"  # noqa: S108  # our directory in it is random and closed


def _close(fd: int) -> int:
    if fd >= 0:
        os.close(fd)
    return -1
