"""What other programs find when they look at the commands."""

from __future__ import annotations

import pytest

import circus.commands
from circus.commands import ALL, errors, get_command, get_commands
from circus.commands.base import REGISTERED, Command, error, ok

WIRE = (
    "add decr dstats get globaloptions incr ipython kill list listen listpids listsockets numprocesses numwatchers "
    "options quit reload reloadconfig restart rm set signal start stats status stop"
)


def test_all_commands_are_there():
    assert list(get_commands()) == WIRE.split()


def test_every_command_declares_what_clients_look_at():
    for name, command in get_commands().items():
        assert command.name == name
        assert command.msg_type == ("sub" if name == "listen" else "dealer")
        assert all(isinstance(prop, str) for prop in command.properties)
        assert all(len(option) == 4 for option in command.options)
        assert command.__doc__


def test_name_is_found_in_any_case():
    assert get_command("STATUS") is get_command("status")
    assert get_command("nope") is None


def test_subclass_elsewhere_is_a_command_without_more():
    class Hello(Command):
        """Greet"""

        name = "Hello"
        properties = ["whom"]

        def execute(self, arbiter, props):
            return {"greeting": f"hello {props['whom']}"}

    try:
        command = get_commands()["hello"]
        assert isinstance(command, Hello)
        props = {"whom": "you"}
        command.validate(props)
        assert command.execute(None, props) == {"greeting": "hello you"}
        with pytest.raises(circus.commands.base.MessageError, match="message invalid 'whom' is missing"):
            command.validate({})
    finally:
        del REGISTERED["hello"]


def test_subclass_elsewhere_goes_before_ours():
    ours = get_command("list")

    class Mine(type(ours)):
        name = "list"

    try:
        assert isinstance(get_command("list"), Mine)
    finally:
        del REGISTERED["list"]
    assert get_command("list") is ours


def test_base_without_a_name_is_no_command():
    before = dict(REGISTERED)

    class Shared(Command):
        pass

    assert before == REGISTERED


def test_helpers_build_replies():
    assert ok({"a": 1}).items() >= {"status": "ok", "a": 1}.items()
    assert ok()["time"] > 0
    assert list(error("why", None, errors.OS_ERROR)) == ["status", "reason", "tb", "time", "errno"]
    assert circus.commands.ok is ok and circus.commands.error is error


def test_error_numbers_are_those_of_the_wire():
    assert [getattr(errors, name) for name in (
        "NOT_SPECIFIED", "INVALID_JSON", "UNKNOWN_COMMAND", "MESSAGE_ERROR", "OS_ERROR", "COMMAND_ERROR",
        "BAD_MSG_DATA_ERROR",
    )] == list(range(7))  # fmt: skip


def test_commands_are_those_of_the_wire():
    assert set(ALL) == set(WIRE.split())
