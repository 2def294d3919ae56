"""Hooks of a real arbiter: when each is called, with what, and what its answer does."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from circus.client import CircusClient
from circus.common import names
from circus.common.future import Future
from circus.stream import QueueStream
from tests.real.support import Events, background, is_gone, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")


class Recorder:
    """Hooks that note how they are called. `answers` by hook name: what is returned, or an exception to raise."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, watcher, arbiter, hook_name, **more):
        self.calls.append((hook_name, {"watcher": watcher, "arbiter": arbiter, **more}))
        answer = self.answers.get(hook_name, True)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def hooks(self, *only: str, ignore: bool = False) -> dict[str, Any]:
        return dict.fromkeys(only or names.HOOKS, (self, ignore))

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def last(self, name: str) -> dict[str, Any]:
        return next(more for called, more in reversed(self.calls) if called == name)


def web(recorder: Recorder, *only: str, ignore: bool = False, **options: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "cmd": "sleep 60",
        "autostart": False,
        "hooks": recorder.hooks(*only, ignore=ignore),
        **options,
    }


class Stage:
    """One watcher named web, not started, and its events."""

    def __init__(self, tmp_path, recorder: Recorder, *only: str, **options: Any) -> None:
        self._background = background(tmp_path, web(recorder, *only, **options))
        self.marks = 0

    def __enter__(self):
        self.arbiter = self._background.__enter__()
        self.watcher = self.arbiter.get_watcher("web")
        self.events = Events(self.arbiter.pubsub_endpoint)
        self.events.sync(lambda: self.watcher.notify_event("probe", {}))
        return self

    def __exit__(self, *error):
        self.events.close()
        return self._background.__exit__(*error)

    def topics(self) -> list[str]:
        """Events so far, without those about hooks."""
        self.marks += 1
        self.watcher.notify_event("mark", {})  # when it comes, everything before it has come
        self.events.wait("web.mark", self.marks)
        names = [topic.removeprefix("web.") for topic in self.events.topics()]
        return [name for name in names if name not in ("hook_success", "hook_failure", "mark")]


# ---- when and with what ------------------------------------------------------------------------------------------


def test_hooks_of_a_start_and_a_stop_are_called_in_order(tmp_path):
    recorder = Recorder()
    with Stage(tmp_path, recorder, *(name for name in names.HOOKS if name != names.EXTENDED_STATS)) as stage:
        (pid,) = stage.watcher.start().result(20)["started"]
        assert recorder.names() == ["before_start", "before_spawn", "after_spawn", "after_start"]
        stage.watcher.stop().result(20)
        wait_for(lambda: len(recorder.calls) == 10)
        assert recorder.names()[4:] == [
            "before_stop",
            "before_signal",
            "after_signal",
            "before_reap",
            "after_reap",
            "after_stop",
        ]
        assert stage.topics() == ["spawn", "start", "kill", "reap", "stop"]
    for _, call in recorder.calls:
        assert (call["watcher"], call["arbiter"]) == (stage.watcher, stage.arbiter)
    for name in ("before_start", "after_start", "before_spawn", "before_stop", "after_stop"):
        assert set(recorder.last(name)) == {"watcher", "arbiter"}
    assert recorder.last("after_spawn")["pid"] == pid
    for name in ("before_signal", "after_signal"):
        assert (recorder.last(name)["pid"], recorder.last(name)["signum"]) == (pid, signal.SIGTERM)
    for name in ("before_reap", "after_reap"):
        assert recorder.last(name)["process_pid"] == pid
        assert recorder.last(name)["time"] <= time.time()
    after_reap = recorder.last("after_reap")
    assert (after_reap["exit_code"], after_reap["process_status"]) == (-signal.SIGTERM, None)


def test_reap_hook_knows_who_died_by_himself(tmp_path):
    recorder = Recorder()
    with Stage(tmp_path, recorder, "after_reap", cmd="sh -c 'exit 3'", respawn=False) as stage:
        stage.watcher.start()
        wait_for(lambda: recorder.calls)
    assert (recorder.last("after_reap")["exit_code"], recorder.last("after_reap")["process_status"]) == (3, 1)


