"""Plugins of somebody's own, started by circusd and by hand."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from circus.arbiter import Arbiter
from circus.plugins.stop_limit import STOP_TIMEOUT
from tests.real.support import Daemon, Program, ipc_endpoints, is_gone, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

WEB = "[watcher:web]\ncmd = sleep 60\n"

# Word for word as in the documentation of the first versions.
SAMPLE = """
from circus.plugins import CircusPlugin


class Logger(CircusPlugin):

    name = 'logger'

    def __init__(self, filename, **kwargs):
        super(Logger, self).__init__(**kwargs)
        self.filename = filename
        self.file = None

    def handle_init(self):
        self.file = open(self.filename, 'a+')

    def handle_stop(self):
        self.file.close()

    def handle_recv(self, data):
        topic, msg = data
        self.file.write('%s::%s' % (topic, msg))
"""

# Tells what happens to it, line by line; `tell` in its options is the file.
DIARY = """
import json, os, sys
from circus.plugins import CircusPlugin

class Diary(CircusPlugin):
    name = "diary"

    def tell(self, **facts):
        with open(self.config["tell"], "a") as file:
            file.write(json.dumps(facts) + "\\n")

    def handle_init(self):
        self.tell(init=self.call("numwatchers")["numwatchers"], config=self.config, argv=sys.argv,
                  environ=[name for name in os.environ if "PLUGIN" in name])
        self.every(0.05, self.tick)
        self.ticks = 0

    def tick(self):
        self.ticks += 1
        if self.ticks == 1:
            raise ValueError("a slip in a timer")
        if self.ticks == 2:
            self.tell(tick=self.call("status", name="web")["status"])

    def handle_recv(self, data):
        watcher, event, message = self.split_data(data)
        if watcher == "web":
            self.tell(event=event, status=self.call("status", name="web")["status"], **self.load_message(message))
        if event == "updated":
            raise KeyError("a slip in a handler")

    def handle_stop(self):
        self.tell(stop=self.call("numwatchers")["numwatchers"])
