"""One socket that is opened for programs to share: resolved, bound, listening, and closed (socket(7), ip(7), unix(7)).

It is never accepted from here, and it knows no watcher.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from typing import Any

from circus.common.convert import address_text
from circus.options.table import SocketSpec
from circus.posix import socket_file
from circus.posix.socket_address import place

_DATAGRAMS = (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_RDM)
_LISTENING = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)


class SocketError(OSError):
    """A socket that cannot be opened; the text says which, where, why and what to do."""


class CircusSocket(socket.socket):
    """A `socket.socket` with a name, made from the options of `[socket:NAME]`; opened by `bind_and_listen`.

    `family`, `type` and `proto` are numbers of the `socket` module or their names. `umask` is the file mode mask of a
    unix socket, None for that of this process. After it was opened `host` and `port` are the real ones; a unix socket
    has None there.
    """

    def __init__(
        self,
        name: str = "",
        host: str = "localhost",
        port: int = 8080,
        family: int | str = socket.AF_INET,
        type: int | str = socket.SOCK_STREAM,
        proto: int | str | None = 0,
        backlog: int = 2048,
        path: str | None = None,
        umask: int | None = None,
        replace: bool = False,
        interface: str | None = None,
        so_reuseport: bool = False,
        blocking: bool = False,
    ) -> None:
        options = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        super().__init__(_family(family, host, path), _constant("SOCK_", type), _protocol(proto))
        self._describe(options)
        self.setblocking(blocking)

    def _describe(self, options: dict[str, Any]) -> None:
        self._parameters = options
        self._cfg: Mapping[str, Any] = self._parameters  # the name of earlier versions
        self.name: str = options["name"]
        self.socktype = self.type
        self.is_unix = self.family == socket.AF_UNIX
        self.host: str | None = None if self.is_unix else options["host"]
        self.port: int | None = None if self.is_unix else int(options["port"])
        self.path: str | None = options["path"]
        self.backlog: int = options["backlog"]
        self.umask: int | None = options["umask"]
        self.replace: bool = options["replace"]
        self.interface: str | None = options["interface"]
        self.so_reuseport: bool = options["so_reuseport"]
        self.is_open = False
        self.is_inherited = False  # circusd was started with it: the address is not ours to choose
        self._file: tuple[int, int] | None = None  # device and inode of the path, while it is ours

    @classmethod
    def load_from_config(cls, config: Mapping[str, Any]) -> CircusSocket:
        """From a dictionary such as `circus.config.get_config` makes; values may be text. Raises ValueError."""
        options = {option.name: option for option in SocketSpec.options()}
        values = {}
        for key, value in config.items():
            if key in options and value is not None:
                values[key] = options[key].kind.parse(value) if isinstance(value, str) else value
        sock = cls(str(config.get("name", "")), **values)
        sock._cfg = dict(config)
        return sock

    @classmethod
    def from_spec(cls, spec: SocketSpec) -> CircusSocket:
        """ValueError or OSError if the system has no such kind of socket."""
        return cls(spec.name, **_arguments(spec))

    @property
    def spec(self) -> SocketSpec:
        """Its options, as it was made."""
        given = self._parameters
        values = {option.attribute: given[option.name] for option in SocketSpec.options() if option.name in given}
        for key, names in (("family", socket.AddressFamily), ("type", socket.SocketKind)):
            if not isinstance(values[key], str):
                values[key] = names(values[key]).name
        return SocketSpec(self.name.lower(), values)

    def adjust(self, spec: SocketSpec) -> None:
        """Go on under other options, of those that an open socket takes."""
        if spec.blocking != self._parameters["blocking"]:  # else as it is: a program may have been given it otherwise
            self.setblocking(spec.blocking)
        self._parameters.update(_arguments(spec))
        self.backlog, self.umask, self.replace = spec.backlog, spec.umask, spec.replace_socket
        if self.is_open and self.socktype in _LISTENING:
            self.listen(self.backlog)
        if self._file is not None and self.path is not None and self.umask is not None and self.is_intact:
            os.chmod(self.path, 0o777 & ~self.umask)

    @classmethod
    def adopt(cls, name: str, fd: int) -> CircusSocket:
        """One that this program was started with, open already. OSError if the descriptor is not of a socket."""
        sock = cls.__new__(cls)
        socket.socket.__init__(sock, fileno=fd)
        kind = {"family": sock.family, "type": sock.type, "proto": sock.proto}
        sock._describe({**_arguments(SocketSpec()), "name": name, **kind, **place(sock)})
        sock.is_open = sock.is_inherited = True
        return sock

    def fresh(self) -> CircusSocket:
        """Another one of the same options, not opened. Raises SocketError."""
        sock = CircusSocket.__new__(type(self))
        sock._make_like(self)
        return sock

    def renew(self) -> None:
        """After it was closed: as it was before it was opened. Who holds it sees the next run's. Raises SocketError."""
        self._make_like(self)

    def _make_like(self, other: CircusSocket) -> None:
        config = other._cfg
        try:
            CircusSocket.__init__(self, **other._parameters)  # a subclass may have other arguments
        except OSError as exc:  # no descriptor left
            raise SocketError(exc.errno or 0, f"Could not make {other}: {exc.strerror or exc}") from exc
        self._cfg = config

    @property
    def location(self) -> str:
        return address_text(self.host, self.port, (self.path or "") if self.is_unix else None)

    def is_like(self, other: CircusSocket) -> bool:
        """Whether both are of the same options."""
        return self._parameters == other._parameters

    @property
    def is_intact(self) -> bool:
        """It is open, and the file of a unix socket is still the one that was made."""
        return self.is_open and (self._file is None or self._file == _identity(self.path or ""))

    @property
    def loss(self) -> str:
        """Why nobody can connect to it any more, for people; empty if that is not so."""
        if self.so_reuseport or self.is_intact:
            return ""
        return "its file was removed" if self.is_open else "it was closed"

    def info(self) -> dict[str, Any]:
        place = {"path": self.path} if self.is_unix else {"host": self.host, "port": self.port}
        return {"fd": self.fileno(), "name": self.name, "backlog": self.backlog, **place}

    def __str__(self) -> str:
        return f"socket {self.name!r} at {self.location}"

    def __repr__(self) -> str:
        return f"<circus.sockets.CircusSocket {self}>"

    # ---- opening -----------------------------------------------------------------------------------------------

    def bind_and_listen(self) -> None:
        """Raises SocketError; then nothing is bound, and no file was touched."""
        if self.is_open:
            raise SocketError(errno.EINVAL, f"{self} is open already")
        try:
            if self.is_unix:
                self._open_path()
            else:
                self._open_port()
        except OSError as exc:
            self._remove_file()
            raise self._error(exc) from exc
        self.set_inheritable(True)
        self.is_open = True

    def _listen(self) -> None:
        if self.socktype in _LISTENING:
            self.listen(self.backlog)

    def _open_port(self) -> None:
        if self.interface:
            if self.interface not in interfaces():
                raise OSError(errno.ENODEV, no_interface(self.interface))
            self.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode() + b"\0")
        # Two UDP sockets that both ask for it share a port, and the later one takes the datagrams of the first.
        if self.socktype not in _DATAGRAMS:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.so_reuseport:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found = socket.getaddrinfo(
            self.host or None, self.port, self.family, self.socktype, self.proto, socket.AI_PASSIVE
        )
        self.bind(found[0][4])
        self._listen()
        self.host, self.port = self.getsockname()[:2]

    def rehearse(self) -> None:
        """Find out whether it can be opened, and at which address, without holding it: one with `so_reuseport` is bound
        anew for each process. Raises SocketError."""
        attempt = self.fresh()
        try:
            attempt.bind_and_listen()
            self.host, self.port = attempt.host, attempt.port
        finally:
            attempt.close()

    def _open_path(self) -> None:
        path = self.path
        if not path:
            raise OSError(errno.EINVAL, "a unix socket needs a path")
        socket_file.require_usable(path)
        if socket_file.is_abstract(path):
            self.bind("\0" + path[1:])
            self._listen()
            return
        with socket_file.turn_in(os.path.dirname(path) or "."):
            self._make_way(path)
            self._bind_with_mode(path)
            self._file = _identity(path)
            self._listen()  # before the next one's turn, who would find a file at which nobody listens

    def _bind_with_mode(self, path: str) -> None:
        """Without touching the umask, which belongs to all threads: bind(2) takes the mode of the descriptor, less
        what the umask forbids. So the file is never open wider than it is to be."""
        mode = None if self.umask is None else 0o777 & ~self.umask
        if mode is not None:
            try:
                os.fchmod(self.fileno(), mode)
            except OSError:  # only Linux does so
                pass
        self.bind(path)
        if mode is not None:
            os.chmod(path, mode)

    def _make_way(self, path: str) -> None:
        if not os.path.lexists(path):
            return
        kind = socket_file.kind_of(path)
        if kind:
            raise OSError(errno.EEXIST, f"{kind} is there, which is left alone: choose another path")
        if not self.replace:
            raise OSError(errno.EADDRINUSE, "there is a socket already: say `replace = true` if it may be taken over")
        if not socket_file.is_left_behind(path):
            raise OSError(errno.EADDRINUSE, "somebody listens there: stop that program, or choose another path")
        os.unlink(path)

    def _error(self, exc: OSError) -> SocketError:
        reason = exc.strerror or str(exc)
        hint = _hint(exc, self)
        return SocketError(exc.errno or 0, f"Could not bind {self}: {reason}{f' ({hint})' if hint else ''}")

    # ---- closing -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The path of a unix socket is removed, if it is still the one that was made."""
        self._remove_file()
        self.is_open = False
        super().close()

    def _remove_file(self) -> None:
        made, self._file = self._file, None
        if made is None or self.path is None or made != _identity(self.path):
            return
        try:
            os.unlink(self.path)
        except OSError:  # the directory is not ours to write any more
            pass


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode of a file; None if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _arguments(spec: SocketSpec) -> dict[str, Any]:
    return {option.name: getattr(spec, option.attribute) for option in spec.options()}


