"""The wire: bodies to requests, results to bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus.common.messages import (
    MAX_DEPTH,
    MAX_REQUEST_SIZE,
    BadRequest,
    Request,
    encode,
    event_frames,
    parse_request,
    reply_error,
    reply_ok,
)


def refused(body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse_request(body)
    return caught.value


def test_full_request_is_taken_apart():
    body = b'  {"command": "Stop", "properties": {"name": "a", "waiting": true}, "id": "x1", "msg_type": "call"}\n'
    assert parse_request(body) == Request("Stop", {"name": "a", "waiting": True}, "x1", False, True)


def test_bare_command_gets_defaults():
    assert parse_request(b'{"command": "list"}') == Request("list", {}, None, False, False)


def test_null_properties_are_none_given():
    assert parse_request(b'{"command": "list", "properties": null}').properties == {}


def test_cast_is_recognised():
    assert parse_request(b'{"command": "quit", "msg_type": "cast"}').cast


@pytest.mark.parametrize("msg_id", [None, 5, "x", [1, {"a": None}], {"k": 1.5}, False])
def test_id_of_any_kind_is_kept(msg_id):
    body = json.dumps({"command": "list", "id": msg_id}).encode()
    assert parse_request(body).msg_id == msg_id


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [(True, True), (False, False), (1, True), ("yes", True), ("false", False), (None, False), ("0", False)],
)
def test_waiting_is_understood_as_switch_or_text(waiting, expected):
    body = json.dumps({"command": "stop", "properties": {"waiting": waiting}}).encode()
    assert parse_request(body).waiting is expected


@pytest.mark.parametrize("waiting", ["maybe", [], {}, 0.5])
def test_waiting_of_another_kind_is_a_message_error_with_the_id(waiting):
    body = json.dumps({"command": "stop", "properties": {"waiting": waiting}, "id": 7, "msg_type": "cast"}).encode()
    error = refused(body)
    assert (error.errno, error.reason) == (3, "'waiting' isn't a valid boolean")
    assert (error.msg_id, error.cast) == (7, True)


@pytest.mark.parametrize(
    "body",
    [b"no json", b'{"command": "list"', b"\xff\xfe", b'{"a": NaN}', b"[Infinity]", b'{"command": "l", "id": 1e999}'],
)
def test_what_is_not_json_is_errno_1(body):
    error = refused(body)
    assert (error.errno, error.reason, error.msg_id, error.cast) == (1, "json invalid", None, False)


def test_integer_of_thousands_of_digits_is_not_json():
    assert refused(b'{"command": "list", "id": ' + b"9" * 5000 + b"}").reason == "json invalid"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "json invalid: the message is empty"),
        (b" \n ", "json invalid: the message is empty"),
        (b"[]", "json invalid: an object is needed"),
        (b'""', "json invalid: an object is needed"),
        (b"null", "json invalid: an object is needed"),
        (b"[" * 100_000, "json invalid: nested too deeply"),
    ],
)
def test_what_is_no_object_is_errno_1(body, reason):
    error = refused(body)
    assert (error.errno, error.reason) == (1, reason)


def nested(levels: int) -> bytes:
    return b'{"command": "list", "id": ' + b"[" * levels + b"]" * levels + b"}"


def test_nesting_up_to_the_limit_can_be_echoed():
    request = parse_request(nested(MAX_DEPTH - 1))
    assert json.loads(reply_ok({}, request.msg_id, 1.0))["id"] == request.msg_id


def test_nesting_beyond_the_limit_is_refused():
    assert refused(nested(MAX_DEPTH)).reason == "json invalid: nested too deeply"


def test_biggest_request_is_taken_and_one_byte_more_refused():
    body = b'{"command": "list"}'
    assert parse_request(body + b" " * (MAX_REQUEST_SIZE - len(body))).command == "list"
    error = refused(body + b" " * (MAX_REQUEST_SIZE - len(body) + 1))
    assert (error.errno, error.reason) == (1, "json invalid: more than 8388608 bytes")


@pytest.mark.parametrize("command", [None, 5, ["list"], {}, True])
def test_command_that_is_no_text_is_errno_2(command):
    error = refused(json.dumps({"command": command, "id": "x"}).encode())
    assert (error.errno, error.reason, error.msg_id) == (2, f"unknown command: {command!r}", "x")


def test_huge_command_is_shortened_in_the_reason():
    assert len(refused(json.dumps({"command": ["x" * 100_000]}).encode()).reason) < 300


def test_properties_that_are_no_object_are_errno_3():
    error = refused(b'{"command": "list", "properties": [1]}')
    assert (error.errno, error.reason) == (3, "'properties' isn't a valid object")


def test_ok_reply_has_exact_keys_order_and_spacing():
    assert reply_ok({"pids": [1, 2]}, "x", 1.5) == b'{"status": "ok", "time": 1.5, "pids": [1, 2], "id": "x"}'


def test_result_replaces_envelope_keys_in_place():
    assert reply_ok({"status": "active"}, None, 1.5) == b'{"status": "active", "time": 1.5, "id": null}'


def test_list_result_becomes_results():
    assert reply_ok([1, 2], "x", 1.5) == b'{"status": "ok", "time": 1.5, "results": [1, 2], "id": "x"}'


def test_error_reply_has_exact_keys_order_and_spacing():
    assert reply_error("program a not found", 3, "x", None, 1.5) == (
        b'{"status": "error", "reason": "program a not found", "tb": null, "time": 1.5, "errno": 3, "id": "x"}'
    )


def test_replies_are_ascii():
    assert reply_ok({"watchers": ["dämon", "\udc80"]}, None, 1.5).isascii()


def test_values_that_json_does_not_know_are_written_all_the_same():
    reply = json.loads(encode({"f": print, "nan": float("nan"), "s": {1}, 5: b"\xff", "t": (1, None), "inf": [1e999]}))
    assert reply == {"f": str(print), "nan": None, "s": [1], "5": "\ufffd", "t": [1, None], "inf": [None]}


def test_event_is_topic_and_object():
    assert event_frames("watcher.web.spawn", {"process_pid": 7, "time": 1.5}) == [
        b"watcher.web.spawn",
        b'{"process_pid": 7, "time": 1.5}',
    ]


def test_topic_with_half_a_surrogate_pair_does_not_fail():
    assert event_frames("watcher.\ud800.kill", {})[0] == b"watcher.\\ud800.kill"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={"command": json_values, "properties": json_values, "id": json_values, "msg_type": json_values},
)


def parsed_or_refused(body: bytes) -> None:
    try:
        request = parse_request(body)
    except BadRequest as error:
        assert 1 <= error.errno <= 3
        json.loads(reply_error(error.reason, error.errno, error.msg_id, None, 1.0))
        return
    assert isinstance(request.command, str) and isinstance(request.properties, dict)
    assert json.loads(reply_ok({}, request.msg_id, 1.0))["id"] == request.msg_id


@given(st.binary())
def test_any_bytes_are_a_request_or_a_bad_request(body):
    parsed_or_refused(body)


@given(json_values | envelopes)
def test_any_json_is_a_request_or_a_bad_request(value):
    parsed_or_refused(json.dumps(value).encode())


@given(st.text(alphabet='{}[]",:\\u0d8 1e9.-truefalsnomdi'))
def test_anything_json_like_is_a_request_or_a_bad_request(text):
    parsed_or_refused(text.encode())


@given(envelopes, st.data())
def test_a_damaged_request_is_a_request_or_a_bad_request(value, data):
    body = json.dumps(value).encode()
    at = data.draw(st.integers(0, len(body)))
    parsed_or_refused(body[:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :])


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3) | st.integers() | st.booleans() | st.none(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text() | st.integers(), _ANYTHING))
def test_object_is_encoded_in_pieces_as_in_one(message):
    assert encode(message) == json.dumps(message).encode()
