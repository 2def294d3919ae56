"""Hooks: how they are named, what their outcome is, and the thread they run in."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

import pytest

from circus.common import names
from circus.exc import ImportStringError
from circus.runtime import hooks
from circus.runtime.hooks import Hook, HookRunner, Outcome, resolve_hook


def yes(**_):
    return True


def no(watcher, arbiter, hook_name):
    return False


def raises(**_):
    raise ValueError("no luck")


HERE = __name__


# ---- which -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "ignored"),
    [
        (yes, False),
        ((yes, True), True),
        ([yes], False),
        (f"{HERE}.yes", False),
        (f"{HERE}:yes", False),
        (f"{HERE}.yes, true", True),
        (f"{HERE}.yes,false", False),
        ((f"{HERE}.yes", "on"), True),
    ],
)
def test_hook_may_be_written_in_every_way_programs_and_files_use(value, ignored):
    hook = resolve_hook(names.BEFORE_START, value)
    assert hook.function.__name__ == "yes"
    assert hook.ignore_failure is ignored


@pytest.mark.parametrize("name", sorted(names.HOOKS_IGNORING_FAILURE))
def test_failure_of_a_hook_that_decides_nothing_is_ignored_without_being_told(name):
    assert resolve_hook(name, yes).ignore_failure


@pytest.mark.parametrize("value", ["no.such.module", f"{HERE}.nothing"])
def test_hook_that_cannot_be_found_is_an_import_error(value):
    with pytest.raises(ImportStringError, match="cannot import"):
        resolve_hook(names.BEFORE_START, value)


@pytest.mark.parametrize("value", [3, f"{HERE}.HERE", (yes, "perhaps")])
def test_hook_that_is_no_function_or_has_no_flag_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"cannot be called|neither true"):
        resolve_hook(names.BEFORE_START, value)


def test_reload_takes_what_the_module_says_now(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = tmp_path / "hooks_that_change.py"
    module.write_text("def hook(**_): return 'old'\n")
    assert resolve_hook("before_start", "hooks_that_change.hook").function() == "old"
    module.write_text("def hook(**_): return 'new one'\n")
    assert resolve_hook("before_start", "hooks_that_change.hook").function() == "old"
    assert resolve_hook("before_start", "hooks_that_change.hook", reload=True).function() == "new one"


# ---- what comes of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "counts_as"), [(True, True), ("x", True), (0, False), (None, False), ([], False)])
def test_result_counts_by_its_truth(value, counts_as):
    outcome = Hook("before_start", lambda: value, False).call()
    assert (outcome.result, outcome.error) == (counts_as, "")


@pytest.mark.parametrize("ignored", [True, False])
def test_exception_becomes_the_outcome_and_counts_unless_ignored(ignored, caplog):
    outcome = Hook("before_start", raises, ignored).call()
    assert outcome.result is ignored
    assert outcome.error == "no luck"
    assert isinstance(outcome.cause, ValueError)
    assert "Hook 'before_start' failed" in caplog.text


@pytest.mark.parametrize(("error", "text"), [(KeyError, "KeyError"), (SystemExit, "SystemExit")])
def test_exception_without_words_and_an_exit_are_told_by_their_name(error, text):
    def hook():
        raise error

    assert Hook("before_start", hook, False).call().error == text


@pytest.mark.parametrize("by_keyword", [True, False])
def test_log_names_the_watcher_whose_hook_failed(by_keyword, caplog):
    class Web:
        name = "web"

    def hook(*args, **kwargs):
        raise ValueError

    hook = Hook("before_start", hook, False)
    hook.call(watcher=Web()) if by_keyword else hook.call(Web())
    assert "Hook 'before_start' failed for watcher 'web'" in caplog.text


def test_hook_with_the_early_signature_is_called_by_keywords():
    outcome = Hook("before_start", no, False).call(watcher=1, arbiter=2, hook_name="before_start")
    assert (outcome.result, outcome.error) == (False, "")


# ---- the thread --------------------------------------------------------------------------------------------------


class Desk:
    """Stands in for the main loop: collects what is posted, and runs it when told."""

    def __init__(self) -> None:
        self._posted: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self.outcomes: list[tuple[str, Outcome]] = []
        self.begun: list[hooks.Run] = []

    def post(self, call: Callable[[], object]) -> None:
        self._posted.put(call)

    def next(self) -> None:
        self._posted.get(timeout=20)()

    def is_empty(self) -> bool:
        try:
            call = self._posted.get_nowait()
        except Empty:
            return True
        self._posted.put(call)
        return False

    def note(self, what: str) -> Callable[[Outcome], None]:
        return lambda outcome: self.outcomes.append((what, outcome))

    def wait(self, count: int) -> list[str]:
        while len(self.outcomes) < count:
            self.next()
        return [what for what, _ in self.outcomes]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def runner(desk) -> Iterator[HookRunner]:
    runner = HookRunner("web", desk.post, watcher="the watcher")
    yield runner
    runner.close()


class Stuck:
    """A hook that returns when it is told to."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self) -> bool:
        self.begun.set()
        return self.go.wait(20)