def _hint(exc: OSError, sock: CircusSocket) -> str:
    """What to do about it."""
    if sock.is_unix:
        return ""
    if isinstance(exc, socket.gaierror):
        return f"{sock.host} is no address or name of this machine"
    if exc.errno == errno.EADDRINUSE and sock.host == "::":
        return "somebody uses it, perhaps for IPv4, for which `::` stands, too: choose another port or address"
    return {
        errno.EADDRINUSE: "another program uses it: stop that, or choose another port",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.EACCES: "ports below 1024 are for root",
        errno.EPERM: "only root may",
    }.get(exc.errno or 0, "")


def interfaces() -> list[str]:
    """Network interfaces of this machine."""
    return [name for _, name in socket.if_nameindex()]


def no_interface(name: str) -> str:
    return f"there is no network interface {name!r}; there are {', '.join(interfaces())}"


def _family(family: int | str, host: str, path: str | None) -> int:
    number = _constant("AF_", family)
    if path:
        return socket.AF_UNIX
    return socket.AF_INET6 if number == socket.AF_INET and ":" in host else number


def _constant(prefix: str, value: int | str) -> int:
    """`SOCK_STREAM` or its number. ValueError if this system has none of that name."""
    if not isinstance(value, str):
        return value
    name = value.upper()
    if not name.startswith(prefix) or not hasattr(socket, name):
        raise ValueError(f"{value!r} is none of the {prefix}... constants of sockets")
    return int(getattr(socket, name))


def _protocol(value: int | str | None) -> int:
    if not isinstance(value, str):
        return value or 0
    try:
        return socket.getprotobyname(value)
    except OSError:
        raise ValueError(f"{value!r} is no protocol of this system, see protocols(5)") from None
