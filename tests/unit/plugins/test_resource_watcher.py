"""The resource watcher: figures against limits, counting in a row, and what is done about it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import NamedTuple

import pytest

from circus.plugins.resource_watcher import Figures, Judge, Limits, Memory, ResourceWatcher, Verdict, memory
from tests.unit.plugins.support import build, refuses

# ---- options -----------------------------------------------------------------------------------------------------


def test_options_have_defaults():
    plugin = build(ResourceWatcher, watcher="web")
    assert plugin.limits == Limits(max_cpu=90, max_mem=Memory(90, False), health_threshold=75)
    assert (plugin.max_count, plugin.process_children, plugin.child_signal) == (3, False, 15)


def test_options_come_from_text():
    plugin = build(
        ResourceWatcher,
        watcher="web",
        max_cpu="80",
        min_cpu="0",
        max_mem="1.5G",
        min_mem="10M",
        health_threshold="0",
        max_count="0",
        process_children="yes",
        child_signal="USR1",
    )
    assert plugin.watcher == "web"
    assert plugin.limits == Limits(80, 0, Memory(1.5 * 1024**3, True), Memory(10 * 1024**2, True), None)
    assert (plugin.max_count, plugin.process_children, plugin.child_signal) == (0, True, 10)


def test_name_of_the_watcher_goes_before_its_old_option():
    with pytest.warns(DeprecationWarning, match=r"use ResourceWatcher\.watcher"):
        assert build(ResourceWatcher, service="old", watcher="new").watcher == "new"
    with pytest.warns(DeprecationWarning, match="service is deprecated"):
        assert build(ResourceWatcher, service="old").watcher == "old"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("90", Memory(90, False)),
        ("0.5 %", Memory(0.5, False)),
        ("100000.1", Memory(100000.1, False)),
        ("1023B", Memory(1023, True)),
        ("2k", Memory(2048, True)),
        ("4T", Memory(4 * 1024**4, True)),
    ],
)
def test_memory_is_percent_unless_it_has_a_unit(text, limit):
    assert memory(text) == limit


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_cpu", "much"),
        ("min_cpu", "-1"),
        ("max_mem", "10X"),
        ("max_mem", "nan"),
        ("min_mem", "-5M"),
        ("min_mem", "-5"),
        ("min_mem", "%"),
        ("health_threshold", "bad"),
        ("max_count", "1.5"),
        ("process_children", "perhaps"),
        ("child_signal", "99"),
    ],
)
def test_bad_value_is_refused(option, value):
    refuses(ResourceWatcher, option, value, watcher="web")


def test_without_a_watcher_it_says_so():
    with pytest.raises(ValueError, match="plugin:p: watcher is missing"):
        build(ResourceWatcher)


# ---- limits ------------------------------------------------------------------------------------------------------

NOTHING = Limits()
MIB = 1024**2


@pytest.mark.parametrize(
    ("limits", "processes", "passed"),
    [
        (Limits(max_cpu=50), [(51, 1, 1)], ["over_cpu"]),
        (Limits(max_cpu=50), [(50, 1, 1)], []),
        (Limits(max_cpu=50), [(1, 1, 1), (99, 1, 1)], ["over_cpu"]),
        (Limits(min_cpu=5), [(5, 1, 1)], ["under_cpu"]),
        (Limits(min_cpu=5), [(5.1, 1, 1)], []),
        (Limits(min_cpu=5), [(80, 1, 1), (1, 1, 1)], ["under_cpu"]),
        (Limits(min_cpu=0), [(0, 1, 1)], ["under_cpu"]),
        (Limits(max_mem=Memory(50, False)), [(1, 51, 1)], ["over_memory"]),
        (Limits(max_mem=Memory(50, False)), [(1, 50, 9 * MIB)], []),
        (Limits(max_mem=Memory(MIB, True)), [(1, 0, MIB + 1)], ["over_memory"]),
        (Limits(max_mem=Memory(MIB, True)), [(1, 99, MIB)], []),
        (Limits(min_mem=Memory(50, False)), [(1, 49, 9 * MIB)], ["under_memory"]),
        (Limits(min_mem=Memory(50, False)), [(1, 50, 1)], []),
        (Limits(min_mem=Memory(MIB, True)), [(1, 1, MIB - 1)], ["under_memory"]),
        # A size is compared with sizes: as a percentage every process would be below it.
        (Limits(min_mem=Memory(MIB, True)), [(1, 1, MIB)], []),
        (Limits(min_mem=Memory(MIB, True)), [(1, 1, 9 * MIB), (1, 1, 1)], ["under_memory"]),
        (Limits(health_threshold=50), [(90, 11, 1)], ["over_health"]),
        (Limits(health_threshold=50), [(90, 10, 1)], []),
        (Limits(health_threshold=50), [(90, 1, 1), (1, 11, 1)], ["over_health"]),
        (Limits(50, 60, Memory(1, False), Memory(9, False), 10), [(60, 5, 1)],
         ["over_cpu", "under_cpu", "over_memory", "under_memory", "over_health"]),
        (Limits(), [(100, 100, 1)], []),
    ],
)  # fmt: skip
def test_limit_is_passed_by_the_process_that_uses_most_or_least(limits, processes, passed):
    assert limits.passed([Figures(*one) for one in processes]) == passed


@pytest.mark.parametrize("processes", [[], [(None, None, None)]])
@pytest.mark.parametrize("is_size", [False, True])
def test_what_is_not_known_passes_no_limit(processes, is_size):
    limits = Limits(0, 100, Memory(0, is_size), Memory(100, is_size), 1)
    assert limits.passed([Figures(*one) for one in processes]) == []


def test_one_unknown_figure_hides_no_other():
    assert Limits(max_cpu=50, health_threshold=1).passed([Figures(None, 99, 1), Figures(60, None, 1)]) == [
        "over_cpu",
        "over_health",
    ]


# ---- counting ----------------------------------------------------------------------------------------------------


def info(mem=0.0, cpu: object = 0.0, children=(), size="1.00M"):
    return {"mem": mem, "cpu": cpu, "mem_info1": size, "children": list(children)}


def child(pid, mem):
    return {"pid": pid, **info(mem)}


OVER, UNDER = info(99.0), info(1.0)
MEMORY = Limits(max_mem=Memory(50, False))


def looks(judge, *infos):
    return [judge.look(one) for one in infos]


def restarts(judge, *infos):
    return [verdict.restart for verdict in looks(judge, *infos)]


def test_restart_is_due_when_the_count_exceeds_its_limit_and_counting_begins_anew():
    over = {"1": OVER}
    assert restarts(Judge(MEMORY, 2), *[over] * 7) == [False, False, True, False, False, True, False]


def test_max_count_of_zero_restarts_at_once():
    assert looks(Judge(MEMORY, 0), {"1": OVER}) == [Verdict(["over_memory"], restart=True)]


def test_only_limits_passed_in_a_row_count():
    over, under = {"1": OVER}, {"1": UNDER}
    assert restarts(Judge(MEMORY, 1), over, under, over, under, over, over) == [False] * 5 + [True]


def test_each_limit_is_counted_for_itself():
    limits = Limits(max_mem=Memory(50, False), min_mem=Memory(10, False))
    over, under = {"1": info(99)}, {"1": info(1)}
    assert restarts(Judge(limits, 1), over, under, over, under) == [False] * 4


def test_watcher_without_processes_is_no_watcher_below_its_limits():
    limits = Limits(min_cpu=100, min_mem=Memory(100, False))
    assert looks(Judge(limits, 0), {}, {"1": "No such process (stopped?)"}) == [Verdict([]), Verdict([])]


def test_processor_is_not_judged_at_the_first_look_at_a_process():
    judge = Judge(Limits(max_cpu=50, min_cpu=0), 9)
    busy, idle = info(cpu=99.0), info(cpu=0.0)
    found = looks(judge, {"1": idle}, {"1": idle}, {"1": busy, "2": busy}, {"2": busy})
    assert [verdict.passed for verdict in found] == [[], ["under_cpu"], ["over_cpu"], ["over_cpu"]]


def test_figures_that_are_not_available_are_no_figures():
    judge = Judge(Limits(0, 0, Memory(0, True), Memory(0, False), 1), 0)
    unknown = {"1": info("N/A", "N/A", size="N/A")}
    assert looks(judge, unknown, unknown) == [Verdict([]), Verdict([])]


# ---- children ----------------------------------------------------------------------------------------------------


def family(**mems):
    """Process 1 with children c2, c3 ... that use so much."""
    return {"1": info(1.0, children=[child(int(name[1:]), mem) for name, mem in mems.items()])}


def test_children_are_not_looked_at_unless_it_is_requested():
    assert looks(Judge(MEMORY, 0), family(c2=99)) == [Verdict([])]


def test_child_that_passed_a_limit_too_often_is_named_with_its_parent_and_no_other():
    judge = Judge(MEMORY, 1, with_children=True)
    found = looks(judge, *[family(c2=99, c3=1, c4=99)] * 3)
    both = ["over_memory", "over_memory"]
    assert found == [Verdict(both), Verdict(both, False, ((1, 2), (1, 4))), Verdict(both)]


def test_children_are_counted_apart():
    judge = Judge(MEMORY, 1, with_children=True)
    assert looks(judge, family(c2=99, c3=1), family(c2=1, c3=99))[-1] == Verdict(["over_memory"])


def test_count_of_a_child_ends_with_it():
    judge = Judge(MEMORY, 1, with_children=True)
    looks(judge, family(c2=99), family(), family(c2=99))
    assert looks(judge, family(c2=99)) == [Verdict(["over_memory"], False, ((1, 2),))]
    assert looks(judge, family()) == [Verdict([])]


def test_processor_of_a_child_is_judged_from_its_second_look():
    judge = Judge(Limits(max_cpu=50), 0, with_children=True)
    busy = {"1": info(children=[{"pid": 2, **info(cpu=99.0)}])}
    assert looks(judge, busy, busy) == [Verdict([]), Verdict(["over_cpu"], False, ((1, 2),))]


def test_children_go_with_their_watcher_and_are_not_signalled():
    judge = Judge(MEMORY, 0, with_children=True)
    verdict = judge.look({"1": info(99, children=[child(2, 99)])})
    assert verdict == Verdict(["over_memory", "over_memory"], restart=True)


# ---- what is done ------------------------------------------------------------------------------------------------


class Statsd:
    """Keeps what is counted."""

    def __init__(self):
        self.counts = Counter()

    def increment(self, bucket):
        self.counts[bucket.removeprefix("_resource_watcher.web.")] += 1


class Scene(NamedTuple):
    plugin: ResourceWatcher
    replies: dict

    def look(self, times=1):
        for _ in range(times):
            self.plugin.look_after()
        return self.plugin.sent

    @property
    def counts(self):
        return dict(self.plugin.statsd.counts)


def scene(infos, status="active", **config):
    replies = {"stats": {"status": "ok", "info": infos}, "status": {"status": status}}

    def answer(command, **props):
        assert props == {"name": "web"}
        return replies[command]

    plugin = build(ResourceWatcher, answer, watcher="web", **config)
    plugin.statsd = Statsd()
    return Scene(plugin, replies)


def test_watcher_beyond_a_limit_for_too_long_is_restarted_and_counted():
    made = scene({"1": info(95.0)})
    assert made.look(3) == []
    assert made.look() == [("restart", {"name": "web", "match": "simple"})]
    assert made.counts == {"over_memory": 4, "restarting": 1}


@pytest.mark.parametrize("status", ["stopped", "stopping", "starting"])
def test_watcher_that_is_not_active_is_left_alone(status):
    made = scene({"1": info(95.0, children=[child(2, 95.0)])}, status, max_count=0, process_children=True)
    assert made.look(2) == []
    assert made.counts == {"over_memory": 4}


def test_child_gets_the_signal_and_nobody_else():
    made = scene(family(c2=99, c3=1), max_count=0, process_children="1", child_signal="hup")
    assert made.look() == [("signal", {"name": "web", "signum": 1, "pid": 1, "childpid": 2})]
    assert made.counts == {"over_memory": 1, "restarting": 1}


def test_watcher_that_cannot_be_asked_for_is_counted_each_time_and_said_once(caplog):
    made = scene({"1": info(95.0)}, max_count=1)
    made.look()
    figures = dict(made.replies["stats"])
    made.replies["stats"].clear()
    made.replies["stats"].update(status="error", reason="program web not found")
    with caplog.at_level(logging.WARNING, "circus"):
        made.look(3)
    assert caplog.messages == ["resource_watcher: web cannot be looked after: program web not found"]
    made.replies["stats"].update(figures)
    assert made.look() == []  # counting began anew
    assert made.counts == {"over_memory": 2, "error": 3}
    assert made.look() == [("restart", {"name": "web", "match": "simple"})]


@pytest.mark.parametrize(
    ("config", "level"), [({}, logging.DEBUG), ({"host": "graphs"}, logging.WARNING), ({"port": "1"}, logging.WARNING)]
)
def test_statsd_server_is_missed_only_if_one_was_named(config: dict[str, str], level: int) -> None:
    assert build(ResourceWatcher, None, watcher="web", **config).statsd.trouble_level == level
