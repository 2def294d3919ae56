"""Text to value and back."""

import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus.common import convert
from circus.exc import ImportStringError


@pytest.mark.parametrize("word", ["yes", "TRUE", "On", "1", " true ", True, 1])
def test_true_words_are_true(word):
    assert convert.to_bool(word) is True


@pytest.mark.parametrize("word", ["no", "FALSE", "Off", "0", False, 0, None])
def test_false_words_and_nothing_are_false(word):
    assert convert.to_bool(word) is False


@pytest.mark.parametrize("word", ["", "maybe", "2", 1.5])
def test_other_words_are_no_booleans_and_the_text_says_what_is(word):
    with pytest.raises(ValueError, match=r"neither true \(yes, true, on, 1\)"):
        convert.to_bool(word)


@pytest.mark.parametrize(
    "value", [15, "15", "TERM", "term", "SIGTERM", "sigterm", " TERM ", signal.SIGTERM], ids=repr
)
def test_a_signal_by_number_or_name_in_any_case(value):
    assert convert.to_signum(value) == 15


def test_real_time_signals_count_from_their_first():
    assert convert.to_signum("SIGRTMIN+3") == signal.SIGRTMIN + 3
    assert convert.to_signum("rtmin") == signal.SIGRTMIN


@pytest.mark.parametrize(
    "value",
    [
        *("NOPE", "", "0", 0, -1, 65, "9" * 5000, "²", "SIG_DFL", "SIG", "Signals", True, None, 9.0, "a b"),
        *("TERM+1", "RTMIN+", "RTMIN+x", "RTMIN+99", "RTMIN+" + "1" * 5000),
    ],
)
def test_what_is_no_signal_is_refused_with_a_text(value):
    with pytest.raises(ValueError, match="signal invalid"):
        convert.to_signum(value)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80), "[::1]:80"),
        (("fe80::1%eth0", 80), "[fe80::1%eth0]:80"),
        (("", 80, "/run/web.sock"), "/run/web.sock"),
        ((None, None, "@abstract"), "@abstract"),
        (("", 0, ""), "a unix socket without a path"),
    ],
)
def test_address_of_a_socket_has_an_ipv6_host_in_brackets(place, expected):
    assert convert.address_text(*place) == expected


def test_every_signal_comes_back_from_its_name():
    for number in signal.Signals:
        assert convert.to_signum(convert.signal_name(number)) == number


def test_a_signal_without_a_name_is_its_number():
    assert convert.signal_name(64000) == "64000"


def test_how_a_process_ended_in_words():
    assert convert.exit_text(None) == "unknown exit code"
    assert convert.exit_text(-9) == "signal SIGKILL"
    assert convert.exit_text(3) == "exit code 3"


def test_text_and_bytes_go_both_ways():
    assert convert.to_str(b"a\xff") == "a�"
    assert convert.to_str(5) == "5"
    assert convert.to_bytes("é") == "é".encode()
    assert convert.to_bytes(b"x") == b"x"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (32558284, "31.05M"), (2**80, "1.00Y"), (2**90, "1024.00Y")],
)
def test_sizes_for_people(size, text):
    assert convert.bytes2human(size) == text


def test_a_size_must_be_a_number():
    with pytest.raises(TypeError):
        convert.bytes2human("12")  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "size"), [("5B", 5), ("1.5k", 1536), (" 2M ", 2097152), ("1T", 2**40)])
def test_sizes_from_people(text, size):
    assert convert.human2bytes(text) == size


@pytest.mark.parametrize("text", ["", "5", "x", "xM", "M", "nanM", "infM", "5Q", "5?"])
def test_a_size_without_unit_or_number_is_refused(text):
    with pytest.raises(ValueError, match="is not a size"):
        convert.human2bytes(text)


def test_environment_text_keeps_commas_inside_values():
    assert convert.parse_env_str("A=1,B=x,y=z, C = q ,, ") == {"A": "1", "B": "x", "y": "z", "C": "q,, "}
    assert convert.parse_env_str(" , ") == {}
    assert convert.parse_env_str("") == {}


