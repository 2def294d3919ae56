"""`reloadconfig` with a real daemon: only what differs is touched, and a bad file changes nothing."""

import os
import subprocess
import sys

import pytest

from tests.real.support import PATIENCE, ROOT, Daemon

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}

SECTIONS = {
    "keep": "cmd = sleep 1000",
    "change": "cmd = sleep 1001\ngraceful_timeout = 2",
    "gone": "cmd = sleep 1002",
    "many": "cmd = sleep 1003\nnumprocesses = 2",
    "idle": "cmd = sleep 1004",
}


def text(**changes):
    sections = {name: body for name, body in {**SECTIONS, **changes}.items() if body}
    return "".join(f"[watcher:{name}]\n{body}\n" for name, body in sections.items())


@pytest.fixture
def daemon(tmp_path):
    with Daemon(tmp_path, text()) as daemon:
        for name in SECTIONS:
            daemon.wait_for_status(name, "active")
        yield daemon


def reload(daemon):
    return daemon.call("reloadconfig", waiting=True)


def test_unchanged_file_changes_nothing(daemon):
    before = {name: daemon.pids(name) for name in SECTIONS}
    assert reload(daemon)["status"] == "ok"
    assert {name: daemon.pids(name) for name in SECTIONS} == before


def test_only_what_differs_is_touched(daemon):
    before = {name: daemon.pids(name) for name in SECTIONS}
    daemon.write_config(
        text(gone="", new="cmd = sleep 9", many="cmd = sleep 1003\nnumprocesses = 3", change="cmd = sleep 1011")
    )
    assert reload(daemon)["status"] == "ok"
    assert sorted(daemon.call("list")["watchers"]) == ["change", "idle", "keep", "many", "new"]
    assert daemon.pids("keep") == before["keep"]
    assert set(before["many"]) < set(daemon.pids("many")) and len(daemon.pids("many")) == 3
    assert daemon.pids("change") != before["change"]
    assert daemon.call("get", name="change", keys=["cmd"])["options"] == {"cmd": "sleep 1011"}
    assert daemon.call("status", name="new")["status"] == "active"


def test_number_changed_by_hand_goes_back_to_the_file(daemon):
    daemon.call("incr", name="many", nb=2, waiting=True)
    reload(daemon)
    assert len(daemon.pids("many")) == 2


def test_watcher_stopped_by_hand_stays_stopped_although_it_changed(daemon):
    daemon.call("stop", name="idle", waiting=True)
    daemon.write_config(text(idle="cmd = sleep 1044"))
    reload(daemon)
    assert daemon.call("status", name="idle")["status"] == "stopped"
    assert daemon.call("start", name="idle", waiting=True)["status"] == "ok"
    assert daemon.call("get", name="idle", keys=["cmd"])["options"] == {"cmd": "sleep 1044"}


def test_bad_file_changes_nothing_and_names_every_problem(daemon):
    before = {name: daemon.pids(name) for name in SECTIONS}
    daemon.write_config(text(gone="", many="cmd = x\nnumprocesses = many", keep="cmd = y\ngraceful_timeout = soon"))
    reply = reload(daemon)
    assert reply["status"] == "error"
    assert "numprocesses" in reply["reason"] and "graceful_timeout" in reply["reason"]
    assert {name: daemon.pids(name) for name in SECTIONS} == before


def test_hook_that_cannot_be_found_changes_nothing(daemon):
    before = {name: daemon.pids(name) for name in SECTIONS}
    daemon.write_config(text(gone="", keep="cmd = sleep 1\nhooks.before_start = no.such.module"))
    reply = reload(daemon)
    assert reply["status"] == "error" and "no.such.module" in reply["reason"]
    assert {name: daemon.pids(name) for name in SECTIONS} == before


def test_delay_of_the_daemon_changes_while_it_runs(daemon):
    before = {name: daemon.pids(name) for name in SECTIONS}
    body = daemon.config_path.read_text()
    daemon.config_path.write_text(body.replace("check_delay = 1", "check_delay = 7"))
    reload(daemon)
    assert daemon.call("globaloptions", option="check_delay")["options"] == {"check_delay": 7.0}
    assert {name: daemon.pids(name) for name in SECTIONS} == before


def change_circus(daemon, line):
    body = daemon.config_path.read_text()
    daemon.config_path.write_text(body.replace("check_delay = 1", f"check_delay = 1\n{line}"))


def test_what_needs_a_restart_changes_nothing_unless_that_is_asked_for(daemon):
    before = {name: daemon.pids(name) for name in SECTIONS}
    daemon.write_config(text(gone=""))
    change_circus(daemon, "umask = 027")
    reply = reload(daemon)
    assert reply["status"] == "error" and "[circus] umask: needs a restart" in reply["reason"]
    assert {name: daemon.pids(name) for name in SECTIONS} == before
    daemon.call("reloadconfig", restart=True)
    daemon.wait_for_output("Arbiter restarting")
    daemon.wait_for_status("keep", "active")
    assert daemon.pids("keep") != before["keep"]
    assert "gone" not in daemon.call("list")["watchers"]


