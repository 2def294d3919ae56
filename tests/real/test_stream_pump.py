"""Pumps with real pipes, children and files."""

import errno
import fcntl
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from circus.stream import FileStream, reader
from circus.stream.pump import Pump

PATIENCE = 60


NUMBERS = (
    "import sys\n"
    "for start in range(0, int(sys.argv[1]), 1000):\n"
    "    sys.stdout.write(''.join('%07d\\n' % n for n in range(start, start + 1000)))\n"
)
"""A program that writes that many lines of eight bytes."""


def wait_for(fact, what="the fact"):
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.005)


def descriptors():
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add((fd, os.readlink(f"/proc/self/fd/{fd}")))
        except OSError:
            pass  # the one that listdir used
    return found


@pytest.fixture(autouse=True)
def nothing_is_left():
    fds, threads = descriptors(), set(threading.enumerate())
    yield
    wait_for(lambda: set(threading.enumerate()) <= threads, "the end of all threads")
    wait_for(lambda: descriptors() <= fds, "the end of all descriptors")


class Running:
    """A started pump, the pids it has drained and the children that write to it."""

    def __init__(self, stdout=None, stderr=None, name="web"):
        self.drained = []
        self.pump = Pump(
            name, {"stdout": stdout, "stderr": stderr}, lambda call: call(), on_drained=self.drained.append
        )
        self.pump.start()
        self.children = []

    def pipe(self, pid, name="stdout"):
        read, write = os.pipe()
        self.pump.add(pid, {name: read})
        return write

    def child(self, code, *args, stderr=False, **kwargs):
        read, write = os.pipe()
        pipes = {"stdout": read}
        if stderr:
            pipes["stderr"], kwargs["stderr"] = os.pipe()
        child = subprocess.Popen([sys.executable, "-c", code, *args], stdout=write, **kwargs)
        os.close(write)
        if stderr:
            os.close(kwargs["stderr"])
        self.children.append(child)
        self.pump.add(child.pid, pipes)
        return child

    def finish(self):
        """Wait for all children and for everything they wrote."""
        for child in self.children:
            child.wait(PATIENCE)
            self.pump.finish(child.pid)
        wait_for(lambda: len(self.drained) >= len(self.children), "the last words")

    def close(self):
        done = threading.Event()
        self.pump.close(done.set)
        assert done.wait(PATIENCE)
        assert self.pump.join(PATIENCE)


@pytest.fixture
def run():
    """Makes pumps; closes them and ends their children after the test."""
    made = []

    def start(*args, **kwargs):
        made.append(Running(*args, **kwargs))
        return made[-1]

    yield start
    for running in made:
        for child in running.children:
            child.kill()
            child.wait()
        running.close()


class Collector:
    """A stream of somebody's: remembers everything."""

    def __init__(self):
        self.pieces = []
        self.closed = 0

    def __call__(self, data):
        self.pieces.append(data)

    def close(self):
        self.closed += 1

    @property
    def data(self):
        return b"".join(piece["data"] for piece in self.pieces)


def write_all(fd, data):
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


# ---- nothing is lost or changed ------------------------------------------------------------------------------------


def test_garbage_and_half_characters_reach_the_file_byte_for_byte(tmp_path, run):
    garbage = os.urandom(1_000_000) + "€".encode()[:2] + b"\r\r\n\x00" + b"\xff" * 70_000
    (tmp_path / "in").write_bytes(garbage)
    running = run(FileStream(str(tmp_path / "log")))
    running.child("import sys, shutil; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)", tmp_path / "in")
    running.finish()
    assert (tmp_path / "log").read_bytes() == garbage
    assert running.pump.stats()["stdout"] == {"read": len(garbage), "dropped": 0}


def test_garbage_reaches_a_foreign_stream_byte_for_byte(tmp_path, run):
    garbage = os.urandom(1_000_000)
    (tmp_path / "in").write_bytes(garbage)
    stream = Collector()
    running = run(stream)
    running.child("import sys, shutil; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)", tmp_path / "in")
    running.finish()
    assert stream.data == garbage
    assert all(type(piece["data"]) is bytes for piece in stream.pieces)