def test_environment_text_without_equals_is_refused():
    with pytest.raises(ValueError, match="'A' is not of the form NAME=VALUE"):
        convert.parse_env_str("A,B=1")


def test_environment_to_text_is_sorted():
    assert convert.env_to_str({"B": "2", "A": "1"}) == "A=1,B=2"
    assert convert.env_to_str(None) == ""


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("$HOME/bin", "/home/me/bin"),
        ("$HOME$HOME", "/home/me/home/me"),
        ("a$GONE.b", "a.b"),
        ("$$HOME", "$HOME"),
        ("$$$HOME", "$$HOME"),
        ("pa$$word", "pa$$word"),
        ("$5 $_X ${HOME} $home $(circus.env.x) $", "$5 $_X ${HOME} $home $(circus.env.x) $"),
        ("  x  ", "x"),
    ],
)
def test_dollars_in_environments(value, result):
    assert convert.expand_dollars(value, {"HOME": "/home/me"}) == result


def test_names_after_dollars_are_those_that_would_be_replaced():
    assert convert.dollar_names("$A $$B ${C} $d $E_1") == ["A", "E_1"]


def test_words_are_split_like_a_shell_does():
    assert convert.split_words("a 'b c' \"d\\\"\"") == ["a", "b c", 'd"']


def test_words_that_cannot_be_split_are_shown():
    with pytest.raises(ValueError, match="\"say 'hi\" cannot be split into words: No closing quotation"):
        convert.split_words("say 'hi")


def test_values_as_commands_print_them():
    assert [convert.value_text(value) for value in (None, True, {}, 1.5, "x")] == ["", "True", "{}", "1.5", "x"]


# ---- slips -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("cnd", "cmd"),
        ("cdm", "cmd"),
        ("cm", "cmd"),
        ("cmdd", "cmd"),
        ("numproceses", "numprocesses"),
        ("numprocceses", "numprocesses"),
        ("graceful_timout", "graceful_timeout"),
        ("nmuprocesess", "numprocesses"),
    ],
)
def test_a_slip_finds_the_right_name(word, right):
    assert convert.nearest(word, ["cmd", "numprocesses", "graceful_timeout", "uid"]) == right


@pytest.mark.parametrize("word", ["cmd", "xyz", "", "graceful", "mine"])
def test_what_is_right_or_far_away_has_no_nearest_name(word):
    assert convert.nearest(word, ["cmd", "numprocesses", "graceful_timeout"]) is None


def test_without_names_there_is_no_nearest():
    assert convert.nearest("cmd", []) is None


@given(st.text(alphabet="abc", max_size=6), st.text(alphabet="abc", max_size=6))
def test_distance_is_the_same_in_both_directions_and_cut_at_the_limit(a, b):
    distance = convert._distance(a, b, 9)
    assert distance == convert._distance(b, a, 9) <= max(len(a), len(b))
    assert (distance == 0) == (a == b)
    for limit in range(9):
        assert min(convert._distance(a, b, limit), limit + 1) == min(distance, limit + 1)


