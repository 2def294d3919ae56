"""Helpers that existing programs, plugins and stream classes import from here. Circus itself never does.

Most are other modules' functions under their old name; what is written out here has no other user.
"""

from __future__ import annotations

import functools
import logging
import os
import pwd
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from circus.common import convert
from circus.common.convert import (
    bytes2human,
    env_to_str,
    human2bytes,
    resolve_name,
    to_bool,
    to_bytes,
    to_signum,
    to_str,
)
from circus.common.future import Future
from circus.common.names import (
    DEFAULT_ENDPOINT_DEALER,
    DEFAULT_ENDPOINT_MULTICAST,
    DEFAULT_ENDPOINT_STATS,
    DEFAULT_ENDPOINT_SUB,
)
from circus.exc import ConflictError, ImportStringError
from circus.loop import Loop, Timer
from circus.posix.daemon import MAXFD
from circus.posix.info import get_info
from circus.posix.logs import LOG_DATE_FMT, LOG_DATE_SYSLOG_FMT, LOG_FMT, LOG_LEVELS, configure_logger
from circus.posix.users import user_id, user_info
from circus.runtime.environment import watcher_env
from circus.runtime.launching import working_dir as get_working_dir

if TYPE_CHECKING:
    import configparser
    import socket

    import zmq

    from circus.watcher import Watcher

__all__ = [
    "DEFAULT_ENDPOINT_DEALER",
    "DEFAULT_ENDPOINT_MULTICAST",
    "DEFAULT_ENDPOINT_STATS",
    "DEFAULT_ENDPOINT_SUB",
    "IS_WINDOWS",
    "LOG_DATE_FMT",
    "LOG_DATE_SYSLOG_FMT",
    "LOG_FMT",
    "LOG_LEVELS",
    "MAXFD",
    "REDIRECT_TO",
    "AsyncPeriodicCallback",
    "ConflictError",
    "DictDiffer",
    "ImportStringError",
    "ObjectDict",
    "TransformableFuture",
    "bytes2human",
    "check_future_exception_and_log",
    "close_on_exec",
    "configure_logger",
    "convert_opt",
    "create_udp_socket",
    "debuglog",
    "dict_differ",
    "env_to_str",
    "get_connection",
    "get_default_gid",
    "get_info",
    "get_python_version",
    "get_username_from_uid",
    "get_working_dir",
    "human2bytes",
    "load_virtualenv",
    "parse_env_dict",
    "parse_env_str",
    "replace_gnu_args",
    "resolve_name",
    "synchronized",
    "to_bool",
    "to_bytes",
    "to_gid",
    "to_signum",
    "to_str",
    "to_uid",
    "tornado_sleep",
]

logger = logging.getLogger("circus")

F = TypeVar("F", bound=Callable[..., Any])

IS_WINDOWS = False
REDIRECT_TO = os.devnull


# ---- users -------------------------------------------------------------------------------------------------------


def to_uid(name: str | int) -> int:
    """The uid of a user, by name or number. ValueError if there is no such user, TypeError for what can be none."""
    uid = user_id(_text_or_number(name))
    try:
        return pwd.getpwuid(uid).pw_uid
    except KeyError:
        raise ValueError(f"{name!r} isn't a valid user id") from None


def to_gid(name: str | int) -> int:
    """The gid of a group, by name or number. ValueError if there is no such group, TypeError for what can be none."""
    import grp

    _, gid, _ = user_info(None, _text_or_number(name))
    assert gid is not None
    try:
        return grp.getgrgid(gid).gr_gid
    except KeyError:
        raise ValueError(f"{name!r} isn't a valid group id") from None


def _text_or_number(name: object) -> str | int:
    if not isinstance(name, (str, int)):
        raise TypeError(f"a name or a number is needed, not {name!r}")
    return name


def get_username_from_uid(uid: str | int) -> str:
    return pwd.getpwuid(uid).pw_name if isinstance(uid, int) else uid


