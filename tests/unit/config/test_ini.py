"""The syntax of configuration files."""

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus.config.ini import Document, Problem


def parse(*texts):
    document = Document()
    for number, text in enumerate(texts):
        document.parse(text, f"f{number}")
    return document


def values(document, section):
    return {key: entry.value for key, entry in document.entries(section).items()}


def texts(document):
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("a = b", "a", "b"),
        ("a=b", "a", "b"),
        ("a: b", "a", "b"),
        ("a : b = c", "a", "b = c"),
        ("a = b : c", "a", "b : c"),
        ("a == b", "a", "= b"),
        ("two words = x", "two words", "x"),
        ("a =", "a", ""),
        ('a = ""', "a", ""),
        ("a = ''", "a", "''"),
        ('a = "b c"', "a", '"b c"'),
        ("a = b ; c", "a", "b"),
        ("a = b\t; c", "a", "b"),
        ("a = b;c", "a", "b;c"),
        ("a = b;c ; d", "a", "b;c ; d"),
        ("a = b # c", "a", "b # c"),
        ("a = ; b", "a", "; b"),
        ("a = %(x)s $y 100%", "a", "%(x)s $y 100%"),
        ("A = b", "A", "b"),
        ("remark = b", "remark", "b"),
        ("a = b   ", "a", "b"),
    ],
)
def test_a_line_is_a_key_and_a_value(line, key, value):
    assert values(parse(f"[s]\n{line}\n"), "s") == {key: value}


@pytest.mark.parametrize("line", ["# a = b", "; a = b", "#", "rem a = b", "REM", "rem\ta = b", "", "   ", "\t"])
def test_comments_and_blank_lines_say_nothing(line):
    document = parse(f"[s]\n{line}\nx = y")
    assert values(document, "s") == {"x": "y"}
    assert not document.problems


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_will_do(end):
    assert values(parse(end.join(["[s]", "a = b", "c = d", ""])), "s") == {"a": "b", "c": "d"}


def test_a_byte_order_mark_is_no_letter():
    assert values(parse("\ufeff[s]\na = b"), "s") == {"a": "b"}


def test_indented_lines_continue_a_value_over_blank_lines_and_comments():
    text = "[s]\na = b\n  c\n\n# comment\n  d = e\nf =\n  g"
    assert values(parse(text), "s") == {"a": "b\nc\nd = e", "f": "\ng"}


@pytest.mark.parametrize("line", ["# x", "; x", "[x]"])
def test_an_indented_line_that_looks_like_no_value_is_one_with_a_warning(line):
    document = parse(f"[s]\na = b\n  {line}")
    assert values(document, "s") == {"a": f"b\n{line}"}
    assert texts(document) == [
        f"f0:3: [s] a: {line!r} is indented, so it is part of this value; comments and sections start in column 1"
    ]
    assert not document.problems[0].fatal


def test_an_indented_line_after_a_section_is_its_first_key():
    assert values(parse("[s]\n  a = b"), "s") == {"a": "b"}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("[s]", "s"),
        ("[s] ; comment", "s"),
        ("[s] # comment [x]", "s"),
        ("[env:a[bc]]", "env:a[bc]"),
        ("[watcher:a b]", "watcher:a b"),
        ("[ s ]", " s "),
        ("[s] junk", "s"),
    ],
)
def test_a_section_is_what_stands_in_brackets(line, name):
    assert list(parse(f"{line}\na = b").sections) == [name]


def test_sections_are_merged_over_files_and_the_first_definition_stays():
    document = parse("[s]\na = 1\n[t]\n[s]\nb = 2", "[s]\na = other\n  more\nc = 3")
    assert values(document, "s") == {"a": "1", "b": "2", "c": "3"}
    assert texts(document) == ["f1:2: [s] a: has no effect: f0:2 sets it first"]
    assert not document.problems[0].fatal


def test_the_same_value_twice_is_nothing_to_talk_about():
    assert not parse("[s]\na = 1\na = 1").problems


def test_default_gives_keys_to_all_sections_below_their_own():
    document = parse("[s]\na = own\n[DEFAULT]\na = default\nb = default\n[t]")
    assert values(document, "s") == {"a": "own", "b": "default"}
    assert values(document, "t") == {"a": "default", "b": "default"}
    assert values(document, "no such section") == {}
    assert list(document.sections) == ["s", "t"]


def test_get_gives_text_or_nothing():
    document = parse("[s]\na = 1\n[DEFAULT]\nb = 2")
    assert (document.get("s", "a"), document.get("s", "b"), document.get("s", "c")) == ("1", "2", None)
    assert document.get("t", "b") is None