"""


def module(directory: Path, text: str) -> None:
    (directory / "mine.py").write_text(textwrap.dedent(text))


def told(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def facts(path: Path, name: str) -> list[Any]:
    return [fact[name] for fact in told(path) if name in fact]


def diary(directory: Path, *options: str) -> str:
    module(directory, DIARY)
    lines = ["[plugin:diary]", "use = mine.Diary", f"tell = {directory}/told", *options]
    return "\n".join(lines) + "\n" + WEB


# ---- its life ----------------------------------------------------------------------------------------------------


def test_sample_of_the_first_documentation_works_word_for_word(tmp_path: Path) -> None:
    module(tmp_path, SAMPLE)
    log = tmp_path / "the log"
    with Daemon(tmp_path, f"[plugin:logger]\nuse = mine.Logger\nfilename = {log}\n{WEB}") as daemon:
        daemon.wait_for(log.exists)
        daemon.wait_for_output("plugin:logger: Starting")
        # It writes its buffer when that is full, and what is left at the end.
        daemon.wait_for(lambda: daemon.call("set", name="web", options={"max_age": 0}) and log.stat().st_size)
        daemon.call("incr", name="web", waiting=True)
        daemon.call("stop", name="plugin:logger", waiting=True)
    assert "b'watcher.web.updated'::b'{" in log.read_text()
    assert "b'watcher.web.spawn'::b'{" in log.read_text()


def test_calls_work_in_every_handler_and_errors_end_nothing(tmp_path: Path) -> None:
    path = tmp_path / "told"
    with Daemon(tmp_path, diary(tmp_path)) as daemon:
        daemon.wait_for(lambda: facts(path, "tick") == ["active"])
        daemon.call("set", name="web", options={"graceful_timeout": 3})
        daemon.call("set", name="web", options={"graceful_timeout": 4})
        daemon.wait_for(lambda: facts(path, "event") == ["updated", "updated"])
        assert facts(path, "status") == ["active", "active"]
        [pid] = daemon.pids("plugin:diary")
        daemon.wait_for_output("plugin:diary: KeyError: 'a slip in a handler'")
        daemon.wait_for_output("plugin:diary: ValueError: a slip in a timer")
        daemon.call("stop", name="plugin:diary", waiting=True)
        assert facts(path, "init") == [2]
        assert facts(path, "stop") == [2]
        assert is_gone(pid)


AWKWARD = "a 'b' $(x) $WID %s ::: key:value \\n ü"


def test_options_reach_it_as_they_are_written_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "told"
    options = (f"odd = {AWKWARD}", 'quoted = " a  b "', "empty =", "password = secret")
    with Daemon(tmp_path, diary(tmp_path, *options)) as daemon:
        daemon.wait_for(lambda: facts(path, "init"))
        [config] = facts(path, "config")
        assert config == {
            "odd": AWKWARD, "quoted": " a  b ", "empty": "", "password": "secret",
            "tell": str(path), "name": "plugin:diary",
        }  # fmt: skip
        assert "secret" not in str(facts(path, "argv"))
        assert facts(path, "environ") == [[]]  # programs it starts do not find it either
        [pid] = daemon.pids("plugin:diary")
        assert "secret" not in Path(f"/proc/{pid}/cmdline").read_text()


def test_stop_of_everything_lets_each_plugin_say_goodbye(tmp_path: Path) -> None:
    path = tmp_path / "told"
    with Daemon(tmp_path, diary(tmp_path)) as daemon:
        daemon.wait_for(lambda: facts(path, "tick"))
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    assert facts(path, "stop") == [2]
    assert "plugin:diary: Stopping" in daemon.output


def test_daemon_that_was_killed_leaves_no_plugin_behind(tmp_path: Path) -> None:
    path = tmp_path / "told"
    with Daemon(tmp_path, diary(tmp_path)) as daemon:
        daemon.wait_for(lambda: facts(path, "tick"))
        pids = [daemon.pids(name)[0] for name in ("plugin:diary", "web")]
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        wait_for(lambda: is_gone(pids[0]))
        os.kill(pids[1], signal.SIGKILL)


# ---- what cannot be started --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        ("mine.Missing", "cannot import 'mine.Missing'"),
        ("nowhere.Plugin", "No module named 'nowhere'"),
        ("mine.Broken", "ValueError: window: 'x' is no number"),
        ("mine.text", "it is no class"),
    ],
)
def test_plugin_that_cannot_be_started_is_one_clear_line_also_in_status(tmp_path: Path, use: str, reason: str) -> None:
    module(
        tmp_path,
        """
        text = "x"
        class Broken:
            def __init__(self, *args, **config):
                raise ValueError("window: 'x' is no number")
        """,
    )
    with Daemon(tmp_path, f"[plugin:p]\nuse = {use}\n{WEB}") as daemon:
        daemon.wait_for_status("web", "active")
        line = daemon.wait_for_output(f"plugin:p: the plugin {use} cannot be started: ")
        assert reason in line
        daemon.call("set", name="plugin:p", options={"flapping.window": 60})  # a busy machine loads slowly
        daemon.wait_for(lambda: reason in daemon.call("status", name="plugin:p").get("reason_text", ""))
        assert "exit code 1" in daemon.call("status", name="plugin:p")["reason_text"]
        assert daemon.call("status", name="web")["status"] == "active"
    assert "Traceback" not in daemon.output


def test_inactive_plugin_is_listed_and_not_started(tmp_path: Path) -> None:
    with Daemon(tmp_path, diary(tmp_path, "active = no")) as daemon:
        daemon.wait_for_status("web", "active")
        assert daemon.call("status", name="plugin:diary")["status"] == "stopped"
        assert daemon.pids("plugin:diary") == []


# ---- coming and going --------------------------------------------------------------------------------------------


def test_reloadconfig_adds_changes_and_removes_plugins(tmp_path: Path) -> None:
    path = tmp_path / "told"
    with Daemon(tmp_path, WEB) as daemon:
        daemon.wait_for_status("web", "active")
        daemon.write_config(diary(tmp_path))
        daemon.call("reloadconfig", waiting=True)
        daemon.wait_for(lambda: len(facts(path, "init")) == 1)
        web = daemon.pids("web")
        daemon.write_config(diary(tmp_path, "more = 1"))
        daemon.call("reloadconfig", waiting=True)
        daemon.wait_for(lambda: [config.get("more") for config in facts(path, "config")] == [None, "1"])
        daemon.write_config(WEB)
        daemon.call("reloadconfig", waiting=True)
        assert daemon.call("list")["watchers"] == ["web"]
        assert daemon.pids("web") == web


def test_port_that_was_left_to_the_system_is_told_to_the_plugins(tmp_path: Path) -> None:
    module(tmp_path, DIARY)
    path = tmp_path / "told"
    (tmp_path / "c.ini").write_text(
        "[circus]\nendpoint = tcp://127.0.0.1:*\npubsub_endpoint = tcp://127.0.0.1:*\nmulticast_endpoint =\n"
        f"[plugin:diary]\nuse = mine.Diary\ntell = {path}\n{WEB}"
    )
    with Program([sys.executable, "-m", "circus.circusd", "c.ini"], tmp_path) as daemon:
        daemon.wait_for(lambda: facts(path, "tick"))


def test_program_using_the_library_names_plugins_as_dictionaries(tmp_path: Path) -> None:
    module(tmp_path, DIARY)
    path = tmp_path / "told"
    script = f"""
    from circus import get_arbiter
    arbiter = get_arbiter(
        [{{"cmd": "sleep 60", "name": "web"}}], "ipc://{tmp_path}/c", "ipc://{tmp_path}/p", multicast_endpoint="",
        plugins=[{{"use": "mine.Diary", "tell": "{path}"}}])
    arbiter.start()
    """
    (tmp_path / "host.py").write_text(textwrap.dedent(script))
    with Program([sys.executable, "host.py"], tmp_path) as host:
        host.wait_for(lambda: facts(path, "tick"))
        [config] = facts(path, "config")
        assert config["name"] == "plugin:mine-Diary"


def test_server_for_ssh_is_told_to_the_plugins_of_a_program_and_not_to_those_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "circus.ini"
    path.write_text("[circus]\nssh_server = me@there\nstatsd = true\n[plugin:p]\nuse = a.B\n")
    for watcher in Arbiter.load_from_config(str(path)).iter_watchers():
        assert watcher.name in ("plugin:p", "circusd-stats") and "--ssh" not in watcher.args
    arbiter = Arbiter([], *ipc_endpoints(tmp_path), ssh_server="me@there", statsd=True, plugins=[{"use": "a.B"}])
    for watcher in arbiter.iter_watchers():
        assert watcher.args[watcher.args.index("--ssh") + 1] == "me@there"
    assert arbiter.ssh_server == "me@there"


def test_timers_of_tornado_work_in_a_plugin_written_for_it(tmp_path: Path) -> None:
    pytest.importorskip("tornado")
    module(
        tmp_path,
        """
        import json
        from circus.plugins import CircusPlugin
        from tornado.ioloop import PeriodicCallback

        class Old(CircusPlugin):
            def __init__(self, *args, **config):
                super().__init__(*args, **config)
                self.ticks = 0
                self.period = PeriodicCallback(self.look_after, 50)

            def tell(self, **facts):
                with open(self.config["tell"], "a") as file:
                    file.write(json.dumps(facts) + "\\n")

            def handle_init(self):
                self.period.start()

            def handle_stop(self):
                self.period.stop()
                self.tell(stop=self.ticks)

            def handle_recv(self, data):
                self.tell(event=self.split_data(data)[1])

            def look_after(self):
                self.ticks += 1
                if self.ticks % 5 == 0:
                    self.tell(tick=self.call("status", name="web")["status"])
        """,
    )
    path = tmp_path / "told"
    with Daemon(tmp_path, f"[plugin:old]\nuse = mine.Old\ntell = {path}\n{WEB}") as daemon:
        daemon.wait_for(lambda: len(facts(path, "tick")) > 2)
        daemon.call("set", name="web", options={"graceful_timeout": 3})
        daemon.wait_for(lambda: "updated" in facts(path, "event"))
        daemon.call("stop", name="plugin:old", waiting=True)
        assert facts(path, "stop")[0] >= 15
        assert set(facts(path, "tick")) == {"active"}


def test_periodic_callback_begun_before_the_loop_runs_ticks(tmp_path: Path) -> None:
    module(
        tmp_path,
        """
        import json
        from circus.plugins import CircusPlugin
        from circus.util import AsyncPeriodicCallback

        class Early(CircusPlugin):
            def initialize(self):
                super().initialize()
                self.periods = [AsyncPeriodicCallback(lambda: self.tell(tick="initialize"), 20)]
                self.periods[0].start()

            def handle_init(self):
                self.early = AsyncPeriodicCallback(lambda: self.tell(tick="handle_init"), 20)
                self.early.start()

            def handle_recv(self, data):
                pass

            def tell(self, **facts):
                with open(self.config["tell"], "a") as file:
                    file.write(json.dumps(facts) + "\\n")
        """,
    )
    path = tmp_path / "told"
    with Daemon(tmp_path, f"[plugin:early]\nuse = mine.Early\ntell = {path}\n{WEB}") as daemon:
        daemon.wait_for(lambda: {"initialize", "handle_init"} <= set(facts(path, "tick")))
        assert "error in a handler" not in daemon.output


def test_periodic_callback_begun_between_arbiter_and_start_ticks(tmp_path: Path) -> None:
    script = f"""
        from circus import get_arbiter
        from circus.util import AsyncPeriodicCallback

        arbiter = get_arbiter(
            [{{"cmd": "sleep 100"}}],
            controller="ipc://{tmp_path}/ctl", pubsub_endpoint="ipc://{tmp_path}/pub",
        )
        period = AsyncPeriodicCallback(lambda: (print("tick"), period.stop(), arbiter.stop()), 20)
        period.start()
        arbiter.start()
        print("done")
    """
    with Program([sys.executable, "-c", textwrap.dedent(script)], tmp_path) as program:
        assert program.wait() == 0
        assert program.output.split()[-2:] == ["tick", "done"]


def test_plugins_that_cannot_end_leave_in_time_and_it_is_said(tmp_path: Path) -> None:
    module(
        tmp_path,
        """
        import threading
        from circus.plugins import CircusPlugin

        class Waits(CircusPlugin):
            def handle_init(self):
                self.over = threading.Event()
                self.thread = threading.Thread(target=self.over.wait, name="for ever")
                self.thread.start()

            def handle_recv(self, data):
                pass

        class Joins(Waits):
            def handle_stop(self):
                self.thread.join()
                self.over.set()

        class Quick(Waits):
            def handle_stop(self):
                self.over.set()
        """,
    )
    config = "".join(f"[plugin:{name}]\nuse = mine.{name.title()}\n" for name in ("waits", "joins", "quick"))
    with Daemon(tmp_path, config + WEB) as daemon:
        for name in ("waits", "joins", "quick"):
            daemon.wait_for_output(f"plugin:{name}: Starting")
        begun_at = time.monotonic()
        daemon.call("stop", name="plugin:quick", waiting=True)
        assert time.monotonic() - begun_at < STOP_TIMEOUT
        begun_at = time.monotonic()
        daemon.call("quit")
        assert daemon.wait() == 0
        assert time.monotonic() - begun_at < 3 * STOP_TIMEOUT  # and not the graceful_timeout of 30 seconds
        assert "plugin:joins: mine.Joins: handle_stop has not ended within 5 s" in daemon.output
        assert "plugin:waits: mine.Waits: leaving without the end of its threads: for ever" in daemon.output
        assert "mine.Quick: " not in daemon.output


# ---- by hand -----------------------------------------------------------------------------------------------------


def test_plugin_started_by_hand_follows_events_and_ends_on_a_signal(tmp_path: Path) -> None:
    module(tmp_path, DIARY)
    path = tmp_path / "told"
    with Daemon(tmp_path, WEB) as daemon:
        daemon.wait_for_status("web", "active")
        where = ("--endpoint", daemon.endpoints.control, "--pubsub", daemon.endpoints.pubsub)
        runner = [sys.executable, "-m", "circus.plugins.runner"]
        words = [*runner, *where, "--config", f"tell:{path}:::a:b:c", "mine.Diary"]
        with Program(words, tmp_path) as plugin:
            plugin.wait_for(lambda: facts(path, "tick"))
            assert facts(path, "config") == [{"tell": str(path), "a": "b:c"}]
            assert "[INFO] Loading the plugin..." in plugin.output
            assert f"Endpoint: '{daemon.endpoints.control}'" in plugin.output
            plugin.signal(signal.SIGINT)
            assert plugin.wait() == 0
        assert facts(path, "stop") == [1]


def test_call_without_anybody_to_answer_ends_with_the_stop(tmp_path: Path) -> None:
    module(tmp_path, DIARY)
    where = ("--endpoint", f"ipc://{tmp_path}/nobody", "--pubsub", f"ipc://{tmp_path}/no")
    words = [sys.executable, "-m", "circus.plugins.runner", *where, "--config", f"tell:{tmp_path}/told", "mine.Diary"]
    with Program(words, tmp_path) as plugin:
        plugin.wait_for_output("Starting")
        plugin.signal(signal.SIGTERM)
        assert plugin.wait() == 0
