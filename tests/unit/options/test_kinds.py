"""Kinds: text of a file, or a JSON value of a request, becomes the value of an option."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circus.exc import MessageError
from circus.options import kinds
from circus.options.kinds import (
    ARGS,
    BOOLEAN,
    ENV,
    HOOK,
    INTEGER,
    NUMBER,
    OCTAL,
    OPTIONAL_TEXT,
    PORT,
    PROCESSES,
    RLIMIT,
    SIGNAL,
    STREAM_VALUE,
    TEXT,
    USER,
    WORDS,
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (TEXT, " a ", " a "),
        (OPTIONAL_TEXT, "", ""),
        (ARGS, "a b", "a b"),
        (ARGS, "", None),
        (WORDS, " a  b\nc ", ["a", "b", "c"]),
        (INTEGER, " 12 ", 12),
        (INTEGER, str(2**63 - 1), 2**63 - 1),
        (PROCESSES, str(2**22), 2**22),
        (PORT, "0", 0),
        (PORT, "65535", 65535),
        (NUMBER, "0.5", 0.5),
        (NUMBER, "1e18", 1e18),
        (BOOLEAN, "on", True),
        (SIGNAL, "hup", 1),
        (USER, "1000", 1000),
        (USER, "www-data", "www-data"),
        (OCTAL, "022", 18),
        (OCTAL, "0o22", 18),
        (ENV, "A=1,B=2", {"A": "1", "B": "2"}),
        (RLIMIT, "", None),
        (RLIMIT, "infinity", None),
        (RLIMIT, "-1", None),
        (RLIMIT, str(2**62), 2**62),
        (HOOK, "a.b", ("a.b", False)),
        (HOOK, " a.b , yes", ("a.b", True)),
    ],
)
def test_text_becomes_a_value(kind, text, value):
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (INTEGER, "5s", "'5s' is not a whole number"),
        (INTEGER, "1.5", "'1.5' is not a whole number"),
        (INTEGER, str(2**63), "out of range: up to 9223372036854775807"),
        (PROCESSES, str(2**22 + 1), "out of range: up to 4194304"),
        (PORT, "65536", "out of range: from 0 to 65535"),
        (PORT, "-1", "out of range: from 0 to 65535"),
        (USER, "-1", "'-1' is no user or group: negative ids mean `leave as it is` to the kernel"),
        (USER, "4294967295", "'4294967295' is no user or group: the kernel has ids up to 4294967294"),
        (NUMBER, "soon", "'soon' is not a number"),
        (NUMBER, "nan", "'nan' is not a number"),
        (NUMBER, "inf", "out of range: up to 9223372036854775808"),
        (NUMBER, "1e300", "out of range"),
        (OCTAL, "099", "'099' is not an octal number such as 022"),
        (OCTAL, "7777", "not an octal number"),
        (OCTAL, "-22", "not an octal number"),
        (RLIMIT, "many", "'many' is not a whole number, nor `infinity`"),
        (RLIMIT, "-2", "not a whole number"),
        (RLIMIT, str(2**63), "not a whole number"),
        (HOOK, ", true", "dotted name of a function is missing"),
        (HOOK, "a.b, perhaps", "neither true"),
    ],
)
def test_text_that_is_no_value_gets_a_sentence(kind, text, reason):
    with pytest.raises(ValueError, match=reason):
        kind.parse(text)


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (TEXT, "x", "x"),
        (OPTIONAL_TEXT, None, None),
        (ARGS, None, None),
        (ARGS, "a b", "a b"),
        (ARGS, ["a", 1, 2.5], ["a", "1", "2.5"]),
        (ARGS, ("a",), ["a"]),
        (WORDS, ["a"], ["a"]),
        (INTEGER, 5, 5),
        (INTEGER, "5", 5),
        (NUMBER, 5, 5),
        (NUMBER, 0.5, 0.5),
        (NUMBER, "0.5", 0.5),
        (BOOLEAN, True, True),
        (BOOLEAN, "no", False),
        (SIGNAL, 9, 9),
        (SIGNAL, "KILL", 9),
        (USER, 0, 0),
        (USER, "nobody", "nobody"),
        (USER, None, None),
        (ENV, {"A": "1"}, {"A": "1"}),
        (ENV, "A=1", {"A": "1"}),
        (ENV, None, None),
        (ENV, {}, None),
        (RLIMIT, 5, 5),
        (RLIMIT, "5", 5),
        (RLIMIT, -1, None),
        (RLIMIT, None, None),
        (HOOK, "a.b,true", ("a.b", True)),
        (HOOK, ["a.b", True], ("a.b", True)),
        (HOOK, ("a.b", "no"), ("a.b", False)),
        (HOOK, len, (len, False)),
        (HOOK, (len, True), (len, True)),
        (STREAM_VALUE, {"any": ["thing"]}, {"any": ["thing"]}),
        (STREAM_VALUE, True, True),
    ],
)
def test_a_json_or_python_value_becomes_a_value(kind, value, result):
    assert kind.check("key", value) == result


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (TEXT, 5, "'key' isn't a string"),
        (OPTIONAL_TEXT, [], "'key' isn't a string"),
        (ARGS, [{}], "'key' isn't a list or string"),
        (ARGS, 5, "'key' isn't a list or string"),
        (INTEGER, "x", "'key' isn't an integer"),
        (INTEGER, 5.0, "'key' isn't an integer"),
        (INTEGER, True, "'key' isn't an integer"),
        (INTEGER, None, "'key' isn't an integer"),
        (INTEGER, 10**400, "'key' isn't an integer"),
        (PROCESSES, 2**22 + 1, "'key' isn't an integer"),
        (PORT, 65536, "'key' isn't an integer"),
        (NUMBER, 10**400, "'key' isn't a number"),
        (USER, 2**32 - 1, "'key' isn't an integer or string"),
        (USER, "-1", "'key' isn't an integer or string"),
        (NUMBER, True, "'key' isn't a number"),
        (NUMBER, math.nan, "'key' isn't a number"),
        (NUMBER, math.inf, "'key' isn't a number"),
        (NUMBER, [], "'key' isn't a number"),
        (BOOLEAN, 1, "'key' isn't a valid boolean"),
        (BOOLEAN, "perhaps", "'key' isn't a valid boolean"),
        (SIGNAL, 99, "'key' isn't an integer"),
        (SIGNAL, "NOPE", "'key' isn't an integer"),
        (USER, 1.5, "'key' isn't an integer or string"),
        (USER, -1, "'key' isn't an integer or string"),
        (ENV, [], "'key' isn't a valid object"),
        (ENV, "A", "'key' isn't a valid object"),
        (ENV, {"A": 1}, "'A' isn't a string"),
        (ENV, {"": "1"}, "'key' isn't a valid object: '' cannot be a variable"),
        (ENV, {"A=B": "1"}, "'key' isn't a valid object: 'A=B' cannot be a variable"),
        (ENV, {"A": "\0"}, "'key' isn't a valid object: 'A' cannot be a variable"),
        (RLIMIT, "x", "'x' rlimit value isn't a valid int"),
        (RLIMIT, 1.5, "1.5 rlimit value isn't a valid int"),
        (RLIMIT, -7, "-7 rlimit value isn't a valid int"),
        (HOOK, 5, "'key' isn't a valid hook"),
        (HOOK, ("a.b", "perhaps"), "'key' isn't a valid hook"),
        (HOOK, (1, 2, 3), "'key' isn't a valid hook"),
        (HOOK, ["", True], "'key' isn't a valid hook"),
    ],
)
def test_a_wrong_value_is_refused_with_the_text_clients_know(kind, value, text):
    with pytest.raises(MessageError) as caught:
        kind.check("key", value)
    assert str(caught.value) == text


ALL_KINDS = [kind for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.name)
@settings(max_examples=30)
@given(value=JSON, text=st.text())
def test_no_value_and_no_text_raises_anything_else(kind, value, text):
    try:
        checked = kind.check("key", value)
    except MessageError:
        pass
    else:
        assert kind.check("key", checked) == checked or checked != checked  # NaN of a stream
    try:
        kind.parse(text)
    except ValueError:
        pass
