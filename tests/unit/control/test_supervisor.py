"""Settings have one owner, and watchers are as it says."""

from __future__ import annotations

from typing import Any

import pytest

from circus.arbiter import Arbiter
from circus.config import load
from circus.options.table import CircusSpec


def arbiter_of(path: Any, text: str) -> Arbiter:
    path.write_text(text)
    return Arbiter.from_spec(load(str(path)), str(path))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "circus.ini"


PLUGIN = "[plugin:x]\nuse = mine.Plugin\n[watcher:web]\ncmd = true\n"


def test_setting_that_a_file_changes_reaches_all_who_read_it(path):
    arbiter = arbiter_of(path, "[circus]\ncheck_delay = 5\n" + PLUGIN)
    path.write_text("[circus]\ncheck_delay = 2\nwarmup_delay = 3\n" + PLUGIN)
    arbiter.reload_from_config()
    assert arbiter.check_delay == arbiter.supervisor.settings().check_delay == 2
    assert arbiter.warmup_delay == arbiter.supervisor.decided.warmup_delay == 3
    assert arbiter.global_options()["check_delay"] == 2


def test_second_reload_of_an_unchanged_file_changes_nothing(path):
    arbiter = arbiter_of(path, "[circus]\ncheck_delay = 5\n" + PLUGIN)
    path.write_text("[circus]\ncheck_delay = 2\n" + PLUGIN)
    arbiter.reload_from_config()
    before = {watcher.name: watcher.spec for watcher in arbiter.watchers}
    assert "--check-delay" in before["plugin:x"].args
    assert before["plugin:x"].args[before["plugin:x"].args.index("--check-delay") + 1] == "2.0"
    generations = {watcher.name: watcher.machine.stops for watcher in arbiter.watchers}
    arbiter.reload_from_config()
    assert {watcher.name: watcher.spec for watcher in arbiter.watchers} == before
    assert {watcher.name: watcher.machine.stops for watcher in arbiter.watchers} == generations


def test_word_of_the_command_line_counts_more_than_the_file_until_the_file_says_something_else(path):
    arbiter = arbiter_of(path, PLUGIN)
    arbiter.loglevel = "debug"
    assert arbiter.loglevel == "debug"
    arbiter.supervisor.configure(CircusSpec("", {"check_delay": 3}))
    assert (arbiter.loglevel, arbiter.check_delay) == ("debug", 3)
    arbiter.supervisor.configure(CircusSpec("", {"loglevel": "error"}))
    assert arbiter.loglevel == "error"


def test_every_argument_of_an_arbiter_can_be_read_again():
    said = {
        "httpd_host": "::1", "httpd_port": 81, "httpd_close_outputs": True, "debug_gc": True, "fqdn_prefix": "me",
        "endpoint_owner": "nobody", "ssh_server": "host", "umask": 0o22, "statsd_close_outputs": True,
    }  # fmt: skip
    arbiter = Arbiter([], "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", **said)
    assert {name: getattr(arbiter, name) for name in said} == said
    with pytest.raises(AttributeError, match="no attribute 'novelty'"):
        _ = arbiter.novelty