def test_20000_lines_before_an_abort_are_all_there_in_order(tmp_path, run):
    code = "import os\nfor n in range(20000): print('line', n, flush=n % 100 == 0)\nos.sys.stdout.flush()\nos.abort()"
    running = run(FileStream(str(tmp_path / "log")))
    child = running.child(code)
    running.finish()
    assert child.returncode == -signal.SIGABRT
    assert (tmp_path / "log").read_bytes() == b"".join(b"line %d\n" % n for n in range(20_000))


def test_lines_of_a_megabyte_stay_whole(tmp_path, run):
    running = run(FileStream(str(tmp_path / "log")))
    running.child("import sys\nfor n in range(20): sys.stdout.write(chr(97 + n) * 1000000 + '\\n')")
    running.finish()
    assert (tmp_path / "log").read_bytes() == b"".join(bytes([97 + n]) * 1_000_000 + b"\n" for n in range(20))


def test_stdout_and_stderr_go_to_their_own_streams(run):
    out, err = Collector(), Collector()
    running = run(out, err)
    child = running.child("import sys; print('out'); print('err', file=sys.stderr)", stderr=True)
    running.finish()
    assert (out.data, err.data) == (b"out\n", b"err\n")
    assert {(piece["pid"], piece["name"]) for piece in err.pieces} == {(child.pid, "stderr")}


def test_rotation_at_full_speed_loses_and_doubles_nothing(tmp_path, run):
    running = run(FileStream(str(tmp_path / "log"), max_bytes=50_000, backup_count=1000))
    running.child(NUMBERS, "300000")
    running.finish()
    files = sorted(tmp_path.iterdir(), key=lambda p: -int(p.suffix[1:] or 0))
    assert len(files) > 40
    assert b"".join(p.read_bytes() for p in files) == b"".join(b"%07d\n" % n for n in range(300_000))
    assert all(p.stat().st_size % 8 == 0 and p.stat().st_size < 50_000 for p in files)


def test_fifty_stamped_lines_of_3_kb_written_in_pieces_stay_fifty_lines(tmp_path, run):
    code = (
        "import os\n"
        "data = b''.join(b'%02d' % n + b'x' * 2997 + b'\\n' for n in range(50))\n"
        "for at in range(0, len(data), 1000): os.write(1, data[at:at + 1000])\n"
    )
    running = run(FileStream(str(tmp_path / "log"), time_format="%H:%M:%S"))
    child = running.child(code)
    running.finish()
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert [line.partition(b" [%d] | " % child.pid)[2] for line in lines] == [
        b"%02d" % n + b"x" * 2997 for n in range(50)
    ]


@pytest.fixture
def patience_with_lines(monkeypatch):
    """However slow this machine is, a line in two parts stays a line."""
    monkeypatch.setattr(reader, "LINE_DELAY", PATIENCE)


def test_begun_line_waits_for_its_end_while_another_process_writes(tmp_path, run, patience_with_lines):
    path = tmp_path / "log"
    running = run(FileStream(str(path)))
    one, two = running.pipe(1), running.pipe(2)
    os.write(one, b"first\nbeg")
    wait_for(lambda: path.read_bytes() == b"first\n", "the whole line")
    os.write(two, b"other\n")
    wait_for(lambda: path.read_bytes() == b"first\nother\n", "the other line")
    os.write(one, b"in and end\n")
    wait_for(lambda: path.read_bytes() == b"first\nother\nbegin and end\n", "the end of the line")
    os.close(one)
    os.close(two)


def test_single_process_sees_the_begin_of_its_line_in_the_file_at_once(tmp_path, run, patience_with_lines):
    running = run(FileStream(str(tmp_path / "log")))
    write = running.pipe(1)
    os.write(write, b"...")
    wait_for(lambda: (tmp_path / "log").read_bytes() == b"...", "the dots")
    os.close(write)


