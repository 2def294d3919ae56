"""What travels over the control and event sockets: bytes to requests, results to bytes. Pure; no sockets here.

History of the protocol. Old clients stay welcome, so nothing in this list is ever taken back.

    0.3  `{"command", "properties"}` is answered by `{"status": "ok", "time", ...}` or `{"status": "error", "reason"}`
    0.5  `id` is echoed, so that answers may come out of order; `msg_type: "cast"` asks for no answer at all
    0.6  errors carry `errno` and `tb`
    0.10 `properties.waiting`: the answer comes when the operation has ended, and holds its result
    1.0  every request is answered (0.19 said nothing to an empty body, a non-object or a missing command);
         `incr` and `decr` always tell the new number; `status` may add `reasons` or `reason_text`;
         numbers and switches are understood as text too; null means absent
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from circus.common import convert
from circus.exc import INVALID_JSON, MESSAGE_ERROR, UNKNOWN_COMMAND

# The biggest honest request is an `add` with a whole environment in it, a few hundred KiB. The limit keeps one
# client from filling the daemon's memory.
MAX_REQUEST_SIZE = 8 * 1024 * 1024

# Deep enough for any option, and far from the depth at which encoding the echoed `id` would hit Python's own limit.
MAX_DEPTH = 64

CAST = "cast"


class Request(NamedTuple):
    """A request that can be looked up and carried out."""

    command: str  # as sent; names are compared ignoring case
    properties: dict[str, Any]
    msg_id: object  # any JSON value, echoed in the reply
    cast: bool  # no reply of any kind, not even an error
    waiting: bool  # reply when the operation ended


class BadRequest(Exception):
    """A body that is no request; the exception's text is the reply's `reason`."""

    def __init__(self, errno: int, reason: str, msg_id: object = None, cast: bool = False) -> None:
        super().__init__(reason)
        self.errno = errno
        self.reason = reason
        self.msg_id = msg_id
        self.cast = cast


def parse_request(body: bytes) -> Request:
    """The request in one message body. Raises `BadRequest`, and nothing else, for anything that is not one."""
    message = _parse_object(body)
    msg_id = message.get("id")
    cast = message.get("msg_type") == CAST
    command = message.get("command")
    if not isinstance(command, str):
        raise BadRequest(UNKNOWN_COMMAND, f"unknown command: {shortened(command)}", msg_id, cast)
    properties = message.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        raise BadRequest(MESSAGE_ERROR, "'properties' isn't a valid object", msg_id, cast)
    try:
        waiting = _switch(properties.get("waiting"))
    except ValueError:
        raise BadRequest(MESSAGE_ERROR, "'waiting' isn't a valid boolean", msg_id, cast) from None
    return Request(command, properties, msg_id, cast, waiting)


def shortened(value: object) -> str:
    """`repr` for an error text; what a client sent may be megabytes."""
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


def _parse_object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_REQUEST_SIZE:
        raise BadRequest(INVALID_JSON, f"json invalid: more than {MAX_REQUEST_SIZE} bytes")
    body = body.strip()
    if not body:
        raise BadRequest(INVALID_JSON, "json invalid: the message is empty")
    try:
        message = json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise BadRequest(INVALID_JSON, "json invalid: nested too deeply") from None
    except ValueError:  # also UnicodeDecodeError, and integers of thousands of digits
        raise BadRequest(INVALID_JSON, "json invalid") from None
    if not isinstance(message, dict):
        raise BadRequest(INVALID_JSON, "json invalid: an object is needed")
    if _is_deep(message):
        raise BadRequest(INVALID_JSON, "json invalid: nested too deeply")
    return message


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):  # 1e999: could not be echoed as JSON
        raise ValueError(f"{text} is too big")
    return number


def _is_deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [item for container in level for item in _items(container) if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _items(container: object) -> Sequence[object]:
    return list(container.values()) if isinstance(container, dict) else container  # type: ignore[return-value]  # a list


def _switch(value: object) -> bool:
    if isinstance(value, (list, dict, float)):
        raise ValueError("not a boolean")
    return convert.to_bool(value)


def reply_ok(result: Mapping[str, Any] | Sequence[Any], msg_id: object, now: float) -> bytes:
    """The reply to a request that worked. `now` is the time of day in seconds since 1970.

    Result keys may replace those of the envelope: the `status` of one watcher is answered as `status`.
    """
    if not isinstance(result, Mapping):
        result = {"results": list(result)}
    return encode({"status": "ok", "time": now, **result, "id": msg_id})


def reply_error(reason: str, errno: int, msg_id: object, tb: str | None, now: float) -> bytes:
    """The reply to a request that failed; `errno` is one of the wire numbers of `circus.exc`."""
    return encode({"status": "error", "reason": reason, "tb": tb, "time": now, "errno": errno, "id": msg_id})


def event_frames(topic: str, payload: Mapping[str, Any]) -> list[bytes]:
    """The two frames of an event: topic and JSON object."""
    # A name may hold what UTF-8 cannot (half a surrogate pair in the request's JSON). It must not stop an event.
    return [topic.encode("utf-8", "backslashreplace"), encode(payload)]


def encode(message: Mapping[str, Any]) -> bytes:
    """JSON bytes, whatever is inside: options of library users may hold functions, NaN or odd keys."""
    try:
        text = _dumps(message)
    except (TypeError, ValueError):
        text = json.dumps(_plain(message))
    return text.encode("ascii")


_encode_piece = json.JSONEncoder(allow_nan=False).encode


def _dumps(value: object) -> str:
    """JSON; an object of objects entry by entry.

    No other thread runs while the encoder is at work, and the figures of a thousand processes take it 8 ms.
    """
    if not isinstance(value, dict) or not any(isinstance(item, dict) for item in value.values()):
        return _encode_piece(value)
    if not all(type(key) in (str, int) for key in value):
        return _encode_piece(value)  # it knows how to write others, or refuses
    return "{" + ", ".join(f"{_encode_piece(str(key))}: {_dumps(item)}" for key, item in value.items()) + "}"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None  # NaN and infinities are not JSON
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)