def test_hooks_are_called_for_each_process_and_each_signal(tmp_path):
    recorder = Recorder()
    only = ("before_spawn", "after_spawn", "before_signal", "after_signal", "after_reap")
    with Stage(tmp_path, recorder, *only, numprocesses=3) as stage:
        pids = stage.watcher.start().result(20)["started"]
        assert recorder.names().count("before_spawn") == 3
        assert {call["pid"] for name, call in recorder.calls if name == "after_spawn"} == set(pids)
        recorder.calls.clear()
        stage.watcher.send_signal(pids[1], signal.SIGCONT)
        wait_for(lambda: len(recorder.calls) == 2)
        assert [(name, call["pid"], call["signum"]) for name, call in recorder.calls] == [
            ("before_signal", pids[1], signal.SIGCONT),
            ("after_signal", pids[1], signal.SIGCONT),
        ]
        stage.watcher.stop().result(20)
        wait_for(lambda: recorder.names().count("after_reap") == 3)


def test_outcome_of_every_hook_is_published(tmp_path):
    recorder = Recorder(before_stop=ValueError("no luck"), after_stop=False)
    with Stage(tmp_path, recorder, "before_start", "before_stop", "after_stop") as stage:
        stage.watcher.start().result(20)
        stage.watcher.stop().result(20)
        stage.topics()
        success, failure = stage.events.wait("web.hook_success", 2), stage.events.wait("web.hook_failure", 1)
        assert [payload["name"] for payload in success] == ["before_start", "after_stop"]
        assert [(payload["name"], payload["error"]) for payload in failure] == [("before_stop", "no luck")]
        assert all(isinstance(payload["time"], float) for payload in success + failure)


def test_hook_with_the_early_signature_is_called(tmp_path):
    seen = []

    def hook(watcher, arbiter, hook_name):
        seen.append((watcher.name, hook_name))
        return True

    hooks = dict.fromkeys(("before_start", "after_start", "before_stop", "after_stop"), hook)
    with background(tmp_path, {"name": "web", "cmd": "sleep 60", "hooks": hooks}) as arbiter:
        wait_for(arbiter.get_watcher("web").is_active)
        arbiter.get_watcher("web").stop().result(20)
    assert seen == [("web", name) for name in ("before_start", "after_start", "before_stop", "after_stop")]


def test_call_hook_calls_it_here_and_publishes_the_outcome(tmp_path):
    recorder = Recorder(before_start=False, after_start=KeyError("lost"))
    with Stage(tmp_path, recorder, "before_start", "after_start") as stage:
        assert stage.watcher.call_hook("before_start", extra=1) is False
        assert recorder.last("before_start")["extra"] == 1
        assert stage.watcher.call_hook("after_start") is False
        assert stage.watcher.call_hook("before_stop") is True  # there is none
        assert stage.events.wait("web.hook_failure")[0]["error"] == "'lost'"
        assert stage.events.wait("web.hook_success")[0]["name"] == "before_start"


# ---- saying no ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [False, None, 0, RuntimeError("no")])
def test_before_start_that_says_no_leaves_the_watcher_stopped(tmp_path, answer):
    recorder = Recorder(before_start=answer)
    with Stage(tmp_path, recorder, "before_start", "before_spawn", "after_stop") as stage:
        assert stage.watcher.start().result(20) == {"started": [], "kept": []}
        assert stage.watcher.status() == "stopped"
        assert recorder.names() == ["before_start"]
        assert stage.topics() == []  # not even a stop: it never began
        assert "before_start" in stage.arbiter.reasons()["web"]


