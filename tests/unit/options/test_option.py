"""How specs are declared, compared and changed."""

import pytest

from circus.options.kinds import INTEGER, TEXT
from circus.options.option import Effect, Family, Option, Spec


class Base(Spec):
    plain = Option(INTEGER, 1, Effect.NOTHING, "a number")


class Sample(Base):
    dotted = Option(TEXT, "x", Effect.RELOAD, "a text", name="a.dotted", aliases=("old",))
    many = Family("many.", TEXT, Effect.MANAGE, "some texts")
    prefixed = Family("pre_", TEXT, Effect.MANAGE, "some others")


def test_an_option_is_the_declaration_on_the_class_and_the_value_on_a_spec():
    assert isinstance(Sample.plain, Option)
    assert Sample("s").plain == 1
    assert Sample("s", {"plain": 5}).plain == 5
    assert Sample("s").many == {}


def test_options_come_in_the_order_they_are_written_base_first():
    assert [option.name for option in Sample.options()] == ["plain", "a.dotted", "many.", "pre_"]


def test_an_option_declared_anew_takes_the_place_of_the_old():
    class Anew(Sample):
        plain = Option(INTEGER, 7, Effect.NOTHING, "another number")

    assert [option.name for option in Anew.options()] == ["plain", "a.dotted", "many.", "pre_"]
    assert Anew("s").plain == 7
    assert Anew.lookup("plain") is Anew.plain


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("plain", "plain"),
        ("a.dotted", "dotted"),
        ("old", "dotted"),
        ("many", "many"),
        ("many.x", "many"),
        ("prefixed", "prefixed"),
        ("pre_x", "prefixed"),
    ],
)
def test_options_are_found_by_every_name_they_have(name, attribute):
    option = Sample.lookup(name)
    assert option is not None
    assert option.attribute == attribute


@pytest.mark.parametrize("name", ["dotted", "many.", "pre_", "nothing", ""])
def test_other_names_are_no_options(name):
    assert Sample.lookup(name) is None


def test_specs_with_the_same_values_are_equal():
    assert Sample("s", {"plain": 5}) == Sample("s", {"plain": 5})
    assert Sample("s", {"plain": 1}) == Sample("s"), "a default that is written down is the default"
    assert Sample("s") != Sample("t")
    assert Sample("s") != Base("s")
    assert Sample("s") != "s"


def test_the_difference_names_what_is_written_differently():
    one = Sample("s", {"plain": 5, "many": {"a": "1"}}, {"mine": "x", "none": None})
    two = Sample("s", {"dotted": "y"}, {"mine": "y"})
    assert one.diff(two) == two.diff(one) == {"plain", "a.dotted", "many.", "mine", "none"}
    assert one.diff(one) == set()


def test_replace_makes_a_changed_copy():
    one = Sample("s", {"plain": 5}, {"mine": "x"})
    two = one.replace(dotted="y")
    three = two.replace(extras={})
    assert (one.dotted, two.dotted, two.plain, two.extras) == ("x", "y", 5, {"mine": "x"})
    assert (type(three), three.name, three.extras) == (Sample, "s", {})


def test_a_spec_shows_what_it_holds():
    assert repr(Sample("s", {"plain": 5}, {"mine": "x"})) == "Sample('s', plain=5, mine='x')"


def test_specs_hold_mappings_so_they_have_no_hash():
    with pytest.raises(TypeError):
        hash(Sample("s"))
