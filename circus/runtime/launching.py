"""From a watcher's spec to what exactly is executed for one of its processes."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from circus.common import listen_fds
from circus.common.convert import split_words
from circus.common.template import expand, expand_wid
from circus.exc import SpawnError
from circus.options.table import WatcherSpec
from circus.posix.launch import INHERIT, Launch, Lent, Output
from circus.posix.users import user_info

if TYPE_CHECKING:

    class Shaped(Protocol):
        """What decides where a process' output goes."""

        @property
        def has_stdout(self) -> bool: ...
        @property
        def has_stderr(self) -> bool: ...


def command_line(spec: WatcherSpec, wid: int, variables: Callable[[], Mapping[str, Any]]) -> tuple[str, ...]:
    """The argument vector. Raises SpawnError(stage `command`) if the text cannot be split or is empty.

    `variables` is asked for the names of `$(circus.NAME)` if the text uses any.

    Without a shell, `cmd` and `args` are split into words as a shell would. With one, `cmd` is handed over as
    it is written, so that pipes, `;` and `$X` mean what they say.
    """

    def fill(text: object) -> str:
        plain = str(text)
        if "circus." in plain.lower():  # most commands name no variable, and there are a hundred to be collected
            plain = expand(plain, {**variables(), "wid": wid})
        return expand_wid(plain, wid)

    try:
        args = [fill(word) for word in spec.args] if isinstance(spec.args, (list, tuple)) else None
        if spec.shell:
            return _shell_line(spec, fill(spec.cmd), args, fill)
        words = _split(fill(spec.cmd))
        words += args if args is not None else _split(fill(spec.args or ""))
    except ValueError as exc:
        raise SpawnError("command", errno.EINVAL, str(exc)) from None
    if not words:
        raise SpawnError("command", errno.EINVAL, "cmd is empty: say which program to run")
    return tuple(words)


@functools.lru_cache(maxsize=256)
def _split_once(text: str) -> tuple[str, ...]:
    return tuple(split_words(text))


def _split(text: str) -> list[str]:
    """The same text for every process of a watcher: split once. Taking it apart costs as much as a fork."""
    return list(_split_once(text))


def _shell_line(spec: WatcherSpec, cmd: str, args: list[str] | None, fill: Any) -> tuple[str, ...]:
    import shlex

    rest = " ".join(map(shlex.quote, args)) if args is not None else fill(spec.args or "")
    text = f"{cmd} {rest}".strip()
    if not text:
        raise SpawnError("command", errno.EINVAL, "cmd is empty: say which program to run")
    return ("/bin/sh", "-c", text, *split_words(fill(spec.shell_args or "")))


def working_dir() -> str:
    """Our own directory, by the name the shell knows it under if that is still the same place."""
    here = os.getcwd()
    named = os.environ.get("PWD", "")
    try:
        return named if os.path.samefile(named, here) else here
    except OSError:
        return here


def variables_of(spec: WatcherSpec, env: Mapping[str, str], sockets: Mapping[str, int]) -> dict[str, Any]:
    """Names for `$(circus.NAME)` in cmd, args and shell_args: options, environment, descriptors of sockets."""
    values: dict[str, Any] = {f"env.{key}": value for key, value in env.items()}
    values.update({f"sockets.{name.lower()}": fd for name, fd in sockets.items()})
    values.update({f"rlimits.{name}": limit for name, limit in spec.rlimits.items()})
    for option in spec.options():
        values.setdefault(option.name, getattr(spec, option.attribute))
    values["use_fds"] = spec.use_sockets  # what a process calls it
    values.update({f"options.{key}": value for key, value in spec.extras.items()})
    return values


def launch(
    spec: WatcherSpec,
    wid: int,
    env: Mapping[str, str],
    shape: Shaped,
    umask: int | None,
    mark: int | None,
    lent: Lent,
) -> Launch:
    """Everything about one new process. Raises SpawnError with the stage that is wrong.

    `lent` are the descriptors of managed sockets it is given.
    """
    try:
        uid, gid, groups = user_info(spec.uid, spec.gid)
    except ValueError as exc:
        raise SpawnError("user", errno.EINVAL, str(exc)) from None
    env = with_sockets(env, lent)
    return Launch(
        argv=command_line(spec, wid, lambda: variables_of(spec, env, lent.numbers)),
        env=env,
        executable=spec.executable,
        cwd=spec.working_dir or None,
        uid=uid,
        gid=gid,
        groups=groups,
        umask=-1 if umask is None else umask,
        rlimits=tuple(spec.rlimits.items()),
        stdin=_stdin(spec, lent),
        stdout=_output(spec.close_child_stdout, shape.has_stdout),
        stderr=_output(spec.close_child_stderr, shape.has_stderr),
        pass_fds=lent.passed,
        listen=tuple(fd for _, fd in lent.listen),
        mark=mark,
    )


def with_sockets(env: Mapping[str, str], lent: Lent) -> Mapping[str, str]:
    """`$(circus.sockets.NAME)` in values, and what sd_listen_fds(3) reads, but for LISTEN_PID."""
    if not lent.numbers:
        return env
    numbers = {f"sockets.{name}": fd for name, fd in lent.numbers.items()}
    filled = {name: expand(value, numbers) for name, value in env.items()}
    if lent.listen:
        filled[listen_fds.FDS] = str(len(lent.listen))
        filled[listen_fds.NAMES] = ":".join(name for name, _ in lent.listen)
    return filled


def _stdin(spec: WatcherSpec, lent: Lent) -> int | None:
    if lent.stdin is not None:
        return lent.stdin
    return None if spec.close_child_stdin else INHERIT


def _output(closed: bool, streamed: bool) -> Output:
    if closed:
        return "null"
    return "pipe" if streamed else "inherit"