def test_endless_line_of_one_process_does_not_wait_for_ever(tmp_path, run, patience_with_lines):
    running = run(FileStream(str(tmp_path / "log")))
    one, two = running.pipe(1), running.pipe(2)
    write_all(one, b"x" * 1_000_000)
    wait_for(lambda: (tmp_path / "log").stat().st_size > 900_000, "the most of it")
    os.close(one)
    os.close(two)


@pytest.mark.parametrize("time_format", [None, "%H:%M:%S"])
def test_lines_that_four_processes_write_in_pieces_do_not_mix(tmp_path, run, time_format, patience_with_lines):
    code = (
        "import os, sys\n"
        "who = sys.argv[1].encode()\n"
        "data = b''.join(who + b' %06d ' % n + who * (n % 5000) + b'\\n' for n in range(400))\n"
        "for at in range(0, len(data), 1777): os.write(1, data[at:at + 1777])\n"
    )
    running = run(FileStream(str(tmp_path / "log"), time_format=time_format))
    for who in "abcd":
        running.child(code, who)
    running.finish()
    lines = [line.rpartition(b" | ")[2] for line in (tmp_path / "log").read_bytes().splitlines()]
    for who in b"abcd":
        mine = [line for line in lines if line[0] == who]
        assert mine == [b"%c %06d " % (who, n) + b"%c" % who * (n % 5000) for n in range(400)]
    assert len(lines) == 1600


def test_prompt_without_line_end_arrives_while_the_program_waits(run):
    stream = Collector()
    running = run(stream)
    write = running.pipe(1)
    os.write(write, b"line\nname? ")
    wait_for(lambda: stream.data == b"line\nname? ", "the prompt")
    os.close(write)


def test_last_words_without_line_end_are_written_when_the_process_ends(tmp_path, run):
    running = run(FileStream(str(tmp_path / "log"), time_format="%Y"))
    running.child("import os; os.write(1, b'I am dying'); os.kill(os.getpid(), 9)")
    running.finish()
    assert (tmp_path / "log").read_bytes().endswith(b" | I am dying\n")


def test_no_stream_keeps_the_program_writing(run):
    running = run()
    running.child("import sys; sys.stdout.write('x' * 5000000)")
    running.finish()
    assert running.pump.stats()["stdout"] == {"read": 5_000_000, "dropped": 0}


# ---- descendants that hold the pipe --------------------------------------------------------------------------------


def test_grandchild_that_holds_the_pipe_is_read_after_the_death_of_its_parent(run):
    stream = Collector()
    running = run(stream)
    write = running.pipe(1)
    os.write(write, b"parent\n")
    running.pump.finish(1)
    wait_for(lambda: running.drained == [1], "the drained report")
    assert stream.data == b"parent\n"
    os.write(write, b"grandchild\n")
    os.close(write)
    wait_for(lambda: stream.data == b"parent\ngrandchild\n", "the grandchild's line")
    assert running.drained == [1]


def test_close_does_not_wait_for_a_grandchild_and_reads_what_is_there(tmp_path, run):
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "print('grandchild', child.pid, flush=True)\n"
    )
    running = run(FileStream(str(tmp_path / "log")))
    running.child(code).wait(PATIENCE)
    running.close()
    word, pid = (tmp_path / "log").read_text().split()
    os.kill(int(pid), signal.SIGKILL)
    assert word == "grandchild"


def test_close_ends_although_there_is_always_more_to_read(run):
    class Fountain(Collector):
        def __call__(self, data):
            super().__call__(data)
            os.write(write, b"more\n")

    stream = Fountain()
    running = run(stream)
    write = running.pipe(1)
    os.write(write, b"first\n")
    wait_for(lambda: len(stream.pieces) > 10, "the flow")
    running.close()
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    os.close(write)


def test_process_that_was_never_added_is_drained_at_once(run):
    running = run()
    running.pump.finish(12345)
    wait_for(lambda: running.drained == [12345], "the drained report")