def get_default_gid(uid: str | int) -> int:
    return (pwd.getpwuid(uid) if isinstance(uid, int) else pwd.getpwnam(uid)).pw_gid


# ---- text and environments ---------------------------------------------------------------------------------------


def parse_env_str(text: str) -> dict[str, str]:
    """`A=1,B=$HOME` to a dict, with `$NAME` from our own environment."""
    return parse_env_dict(convert.parse_env_str(text))


def parse_env_dict(env: Mapping[str, str]) -> dict[str, str]:
    return {key.strip(): convert.expand_dollars(value, os.environ) for key, value in env.items()}


def convert_opt(key: str, value: Any) -> str:
    """An option's value as `get` prints it."""
    return env_to_str(value) if key == "env" else convert.value_text(value)


def replace_gnu_args(data: object, prefix: str | None = "circus", **options: Any) -> str:
    """Replace `$(PREFIX.NAME)` and `((PREFIX.NAME))` by an option, `PREFIX.OPTION.KEY` by what a mapping holds.

    Without a prefix it is `$(NAME)`. Case does not matter, and what is not known stays.
    """
    variables: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            variables.update({f"{name}.{key}".lower(): item for key, item in value.items()})
        else:
            variables[name.lower()] = value
    head = "" if prefix is None else re.escape(f"{prefix}.")

    def replace(match: re.Match[str]) -> str:
        name = (match[1] or match[2]).lower()
        return str(variables[name]) if name in variables else match[0]

    return re.sub(rf"\$\({head}([\w.\-]+)\)|\(\({head}([\w.\-]+)\)\)", replace, str(data), flags=re.IGNORECASE)


def load_virtualenv(watcher: Watcher, py_ver: str | None = None) -> None:
    """Put the programs and packages of a watcher's virtualenv first in its environment. ValueError if it has none."""
    spec = watcher.spec if py_ver is None else watcher.spec.replace(virtualenv_py_ver=py_ver)
    watcher.env.update(watcher_env(spec, os.environ))


def get_python_version() -> tuple[int, int, int]:
    """Of the running Python: major, minor, micro."""
    return sys.version_info[:3]


# ---- dicts -------------------------------------------------------------------------------------------------------


class DictDiffer:
    """The keys that were added, removed, changed and unchanged from one dict to another."""

    def __init__(self, current_dict: Mapping[Any, Any], past_dict: Mapping[Any, Any]) -> None:
        self.current_dict, self.past_dict = current_dict, past_dict

    def added(self) -> set[Any]:
        return self.current_dict.keys() - self.past_dict.keys()

    def removed(self) -> set[Any]:
        return self.past_dict.keys() - self.current_dict.keys()

    def changed(self) -> set[Any]:
        both = self.current_dict.keys() & self.past_dict.keys()
        return {key for key in both if self.current_dict[key] != self.past_dict[key]}

    def unchanged(self) -> set[Any]:
        return (self.current_dict.keys() & self.past_dict.keys()) - self.changed()


def dict_differ(dict1: Mapping[Any, Any], dict2: Mapping[Any, Any]) -> bool:
    """Whether a key they share has another value."""
    return bool(DictDiffer(dict1, dict2).changed())


