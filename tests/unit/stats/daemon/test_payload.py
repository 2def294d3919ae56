"""What is published: of one process, and of all of a watcher."""

from __future__ import annotations

from typing import Any

import pytest

from circus.stats.daemon import payload


def figures(pid: int, cpu: Any = 0.0, mem: Any = 0.0, age: Any = 1.0) -> dict[str, Any]:
    return {"pid": pid, "cpu": cpu, "mem": mem, "age": age, "nice": 0, "children": [{"pid": 99}]}


def test_a_process_has_its_figures_its_pid_as_subtopic_and_no_children() -> None:
    assert payload.process(figures(5, 1.5), None) == {
        "pid": 5, "cpu": 1.5, "mem": 0.0, "age": 1.0, "nice": 0, "children": [], "subtopic": 5, "name": None,
    }  # fmt: skip
    assert payload.process(figures(5), "circusd")["name"] == "circusd"


def test_the_total_has_the_average_of_cpu_the_sum_of_memory_and_the_greatest_age() -> None:
    total = payload.total([figures(1, 10.0, 1.5, 3.0), figures(2, 20.0, 2.5, 7.0), figures(3, 60.0, 0.0, 5.0)])
    assert total == {"pid": [1, 2, 3], "cpu": 30.0, "mem": 4.0, "age": 7.0}


@pytest.mark.parametrize("key", ["cpu", "mem"])
def test_a_total_with_an_unknown_part_is_unknown(key: str) -> None:
    total = payload.total([figures(1, 1.0, 1.0), figures(2, **{key: "N/A"})])
    assert total[key] == "N/A" and {"cpu", "mem"} - {key} == {k for k in ("cpu", "mem") if total[k] != "N/A"}


def test_ages_that_are_unknown_do_not_count() -> None:
    assert payload.total([figures(1, age="N/A"), figures(2, age=2.0)])["age"] == 2.0
    assert payload.total([figures(1, age="N/A")])["age"] == "N/A"


def test_the_total_of_nobody_is_nothing() -> None:
    assert payload.total([]) == {"pid": [], "cpu": 0.0, "mem": 0, "age": "N/A"}


def test_a_socket_has_its_descriptor_as_subtopic_its_address_and_its_hits() -> None:
    web, api = payload.socket(7, "127.0.0.1:80", 3), payload.socket(9, "/run/api.sock", 0)
    assert web == {"fd": 7, "subtopic": 7, "reads": 3, "address": "127.0.0.1:80"}
    assert payload.sockets([web, api]) == {"addresses": ["127.0.0.1:80", "/run/api.sock"], "reads": 3}


def test_topics_of_a_watcher_and_of_a_process() -> None:
    assert (payload.topic("a"), payload.topic("a", 12)) == ("stat.a", "stat.a.12")