def hook(function: Callable[..., object], ignore: bool = False) -> Hook:
    return Hook("before_start", function, ignore)


def test_no_thread_before_the_first_hook(desk):
    HookRunner("nobody", desk.post)
    assert not [thread for thread in threading.enumerate() if "nobody" in thread.name]


def test_hooks_of_a_watcher_run_one_after_the_other_in_a_thread_of_their_own(desk, runner):
    seen = []
    for number in range(3):
        runner.submit(hook(lambda n: seen.append((n, threading.get_ident()))), (number,), {}, desk.note(str(number)))
    assert desk.wait(3) == ["0", "1", "2"]
    assert [number for number, _ in seen] == [0, 1, 2]
    assert {ident for _, ident in seen} != {threading.get_ident()}
    assert len({ident for _, ident in seen}) == 1


def test_outcome_is_told_in_the_main_loop_only(desk, runner):
    runner.submit(hook(yes), (), {}, desk.note("yes"))
    while desk.is_empty():
        pass
    assert desk.outcomes == []
    assert desk.wait(1) == ["yes"]


def test_running_hook_knows_whose_it_is_and_nobody_else_does(desk, runner):
    seen = []
    runner.submit(hook(lambda: seen.append(hooks.current())), (), {}, desk.note("current"))
    desk.wait(1)
    assert seen == [("before_start", "the watcher")]
    assert hooks.current() == ("", None)


def test_begun_is_told_when_the_hook_begins_and_not_while_it_waits_for_another(desk, runner):
    go = threading.Event()
    runner.submit(hook(lambda: go.wait(20)), (), {}, desk.note("first"), desk.begun.append)
    second = runner.submit(hook(yes), (), {}, desk.note("second"), desk.begun.append)
    desk.next()
    assert second not in desk.begun
    assert len(desk.begun) == 1
    go.set()
    desk.wait(2)
    assert desk.begun == [desk.begun[0], second] or desk.begun == [desk.begun[0]]


def test_abandoned_hook_counts_as_failed_and_those_behind_it_run(desk, runner):
    stuck_hook = Stuck()
    stuck = runner.submit(hook(stuck_hook), (), {}, desk.note("stuck"))
    runner.submit(hook(yes), (), {}, desk.note("next"))
    assert stuck_hook.begun.wait(20)
    runner.abandon(stuck, "too slow")
    assert desk.wait(2) == ["stuck", "next"]
    outcomes = dict(desk.outcomes)
    assert (outcomes["stuck"].result, outcomes["stuck"].error) == (False, "too slow")
    assert outcomes["next"].result
    stuck_hook.go.set()
    desk.next()  # it returns after all, which counts for nothing
    assert len(desk.outcomes) == 2


def test_abandoned_hook_whose_failure_is_ignored_counts_as_good(desk, runner):
    stuck_hook = Stuck()
    stuck = runner.submit(hook(stuck_hook, ignore=True), (), {}, desk.note("stuck"))
    assert stuck_hook.begun.wait(20)
    runner.abandon(stuck, "too slow")
    runner.abandon(stuck, "again")
    assert [outcome.result for _, outcome in desk.outcomes] == [True]
    stuck_hook.go.set()


def test_hook_that_has_returned_is_not_abandoned(desk, runner):
    run = runner.submit(hook(yes), (), {}, desk.note("done"))
    desk.wait(1)
    runner.abandon(run, "too slow")
    assert [outcome.error for _, outcome in desk.outcomes] == [""]


def test_close_lets_the_thread_end_after_what_was_submitted(desk):
    runner = HookRunner("closing", desk.post)
    runner.submit(hook(yes), (), {}, desk.note("last"))
    (thread,) = [thread for thread in threading.enumerate() if "closing" in thread.name]
    runner.close()
    runner.close()
    thread.join(20)
    assert not thread.is_alive()
    assert desk.wait(1) == ["last"]


def no_thread(monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


@pytest.mark.parametrize("ignored", [False, True])
def test_hook_without_a_thread_to_run_in_counts_as_failed(desk, runner, monkeypatch, ignored, caplog):
    no_thread(monkeypatch)
    runner.submit(hook(yes, ignore=ignored), (), {}, desk.note("hook"))
    ((_, outcome),) = desk.outcomes
    assert (outcome.result, outcome.error) == (ignored, "not called: can't start new thread")
    assert "web" in caplog.text


def test_hooks_behind_one_that_is_abandoned_are_answered_even_without_another_thread(desk, runner, monkeypatch):
    stuck_hook = Stuck()
    stuck = runner.submit(hook(stuck_hook), (), {}, desk.note("stuck"))
    runner.submit(hook(yes), (), {}, desk.note("next"))
    assert stuck_hook.begun.wait(20)
    no_thread(monkeypatch)
    runner.abandon(stuck, "too slow")
    assert {what: outcome.result for what, outcome in desk.outcomes} == {"stuck": False, "next": False}
    stuck_hook.go.set()
