"""Errors people catch, and the numbers they carry on the wire.

The *type* says whose fault it is: a `MessageError` is the client's, a `SpawnError` the program's or its
section's, a `ConfigError` the file's.
"""

from __future__ import annotations

# Wire numbers (`errno` of an error reply). Their meaning never changes; 0 is a default that is never sent.
NOT_SPECIFIED = 0
INVALID_JSON = 1
UNKNOWN_COMMAND = 2
MESSAGE_ERROR = 3
OS_ERROR = 4
COMMAND_ERROR = 5
BAD_MSG_DATA_ERROR = 6


class AlreadyExist(Exception):
    """A watcher of that name (ignoring case) is already there."""


class MessageError(Exception):
    """A request that cannot be understood: wrong type, missing property, unknown name (wire number 3)."""


class CallError(Exception):
    """A client call that got no usable answer. The text `Timed out.` is compared by programs."""


class ArgumentError(Exception):
    """Wrong words on a command line."""


class ConflictError(Exception):
    """A request that contradicts another one and cannot be queued."""


class ImportStringError(ImportError):
    """A dotted name that leads to nothing."""


class SpawnError(Exception):
    """A program that could not be started.

    `stage` is the step that failed (`command`, `user`, `directory`, `limits`, `exec`, ...), `errno` the
    operating system's number or 0, `text` a sentence for people.
    """

    def __init__(self, stage: str, errno: int, text: str) -> None:
        super().__init__(text)
        self.stage = stage
        self.errno = errno
        self.text = text


class ConfigError(ValueError):
    """A configuration that cannot be used; `problems` holds one line for each thing to mend.

    A ValueError, because that is what older programs catch.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
