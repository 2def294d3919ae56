"""circus-top as a person and as a script use it, with figures from a real PUB socket."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest
import zmq

from tests.real.support import PATIENCE, ROOT, Daemon
from tests.real.terminal import Terminal

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

TOP = [sys.executable, "-m", "circus.stats.client"]


def process(pid, **more):
    return {
        "pid": pid, "subtopic": pid, "cpu": pid / 100, "mem": 0.5, "age": 5000.5 - pid, "name": None, "children": [],
        "mem_info1": "31.05M", "mem_info2": "1.20G", "ctime": "0:02.10", "username": "www", "nice": 0,
        "create_time": 1.5, "cmdline": "python3", **more,
    }  # fmt: skip


def sums(processes):
    return {
        "pid": [one["pid"] for one in processes],
        "cpu": sum(one["cpu"] for one in processes) / len(processes),
        "mem": sum(one["mem"] for one in processes),
        "age": max(one["age"] for one in processes),
    }


class Feed:
    """Publishes a round of figures again and again, as circusd-stats does."""

    INTERVAL = 0.5  # seconds

    def __init__(self, watchers, sockets=()):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUB)
        self.endpoint = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
        self.watchers = watchers
        self.sockets = sockets
        self.silent = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._ended.set()
        self._thread.join(PATIENCE)
        self.context.destroy(linger=0)

    def _run(self):
        while not self._ended.wait(self.INTERVAL):
            if not self.silent:
                self._round()

    def _round(self):
        for name, processes in self.watchers.items():
            for one in processes:
                self._send(f"stat.{name}.{one['pid']}", one)
            self._send(f"stat.{name}", sums(processes))
        for one in self.sockets:
            self._send(f"stat.sockets.{one['fd']}", one)

    def _send(self, topic, figures):
        self.socket.send_multipart([topic.encode(), json.dumps(figures).encode()])


def three_hundred():
    return {
        "api": [process(1000 + n) for n in range(180)],
        "circus": [process(7, name="circusd")],
        "web": [process(2000 + n) for n in range(119)],
    }


@pytest.fixture
def feed():
    with Feed(three_hundred(), [{"fd": 5, "subtopic": 5, "reads": 31, "address": "127.0.0.1:8000"}]) as running:
        yield running


def top(*words, **options):
    return subprocess.run(
        [*TOP, *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, **options
    )


# ---- once


def test_once_prints_a_full_round_as_text(feed):
    done = top("--endpoint", feed.endpoint, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Circus Top"
    assert "\x1b" not in done.stdout
    shown = [int(line.split()[0]) for line in lines if re.match(r"  \d+ ", line)]
    assert shown == [*range(1179, 999, -1), 7, *range(2118, 1999, -1)]
    assert "  7 (circusd)" in done.stdout
    assert "  127.0.0.1:8000             31" in lines
    assert lines.index("api  180 processes") < lines.index("circus  1 process") < lines.index("sockets  1 socket")


def test_json_is_one_snapshot_of_everything(feed):
    feed.watchers["evil\x1b[31m"] = [process(3000, cmdline="\x7f\x9b")]
    done = top("--endpoint", feed.endpoint, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip("\n").isprintable()
    snapshot = json.loads(done.stdout)
    assert {name: len(found["processes"]) for name, found in snapshot["watchers"].items()} == {
        "api": 180, "circus": 1, "web": 119, "evil\x1b[31m": 1,
    }  # fmt: skip
    assert process(1005) in snapshot["watchers"]["api"]["processes"]
    assert snapshot["watchers"]["web"]["age"] == 3000.5
    assert snapshot["watchers"]["evil\x1b[31m"]["processes"][0]["cmdline"] == "\x7f\x9b"
    assert snapshot["sockets"]["sockets"][0]["address"] == "127.0.0.1:8000"


def test_control_characters_are_escaped_in_text(feed):
    feed.watchers = {"evil\x1b[31m": [process(3000, cmdline="\x7f\r\x9b")]}
    done = top("--endpoint", feed.endpoint, "--once", env={**os.environ, "COLUMNS": "200"})
    assert "evil\\x1b[31m  1 process\n" in done.stdout
    assert "\\x7f\\r\\x9b" in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())


@pytest.mark.parametrize("flag", ["--once", "--json"])
def test_once_without_figures_fails_and_tells_the_remedy(flag, tmp_path):
    done = top("--endpoint", f"ipc://{tmp_path}/s", flag)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"no figures from ipc://{tmp_path}/s within 3 s" in done.stderr
    assert "`statsd = true`" in done.stderr and "--endpoint" in done.stderr


def test_reader_that_leaves_is_no_matter(feed):
    with subprocess.Popen(
        [*TOP, "--endpoint", feed.endpoint, "--once"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(PATIENCE) == 1


def test_without_a_terminal_the_other_ways_are_named(feed):
    done = top("--endpoint", feed.endpoint)
    assert (done.returncode, done.stdout) == (1, "")
    assert "use --once or --json" in done.stderr


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_load_neither_zmq_nor_curses(flag):
    code = f"""
        import sys
        from circus.stats.client import main
        assert main([{flag!r}]) == 0
        print("loaded", sorted({{"zmq", "curses", "psutil"}} & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", "if True:" + code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.stdout.endswith("loaded []\n"), done.stdout + done.stderr


# ---- a terminal


class Display:
    """What an xterm shows: as much of it as curses makes use of here. What it does not know is an error."""

    SEQUENCE = re.compile(r"\x1b(?:\[([?>]?)([\d;]*)([@-~])|([()][0B]|[=>78M]))")
    HALF = re.compile(r"\x1b(?:\[[?>]?[\d;]*|[()])?\Z")

    def __init__(self, width, height):
        self.modes = {7, 25}  # lines wrap, the cursor shows
        self._rest = ""
        self._last = " "
        self.resize(width, height)

    def resize(self, width, height):
        self.width, self.height = width, height
        self.clear()

    def clear(self):
        self.cells = [[" "] * self.width for _ in range(self.height)]
        self.region = (0, self.height - 1)
        self.x = self.y = 0

    @property
    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def feed(self, text):
        text, self._rest = self._rest + text, ""
        while text:
            if text[0] != "\x1b":
                self._char(text[0])
                text = text[1:]
            elif match := self.SEQUENCE.match(text):
                text = text[match.end() :]
                if match[3]:
                    self._control(match[1], [int(part or 0) for part in match[2].split(";")], match[3])
                elif match[4] == "M":
                    self._line(up=True)
            else:
                assert self.HALF.match(text), f"unknown to this display: {text[:20]!r}"
                self._rest, text = text, ""

    def _char(self, char):
        if char == "\r":
            self.x = 0
        elif char == "\n":
            self._line()
        elif char == "\b":
            self.x = max(self.x - 1, 0)
        elif char == "\t":
            self.x = min(self.x // 8 * 8 + 8, self.width - 1)
        else:
            assert char.isprintable(), f"a control character reached the terminal: {char!r}"
            self._put(char)

    def _line(self, up=False):
        """A line further; at the edge of the region what is in it moves."""
        if self.y == self.region[0 if up else 1]:
            self._scroll(*self.region, -1 if up else 1)
        else:
            self.y = min(max(self.y + (-1 if up else 1), 0), self.height - 1)

    def _scroll(self, first, last, by):
        rows = self.cells[first : last + 1]
        blank = [[" "] * self.width for _ in range(min(abs(by), len(rows)))]
        self.cells[first : last + 1] = rows[by:] + blank if by > 0 else blank + rows[:by]

    def _put(self, char):
        if self.x >= self.width:
            self.x = self.width - 1
            if 7 in self.modes:
                self.x = 0
                self._line()
        if self.y < self.height:  # drawn for the size before, and drawn again soon
            self.cells[self.y][self.x] = self._last = char
        self.x += 1

    def _control(self, mark, numbers, letter):
        first = max(numbers[0], 1)
        row = self.cells[min(self.y, self.height - 1)]
        if mark or letter in "hl":
            for number in numbers:
                (self.modes.add if letter == "h" else self.modes.discard)(number)
        elif letter == "H":
            self.y, self.x = first - 1, (numbers[1] if len(numbers) > 1 else 1) - 1
        elif letter in "ABCDGd":
            self._move(letter, first)
        elif letter == "J":
            assert numbers[0] in (0, 2)
            if numbers[0] == 2:
                self.clear()
            else:
                self._blank(row, self.x, self.width)
                for below in self.cells[self.y + 1 :]:
                    self._blank(below, 0, self.width)
        elif letter == "K":
            self._blank(row, 0 if numbers[0] else self.x, self.x + 1 if numbers[0] == 1 else self.width)
        elif letter == "X":
            self._blank(row, self.x, self.x + first)
        elif letter in "P@":
            width = len(row)
            row[self.x : self.x + (first if letter == "P" else 0)] = [] if letter == "P" else [" "] * first
            row[:] = (row + [" "] * width)[:width]
        elif letter == "b":
            for _ in range(first):
                self._put(self._last)
        elif letter == "r":
            self.region = (first - 1, min((numbers[1:] or [self.height])[0], self.height) - 1)
            self.x = self.y = 0
        elif letter in "ST":
            self._scroll(*self.region, first if letter == "S" else -first)
        elif letter in "LM":
            self._scroll(self.y, self.region[1], first if letter == "M" else -first)
        else:
            assert letter in "mt", f"unknown to this display: CSI {numbers} {letter}"

    def _move(self, letter, by):
        if letter in "AB":
            self.y += by if letter == "B" else -by
        elif letter in "CD":
            self.x += by if letter == "C" else -by
        elif letter == "G":
            self.x = by - 1
        else:
            self.y = by - 1

    @staticmethod
    def _blank(row, begin, end):
        end = min(end, len(row))
        row[begin:end] = [" "] * (end - begin)


class Screen(Terminal):
    """circus-top in a terminal, and what it shows."""

    def __init__(self, home, *words, width=80, height=24, argv=TOP, **env):
        self.display = Display(width, height)
        super().__init__([*argv, *words], home, {"TERM": "xterm", "LC_ALL": "C.UTF-8", **env})
        # Kept open by us, so that its settings can be looked at when the program has ended.
        self.slave = os.open(f"/proc/{self.process.pid}/fd/0", os.O_RDWR | os.O_NOCTTY)
        self.resize(width, height)

    def __exit__(self, *exc):
        os.close(self.slave)
        super().__exit__(*exc)

    def resize(self, width, height):
        self.display.resize(width, height)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def see(self, fact):
        """The lines on the screen, as soon as `fact` is true of them."""
        end_at = time.monotonic() + PATIENCE
        while not fact(self.display.lines):
            left = end_at - time.monotonic()
            assert left > 0 and self.selector.select(left), "\n".join(self.display.lines)
            self.display.feed(os.read(self.master, 65536).decode())
        return self.display.lines

    def see_text(self, text):
        return self.see(lambda lines: any(text in line for line in lines))

    def end(self):
        """The exit code, when all it has written was shown."""
        code = self.code()
        while self.selector.select(0):
            self.display.feed(os.read(self.master, 65536).decode())
        return code

    @property
    def is_in_order(self):
        """As a fresh terminal is: lines are edited and echoed, the cursor shows, the other screen is left."""
        master, slave = os.openpty()
        try:
            fresh = termios.tcgetattr(slave)
        finally:
            os.close(master)
            os.close(slave)
        return termios.tcgetattr(self.slave) == fresh and 1049 not in self.display.modes and 25 in self.display.modes


UP, DOWN, PAGE_UP, PAGE_DOWN = "\x1bOA", "\x1bOB", "\x1b[5~", "\x1b[6~"
HOME, END, BACK_TAB, ESCAPE = "\x1bOH", "\x1bOF", "\x1b[Z", "\x1b"


def pids(lines):
    return [int(line.split()[0]) for line in lines if re.match(r"  \d+ ", line)]


@pytest.fixture
def screen(feed, tmp_path):
    with Screen(tmp_path, "--endpoint", feed.endpoint) as running:
        running.see(lambda lines: pids(lines)[:1] == [1179])
        yield running


def test_screen_of_80_by_24_shows_the_first_of_300(screen):
    lines = screen.see(lambda lines: lines[-1].endswith("1-20/316"))
    assert lines[0] == "Circus Top" + "300 processes, by cpu".rjust(70)
    assert lines[1] == lines[22] == "-" * 80
    assert lines[2] == "api  180 processes"
    assert lines[3] == "   PID                      CPU (%)             MEMORY (%)          AGE (s)"
    assert lines[4] == "  1179                       11.79               0.50                3821.50"
    assert pids(lines) == [*range(1179, 1161, -1)]
    assert lines[23].startswith("q quit  h help")


def test_screen_of_200_by_60_shows_more_processes_and_more_of_each(feed, tmp_path):
    with Screen(tmp_path, "--endpoint", feed.endpoint, width=200, height=60) as screen:
        lines = screen.see(lambda lines: lines[-1].endswith("1-56/316") and len(pids(lines)) == 54)
    assert pids(lines) == [*range(1179, 1125, -1)]
    assert " ".join(lines[3].split()) == "PID CPU (%) MEMORY (%) AGE (s) RSS CPU TIME USER COMMAND"
    assert lines[4].split() == ["1179", "11.79", "0.50", "3821.50", "31.05M", "0:02.10", "www", "python3"]


def sockets_on_screen(lines):
    """The rows below the name of the group, up to the rule."""
    head = next((number for number, line in enumerate(lines) if line.startswith("sockets  ")), None)
    return [] if head is None else [line.rstrip() for line in lines[head:-2] if line.strip()]


def test_sockets_fit_the_screen_in_the_order_of_their_descriptors(tmp_path):
    sockets = [
        {"fd": 12, "subtopic": 12, "reads": 0, "address": "/run/" + "x" * 80},
        {"fd": 5, "subtopic": 5, "reads": 31, "address": "127.0.0.1:8000"},
        {"fd": 7, "subtopic": 7, "reads": 100, "address": "[::1]:8000"},
    ]
    with Feed({}, sockets) as feed, Screen(tmp_path, "--endpoint", feed.endpoint) as screen:
        lines = screen.see(lambda lines: len(sockets_on_screen(lines)) == 6)
        assert sockets_on_screen(lines) == [
            "sockets  3 sockets",
            "   ADDRESS" + " " * 57 + "HITS",
            "  127.0.0.1:8000" + " " * 52 + "31",
            "  [::1]:8000" + " " * 56 + "100",
            "  /run/" + "x" * 59 + "~ 0",
            " " * 68 + "131 (sum)",
        ]
        screen.resize(40, 12)
        lines = screen.see(lambda lines: lines[1] == "-" * 40 and len(sockets_on_screen(lines)) == 6)
        assert [line.split() for line in sockets_on_screen(lines)[1:]] == [
            ["ADDRESS", "HITS"], ["127.0.0.1:8000", "31"], ["[::1]:8000", "100"], ["/run/" + "x" * 20 + "~", "0"],
            ["131", "(sum)"],
        ]  # fmt: skip
        screen.type("/8000\n")
        lines = screen.see(lambda lines: len(sockets_on_screen(lines)) == 5)
        assert sockets_on_screen(lines)[0] == "sockets  2 of 3 sockets"


def test_sockets_of_a_real_circusd_show_who_waits(tmp_path):
    config = f"""
        statsd = true
        stats_endpoint = ipc://{tmp_path}/stats
        [socket:api]
        path = {tmp_path}/api.sock
        [watcher:idle]
        cmd = sleep 1000
        use_sockets = true
        """
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for(lambda: daemon.pids("idle"))
        with Screen(tmp_path, "--endpoint", f"ipc://{tmp_path}/stats", width=160) as screen:
            lines = screen.see(lambda lines: len(sockets_on_screen(lines)) == 4)
            assert sockets_on_screen(lines)[2].split() == [f"{tmp_path}/api.sock", "0"]
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{tmp_path}/api.sock")  # nobody accepts it
                screen.see(lambda lines: int(sockets_on_screen(lines)[2].split()[1]) > 10)
        done = top("--endpoint", f"ipc://{tmp_path}/stats", "--once", env={**os.environ, "COLUMNS": "160"})
        assert sockets_on_screen([*done.stdout.splitlines(), ""])[0] == "sockets  1 socket"


def test_keys_move_through_all_processes(screen):
    def first(pid):
        return lambda lines: pids(lines)[:1] == [pid]

    for key, pid in (
        (DOWN, 1178), (DOWN, 1177), (UP, 1178), (PAGE_DOWN, 1160), (PAGE_UP, 1178), (HOME, 1179), ("\t", 7),
        ("\t", 2118), (BACK_TAB, 7), (END, 2016), (PAGE_UP, 2034), (HOME, 1179),
    ):  # fmt: skip
        screen.type(key)
        screen.see(first(pid))


def test_letters_choose_the_order(screen):
    for key, pid in (("p", 1000), ("p", 1179), ("a", 1000), ("c", 1179), ("c", 1000), ("m", 1000)):
        screen.type(key)
        screen.see(lambda lines, pid=pid: pids(lines)[:1] == [pid])
    screen.see_text("by memory")


def test_filter_shows_only_what_fits(screen):
    screen.type("/20")
    lines = screen.see(lambda lines: lines[-1].rstrip() == "/20_")
    screen.type("17\n")
    lines = screen.see(lambda lines: pids(lines) == [2017])
    assert "web  1 of 119 processes" in lines
    assert lines[0].endswith("/2017")
    screen.type(ESCAPE)
    screen.see(lambda lines: pids(lines)[:1] == [1179])


def test_help_comes_and_goes(screen):
    screen.type("?")
    lines = screen.see_text("sort by memory")
    assert any(line.startswith("PgUp, PgDn") for line in lines)
    screen.type("h")
    screen.see(lambda lines: pids(lines)[:1] == [1179])


def test_new_size_is_taken_at_once(screen):
    screen.resize(50, 12)
    lines = screen.see(lambda lines: lines[1] == "-" * 50 and lines[-1].endswith("1-8/316"))
    assert lines[4].split() == ["1179", "11.79", "0.50", "3821.50"]
    screen.resize(7, 2)
    screen.see(lambda lines: lines[0] == "api  1~")
    screen.resize(120, 40)
    screen.see(lambda lines: lines[1] == "-" * 120 and len(pids(lines)) == 34 and "COMMAND" in lines[3])


def test_silent_process_disappears(feed, tmp_path):
    with Screen(tmp_path, "--endpoint", feed.endpoint, "--process-timeout", "1.5") as screen:
        screen.see_text("300 processes")
        feed.watchers = {"web": [process(2000)]}
        lines = screen.see(lambda lines: pids(lines) == [2000])
        assert lines[0].endswith("1 process, by cpu")


def test_silence_is_told_and_ends_with_the_first_figures(feed, tmp_path):
    feed.silent = True
    with Screen(tmp_path, "--endpoint", feed.endpoint) as screen:
        screen.see_text("*** Waiting for data ***")
        lines = screen.see_text("`statsd = true`")
        assert f"No figures from {feed.endpoint} within " in lines[3]
        feed.silent = False
        screen.see(lambda lines: pids(lines)[:1] == [1179] and not any("statsd" in line for line in lines))
        feed.silent = True
        screen.see_text(f"No figures from {feed.endpoint} for ")


def test_control_characters_never_reach_the_terminal(feed, tmp_path):
    feed.watchers = {"evil\x1b[2Jx\n": [process(1, name="\x07\x9b", cmdline="\x1b]0;t\x07")]}
    with Screen(tmp_path, "--endpoint", feed.endpoint, width=120) as screen:
        lines = screen.see(lambda lines: lines[4].endswith("\\x1b]0;t\\x07"))
        assert lines[2] == "evil\\x1b[2Jx\\n  1 process"
        assert lines[4].startswith("  1 (\\x07\\x9b) ")


def test_locale_without_unicode_gets_escapes(feed, tmp_path):
    feed.watchers = {"z\xfcrich": [process(1)]}
    with Screen(
        tmp_path, "--endpoint", feed.endpoint, LC_ALL="POSIX", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"
    ) as screen:
        screen.see_text("z\\xfcrich  1 process")


# ---- leaving


@pytest.mark.parametrize("key", ["q", "\x03"], ids=["q", "ctrl-c"])
def test_leaving_restores_the_terminal(screen, key):
    assert not screen.is_in_order
    screen.type(key)
    assert screen.end() == 0
    assert screen.is_in_order


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_signal_restores_the_terminal_and_ends_as_signals_do(screen, signum):
    assert not screen.is_in_order
    screen.process.send_signal(signum)
    assert screen.end() == -signum
    assert screen.is_in_order


def test_error_restores_the_terminal_and_is_told(feed, tmp_path):
    code = """if True:
        import sys
        from circus.stats.top import program, screen
        draw = screen._Screen.draw
        def fail(self, now):
            draw(self, now)
            if self.model.last_at is not None:
                raise RuntimeError("what a day")
        screen._Screen.draw = fail
        sys.exit(program.main())
    """
    argv = [sys.executable, "-c", code, "--endpoint", feed.endpoint]
    with Screen(tmp_path, argv=argv) as screen:
        screen.see_text("circus-top: internal error: RuntimeError: what a day")
        assert screen.end() == 1
        assert screen.is_in_order


def test_suspended_and_continued_it_gives_the_terminal_back_and_takes_it_again(feed, tmp_path):
    # Only a shell with jobs can suspend: a process group nobody looks after ignores Ctrl-Z (setpgid(2)).
    script = '"$@"; echo ":suspended:"; read -r line; fg; echo ":ended $?:"'
    argv = ["sh", "-m", "-c", script, "sh", *TOP, "--endpoint", feed.endpoint]
    with Screen(tmp_path, argv=["/usr/bin/env", *argv]) as screen:
        screen.see_text("300 processes")
        screen.type("\x1a")
        screen.see_text(":suspended:")
        assert screen.is_in_order
        screen.type("\n")
        screen.see(lambda lines: 1049 in screen.display.modes and pids(lines)[:1] == [1179])
        screen.type("q")
        screen.see_text(":ended 0:")
        assert screen.is_in_order


def test_terminal_that_goes_without_a_word_ends_it(feed, tmp_path):
    """As under nohup, where nobody hears the hang-up."""
    code = """if True:
        import os, signal, sys
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "-m", "circus.stats.client", *sys.argv[1:]])
    """
    with Screen(tmp_path, argv=[sys.executable, "-c", code, "--endpoint", feed.endpoint]) as screen:
        screen.see_text("300 processes")
        os.close(screen.slave)
        screen.selector.unregister(screen.master)
        os.close(screen.master)
        screen.slave, screen.master = os.open("/dev/null", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
        assert screen.code() == -signal.SIGHUP


@pytest.mark.parametrize("kind", ["dumb", "no-such-terminal", ""])
def test_terminal_that_cannot_be_drawn_on_is_told(feed, tmp_path, kind):
    with Screen(tmp_path, "--endpoint", feed.endpoint, TERM=kind) as screen:
        screen.see_text("--json")
        text = " ".join(screen.display.lines)
        assert f"circus-top: cannot draw on a terminal of type {kind!r} ($TERM)" in text
        assert screen.end() == 1