# ---- dotted names ------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `pack_of_tests` with a module, a class, and modules that cannot be imported."""
    root = tmp_path / "pack_of_tests"
    root.mkdir()
    (root / "__init__.py").write_text("value = 1\n")
    (root / "module.py").write_text("class Class:\n    def method(self): pass\nnumber = 1\n")
    (root / "lonely.py").write_text("alone = True\n")
    (root / "broken.py").write_text("import pack_of_test\n")
    (root / "wrong.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield root
    for name in [name for name in sys.modules if name.startswith("pack_of_tests")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["pack_of_tests.module.Class.method", "pack_of_tests.module:Class.method"])
def test_a_dotted_name_leads_through_classes(package, name):
    method = convert.resolve_name(name)
    assert method.__qualname__ == "Class.method"  # type: ignore[attr-defined]


def test_a_dotted_name_may_be_a_module_nobody_imported(package):
    convert.resolve_name("pack_of_tests.value")
    assert convert.resolve_name("pack_of_tests.lonely").alone  # type: ignore[attr-defined]
    assert convert.resolve_name("pack_of_tests").value == 1  # type: ignore[attr-defined]


def test_reload_sees_the_file_as_it_is_now(package):
    assert convert.resolve_name("pack_of_tests.module.number") == 1
    (package / "module.py").write_text("number = 22222\n")
    assert convert.resolve_name("pack_of_tests.module.number") == 1
    assert convert.resolve_name("pack_of_tests.module.number", reload=True) == 22222


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_package_at_all.x", "No module named 'no_such_package_at_all'"),
        ("no_such_package_at_all", "No module named 'no_such_package_at_all'"),
        ("no_such_package_at_all:x", "No module named 'no_such_package_at_all'"),
        ("pack_of_tests.nothing", "No module named 'pack_of_tests.nothing'"),
        ("pack_of_tests.module.Class.nothing", "has no attribute 'nothing'"),
        ("pack_of_tests.module:nothing", "nothing"),
        ("pack_of_tests.broken.x", "No module named 'pack_of_test'"),
        ("pack_of_tests.wrong.x", "division by zero"),
        ("", "cannot import ''"),
        (".x", "cannot import '.x'"),
        ("a..b", "cannot import 'a..b'"),
    ],
)
def test_a_name_that_leads_nowhere_says_why(package, name, reason):
    with pytest.raises(ImportStringError, match=reason):
        convert.resolve_name(name)
    assert convert.resolve_name(name, silent=True) is None


def test_a_reload_that_fails_is_an_import_error(package):
    convert.resolve_name("pack_of_tests.module.number")
    (package / "module.py").write_text("def broken(:\n")
    with pytest.raises(ImportStringError, match="syntax"):
        convert.resolve_name("pack_of_tests.module.number", reload=True)


@pytest.mark.parametrize("value", [234, None, b"1K", 1.5])
def test_size_that_is_no_text_is_a_type_error(value):
    with pytest.raises(TypeError):
        convert.human2bytes(value)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x/y"), "No such file or directory: /x/y"),
        (OSError(98, "Address already in use"), "Address already in use"),
        (OSError("what happened"), "what happened"),
        (ValueError("odd"), "odd"),
        (ValueError(), "ValueError"),
    ],
)
def test_error_is_told_without_its_number(error, text):
    assert convert.error_text(error) == text


def test_module_that_is_a_program_and_ends_itself_is_an_import_error(tmp_path, monkeypatch):
    (tmp_path / "ends_itself.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "ends_later.py").write_text("import os\nthing = 1\nif 'ENDS' in os.environ: raise SystemExit\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportStringError, match=r"'ends_itself\.hook': its module ends the program"):
        convert.resolve_name("ends_itself.hook")
    assert convert.resolve_name("ends_later.thing") == 1
    monkeypatch.setenv("ENDS", "1")
    with pytest.raises(ImportStringError, match=r"'ends_later\.thing': its module ends the program"):
        convert.resolve_name("ends_later.thing", reload=True)


def test_multicast_group_is_an_address_and_a_port():
    assert convert.multicast_group("udp://237.219.251.97:12027") == ("237.219.251.97", 12027)
    assert convert.multicast_group("udp://224.0.0.1:1") == ("224.0.0.1", 1)


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("", "is needed"), ("tcp://237.1.1.1:9", "is needed"), ("udp://237.1.1.1", "is needed"),
        ("udp://237.1.1.1:x", "is needed"), ("udp://237.1.1.1:0", "is needed"), ("udp://237.1.1.1:65536", "is needed"),
        ("udp://237.1.1.1:9/x", "is needed"), ("udp://:9", "is needed"), ("udp://[ff02::1]:9", "is needed"),
        ("udp://group:9", "group is no IPv4 address"), ("udp://237.1.1:9", "no IPv4 address"),
        ("udp://237.1.1.256:9", "no IPv4 address"), ("udp://237.1.1.-1:9", "no IPv4 address"),
        ("udp://127.0.0.1:9", "must be between 224"), ("udp://240.0.0.1:9", "must be between 224"),
    ],
)  # fmt: skip
def test_what_is_no_multicast_group_is_a_value_error(endpoint, text):
    with pytest.raises(ValueError, match=text):
        convert.multicast_group(endpoint)
