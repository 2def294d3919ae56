"""What `circusd --check` sees on the machine, without starting anything."""

import os
import pwd
import socket
import sys

import pytest

from circus.options.settings import watcher_spec
from circus.options.table import CircusSpec, ConfigSpec, PluginSpec, SocketSpec
from circus.runtime.rehearsal import rehearse

FREE = next(number for number in range(54321, 60000) if number not in {entry.pw_uid for entry in pwd.getpwall()})


def remarks(config):
    return [(remark.key, remark.text, remark.may_come) for remark in rehearse(config, {"PATH": "/bin"})]


def of_watcher(cmd="sleep 1", /, **options):
    return remarks(ConfigSpec(CircusSpec(), [watcher_spec("w", cmd, **options)]))


def of_circus(**values):
    return remarks(ConfigSpec(CircusSpec("", values), []))


@pytest.fixture
def module(tmp_path):
    """A module by its name, in a directory that only a watcher's PYTHONPATH names."""

    def write(name, text=""):
        (tmp_path / f"{name}.py").write_text(text)
        return {"PYTHONPATH": str(tmp_path)}

    yield write
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_a_watcher_that_would_start_gets_no_remark(tmp_path, module):
    env = module("rehearsed_hooks", "def hook(**kwargs): return True\nclass Stream: pass")
    hooks = {"before_start": "rehearsed_hooks.hook", "after_stop": len}
    files = {"stdout_stream": {"filename": f"{tmp_path}/log"}, "stderr_stream": {"class": "rehearsed_hooks.Stream"}}
    user = {"uid": os.geteuid(), "gid": os.getegid()}
    assert of_watcher("sleep 1", env=env, hooks=hooks, working_dir=str(tmp_path), **files, **user) == []
    assert of_watcher("nothing | nowhere", shell=True) == []
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize("kind", ["", "FileStream", "WatchedFileStream", "TimedRotatingFileStream"])
@pytest.mark.parametrize("output", ["stdout_stream", "stderr_stream"])
def test_a_log_file_that_cannot_be_opened(tmp_path, kind, output):
    conf = {"class": kind} if kind else {}
    missing = {**conf, "filename": f"{tmp_path}/no/log"}
    assert of_watcher(**{output: missing}) == [
        (f"{output}.filename", f"the directory {tmp_path}/no does not exist", False)
    ]
    assert of_watcher(**{output: {**conf, "filename": str(tmp_path)}}) == [
        (f"{output}.filename", f"{tmp_path} is a directory", False)
    ]


def test_a_file_name_that_a_stream_has_no_use_for_is_not_looked_at():
    assert of_watcher(stdout_stream={"class": "StdoutStream", "filename": "/no/such/log"}) == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module.hook", "cannot import 'no_such_module.hook': No module named 'no_such_module'"),
        ("rehearsed.nothing", "cannot import 'rehearsed.nothing': "),
        ("rehearsed_exit.hook", "cannot import 'rehearsed_exit.hook': its module ends the program"),
    ],
)
def test_a_hook_that_cannot_be_imported(module, target, reason):
    module("rehearsed_exit", "raise SystemExit(3)")
    env = module("rehearsed", "")
    [(key, text, may_come)] = of_watcher(env=env, hooks={"before_start": target})
    assert (key, may_come) == ("hooks.before_start", False)
    assert text.startswith(reason)


def test_a_stream_class_that_cannot_be_imported():
    [(key, text, may_come)] = of_watcher(stdout_stream={"class": "no_such_module.Stream"})
    assert (key, may_come) == ("stdout_stream.class", False)
    assert "No module named 'no_such_module'" in text


@pytest.mark.parametrize(
    ("options", "key", "reason"),
    [
        ({"uid": "no-such-user"}, "uid", "'no-such-user' isn't a valid user name"),
        ({"uid": FREE}, "uid", f"uid {FREE} has no passwd entry that would name its group: set gid as well"),
        ({"gid": "no-such-group"}, "gid", "'no-such-group' isn't a valid group name"),
        ({"uid": 0, "gid": "no-such-group"}, "gid", "'no-such-group' isn't a valid group name"),
    ],
)
def test_a_user_nobody_knows(options, key, reason):
    assert of_watcher(**options) == [(key, reason, False)]


def test_an_environment_that_cannot_be_made(tmp_path):
    [(key, text, _)] = of_watcher(uid=FREE, gid=0, user_env=True)
    assert (key, text[: text.index(" that")]) == ("user_env", f"uid {FREE} has no passwd entry")
    [(key, text, _)] = of_watcher(virtualenv=str(tmp_path), copy_env=True)
    assert (key, "has no packages for Python" in text) == ("virtualenv", True)
    gone = f"{tmp_path}/gone"
    reason = f"virtualenv {gone!r} is not a directory"
    assert of_watcher(virtualenv=gone, copy_env=True) == [("virtualenv", reason, True)]


def test_a_working_directory_may_come_later(tmp_path):
    gone = f"{tmp_path}/gone"
    assert of_watcher("./here", working_dir=gone) == [("working_dir", f"{gone} does not exist", True)]
    (tmp_path / "gone").touch()
    assert of_watcher("./here", working_dir=gone) == [("working_dir", f"{gone} is not a directory", False)]


