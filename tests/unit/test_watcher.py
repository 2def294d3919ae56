"""The face of a watcher that belongs to no arbiter."""

from __future__ import annotations

import pytest

from circus.watcher import Watcher


def test_watcher_outside_an_arbiter_is_stopped_and_ending_it_is_harmless() -> None:
    watcher = Watcher("a", "sleep 1")
    assert (watcher.status(), watcher.pids, watcher.machine) == ("stopped", [], None)
    assert watcher.stop().result(0) is None
    assert watcher.kill_processes().result(0) is None
    watcher.send_signal(1, 15)
    watcher.notify_event("x", {})
    assert watcher.call_hook("before_start")


@pytest.mark.parametrize("verb", ["start", "restart", "reload", "incr"])
def test_watcher_outside_an_arbiter_cannot_be_started_and_says_why(verb: str) -> None:
    with pytest.raises(RuntimeError, match="belongs to no arbiter yet"):
        getattr(Watcher("a", "sleep 1"), verb)()


def test_section_without_a_command_gives_a_watcher() -> None:
    watcher = Watcher.load_from_config({"name": "a", "numprocesses": 2})
    assert (watcher.name, watcher.cmd, watcher.numprocesses) == ("a", "", 2)
    with pytest.raises(ValueError, match="needs a cmd"):
        Watcher.load_from_config({"numprocesses": 2})


def test_name_is_that_of_the_program_if_none_is_given() -> None:
    assert Watcher.load_from_config({"cmd": "/usr/bin/sleep 5"}).name == "sleep"


def test_function_to_call_before_a_reload_is_handed_the_watcher() -> None:
    called: list[Watcher] = []
    watcher = Watcher("a", "sleep 1", prereload_fn=called.append)
    assert watcher.live.prereload is not None
    watcher.live.prereload()
    assert called == [watcher]
    watcher.prereload_fn = None
    assert watcher.live.prereload is None


def test_names_after_a_dollar_are_replaced_when_a_watcher_is_made_from_its_dictionary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HERE", "/srv")
    env = {"A": "$HERE/a", "B": "$$HERE ", "C": "$NOWHERE"}
    assert Watcher.load_from_config({"name": "w", "cmd": "x", "env": env}).env == {"A": "/srv/a", "B": "$HERE", "C": ""}
    assert Watcher("w", "x", env=env).env == env


def test_what_the_environment_of_the_program_holds_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPT", "$HOME > ")
    watcher = Watcher.load_from_config({"cmd": "x", "copy_env": True, "env": {"PROMPT": "$HOME > "}})
    assert watcher.env["PROMPT"] == "$HOME > "


def test_variable_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="'A' isn't a string"):
        Watcher.load_from_config({"name": "w", "cmd": "x", "env": {"A": 5}})
