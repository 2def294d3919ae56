"""How circus-top looks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circus.stats.top.layout import SILENCE, Silence, lay_out, plain
from circus.stats.top.model import Model
from circus.stats.top.text import cells
from circus.stats.top.view import END, PAGE_DOWN, TAB, View

FRESH = Silence(0.0, True, "tcp://127.0.0.1:5557")


def process(pid, cpu=1.0, mem=0.5, age=10.0, **more):
    return {
        "pid": pid, "subtopic": pid, "cpu": cpu, "mem": mem, "age": age, "name": None, "children": [],
        "mem_info1": "31.05M", "ctime": "0:02.10", "username": "www", "cmdline": "python3", **more,
    }  # fmt: skip


def model_of(*watchers):
    """Each watcher: name and its processes."""
    model = Model(3.0)
    for name, processes in watchers:
        for figures in processes:
            model.add(name, str(figures["pid"]), figures, 0.0)
    return model


def drawn(model, view=None, width=80, height=24, silence=FRESH, **more):
    view = view or View()
    frame = lay_out(model.groups(), view, width, height, silence, **more)
    view.place = frame.place
    return [line.text for line in frame.lines]


def pids(lines):
    return [int(line.split()[0]) for line in lines if line[:3].strip() and line.strip()[0].isdigit()]


DUMMY = model_of(("dummy", [process(14252 + n, cpu=78.6 - n, mem=0.1 * n, age=1234.5 * n) for n in range(5)]))


def test_screen_of_80_columns_has_the_documented_columns():
    assert drawn(DUMMY, height=12) == [
        "Circus Top                                                   5 processes, by cpu",
        "-" * 80,
        "dummy  5 processes",
        "   PID                      CPU (%)             MEMORY (%)          AGE (s)     ",
        "  14252                      78.60               0.00                0.00",
        "  14253                      77.60               0.10                1234.50",
        "  14254                      76.60               0.20                2469.00",
        "  14255                      75.60               0.30                3703.50",
        "  14256                      74.60               0.40                4938.00",
        "                             76.60 (avg)         1.00 (sum)      4938.00 (older)",
        "-" * 80,
        "q quit  h help  / filter  sort: c cpu  m memory  a age  p pid",
    ]


def test_wide_screen_has_more_columns():
    line = drawn(DUMMY, width=200)[4]
    assert line.split() == ["14252", "78.60", "0.00", "0.00", "31.05M", "0:02.10", "www", "python3"]
    heading = drawn(DUMMY, width=200)[3]
    assert [heading.index(word) for word in ("PID", "CPU (%)", "MEMORY", "AGE", "RSS")] == [3, 28, 48, 68, 88]
    assert [line.index(word) for word in ("14252", "78.60", "31.05M")] == [2, 29, 88]


def test_narrow_screen_still_has_all_four_values():
    line = drawn(DUMMY, width=40)[5]
    assert line.split() == ["14253", "77.60", "0.10", "1234.50"]
    sums = drawn(DUMMY, width=40)[9]
    assert sums.split() == ["76.60", "1.00", "4938.00"]


def test_sockets_have_addresses_and_hits():
    model = Model(3.0)
    for fd, reads, address in ((6, 2, "/run/" + "x" * 80), (5, 31, "127.0.0.1:8000")):
        model.add("sockets", str(fd), {"fd": fd, "subtopic": fd, "reads": reads, "address": address}, 0.0)
    model.add("sockets", None, {"addresses": [], "reads": 33}, 0.0)
    assert drawn(model)[2:7] == [
        "sockets  2 sockets",
        "   ADDRESS" + " " * 57 + "HITS" + " " * 9,
        "  127.0.0.1:8000" + " " * 52 + "31",
        "  /run/" + "x" * 59 + "~ 2",
        " " * 68 + "33 (sum)",
    ]


def test_short_addresses_leave_the_hits_in_their_documented_column():
    model = Model(3.0)
    model.add("sockets", "5", {"fd": 5, "subtopic": 5, "reads": 31, "address": "127.0.0.1:8000"}, 0.0)
    heading, row, total = drawn(model)[3:6]
    assert [heading.index("ADDRESS"), heading.index("HITS")] == [3, 28]
    assert [row.index("127"), row.index("31"), total.index("31 (sum)")] == [2, 29, 29]


def test_processes_of_circus_itself_show_their_names():
    model = model_of(("circus", [process(7, name="circusd")]))
    assert drawn(model)[4].startswith("  7 (circusd) ")


def test_watchers_that_circus_starts_for_itself_are_hidden():
    model = model_of(("circusd-stats", [process(8)]), ("circushttpd", [process(9)]), ("web", [process(10)]))
    lines = drawn(model)
    assert pids(lines) == [10]
    assert "1 process, by cpu" in lines[0]


def test_missing_or_odd_values_are_not_available():
    model = model_of(("web", [{"pid": 1, "cpu": "N/A", "mem": None, "age": [1]}, {"pid": 2, "cpu": True}]))
    assert drawn(model)[4].split() == ["1", "N/A", "N/A", "N/A"]
    assert drawn(model)[5].split() == ["2", "N/A", "N/A", "N/A"]
    assert drawn(model)[6].split() == ["N/A", "(avg)", "N/A", "(sum)", "N/A", "(older)"]


# ---- order


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", [2, 1, 11, 3]),
        ("c", [11, 1, 2, 3]),
        ("m", [1, 11, 2, 3]),
        ("mm", [2, 11, 1, 3]),
        ("a", [11, 2, 1, 3]),
        ("p", [1, 2, 3, 11]),
        ("pp", [11, 3, 2, 1]),
    ],
)
def test_numbers_are_sorted_as_numbers_and_the_unknown_comes_last(keys, expected):
    model = model_of(
        (
            "web",
            [
                process(11, cpu=3.0, mem=5.0, age=1000.0),
                process(1, cpu=9.0, mem=10.0, age=99.5),
                process(3, cpu="N/A", mem="N/A", age="N/A"),
                process(2, cpu=100.0, mem=0.5, age=100.0),
            ],
        )
    )
    view = View()
    for key in keys:
        view.press(key)
    assert pids(drawn(model, view)) == expected


def test_title_tells_the_order():
    view = View()
    view.press("m")
    view.press("m")
    assert drawn(DUMMY, view)[0].endswith("by memory, reversed")


# ---- filter


def filtered(model, text):
    view = View()
    view.filter = text
    return drawn(model, view)


TWO = model_of(
    ("web-front", [process(11), process(12, cmdline="nginx")]),
    ("db", [process(111), process(20, username="Postgres")]),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("WEB", [11, 12]), ("nginx", [12]), ("11", [111, 11]), ("postgres", [20]), ("none", []), ("", [20, 111, 11, 12])],
)
def test_filter_looks_at_names_pids_users_and_commands(text, expected):
    assert pids(filtered(TWO, text)) == expected


def test_filtered_watcher_tells_how_many_there_are():
    assert filtered(TWO, "nginx")[2] == "web-front  1 of 2 processes"
    assert filtered(TWO, "nginx")[0].endswith("/nginx")


def test_filter_that_nothing_fits_is_told():
    assert "nothing has `zzz` in it" in filtered(TWO, "zzz")


def test_filter_being_typed_stands_in_the_last_line():
    view = View()
    for key in "/we":
        view.press(key)
    lines = drawn(TWO, view)
    assert lines[-1].rstrip() == "/we_"
    assert pids(lines) == [11, 12]


# ---- scrolling


MANY = model_of(
    ("a", [process(1000 + n, cpu=float(300 - n)) for n in range(300)]), ("b", [process(n) for n in range(5)])
)


def test_first_screen_has_the_largest_and_tells_how_much_there_is():
    lines = drawn(MANY)
    assert len(lines) == 24
    assert pids(lines) == list(range(1000, 1018))
    assert lines[-1].endswith(" 1-20/312")


def test_all_processes_pass_by_screen_after_screen():
    view, seen = View(), []
    for _ in range(40):
        seen += [pid for pid in pids(drawn(MANY, view)) if pid not in seen]
        view.press(PAGE_DOWN)
    assert seen == [*range(1000, 1300), *range(5)]


def test_name_and_headings_stay_while_processes_pass_under_them():
    view = View()
    view.top = 100
    lines = drawn(MANY, view)
    assert lines[2:4] == drawn(MANY)[2:4]
    assert pids(lines)[0] == 1100


@pytest.mark.parametrize("top", range(290, 312))
def test_heading_stands_over_processes_of_its_own_watcher_only(top):
    view = View()
    view.top = top
    body = drawn(MANY, view, height=10)[2:-2]
    for line, below in zip(body, body[2:], strict=False):
        if line.startswith("a "):
            assert "(avg)" in below or pids([below])[0] >= 1000
        if line.startswith("b "):
            assert pids([below])[0] < 1000


def test_place_beyond_the_end_shows_the_end():
    view = View()
    view.top = 100_000
    lines = drawn(MANY, view)
    assert "(avg)" in lines[-3]
    assert lines[-1].endswith("293-312/312")
    assert view.top == 292


def test_end_and_tab_lead_to_places_that_exist():
    view = View()
    drawn(MANY, view)
    view.press(TAB)
    drawn(MANY, view, height=8)
    assert view.top == 304
    view.press(END)
    drawn(MANY, view, height=8)
    assert view.top == 308


def test_few_shows_ten_of_each_watcher():
    view = View()
    view.press("t")
    lines = drawn(MANY, view, height=60)
    assert lines[2] == "a  10 of 300 processes"
    assert pids(lines) == [*range(1000, 1010), *range(5)]


# ---- silence


def test_before_the_first_message_it_waits():
    assert drawn(Model(3.0), silence=Silence(0.5, False, "tcp://x"))[2] == "*** Waiting for data ***"


def test_silence_is_told_with_the_remedy():
    text = " ".join(drawn(Model(3.0), silence=Silence(SILENCE, False, "tcp://x")))
    assert "No figures from tcp://x within 3 s." in text
    assert "`statsd = true`" in text and "[circus]" in text and "--endpoint" in text


def test_silence_after_figures_is_told_above_those_that_still_stand():
    lines = drawn(DUMMY, silence=Silence(42.4, True, "tcp://x"))
    assert lines[2] == "No figures from tcp://x for 42 s."
    assert pids(lines) == [14252, 14253, 14254, 14255, 14256]


def test_no_processes_is_not_silence():
    assert drawn(Model(3.0))[2] == "no watcher has a process"


# ---- what it must never do


def test_control_characters_are_escaped_wherever_they_hide():
    bad = "\x1b[2J\n"
    model = model_of((f"w{bad}", [process(1, cmdline=bad, username=bad, mem_info1=bad, ctime=bad, name=bad, cpu=bad)]))
    model.add("s", "5", {"fd": 5, "address": bad, "reads": bad}, 0.0)
    view = View()
    view.filter = bad
    for height in (24, 5):
        lines = drawn(model, view, width=200, height=height, silence=Silence(9.0, True, bad))
        assert all(line.isprintable() for line in lines)
    assert all(line.isprintable() for line in plain(model.groups(), view, 200))


def test_what_the_terminal_cannot_write_is_escaped():
    model = model_of(("日本", [process(1)]))
    assert drawn(model, encoding="ascii")[2] == "\\u65e5\\u672c  1 process"
    assert drawn(model)[2] == "日本  1 process"


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 220),
    st.integers(1, 70),
    st.booleans(),
    st.text(max_size=5),
    st.floats(0, 10),
    st.booleans(),
    st.integers(0, 400),
)
def test_drawing_fits_the_screen_whatever_its_size(width, height, help_page, text, silent, ever, top):
    view = View()
    view.help, view.typing, view.top = help_page, text or None, top
    lines = drawn(MANY, view, width, height, Silence(silent, ever, "tcp://127.0.0.1:5557"))
    assert len(lines) <= height
    assert all(cells(line) <= width for line in lines)


def test_help_names_every_key_and_fits_the_smallest_common_screen():
    view = View()
    view.press("h")
    lines = drawn(DUMMY, view)
    text = "\n".join(lines)
    for word in ("PgUp", "Home", "Tab", "Ctrl-C", "/", "sort by cpu", "sort by pid", "HITS"):
        assert word in text
    assert len(lines) == 24 and not any(line.endswith("~") for line in lines)
    assert "/" not in lines[-1]  # all of it is there, nothing to scroll


def test_plain_text_has_all_processes_and_no_keys():
    lines = plain(MANY.groups(), View(), 100)
    assert lines[0] == "Circus Top"
    assert lines[1] == lines[-1] == "-" * 100
    assert len(pids(lines)) == 305
    assert lines[3].split()[-1] == "COMMAND"