# ---- streams that fail ---------------------------------------------------------------------------------------------


def test_full_disk_is_counted_told_once_and_leaves_the_other_stream_alive(tmp_path, run, caplog):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    running = run(FileStream(str(full)), FileStream(str(tmp_path / "err")))
    running.child(
        "import sys\nfor n in range(2000): print('x' * 99, flush=True); print(n, file=sys.stderr)", stderr=True
    )
    running.finish()
    assert (tmp_path / "err").read_bytes() == b"".join(b"%d\n" % n for n in range(2000))
    assert running.pump.stats()["stdout"] == {"read": 200_000, "dropped": 200_000}
    (told,) = caplog.messages
    assert told.startswith("stream 'stdout' of watcher 'web' failed: [Errno 28] No space left on device: ")

    full.unlink()  # room again
    write = running.pipe(1)
    deadline = time.monotonic() + PATIENCE
    while not (full.exists() and full.read_bytes()):
        assert time.monotonic() < deadline
        os.write(write, b"again\n")
        time.sleep(0.01)
    os.close(write)
    running.close()
    dropped = running.pump.stats()["stdout"]["dropped"]
    assert caplog.messages[1:] == [f"stream 'stdout' of watcher 'web' works again; {dropped} bytes were dropped"]
    assert dropped + full.stat().st_size == running.pump.stats()["stdout"]["read"]


def test_class_that_raises_does_not_stop_the_programs(run, caplog):
    class Broken(Collector):
        broken = True

        def __call__(self, data):
            if self.broken:
                raise RuntimeError("a bug")
            super().__call__(data)

    stream, err = Broken(), Collector()
    running = run(stream, err)
    running.child("import sys; print('x' * 999999); print('fine', file=sys.stderr)", stderr=True)
    running.finish()
    assert running.pump.stats()["stdout"]["dropped"] == 1_000_000
    assert err.data == b"fine\n"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    stream.broken = False
    running.child("print('back')")
    running.finish()
    assert stream.data == b"back\n"


def test_stream_that_blocks_stops_only_its_own_pump(run):
    class Slow(Collector):
        reached, go = threading.Event(), threading.Event()

        def __call__(self, data):
            self.reached.set()
            assert self.go.wait(PATIENCE)
            super().__call__(data)

    slow, quick, done = Slow(), Collector(), threading.Event()
    blocked, other = run(slow, name="blocked"), run(quick)
    write = blocked.pipe(1)
    os.write(write, b"slow\n")
    assert slow.reached.wait(PATIENCE)
    blocked.pump.close(done.set)
    os.write(write, b"more\n")
    other.child("print('quick')")
    other.finish()
    assert quick.data == b"quick\n"
    assert not done.is_set() and not blocked.pump.join(0)
    slow.go.set()
    assert done.wait(PATIENCE)
    assert slow.data == b"slow\nmore\n"
    os.close(write)


# ---- swapping and closing ------------------------------------------------------------------------------------------


def test_swap_under_load_loses_nothing_and_closes_the_old_streams(tmp_path, run):
    files = [tmp_path / f"log{number}" for number in range(30)]
    running = run(FileStream(str(files[0])))
    running.child(NUMBERS, "500000")
    for number, path in enumerate(files[1:]):
        wait_for(lambda: files[number].stat().st_size > 50_000 or running.children[0].poll() is not None)  # noqa: B023
        running.pump.swap("stdout", FileStream(str(path)))
    running.finish()
    assert b"".join(path.read_bytes() for path in files) == b"".join(b"%07d\n" % n for n in range(500_000))
    opened = {link for _, link in descriptors() if link.startswith(str(tmp_path))}
    assert opened == {str(files[-1])}


