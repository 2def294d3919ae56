"""`Redirector`, used as existing programs use it."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from circus.loop import Loop
from circus.stream import FileStream, QueueStream, Redirector


@pytest.fixture
def process():
    """A process whose output the test writes itself: `pid`, `stdout`, `stderr` and the descriptors to write to."""
    pipes = [os.pipe(), os.pipe()]
    (out, to_out), (err, to_err) = pipes
    made = SimpleNamespace(
        pid=7, stdout=os.fdopen(out, "rb"), stderr=os.fdopen(err, "rb"), to_out=to_out, to_err=to_err
    )
    yield made
    made.stdout.close()
    made.stderr.close()
    os.close(to_out)
    os.close(to_err)


@pytest.fixture
def redirector():
    made = Redirector(QueueStream(), QueueStream())
    yield made
    made.stop()


def wait_for(fact):
    deadline = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def heard(stream):
    piece = stream.get(timeout=60)
    return piece["pid"], piece["name"], piece["data"]


def test_output_of_an_added_process_reaches_its_streams(redirector, process):
    assert redirector.start() == 0
    redirector.add_redirections(process)
    assert process.redirected
    os.write(process.to_out, b"out\n")
    os.write(process.to_err, b"err\n")
    assert heard(redirector.get_stream("stdout")) == (7, "stdout", b"out\n")
    assert heard(redirector.get_stream("stderr")) == (7, "stderr", b"err\n")


def test_process_added_before_the_start_is_read_from_the_start(redirector, process):
    redirector.add_redirections(process)
    os.write(process.to_out, b"early\n")
    assert redirector.start() == 2
    assert heard(redirector.get_stream("stdout"))[2] == b"early\n"


def test_stop_reads_the_rest_and_start_goes_on(redirector, process):
    redirector.start()
    redirector.add_redirections(process)
    os.write(process.to_out, b"before")
    assert redirector.stop() == 2
    assert redirector.get_stream("stdout").get_nowait()["data"] == b"before"
    os.write(process.to_out, b"meanwhile\n")
    assert redirector.start() == 2
    assert heard(redirector.get_stream("stdout"))[2] == b"meanwhile\n"


def test_removed_process_is_read_once_more_and_its_files_stay_open(redirector, process):
    redirector.start()
    redirector.add_redirections(process)
    os.write(process.to_out, b"last\n")
    redirector.remove_redirections(process)
    assert heard(redirector.get_stream("stdout"))[2] == b"last\n"
    assert not process.redirected
    redirector.stop()
    os.write(process.to_out, b"mine again\n")
    os.set_blocking(process.stdout.fileno(), True)
    assert process.stdout.readline() == b"mine again\n"


def test_removed_descriptor_is_no_longer_read_but_the_other_one_is(redirector, process):
    redirector.start()
    redirector.add_redirections(process)
    os.write(process.to_out, b"1\n")
    assert heard(redirector.get_stream("stdout"))[2] == b"1\n"
    before = len(os.listdir("/proc/self/fd"))
    redirector.remove_fd(process.stdout.fileno())
    redirector.remove_fd(999_999)
    wait_for(lambda: len(os.listdir("/proc/self/fd")) == before - 1)
    os.write(process.to_out, b"unheard\n")
    os.write(process.to_err, b"heard\n")
    assert heard(redirector.get_stream("stderr"))[2] == b"heard\n"
    assert redirector.stop() == 1
    assert redirector.get_stream("stdout").empty()


def test_changed_stream_gets_what_comes_later(redirector, process):
    redirector.start()
    redirector.add_redirections(process)
    old, new = redirector.get_stream("stdout"), QueueStream()
    os.write(process.to_out, b"1\n")
    assert heard(old)[2] == b"1\n"
    redirector.change_stream("stdout", new)
    assert redirector.get_stream("stdout") is new
    os.write(process.to_out, b"2\n")
    assert heard(new)[2] == b"2\n"


def test_popen_object_can_be_added(tmp_path):
    redirector = Redirector(FileStream(str(tmp_path / "log")), None, buffer=1024, loop=Loop())
    redirector.start()
    with subprocess.Popen([sys.executable, "-c", "print('hello')"], stdout=subprocess.PIPE) as child:
        redirector.add_redirections(child)
        child.wait(60)
        redirector.stop()
    assert (tmp_path / "log").read_bytes() == b"hello\n"
    redirector.loop.close()


def test_nothing_is_left_open_after_many_starts_and_stops(process):
    redirector = Redirector(None, None)
    redirector.add_redirections(process)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        redirector.start()
        redirector.stop()
    wait_for(lambda: len(os.listdir("/proc/self/fd")) == before)