@pytest.mark.parametrize("answer", [False, RuntimeError("no")])
def test_after_start_that_says_no_stops_the_watcher(tmp_path, answer):
    recorder = Recorder(after_start=answer)
    with Stage(tmp_path, recorder, "after_start", numprocesses=2) as stage:
        result = stage.watcher.start().result(20)
        assert stage.watcher.status() == "stopped"
        assert all(map(is_gone, result["started"]))
        topics = stage.topics()
        assert "start" not in topics
        assert (topics.count("spawn"), topics.count("reap"), topics[-1]) == (2, 2, "stop")


@pytest.mark.parametrize("answer", [False, RuntimeError("no")])
def test_before_spawn_that_says_no_stops_the_watcher(tmp_path, answer):
    recorder = Recorder(before_spawn=answer)
    with Stage(tmp_path, recorder, "before_spawn", numprocesses=2) as stage:
        assert stage.watcher.start().result(20) == {"started": [], "kept": []}
        assert stage.watcher.status() == "stopped"
        assert recorder.names() == ["before_spawn"]
        assert stage.topics() == ["stop"]


@pytest.mark.parametrize("answer", [False, RuntimeError("no")])
def test_after_spawn_that_says_no_ends_the_process_and_the_watcher(tmp_path, answer):
    recorder = Recorder(after_spawn=answer)
    with Stage(tmp_path, recorder, "after_spawn") as stage:
        stage.watcher.start().result(20)
        assert stage.watcher.status() == "stopped"
        assert is_gone(recorder.last("after_spawn")["pid"])
        assert "spawn" not in stage.topics()
        assert "start" not in stage.topics()


@pytest.mark.parametrize("hook", ["before_spawn", "after_spawn"])
def test_spawn_hook_that_says_no_to_a_reload_keeps_the_old_processes(tmp_path, hook):
    recorder = Recorder()
    with Stage(tmp_path, recorder, hook, numprocesses=2) as stage:
        old = stage.watcher.start().result(20)["started"]
        recorder.answers[hook] = False
        assert stage.watcher.reload().exception(20) is not None
        wait_for(lambda: sorted(stage.watcher.get_active_pids()) == sorted(old))
        assert stage.watcher.status() == "active"
        assert "reload" not in stage.topics()
        recorder.answers[hook] = True
        assert sorted(stage.watcher.reload().result(20)["stopped"]) == sorted(old)


def test_before_signal_that_says_no_holds_the_signal_back(tmp_path):
    out = QueueStream()
    script = "trap 'echo got it' USR1; echo up; while :; do sleep 0.01; done"
    recorder = Recorder(before_signal=False)
    options = {"cmd": script, "shell": True, "stdout_stream": {"stream": out}, "graceful_timeout": 3600}
    with Stage(tmp_path, recorder, "before_signal", "after_signal", **options) as stage:
        (pid,) = stage.watcher.start().result(20)["started"]
        assert out.get(timeout=20)["data"] == b"up\n"
        stage.watcher.send_signal(pid, signal.SIGUSR1)
        wait_for(lambda: recorder.calls)
        recorder.answers["before_signal"] = True
        stage.watcher.send_signal(pid, signal.SIGUSR1)
        assert out.get(timeout=20)["data"] == b"got it\n"
        assert out.empty()
        assert recorder.names() == ["before_signal", "before_signal", "after_signal"]


def test_before_signal_holds_back_the_stop_signal_but_never_sigkill(tmp_path):
    recorder = Recorder(before_signal=False)
    with Stage(tmp_path, recorder, "before_signal", graceful_timeout=0.2) as stage:
        (pid,) = stage.watcher.start().result(20)["started"]
        stage.watcher.stop().result(20)
        assert is_gone(pid)
        wait_for(lambda: len(recorder.calls) == 2)
        assert [call["signum"] for _, call in recorder.calls] == [signal.SIGTERM, signal.SIGKILL]
        assert stage.events.wait("web.reap")[0]["exit_code"] == -signal.SIGKILL
        assert stage.topics() == ["spawn", "start", "kill", "kill", "reap", "stop"]