def test_swap_in_the_middle_of_a_line_loses_no_part_of_it(run):
    old, new = Collector(), Collector()
    running = run(old)
    write = running.pipe(1)
    os.write(write, b"begin")
    running.pump.swap("stdout", new)
    wait_for(lambda: old.closed == 1, "the close")
    os.write(write, b" end\n")
    os.close(write)
    wait_for(lambda: old.data + new.data == b"begin end\n", "the line")
    assert new.data.endswith(b" end\n")


def test_swap_to_nothing_and_back(run):
    first, second = Collector(), Collector()
    running = run(first)
    running.pump.swap("stdout", None)
    running.child("print('unheard')")
    running.finish()
    running.pump.swap("stdout", second)
    running.child("print('heard')")
    running.finish()
    assert (first.data, second.data) == (b"", b"heard\n")


def test_object_for_both_outputs_is_closed_once_and_only_when_both_are_done(run):
    both, other = Collector(), Collector()
    running = run(both, both)
    running.pump.swap("stdout", other)
    running.child("import sys; print('out'); print('err', file=sys.stderr)", stderr=True)
    running.finish()
    assert (both.data, other.data, both.closed) == (b"err\n", b"out\n", 0)
    running.close()
    assert (both.closed, other.closed) == (1, 1)


def test_close_reads_what_is_in_the_pipe_closes_the_stream_and_says_so_to_everybody(run):
    stream, done = Collector(), []
    running = run(stream)
    write = running.pipe(1)
    os.write(write, b"last words")
    running.pump.close(lambda: done.append((1, stream.data, stream.closed)))
    running.pump.close(lambda: done.append((2, stream.data, stream.closed)))
    assert running.pump.join(PATIENCE)
    running.pump.close(lambda: done.append((3, stream.data, stream.closed)))
    assert done == [(number, b"last words", 1) for number in (1, 2, 3)]
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    os.close(write)


def test_pipes_and_reports_after_the_close_are_answered(run):
    running = run()
    running.close()
    write = running.pipe(1)
    running.pump.finish(1)
    running.pump.swap("stdout", None)
    assert running.drained == [1]
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    os.close(write)


def test_pump_closed_before_it_was_started_delivers_and_closes_everything():
    stream, done = Collector(), threading.Event()
    pump = Pump("web", {"stdout": stream}, lambda call: call())
    read, write = os.pipe()
    pump.add(1, {"stdout": read})
    os.write(write, b"early")
    os.close(write)
    pump.close(done.set)
    assert done.wait(PATIENCE) and pump.join(PATIENCE)
    assert (stream.data, stream.closed) == (b"early", 1)


def test_pump_without_descriptors_left_still_closes_what_it_was_given():
    stream, done = Collector(), []
    pump = Pump("web", {"stdout": stream}, lambda call: call())
    read, write = os.pipe()
    pump.add(1, {"stdout": read})
    os.write(write, b"early")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            pump.start()
        pump.close(lambda: done.append(1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert done == [1]
    assert (stream.data, stream.closed) == (b"early", 1)
    os.close(write)


# ---- descriptors and threads ---------------------------------------------------------------------------------------


def test_descriptor_above_1023_is_read(run):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, hard))
    stream = Collector()
    running = run(stream)
    read, write = os.pipe()
    high = fcntl.fcntl(read, fcntl.F_DUPFD_CLOEXEC, 1500)
    os.close(read)
    running.pump.add(1, {"stdout": high})
    os.write(write, b"high\n")
    os.close(write)
    wait_for(lambda: stream.data == b"high\n", "the line")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_processes_leave_no_descriptor_behind(run):
    running = run(Collector())
    before = descriptors()
    for pid in range(1, 301):
        write = running.pipe(pid)
        os.write(write, b"%d\n" % pid)
        os.close(write)
        running.pump.finish(pid)
    wait_for(lambda: len(running.drained) == 300, "the drained reports")
    assert descriptors() == before
    assert running.pump.stats()["stdout"]["read"] == sum(len(b"%d\n" % pid) for pid in range(1, 301))


