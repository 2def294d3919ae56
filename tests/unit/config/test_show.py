"""The final value of every option and where it came from."""

import pytest

from circus.config.show import show

from .support import DATA, ENVIRON, Files

TEXT = """\
[circus]
umask = 022
stats_endpoint = tcp://127.0.0.1:9
include = more.ini
[env]
A = base
B = base
[env:w*]
A = pattern
[plugin:flapping]
use = circus.plugins.flapping.Flapping
window = 4
[watcher:web]
cmd = run
    and more
numprocesses = 3
stop_signal = 1
env = B=own
stdout_stream.filename = /x
rlimit_NOFILE = 5
rlimit_core =
hooks.before_start = a.b, true
hooks.after_start = c.d
retry_in = 9
mine = x
shell = no
[socket:Web]
port = 80
[plugin:p]
use = a.b
color = "red"
"""


def lines(text, **files):
    disk = Files({"main.ini": text, **files})
    return list(show("main.ini", ENVIRON, disk.open_file, disk.glob))


def section(shown, heading):
    start = shown.index(f"[{heading}]") + 1
    return shown[start : shown.index("", start)]


@pytest.mark.parametrize(
    ("heading", "line"),
    [
        ("circus", "umask = 022  (main.ini:2)"),
        ("circus", "check_delay = 5.0  (default)"),
        ("circus", "pidfile =  (default)"),
        ("circus", "statsd = true  (follows from stats_endpoint)"),
        ("circus", "include = more.ini  (main.ini:4)"),
        ("circus", "loglevel = debug  (more.ini:2)"),
        ("watcher:web", "cmd = run\n    and more  (main.ini:14)"),
        ("watcher:web", "numprocesses = 3  (main.ini:16)"),
        ("watcher:web", "stop_signal = HUP  (main.ini:17)"),
        ("watcher:web", "shell = false  (main.ini:26)"),
        ("watcher:web", "stdout_stream.filename = /x  (main.ini:19)"),
        ("watcher:web", "rlimit_nofile = 5  (main.ini:20)"),
        ("watcher:web", "rlimit_core =  (main.ini:21)"),
        ("watcher:web", "hooks.before_start = a.b, true  (main.ini:22)"),
        ("watcher:web", "hooks.after_start = c.d  (main.ini:23)"),
        ("watcher:web", "flapping.retry_in = 9.0  (main.ini:24)"),
        ("watcher:web", "flapping.window = 4.0  ([plugin:flapping] main.ini:12)"),
        ("watcher:web", "flapping.attempts = 2  (default)"),
        ("watcher:web", "mine = x  (free-form, main.ini:25)"),
        ("watcher:web", "env A = pattern  ([env:w*] main.ini:9)"),
        ("watcher:web", "env B = own  (main.ini:18)"),
        ("socket:Web", "port = 80  (main.ini:28)"),
        ("plugin:p", "use = a.b  (main.ini:30)"),
        ("plugin:p", "color = red  (free-form, main.ini:31)"),
    ],
)
def test_every_value_is_shown_with_its_origin(heading, line):
    assert line in section(lines(TEXT, **{"more.ini": "[circus]\nloglevel = debug"}), heading)


def test_a_watcher_with_a_name_of_its_own_is_shown_under_its_section():
    assert "cmd = x  (main.ini:3)" in section(lines("[watcher:a]\nname = b\ncmd = x"), "watcher:a")


def lines_of(path):
    return list(show(str(path), ENVIRON))


@pytest.mark.parametrize("path", sorted(DATA.glob("*.ini")), ids=lambda path: path.stem)
def test_every_file_can_be_shown_also_a_broken_one(path):
    assert lines_of(path)[0] == "[circus]"