@pytest.mark.parametrize("hook", ["before_stop", "after_stop", "after_signal", "before_reap", "after_reap"])
@pytest.mark.parametrize("answer", [False, RuntimeError("no")])
def test_hook_that_has_no_say_is_not_listened_to(tmp_path, hook, answer):
    recorder = Recorder(**{hook: answer})
    with Stage(tmp_path, recorder, hook) as stage:
        (pid,) = stage.watcher.start().result(20)["started"]
        stage.watcher.stop().result(20)
        wait_for(lambda: recorder.names() == [hook])
        assert is_gone(pid)
        assert stage.topics() == ["spawn", "start", "kill", "reap", "stop"]


@pytest.mark.parametrize("hook", ["before_start", "after_start", "before_spawn", "after_spawn"])
def test_failure_that_is_ignored_lets_things_go_on(tmp_path, hook):
    recorder = Recorder(**{hook: RuntimeError("no luck")})
    with Stage(tmp_path, recorder, hook, ignore=True) as stage:
        assert len(stage.watcher.start().result(20)["started"]) == 1
        assert stage.watcher.status() == "active"
        assert stage.events.wait("web.hook_failure")[0]["error"] == "no luck"


def test_hook_that_exits_has_failed_and_the_next_one_is_called(tmp_path):
    recorder = Recorder()
    with Stage(tmp_path, recorder, "before_start") as stage:
        recorder.answers["before_start"] = SystemExit("leaving")
        assert stage.watcher.start().result(20) == {"started": [], "kept": []}
        assert stage.events.wait("web.hook_failure")[0]["error"] == "leaving"
        recorder.answers["before_start"] = True
        assert len(stage.watcher.start().result(20)["started"]) == 1


# ---- extended_stats ----------------------------------------------------------------------------------------------


def test_extended_stats_adds_to_the_figures_and_is_called_by_position(tmp_path):
    seen = []

    def add(*args, **kwargs):
        seen.append((args, kwargs["pid"]))
        kwargs["stats"]["requests"] = 7

    recorder = Recorder()
    with Stage(tmp_path, recorder, "before_start", hooks={"extended_stats": add}) as stage:
        (pid,) = stage.watcher.start().result(20)["started"]
        client = CircusClient(endpoint=stage.arbiter.endpoint, timeout=20)
        plain = client.send_message("stats", name="web")["info"]
        assert "requests" not in plain[str(pid)]
        assert seen == []
        assert client.send_message("stats", name="web", extended=True)["info"][str(pid)]["requests"] == 7
        assert client.send_message("stats", name="web", process=pid, extended=True)["info"]["requests"] == 7
        assert seen == [((stage.watcher, stage.arbiter, "extended_stats"), pid)] * 2
        assert stage.watcher.info(extended=True)[pid]["requests"] == 7
        assert not [topic for topic in stage.events.topics() if "hook" in topic]
        client.stop()


@pytest.mark.parametrize("error", [ValueError("no luck"), OSError("no luck"), SystemExit("no luck")])
def test_extended_stats_that_fails_is_error_5(tmp_path, error):
    def fail(*_, **__):
        raise error

    with Stage(tmp_path, Recorder(), "before_start", hooks={"extended_stats": fail}) as stage:
        stage.watcher.start().result(20)
        client = CircusClient(endpoint=stage.arbiter.endpoint, timeout=20)
        reply = client.send_message("stats", name="web", extended=True)
        assert (reply["status"], reply["errno"]) == ("error", 5)
        assert "no luck" in reply["reason"]
        assert type(error).__name__ in reply["tb"]
        client.stop()


# ---- calling back ------------------------------------------------------------------------------------------------


