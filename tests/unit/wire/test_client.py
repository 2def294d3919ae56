"""The parts of the client that need no socket."""

from __future__ import annotations

import json

import circus.client
import circus.exc
from circus.wire.client import cast_message, make_json, make_message


def test_make_message_puts_keywords_into_properties():
    assert make_message("rm", name="a", nostop=True) == {"command": "rm", "properties": {"name": "a", "nostop": True}}


def test_make_message_without_keywords_has_empty_properties():
    assert make_message("list") == {"command": "list", "properties": {}}


def test_cast_message_asks_for_no_reply():
    assert cast_message("stop", name="a") == {"command": "stop", "properties": {"name": "a"}, "msg_type": "cast"}


def test_make_json_is_bytes():
    assert make_json("list") == b'{"command": "list", "properties": {}}'
    assert json.loads(make_json("stop", name="dämon")) == make_message("stop", name="dämon")


def test_call_error_is_the_one_of_exc():
    assert circus.client.CallError is circus.exc.CallError