def test_log_level_changes_while_it_runs(daemon, tmp_path):
    change_circus(daemon, f"loglevel = warning\nlogoutput = {tmp_path}/elsewhere.log")
    assert reload(daemon)["status"] == "ok"
    daemon.call("stop", name="keep", waiting=True)
    assert "keep stopped" not in (tmp_path / "elsewhere.log").read_text()
    change_circus(daemon, "loglevel = info")  # the first of two lines counts
    assert reload(daemon)["status"] == "ok"
    daemon.call("stop", name="idle", waiting=True)
    assert "idle stopped" in (tmp_path / "elsewhere.log").read_text() and "idle stopped" not in daemon.output


def test_log_that_cannot_be_opened_changes_nothing(daemon, tmp_path):
    before = {name: daemon.pids(name) for name in SECTIONS}
    daemon.write_config(text(gone=""))
    change_circus(daemon, f"logoutput = {tmp_path}/no/such/place.log")
    reply = reload(daemon)
    assert reply["status"] == "error" and f"No such file or directory: {tmp_path}/no/such/place.log" in reply["reason"]
    assert {name: daemon.pids(name) for name in SECTIONS} == before


def test_dry_run_tells_the_plan_and_changes_nothing(daemon):
    before = {name: daemon.pids(name) for name in SECTIONS}
    daemon.write_config(text(gone="", new="cmd = sleep 9", change="cmd = sleep 1011"))
    plan = daemon.call("reloadconfig", dry_run=True)["plan"]
    assert [step["text"] for step in plan] == [
        "[watcher:gone] is not wanted any more: stop",
        "[watcher:change] changes (cmd, graceful_timeout): graceful reload",
        "[watcher:new] is new: start",
    ]
    assert {name: daemon.pids(name) for name in SECTIONS} == before


def test_watcher_added_by_command_stays(daemon):
    daemon.call("add", name="extra", cmd="sleep 9", start=True, waiting=True)
    pids = daemon.pids("extra")
    daemon.write_config(text(gone=""))
    assert reload(daemon)["status"] == "ok"
    assert daemon.pids("extra") == pids
    assert "[watcher:extra] stays (added by command): nothing" in daemon.output


def test_refused_for_an_arbiter_without_a_file(tmp_path):
    from circus.client import CircusClient
    from tests.real.support import background

    with background(tmp_path, {"name": "a", "cmd": "sleep 60"}) as arbiter:
        client = CircusClient(endpoint=arbiter.endpoint)
        try:
            reply = client.send_message("reloadconfig")
        finally:
            client.stop()
    assert reply["status"] == "error" and "not started from a configuration file" in reply["reason"]


def test_what_had_given_up_is_started_by_a_file_that_mends_it(daemon):
    daemon.write_config(text(new="cmd = /no/such/program\nmax_retry = 1"))
    assert "there is no /no/such/program" in reload(daemon)["reason"]
    assert daemon.call("status", name="new")["status"] == "stopped"
    daemon.write_config(text(new="cmd = sleep 1004\nmax_retry = 1"))
    assert reload(daemon)["status"] == "ok"
    assert daemon.call("status", name="new")["status"] == "active"


def test_program_that_cannot_be_started_leaves_the_old_one_in_its_place(daemon):
    before = daemon.pids("change")
    daemon.write_config(text(change="cmd = /no/such/program\nmax_retry = 1"))
    assert "there is no /no/such/program" in reload(daemon)["reason"]
    assert daemon.pids("change") == before


def test_circusd_compares_a_file_with_a_running_daemon_before_it_is_installed(daemon, tmp_path):
    def check(name):
        words = [sys.executable, "-m", "circus.circusd", "--check", "--against", daemon.endpoints.control, name]
        return subprocess.run(words, cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, timeout=PATIENCE)

    before = {name: daemon.pids(name) for name in SECTIONS}
    head = daemon.config_path.read_text().partition("[watcher:")[0]
    (tmp_path / "next.ini").write_text(head + text(gone="", many="cmd = sleep 1003\nnumprocesses = 3"))
    run = check("next.ini")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == [
        "next.ini: good, with 4 watchers",
        "[watcher:gone] is not wanted any more: stop",
        "[watcher:many] changes (numprocesses): in place",
    ]
    (tmp_path / "bad.ini").write_text("[watcher:a]\ncmd = sleep 1\nnumprocesses = many\n")
    run = check("bad.ini")
    assert (run.returncode, run.stdout) == (1, "") and "'many' is not a whole number" in run.stderr
    assert {name: daemon.pids(name) for name in SECTIONS} == before


@pytest.mark.parametrize("endpoint", ["ipc://none", "no endpoint"])
def test_comparing_with_nobody_says_so(tmp_path, endpoint):
    (tmp_path / "a.ini").write_text("[watcher:a]\ncmd = sleep 1\n")
    words = [sys.executable, "-m", "circus.circusd", "--against", endpoint, "--check", "a.ini"]
    run = subprocess.run(words, cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 1
    [line] = run.stderr.splitlines()
    assert line.startswith(f"circusd: error: {endpoint}: ")
