"""Variables in text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus.common.template import expand, expand_wid

VARIABLES = {"wid": 3, "env.HOME": "/home/me", "env.circus_home": "/srv", "sockets.web": 7, "uid": None, "a-b.c": "x"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(circus.wid)", "3"),
        ("((circus.wid))", "3"),
        ("$(CIRCUS.WID) ((Circus.Wid))", "3 3"),
        ("$(circus.env.home)/x", "/home/me/x"),
        ("$(circus.env.CIRCUS_HOME)", "/srv"),
        ("--fd $(circus.sockets.WEB)", "--fd 7"),
        ("<$(circus.uid)>", "<>"),
        ("$(circus.a-b.c)", "x"),
        ("$(circus.nothing)", "$(circus.nothing)"),
        ("{circus.wid} ${circus.wid} (circus.wid)", "{circus.wid} ${circus.wid} (circus.wid)"),
        ("$(circus.wid ((circus.wid)", "$(circus.wid ((circus.wid)"),
        ("$(circuswid) $(circus.)", "$(circuswid) $(circus.)"),
        ("nothing here", "nothing here"),
    ],
)
def test_variables_are_replaced_and_the_rest_stays(text, result):
    assert expand(text, VARIABLES) == result


def test_a_name_spelt_exactly_wins_over_one_in_other_case():
    both = {"env.path": "low", "env.PATH": "high"}
    assert expand("$(circus.env.path) $(circus.env.PATH)", both) == "low high"
    assert expand("$(circus.env.Path)", {"env.PATH": "high"}) == "high"


def test_what_a_variable_holds_is_not_looked_at_again():
    assert expand("$(circus.a)", {"a": "$(circus.b)", "b": "never"}) == "$(circus.b)"


@given(st.text())
def test_text_without_known_variables_is_left_alone(text):
    assert expand(text, {}) == text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("--id $WID", "--id 4"),
        ("$WID$WID", "44"),
        ("$WIDGET $WID_1 $wid ${WID}", "$WIDGET $WID_1 $wid ${WID}"),
        ("$WID.log", "4.log"),
    ],
)
def test_the_older_wid_is_replaced_as_a_whole_word(text, result):
    assert expand_wid(text, 4) == result
