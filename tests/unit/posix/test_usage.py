"""Processor time and connections, from tables as the system shows them."""

from __future__ import annotations

import io
import os

import pytest

from circus.posix import usage
from circus.posix.usage import NOT_KNOWN, Asked, Place, Usage, connections, processor_time, usages

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(port: int, state: str, timer: str = "00:00000000", address: str = "0100007F") -> str:
    return f"   1: {address}:{port:04X} 0100007F:9BD2 {state} 00000000:00000000 {timer} 00000000     0        0 0 3 0\n"


UNIX = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000001: 00000002 00000000 00010000 0001 01 10 /run/idle
0000000000000002: 00000002 00000000 00010000 0001 01 11 /run/app with blanks
0000000000000003: 00000003 00000000 00000000 0001 03 12 /run/app with blanks
0000000000000004: 00000003 00000000 00000000 0001 03 13 @abstract
0000000000000005: 00000003 00000000 00000000 0001 03 14
"""


@pytest.fixture
def tables(monkeypatch):
    """The files of /proc by path; those not named are not there."""
    files: dict[str, str] = {}

    def opened(path, mode):
        if path not in files:
            raise FileNotFoundError(path)
        return io.BytesIO(files[path].encode())

    monkeypatch.setattr(usage, "open", opened, raising=False)
    return files


def test_connection_that_is_there_and_one_that_has_ended(tables):
    tables["/proc/net/tcp"] = HEAD + "".join(
        [
            row(8000, "0A"),
            row(8000, "06", "03:000016D9"),
            row(8000, "06", "03:00000FA0"),
            row(8001, "01"),
            row(8002, "0A"),
            row(9000, "01"),
        ]
    )
    found = connections({Place(8000), Place(8001), Place(8002)})
    assert found == {Place(8000): pytest.approx(1.51), Place(8001): 0.0}


@pytest.mark.parametrize("state", ["03", "05", "08"])
def test_connection_that_begins_or_ends_is_there(tables, state):
    tables["/proc/net/tcp"] = HEAD + row(8000, state)
    assert connections([Place(8000)]) == {Place(8000): 0.0}


def test_end_of_a_connection_whose_time_is_up_was_a_minute_ago(tables):
    tables["/proc/net/tcp"] = HEAD + row(8000, "06", "03:00000000")
    assert connections([Place(8000)]) == {Place(8000): 60.0}


def test_connections_of_both_internet_protocols_count(tables):
    tables["/proc/net/tcp"] = HEAD
    tables["/proc/net/tcp6"] = HEAD + row(8000, "01", address="00000000000000000000000001000000")
    assert connections([Place(8000)]) == {Place(8000): 0.0}


def test_connections_to_unix_sockets(tables):
    tables["/proc/net/unix"] = UNIX
    places = [Place(0, "/run/idle"), Place(0, "/run/app with blanks"), Place(0, "@abstract")]
    assert connections(places) == {places[1]: 0.0, places[2]: 0.0}


def test_nothing_is_read_where_nothing_is_asked(tables):
    assert connections([]) == {}


def test_processor_time_is_that_of_the_whole_family(tables, monkeypatch):
    children = {10: [11, 12], 11: [10, 13]}
    monkeypatch.setattr(usage, "family", lambda: lambda pid: children.get(pid, []))
    for pid, ticks in ((10, "1 2 3 4"), (11, "10 0 0 0"), (12, "100 0 0 0")):
        tables[f"/proc/{pid}/stat"] = f"{pid} (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 20 0 1 0 100 0"
    assert processor_time([10, 11]) == pytest.approx(120 / os.sysconf("SC_CLK_TCK"))


def test_each_is_told_of_its_own(tables, monkeypatch):
    monkeypatch.setattr(usage, "family", lambda: lambda pid: [])
    tables["/proc/net/tcp"] = HEAD + row(8000, "06", "03:00000FA0") + row(8001, "06", "03:000007D0")
    asked = [Asked([], [Place(8000), Place(8001)]), Asked([], [Place(8002)]), Asked([], [])]
    assert usages(asked) == [Usage(0.0, pytest.approx(20.0)), Usage(0.0, None), Usage(0.0, None)]


def test_without_proc_everybody_is_taken_to_be_at_work(monkeypatch):
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert usages([Asked([1], []), Asked([2], [])]) == [NOT_KNOWN, NOT_KNOWN]