class ObjectDict(dict[str, Any]):
    """A dict whose items are attributes as well."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


# ---- descriptors, sockets, files ---------------------------------------------------------------------------------


def close_on_exec(fd: int) -> None:
    os.set_inheritable(fd, False)


def get_connection(
    socket: zmq.Socket[Any], endpoint: str, ssh_server: str | None = None, ssh_keyfile: str | None = None
) -> None:
    """Connect a zmq socket, through an ssh tunnel if asked, which ends when the socket object is gone."""
    from circus.wire.endpoint import connect

    if ssh_server is None:
        connect(socket, endpoint)
        return
    import weakref

    from circus.wire.tunnel import Tunnel

    tunnel = Tunnel(ssh_server, endpoint, ssh_keyfile, is_heard=False)
    weakref.finalize(socket, tunnel.close)
    tunnel.connect(socket)


def create_udp_socket(mcast_addr: str, mcast_port: int) -> socket.socket:
    """A socket in a multicast group. ValueError if that is no multicast address."""
    from circus.wire.discovery import multicast_socket

    return multicast_socket(f"udp://{mcast_addr}:{mcast_port}")


def __getattr__(name: str) -> Any:
    """What drags in a module that is rarely needed."""
    if name == "StrictConfigParser":
        return _strict_parser()
    raise AttributeError(f"module 'circus.util' has no attribute {name!r}")


@functools.cache
def _strict_parser() -> type[configparser.RawConfigParser]:
    import configparser

    class StrictConfigParser(configparser.RawConfigParser):
        """Names keep their case; a section or key that stands twice is an error."""

        def optionxform(self, optionstr: str) -> str:
            return optionstr

    return StrictConfigParser


# ---- loops and futures -------------------------------------------------------------------------------------------


def check_future_exception_and_log(future: Any) -> BaseException | None:
    """What a future holds instead of a result, if it does; it is logged."""
    error: BaseException | None = future.exception() if hasattr(future, "exception") else None
    if error is not None:
        logger.error("exception %s caught", error, exc_info=error)
    return error


def synchronized(name: str) -> Callable[[F], F]:
    """Kept for classes that decorate their methods with it: no command excludes another any more."""
    return lambda function: function


def debuglog(function: F) -> F:
    """Log each call of a method, if the variable DEBUG is set in our environment."""
    if not os.environ.get("DEBUG"):
        return function

    @functools.wraps(function)
    def logged(self: Any, *args: Any, **kwargs: Any) -> Any:
        from circus import logger

        logger.debug("%s.%s", type(self).__name__, function.__name__)
        return function(self, *args, **kwargs)

    return logged  # type: ignore[return-value]  # same signature; a decorator that adds nothing to it


def tornado_sleep(duration: float) -> Future[None]:
    """A future that is settled after so many seconds."""
    future: Future[None] = Future()
    timer = threading.Timer(duration, future.set_result, [None])
    timer.daemon = True
    timer.start()
    return future


class TransformableFuture(Future[Any]):
    """A future that holds what a function makes of another future's result."""

    _transform: Callable[[Any], Any] = staticmethod(lambda value: value)

    def set_transform_function(self, function: Callable[[Any], Any]) -> None:
        self._transform = function

    def set_upstream_future(self, upstream: Future[Any]) -> None:
        upstream.then(self._apply).pass_on(self)

    def _apply(self, value: Any) -> Any:
        return self._transform(value)  # looked up now: it may be set after the upstream future


class AsyncPeriodicCallback:
    """Calls `callback` every `callback_time` milliseconds in a loop; not before what it returned is settled.

    Without `io_loop` it is the loop that runs in the thread that calls `start`, or the next one that will.
    """

    def __init__(self, callback: Callable[[], Any], callback_time: float, io_loop: Loop | None = None) -> None:
        self.callback = callback
        self.callback_time = callback_time
        self.io_loop = io_loop
        self._timer: Timer | None = None
        self._started: object = None  # another one at each start: what an earlier one has begun does not go on

    def start(self) -> None:
        self.stop()
        started = self._started = object()
        if self.io_loop is None:
            Loop.when_current(lambda loop: self._plan(loop, started))
        else:
            self._plan(self.io_loop, started)

    def stop(self) -> None:
        self._started = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_running(self) -> bool:
        return self._started is not None

    def _plan(self, loop: Loop, started: object) -> None:
        if self._started is started:
            self.io_loop = loop
            self._timer = loop.call_later(self.callback_time / 1000, self._run, loop, started)

    def _run(self, loop: Loop, started: object) -> None:
        def again(_: object = None) -> None:
            self._plan(loop, started)

        try:
            result = self.callback()
        except Exception:
            again()
            raise
        if hasattr(result, "add_done_callback"):
            loop.add_future(result, again)
        else:
            again()
