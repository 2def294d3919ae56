"""The plan that takes running watchers to what a file says."""

import pytest

from circus.machine.changes import Change, StepKind, needs_restart, plan
from circus.options.option import Effect
from circus.options.table import CircusSpec, WatcherSpec


def spec(name, extras=None, **values):
    return WatcherSpec(name, values, extras)


def test_same_specs_give_an_empty_plan():
    assert plan([spec("a", cmd="x")], [spec("a", cmd="x")]) == []


def test_names_are_compared_ignoring_case():
    assert plan([spec("Web", cmd="x")], [spec("web", cmd="x")]) == []


def test_what_is_gone_goes_first_and_what_is_new_comes_last():
    steps = plan([spec("old"), spec("same", numprocesses=1)], [spec("new"), spec("same", numprocesses=2)])
    assert [(step.kind, step.name) for step in steps] == [
        (StepKind.REMOVE, "old"),
        (StepKind.ADJUST, "same"),
        (StepKind.ADD, "new"),
    ]


def test_bigger_priority_comes_first():
    steps = plan([], [spec("low"), spec("high", priority=5), spec("middle", priority=2)])
    assert [step.name for step in steps] == ["high", "middle", "low"]


def test_only_numprocesses_changed_adjusts():
    new = spec("a", numprocesses=4)
    assert plan([spec("a")], [new]) == [Change(StepKind.ADJUST, "a", new, frozenset({"numprocesses"}))]


def test_number_changed_while_running_goes_back_to_the_file():
    running = spec("a", numprocesses=7)
    assert [step.kind for step in plan([running], [spec("a", numprocesses=2)])] == [StepKind.ADJUST]


def test_another_command_recreates():
    assert [step.kind for step in plan([spec("a", cmd="x")], [spec("a", cmd="y")])] == [StepKind.RECREATE]


def test_a_key_added_or_removed_is_noticed():
    assert [step.kind for step in plan([spec("a")], [spec("a", working_dir="/")])] == [StepKind.RECREATE]
    assert [step.kind for step in plan([spec("a", working_dir="/")], [spec("a")])] == [StepKind.RECREATE]


def test_another_stream_recreates():
    old = spec("a", stdout_stream={"class": "StdoutStream"})
    assert [step.kind for step in plan([old], [spec("a")])] == [StepKind.RECREATE]


@pytest.mark.parametrize("option", list(WatcherSpec.options()), ids=lambda option: option.name)
def test_a_watcher_goes_on_exactly_if_the_table_says_that_its_processes_do(option):
    new = spec("a", **{option.attribute: 77})
    (step,) = plan([spec("a")], [new])
    goes_on = option.effect in (Effect.NOTHING, Effect.MANAGE)
    assert step.kind is (StepKind.ADJUST if goes_on else StepKind.RECREATE)


def test_free_form_data_adjusts():
    assert [step.kind for step in plan([spec("a", {"team": "x"})], [spec("a", {"team": "y"})])] == [StepKind.ADJUST]


def test_a_step_names_what_differs():
    (step,) = plan([spec("a", cmd="x")], [spec("a", cmd="y", numprocesses=3)])
    assert str(step) == "a is stopped and started with other settings (cmd, numprocesses)"
    assert str(Change(StepKind.ADD, "b", spec("b"))) == "b is new"


def test_delays_of_the_daemon_can_change_while_it_runs():
    assert needs_restart(CircusSpec("", {"check_delay": 1}), CircusSpec("", {"warmup_delay": 2})) == set()


def test_what_has_no_effect_needs_no_restart():
    assert needs_restart(CircusSpec(), CircusSpec("", {"proc_name": "x", "include_dir": ["d"]})) == set()


def test_an_endpoint_cannot_change_while_the_daemon_runs():
    assert needs_restart(CircusSpec(), CircusSpec("", {"endpoint": "ipc:///x", "include": ["a"]})) == {"endpoint"}
