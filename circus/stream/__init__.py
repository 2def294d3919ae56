"""Streams: what receives the output of the programs. See `circus.stream.base` for how to write one."""

from __future__ import annotations

from queue import Empty, Queue
from typing import Any, cast

from circus.common import names
from circus.common.convert import resolve_name
from circus.exc import ImportStringError
from circus.stream.base import Stream
from circus.stream.file_stream import FileStream, TimedRotatingFileStream, WatchedFileStream
from circus.stream.redirector import Redirector
from circus.stream.std_streams import FancyStdoutStream, QueueStream, StdoutStream

__all__ = [
    "Empty",
    "FancyStdoutStream",
    "FileStream",
    "Queue",
    "QueueStream",
    "Redirector",
    "StdoutStream",
    "Stream",
    "TimedRotatingFileStream",
    "WatchedFileStream",
    "get_stream",
]

_CLASSES: dict[str, Any] = {name: globals()[name] for name in names.STREAM_CLASSES}


def get_stream(conf: dict[str, Any] | None, reload: bool = False) -> Stream | None:
    """The stream that a mapping describes; None if it is empty.

    `class` is the name of a class of this package, or `package.module.Class`, or the class itself, and is taken out of
    the mapping; everything else goes to the class. Without it, `stream` is a ready object, and `filename` alone
    makes a `FileStream`. `reload` imports the module of a dotted name anew. ValueError if there is none of these,
    ImportStringError for a class that cannot be found, and whatever the class raises.
    """
    if not conf:
        return None
    if conf.get("class"):
        return cast(Stream, _find_class(conf.pop("class"), reload)(**conf))
    if "stream" in conf:
        return cast(Stream, conf["stream"])
    if "filename" in conf:
        return FileStream(**conf)
    raise ValueError("stream configuration invalid")


def _find_class(name: Any, reload: bool) -> Any:
    if not isinstance(name, str):
        return name
    if "." in name or ":" in name:
        return resolve_name(name, reload=reload)
    if name not in _CLASSES:
        raise ImportStringError(
            f"there is no stream class {name!r}: use one of {', '.join(_CLASSES)}, or package.module.Class"
        )
    return _CLASSES[name]