def test_every_fault_is_told_with_its_line():
    document = parse("a = 1\nb = 2\n[s\nc = 3\n[]\n[t]\nno delimiter\n  goes on\n= nothing\nd = 4\ne = \0\n")
    assert texts(document) == [
        "f0:1: stands before any section; a line like [circus] must come first",
        "f0:3: '[s' is not a section; write [NAME]",
        "f0:5: '[]' is not a section; write [NAME]",
        "f0:7: [t]: 'no delimiter' is not of the form `key = value`",
        "f0:9: [t]: '= nothing' is not of the form `key = value`",
        "f0:11: [t]: the line holds a NUL byte",
    ]
    assert all(problem.fatal for problem in document.problems)
    assert values(document, "t") == {"d": "4"}
    assert list(document.sections) == ["t"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_another_encoding_is_told_once(encoding):
    text = "[circus]\nendpoint = x\n[watcher:a]\ncmd = y\n".encode(encoding).decode("utf-8", "surrogateescape")
    document = parse(text)
    assert texts(document) == ["f0:1: the file is written in UTF-16; save it as UTF-8"]
    assert document.problems[0].fatal and not document.sections


def test_a_nul_byte_before_any_section_is_told_as_well():
    assert texts(parse("\0")) == ["f0:1: the line holds a NUL byte"]


def test_a_value_that_looks_like_a_comment_gets_a_warning():
    document = parse("[s]\na = ; b")
    assert texts(document) == [
        "f0:2: [s] a: the value starts with `;`: a comment needs a value and a blank before it"
    ]


def test_entries_remember_their_place():
    document = parse("\n[s]\n\na = 1", "[s]\nb = 2")
    places = {key: (entry.file, entry.line) for key, entry in document.entries("s").items()}
    assert places == {"a": ("f0", 4), "b": ("f1", 2)}


@pytest.mark.parametrize(
    ("section", "key", "place"),
    [
        ("S", "a", ("f0", 2)),
        ("S", "", ("f0", 1)),
        ("S", "nothing", ("f0", 1)),
        ("s", "a", ("f0", 2)),
        ("nothing", "a", ("", 0)),
        ("", "", ("", 0)),
    ],
)
def test_a_problem_is_located_by_key_then_by_section(section, key, place):
    problem = parse("[S]\na = 1").locate(Problem("", 0, section, key, "text"))
    assert (problem.file, problem.line) == place


def test_a_located_problem_stays_where_it_is():
    problem = parse("[s]\na = 1").locate(Problem("elsewhere", 7, "s", "a", "text"))
    assert (problem.file, problem.line) == ("elsewhere", 7)


def test_a_problem_shows_how_much_it_matters():
    assert repr(Problem("f", 1, "s", "k", "text")) == "<Problem fatal f:1: [s] k: text>"
    assert repr(Problem("f", 0, "s", "", "text", fatal=False)) == "<Problem warning f: [s]: text>"
    assert repr(Problem("", 0, "", "", "text", fatal=False, skips=True)) == "<Problem skips text>"


# ---- against the standard library --------------------------------------------------------------------------------


@given(st.text())
def test_no_text_raises(text):
    document = parse(text)
    for problem in document.problems:
        str(problem)


@given(st.lists(st.sampled_from([*"[]=:;# \t\na\r\0", "rem ", "[s]\n", "a = ", "DEFAULT"])).map("".join))
def test_no_text_that_looks_like_a_configuration_raises(text):
    parse(text)


NAMES = st.sampled_from(["a", "b", "B", "cmd", "x.y", "two words", "a-b_c", "remark"])
SECTIONS = st.sampled_from(["a", "b", "watcher:a b", "env:a*,[b]?", "x = y", "#"])
VALUES = st.sampled_from(["", "a", "a b", "= a", ": a", "%(a)s", "$a", "(#)", "# a", "'", '"a"', "a;b", "[a]"])
BODIES = st.dictionaries(NAMES, st.tuples(st.sampled_from(["=", ":", " = ", " : "]), st.lists(VALUES, min_size=1)))


def write(sections):
    lines = []
    for name, body in sections.items():
        lines.append(f"[{name}]")
        for key, (delimiter, parts) in body.items():
            lines.append(f"{key}{delimiter}{parts[0]}")
            lines += [f"    {part}" for part in parts[1:] if part and part[0] not in "#;["]
    return "\n".join(lines)


@given(st.dictionaries(SECTIONS, BODIES))
def test_a_plain_file_means_what_configparser_says(sections):
    text = write(sections)
    expected = configparser.RawConfigParser(strict=False, comment_prefixes=("#", ";"))
    expected.optionxform = str  # type: ignore[assignment,method-assign]
    expected.read_string(text)
    document = parse(text)
    assert {name: values(document, name) for name in document.sections} == {
        name: dict(expected.items(name)) for name in expected.sections()
    }