def test_hook_may_use_watcher_and_arbiter_as_it_likes(tmp_path):
    facts: dict[str, Any] = {}
    out = QueueStream()

    def before_start(watcher, arbiter, hook_name):
        watcher.env["FROM_HOOK"] = "hello"
        watcher.numprocesses = 2
        facts["free option"] = watcher._options.get("my.own")
        facts["other"] = arbiter.get_watcher("OTHER").name
        facts["statuses"] = dict(arbiter.statuses())
        facts["started other"] = len(arbiter.get_watcher("other").start().result(20)["started"])
        return True

    def after_spawn(watcher, arbiter, hook_name, pid):
        process = watcher.processes[pid]
        facts.setdefault("wids", []).append((process.wid, process.started > 0))
        return True

    def after_start(watcher, arbiter, hook_name):
        for pid in watcher.get_active_pids():
            watcher.send_signal(pid, signal.SIGUSR1)
        return True

    watcher = {
        "name": "web",
        "cmd": "trap 'echo $FROM_HOOK' USR1; echo up; while :; do sleep 0.01; done",
        "shell": True,
        "env": {"PATH": os.environ["PATH"]},
        "my.own": "x",
        "autostart": False,
        "stdout_stream": {"stream": out},
        "hooks": {"before_start": before_start, "after_spawn": after_spawn},
    }
    other = {"name": "other", "cmd": "sleep 60", "autostart": False}
    with background(tmp_path, watcher, other) as arbiter:
        web = arbiter.get_watcher("web")
        assert len(web.start().result(20)["started"]) == 2
        assert [out.get(timeout=20)["data"] for _ in range(2)] == [b"up\n"] * 2
        assert after_start(web, arbiter, "after_start")
        assert [out.get(timeout=20)["data"] for _ in range(2)] == [b"hello\n"] * 2
        assert arbiter.get_watcher("other").status() == "active"
    assert facts["free option"] == "x"
    assert facts["other"] == "other"
    assert facts["statuses"] == {"web": "stopped", "other": "stopped"}
    assert facts["started other"] == 1
    assert sorted(facts["wids"]) == [(1, True), (2, True)]


@pytest.mark.parametrize(
    "hook", ["before_start", "after_start", "before_spawn", "after_spawn", "before_stop", "after_stop"]
)
def test_hook_that_would_wait_for_its_own_watcher_is_told_so(tmp_path, hook):
    def wait(watcher, arbiter, hook_name, **_):
        watcher.incr().result()

    with Stage(tmp_path, Recorder(), "before_start", hooks={hook: wait}) as stage:
        stage.watcher.start().result(20)
        stage.watcher.stop().result(20)
        assert "its own watcher" in stage.events.wait("web.hook_failure")[0]["error"]


def test_hook_that_nobody_waits_for_may_wait_for_its_own_watcher(tmp_path):
    answers: list[Future] = []

    def grow(watcher, arbiter, hook_name, **_):
        answers.append(watcher.incr().result(20))

    with Stage(tmp_path, Recorder(), "before_start", hooks={"after_signal": grow}) as stage:
        (pid,) = stage.watcher.start().result(20)["started"]
        stage.watcher.send_signal(pid, signal.SIGCONT)
        wait_for(lambda: answers)
    assert answers[0] == 2


def test_hook_may_wait_for_a_process_of_its_own_watcher_to_end(tmp_path):
    ended = []

    def replace(watcher, arbiter, hook_name):
        (process,) = watcher.get_active_processes()
        ended.append((process.pid, watcher.kill_process(process).result(20)))
        return True

    with Stage(tmp_path, Recorder(), "before_start", hooks={"after_start": replace}) as stage:
        stage.watcher.start().result(20)
        wait_for(lambda: stage.watcher.get_active_pids() not in ([], [ended[0][0]]))
    assert ended[0][1] is True
    assert is_gone(ended[0][0])


def test_hooks_can_be_changed_while_the_watcher_runs(tmp_path):
    seen = []

    def late(**_):
        seen.append("late")
        return True

    with Stage(tmp_path, Recorder(), "before_start") as stage:
        stage.watcher.start().result(20)
        assert stage.watcher.set_opt("hooks", {"before_stop": late}) in (0, -1)
        assert set(stage.watcher.hooks) == {"before_stop"}
        stage.watcher.stop().result(20)
    assert seen == ["late"]
