"""Keys of circus-top, and what they make the user want."""

from __future__ import annotations

import pytest

from circus.stats.top import view as top_view
from circus.stats.top.view import Place, View


@pytest.fixture
def view():
    view = View()
    view.place = Place(top=20, last=90, page=10, heads=(0, 15, 40, 70))
    return view


def type_text(view, text):
    for key in text:
        assert view.press(key)


def test_q_leaves_and_nothing_else_does(view):
    for key in (*"cmapth?zQ1", "up", "escape", "enter", "backspace"):
        assert view.press(key)
    assert not view.press("q")


@pytest.mark.parametrize(
    ("key", "top"),
    [
        (top_view.UP, 19),
        (top_view.DOWN, 21),
        (top_view.PAGE_UP, 10),
        (top_view.PAGE_DOWN, 30),
        (top_view.HOME, 0),
        (top_view.END, 90),
        (top_view.TAB, 40),
        (top_view.BACK_TAB, 15),
    ],
)
def test_moves_go_where_they_should(view, key, top):
    view.press(key)
    assert view.top == top


def test_no_move_goes_before_the_beginning(view):
    for key in (top_view.PAGE_UP, top_view.PAGE_UP, top_view.PAGE_UP, top_view.UP, top_view.BACK_TAB):
        view.press(key)
    assert view.top == 0


def test_tab_on_the_last_watcher_stays(view):
    view.place = Place(top=80, last=90, page=10, heads=(0, 15, 40, 70))
    view.press(top_view.TAB)
    assert view.top == 80


@pytest.mark.parametrize(("key", "sort"), [("c", "cpu"), ("m", "memory"), ("a", "age"), ("p", "pid")])
def test_letters_choose_the_order(view, key, sort):
    view.sort = "none of these"
    view.press(key)
    assert (view.sort, view.reverse) == (sort, False)


def test_same_letter_again_turns_the_order_round_and_another_one_back(view):
    view.press("m")
    view.press("m")
    assert (view.sort, view.reverse) == ("memory", True)
    view.press("m")
    assert not view.reverse
    view.press("m")
    view.press("c")
    assert (view.sort, view.reverse) == ("cpu", False)


def test_filter_is_shown_while_typed_and_kept_by_enter(view):
    type_text(view, "/web q")  # neither a move nor a way out while typing
    assert view.shown_filter == "web q"
    assert view.filter == ""
    view.press(top_view.ENTER)
    assert (view.filter, view.typing) == ("web q", None)
    assert view.top == 0


def test_filter_can_be_corrected(view):
    type_text(view, "/wrong")
    view.press(top_view.CLEAR)
    type_text(view, "dbx")
    view.press(top_view.BACKSPACE)
    view.press(top_view.ENTER)
    assert view.filter == "db"


def test_escape_while_typing_keeps_the_filter_there_was(view):
    view.filter = "db"
    type_text(view, "/x")
    view.press(top_view.ESCAPE)
    assert (view.shown_filter, view.typing, view.top) == ("db", None, 20)


def test_escape_takes_the_filter_away(view):
    view.filter = "db"
    view.press(top_view.ESCAPE)
    assert view.shown_filter == ""


def test_filter_takes_no_control_characters_and_has_an_end(view):
    type_text(view, "/a\x01\x1b[A")
    assert view.typing == "a[A"
    type_text(view, "x" * 1000)
    assert len(view.typing) == 200


def test_help_is_left_by_any_key_to_where_we_were(view):
    view.press("?")
    assert view.help and view.top == 0
    view.press(top_view.DOWN)
    assert view.help and view.top == 1
    view.press("c")
    assert not view.help
    assert (view.top, view.reverse) == (20, False)


def test_q_leaves_from_the_help_too(view):
    view.press("h")
    assert not view.press("q")


def test_t_shows_a_few_and_then_all_again(view):
    view.press("t")
    assert view.few
    view.press("t")
    assert not view.few
