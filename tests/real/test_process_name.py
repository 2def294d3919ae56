"""The name that ps, top and pgrep show, and the command line by which programs recognise a daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from circus.posix.process_name import set_process_name
from tests.real.support import Daemon, Program, host_program, ipc_endpoints

pytestmark = [
    pytest.mark.usefixtures("nobody_left"),
    pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="there is no /proc"),
]

SLEEPER = "[watcher:a]\ncmd = sleep 60\n"


def name_of(program: Program) -> str:
    return Path(f"/proc/{program.pid}/comm").read_text().rstrip("\n")


def command_line_of(program: Program) -> str:
    return Path(f"/proc/{program.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


@pytest.mark.parametrize(("said", "name"), [("", "circusd"), ("proc_name = shop\n", "shop")])
def test_daemon_has_its_name_and_keeps_its_command_line(tmp_path: Path, said: str, name: str) -> None:
    with Daemon(tmp_path, said + SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        assert name_of(daemon) == name
        assert f"-m circus.circusd {daemon.config_path}" in command_line_of(daemon)


def test_name_follows_the_file(tmp_path: Path) -> None:
    with Daemon(tmp_path, "proc_name = shop\n" + SLEEPER) as daemon:
        daemon.wait_for_status("a", "active")
        pids = daemon.pids("a")
        daemon.write_config("proc_name = a name that is longer than the kernel keeps\n" + SLEEPER)
        assert daemon.call("reloadconfig", waiting=True)["status"] == "ok"
        assert name_of(daemon) == "a name that is "
        daemon.write_config(SLEEPER)
        assert daemon.call("reloadconfig", waiting=True)["status"] == "ok"
        assert (name_of(daemon), daemon.pids("a")) == ("circusd", pids)


HOST = """
import sys
from pathlib import Path
from circus import get_arbiter

def tell():
    print(Path("/proc/self/comm").read_text(), flush=True)

tell()
arbiter = get_arbiter([{{"cmd": "sleep 60"}}], {0!r}, {1!r}, background={2}, **{3})
if {2}:
    arbiter.start().result(20)
    tell()
    arbiter.stop()
else:
    arbiter.start(lambda future: (tell(), arbiter.stop()))
"""


@pytest.mark.parametrize(
    ("options", "background", "renamed"),
    [({}, False, False), ({"proc_name": "shop"}, False, True), ({"proc_name": "shop"}, True, False)],
)
def test_program_is_renamed_only_if_it_says_so_and_the_arbiter_is_no_guest(
    tmp_path: Path, options: dict[str, str], background: bool, renamed: bool
) -> None:
    with host_program(HOST.format(*ipc_endpoints(tmp_path), background, options), tmp_path) as program:
        assert program.wait() == 0, program.output
        before, after = program.output.split()
        assert after == ("shop" if renamed else before)


def test_name_of_any_characters_can_be_given() -> None:
    before = Path("/proc/self/comm").read_text().rstrip("\n")
    for name in ("", "\udc80x", "é" * 20):
        set_process_name(name)
    set_process_name(before)
    assert Path("/proc/self/comm").read_text() == f"{before}\n"
