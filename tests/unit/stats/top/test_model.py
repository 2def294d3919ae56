"""What circus-top knows, and when it forgets."""

from __future__ import annotations

import math

import pytest

from circus.stats.top.model import Model, Round, number


def process(pid, cpu=1.0, mem=0.5, age=10.0, **more):
    return {"pid": pid, "subtopic": pid, "cpu": cpu, "mem": mem, "age": age, "cmdline": "python3", "name": None, **more}


def socket(fd, reads=1, address="127.0.0.1:80"):
    return {"fd": fd, "subtopic": fd, "reads": reads, "address": address}


@pytest.fixture
def model():
    return Model(timeout=3.0)


def pids(model):
    return {group.name: [figures["pid"] for figures in group.figures] for group in model.groups()}


def test_groups_come_by_name_with_their_processes(model):
    for name, pid in (("web", 3), ("db", 2), ("web", 1)):
        model.add(name, str(pid), process(pid), now=0.0)
    assert pids(model) == {"db": [2], "web": [3, 1]}
    assert [group.name for group in model.groups()] == ["db", "web"]


def test_newer_figures_of_a_process_replace_the_older(model):
    model.add("web", "1", process(1, cpu=1.0), now=0.0)
    model.add("web", "1", process(1, cpu=2.0), now=1.0)
    assert [figures["cpu"] for figures in model.groups()[0].figures] == [2.0]


def test_silent_process_is_dropped_after_its_time_and_not_before(model):
    model.add("web", "1", process(1), now=0.0)
    model.add("web", "2", process(2), now=1.0)
    model.expire(now=3.0)
    assert pids(model) == {"web": [1, 2]}
    model.expire(now=3.5)
    assert pids(model) == {"web": [2]}


def test_watcher_without_processes_is_not_shown(model):
    model.add("web", None, {"pid": [], "cpu": 0.0, "mem": 0, "age": "N/A"}, now=0.0)
    assert model.groups() == []


def test_model_is_empty_when_all_was_silent(model):
    model.add("web", "1", process(1), now=0.0)
    model.add("web", None, {"pid": [1], "cpu": 1.0}, now=0.0)
    model.expire(now=10.0)
    assert model.groups() == []
    assert model.snapshot() == {"watchers": {}, "sockets": {}}


def test_time_of_the_last_message_is_known(model):
    assert model.last_at is None
    model.add("web", "1", process(1), now=4.0)
    model.expire(now=100.0)
    assert model.last_at == 4.0


def test_total_is_the_published_one(model):
    model.add("web", "1", process(1, cpu=10.0), now=0.0)
    model.add("web", None, {"pid": [1, 2], "cpu": 7.5}, now=0.0)
    (group,) = model.groups()
    assert group.total("cpu") == 7.5


def test_total_is_our_own_while_none_was_published_lately(model):
    model.add("web", None, {"pid": [1], "cpu": 99.0}, now=0.0)
    model.add("web", "1", process(1, cpu=1.0, mem=0.5, age=10.0), now=5.0)
    model.add("web", "2", process(2, cpu=4.0, mem=0.25, age=30.0), now=5.0)
    model.expire(now=5.0)
    (group,) = model.groups()
    assert [group.total(key) for key in ("cpu", "mem", "age")] == [2.5, 0.75, 30.0]


def test_own_total_is_unknown_if_one_value_is(model):
    model.add("web", "1", process(1, cpu="N/A"), now=0.0)
    model.add("web", "2", process(2), now=0.0)
    (group,) = model.groups()
    assert group.total("cpu") == "N/A"
    assert group.total("mem") == 1.0


def test_watcher_called_sockets_is_not_taken_for_the_sockets(model):
    model.add("sockets", "7", process(7), now=0.0)
    model.add("sockets", "5", socket(5), now=0.0)
    model.add("sockets", None, {"addresses": ["x"], "reads": 1}, now=0.0)
    assert [(group.name, group.has_sockets, len(group.entries)) for group in model.groups()] == [
        ("sockets", False, 1),
        ("sockets", True, 1),
    ]


def test_snapshot_holds_processes_sums_and_sockets(model):
    model.add("web", "1", process(1), now=0.0)
    model.add("web", None, {"pid": [1], "cpu": 1.0, "mem": 0.5, "age": 10.0}, now=0.0)
    model.add("idle", None, {"pid": [], "cpu": 0.0, "mem": 0, "age": "N/A"}, now=0.0)
    model.add("sockets", "5", socket(5, reads=3), now=0.0)
    assert model.snapshot() == {
        "watchers": {
            "idle": {"cpu": 0.0, "mem": 0, "age": "N/A", "processes": []},
            "web": {"cpu": 1.0, "mem": 0.5, "age": 10.0, "processes": [process(1)]},
        },
        "sockets": {"reads": 3, "sockets": [socket(5, reads=3)]},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (2.5, 2.5), ("N/A", None), ("3", None), (None, None), (True, None), (math.nan, None), (10**400, None)],
)
def test_only_numbers_are_numbers(value, expected):
    assert number(value) == expected


# ---- a full round


def test_nothing_heard_has_no_end():
    assert Round().over_at == math.inf


def test_round_is_over_a_moment_after_something_came_again():
    heard = Round()
    for now, key in ((0.5, "2"), (0.6, None), (1.4, "1"), (1.5, "2"), (1.55, None)):
        assert heard.over_at > now
        heard.hear("web", key, now)
    assert heard.over_at == 1.55 + Round.QUIET


def test_same_process_number_in_another_group_is_another_one():
    heard = Round()
    heard.hear("web", "1", 0.0)
    heard.hear("circus", "1", 0.01)
    assert heard.over_at == Round.LONGEST


def test_round_that_repeats_nothing_or_never_pauses_has_an_end():
    heard = Round()
    for pid in range(100):
        heard.hear("web", str(pid // 2), pid * 0.05)
    assert heard.over_at == Round.LONGEST