def test_a_program_may_come_later(tmp_path):
    [(key, text, may_come)] = of_watcher("no-such-program -x", env={"PATH": "/bin"})
    assert (key, may_come) == ("cmd", True)
    assert "no 'no-such-program' in PATH (/bin)" in text
    [(key, text, may_come)] = of_watcher("web", executable=f"{tmp_path}/web")
    assert (key, may_come, f"there is no {tmp_path}/web" in text) == ("executable", True, True)


def test_a_program_that_is_there_and_cannot_be_executed(tmp_path):
    (tmp_path / "web").touch()
    [(key, text, may_come)] = of_watcher("./web", working_dir=str(tmp_path))
    assert (key, may_come) == ("cmd", False)
    assert "may not execute" in text


def test_a_command_that_cannot_be_split_is_the_readers_to_tell():
    assert of_watcher("sh -c 'x") == []


def test_files_of_the_daemon_itself(tmp_path):
    missing = f"the directory {tmp_path}/no does not exist"
    assert of_circus(pidfile=f"{tmp_path}/no/pid") == [("pidfile", missing, False)]
    assert of_circus(logoutput=f"{tmp_path}/no/log") == [("logoutput", missing, False)]
    assert of_circus(logoutput=str(tmp_path)) == [("logoutput", f"{tmp_path} is a directory", False)]
    assert of_circus(loggerconfig=f"{tmp_path}/x") == [("loggerconfig", f"there is no file {tmp_path}/x", False)]
    assert of_circus(endpoint_owner="no-such-user") == [
        ("endpoint_owner", "'no-such-user' isn't a valid user name", False)
    ]


@pytest.mark.parametrize("log", ["-", "stdout", "syslog:///dev/log?daemon", "/tmp/log"])
def test_a_daemon_that_would_start_gets_no_remark(log):
    assert of_circus(logoutput=log, pidfile="/tmp/pid", loggerconfig="Default", endpoint_owner="0") == []


def of_plugin(**options):
    spec = PluginSpec("p", {"use": "circus.plugins.watchdog.WatchDog"}, options)
    return remarks(ConfigSpec(CircusSpec(), [], [], [spec]))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("max_count", "0", "0: it must be at least 1"),
        ("msg_regex", "(", "(: missing ), unterminated subpattern at position 0"),
        ("watchers_stop_signal", "NO", "NO: signal invalid: 'NO' (use a number below 65 or a name such as TERM)"),
    ],
)
def test_an_option_that_a_plugin_would_not_understand(key, value, reason):
    assert of_plugin(loop_rate=" 5 ", watchers_regex="", **{key: value}) == [(key, reason, False)]


def test_a_slip_of_an_option_of_a_plugin():
    assert of_plugin(max_cuont="5") == [("max_cuont", "is not an option of the plugin; did you mean max_count?", True)]
    assert of_plugin(priority="5", mine="anything at all") == []


def test_options_of_a_plugin_that_declares_none_are_its_own(module):
    sys.path.append(module("rehearsed_plugin", "class P: option_table = 'mine'")["PYTHONPATH"])
    spec = PluginSpec("p", {"use": "rehearsed_plugin.P"}, {"anything": "x"})
    try:
        assert remarks(ConfigSpec(CircusSpec(), [], [], [spec])) == []
    finally:
        sys.path.pop()


def test_a_plugin_without_a_class_is_the_readers_to_tell():
    assert remarks(ConfigSpec(CircusSpec(), [], [], [PluginSpec("p", {}, {"x": "y"})])) == []


def test_a_plugin_that_cannot_be_imported():
    plugins = [PluginSpec("a", {"use": "circus.plugins.watchdog.WatchDog"}), PluginSpec("b", {"use": "no_such.Plugin"})]
    [(key, text, may_come)] = remarks(ConfigSpec(CircusSpec(), [], [], plugins))
    assert (key, may_come) == ("use", False)
    assert "No module named 'no_such'" in text


# ---- sockets -----------------------------------------------------------------------------------------------------


def of_socket(**values):
    return remarks(ConfigSpec(CircusSpec(), [], [SocketSpec("s", values)]))


def test_a_socket_that_can_be_opened_gets_no_remark(tmp_path):
    for values in ({"port": 1}, {"interface": "lo"}, {"path": f"{tmp_path}/s"}, {"path": "@s"}):
        assert of_socket(**values) == []
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{tmp_path}/there")
        assert of_socket(path=f"{tmp_path}/there") == []


def test_a_path_that_is_no_socket(tmp_path):
    (tmp_path / "file").write_text("precious")
    for path, kind in ((f"{tmp_path}/file", "a file that is no socket"), (str(tmp_path), "a directory")):
        assert of_socket(path=path) == [("path", f"{kind} is there, which is left alone: choose another path", False)]


def test_a_directory_for_a_socket_may_come_later(tmp_path):
    assert of_socket(path=f"{tmp_path}/no/s") == [("path", f"there is no directory {tmp_path}/no", True)]


def test_an_interface_that_is_not_there():
    [(key, text, may_come)] = of_socket(interface="nope0")
    assert (key, may_come) == ("interface", False)
    assert text.startswith("there is no network interface 'nope0'; there are lo")