def test_pipe_closed_by_somebody_else_is_forgotten_and_its_number_left_alone(run):
    stream = Collector()
    running = run(stream)
    read, write = os.pipe()
    running.pump.add(1, {"stdout": read})
    os.write(write, b"one\n")
    wait_for(lambda: stream.data == b"one\n", "the line")
    os.close(read)  # a program with a bug
    innocent = os.open("/dev/null", os.O_RDONLY)
    assert innocent == read
    running.pump.finish(1)
    wait_for(lambda: running.drained == [1], "the drained report")
    assert os.fstat(innocent)
    os.close(innocent)
    os.close(write)


def test_number_of_a_pipe_closed_by_somebody_else_may_come_back_as_a_new_pipe(run, caplog):
    stream = Collector()
    running = run(stream)
    read, write = os.pipe()
    running.pump.add(1, {"stdout": read})
    os.write(write, b"one\n")
    wait_for(lambda: stream.data == b"one\n", "the line")
    os.close(read)
    os.close(write)
    again, write = os.pipe()
    assert again == read
    running.pump.add(2, {"stdout": again})
    os.write(write, b"two\n")
    wait_for(lambda: stream.data == b"one\ntwo\n", "the line of the new pipe")
    assert caplog.messages == []
    os.close(write)


def test_pump_survives_the_loss_of_its_own_selector(run, caplog):
    before = {fd for fd, _ in descriptors()}
    stream = Collector()
    running = run(stream)
    write = running.pipe(1)
    os.write(write, b"one\n")
    wait_for(lambda: stream.data == b"one\n", "the line")
    (lost,) = [fd for fd, link in descriptors() if link == "anon_inode:[eventpoll]" and fd not in before]
    os.close(int(lost))
    for number in range(2, 5):
        running.pump.finish(1000 + number)  # wakes it up
        os.write(write, b"%d\n" % number)
    wait_for(lambda: stream.data == b"one\n2\n3\n4\n", "the lines")
    wait_for(lambda: len(running.drained) == 3, "the requests")
    # A wait that had begun before the loss still ends well: only the next one finds it out.
    wait_for(lambda: any("stumbled" in message for message in caplog.messages), "the loss to be found out")
    os.close(write)
    assert len([m for m in caplog.messages if "stumbled" in m]) == 1


def test_descriptor_that_is_not_open_is_told_and_does_no_harm(run, caplog):
    stream = Collector()
    running = run(stream)
    running.pump.add(1, {"stdout": 999_999})
    running.child("print('fine')")
    running.finish()
    assert stream.data == b"fine\n"
    assert f"[Errno {errno.EBADF}]" in caplog.text and "pid 1 of watcher 'web'" in caplog.text


def test_terminal_whose_other_side_is_closed_has_ended(run):
    stream = Collector()
    running = run(stream)
    master, slave = os.openpty()
    running.pump.add(1, {"stdout": master})
    os.write(slave, b"on a terminal\n")
    wait_for(lambda: stream.data == b"on a terminal\r\n", "the line")
    os.close(slave)
    wait_for(lambda: (str(master), "/dev/ptmx") not in descriptors(), "the end")


def test_pump_works_where_there_is_no_eventfd(run, monkeypatch):
    monkeypatch.delattr(os, "eventfd")
    stream = Collector()
    running = run(stream)
    running.child("print('hello')")
    running.finish()
    assert stream.data == b"hello\n"


def test_start_leaves_the_stack_size_of_other_threads_alone(run):
    usual = threading.stack_size(1 << 20)
    try:
        run()
        assert threading.stack_size() == 1 << 20
    finally:
        threading.stack_size(usual)


def test_busy_pipe_does_not_starve_the_others(run):
    stream = Collector()
    running = run(None, stream)
    running.child("import os\nwhile True: os.write(1, b'x' * 65536)")
    write = running.pipe(1, "stderr")
    for number in range(20):
        os.write(write, b"%d\n" % number)
        wait_for(lambda: stream.data.endswith(b"%d\n" % number), "the line")  # noqa: B023
    os.close(write)
