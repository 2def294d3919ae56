"""Discovery as its clients use it, in a network of its own: nothing leaves this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.real.support import ROOT, ipc_endpoints

# A network that has nothing but the loopback interface, through which the groups are reached.
NETWORK = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"]), "sh", "-c"]
SET_UP = 'ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo && exec "$@"'


def _can_have_one() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run([*NETWORK, SET_UP, "sh", "true"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.untraced,
    pytest.mark.usefixtures("nobody_left"),
    pytest.mark.skipif(not _can_have_one(), reason="a network of its own cannot be had here"),
]

CONFIG = """
[circus]
endpoint = {endpoint}
pubsub_endpoint = {pubsub}
multicast_endpoint = udp://237.219.251.97:{port}
"""

# What the web console of Circus 0.19 does: it asks from a socket that is in the group itself, at the same port.
MEMBER = """
import json, resource, select, subprocess, sys, time
from circus.client import CircusClient
from circus.util import create_udp_socket

def answers(sock, seconds=20.0):
    end_at = time.monotonic() + seconds
    while select.select([sock], [], [], max(0, end_at - time.monotonic()))[0]:
        data, sender = sock.recvfrom(1024)
        message = json.loads(data)
        if isinstance(message, dict):
            yield message["endpoint"]

found = []
for path, endpoint, port in zip(sys.argv[1::3], sys.argv[2::3], map(int, sys.argv[3::3])):
    with open(path + ".log", "w") as log:
        daemon = subprocess.Popen([sys.executable, "-m", "circus.circusd", path], stderr=log)
    with CircusClient(endpoint=endpoint, timeout=20) as client:
        client.send_message("list")
        member = create_udp_socket("237.219.251.97", port)
        member.sendto(json.dumps("").encode(), ("237.219.251.97", port))
        found.append(next(answers(member), None) == endpoint)
        member.close()
        time.sleep(0.1)  # for answers to answers, if there were any
        before = float(client.send_message("dstats")["info"]["ctime"].partition(":")[2])
        time.sleep(0.3)
        used = float(client.send_message("dstats")["info"]["ctime"].partition(":")[2]) - before
        found.append(used < 0.15)
        client.send_message("quit")
    daemon.wait()
print(json.dumps(found))
"""


def test_member_of_the_group_is_answered_whatever_port_it_is(tmp_path: Path) -> None:
    """Which of two sockets at one port a datagram reaches the kernel decides, by the port: so there are several."""
    words = []
    for port in range(12027, 12033):
        directory = tmp_path / str(port)
        directory.mkdir()
        endpoints = ipc_endpoints(directory)
        text = CONFIG.format(endpoint=endpoints.control, pubsub=endpoints.pubsub, port=port)
        (directory / "circus.ini").write_text(text)
        words += [str(directory / "circus.ini"), endpoints.control, str(port)]
    done = subprocess.run(
        [*NETWORK, SET_UP, "sh", sys.executable, "-c", textwrap.dedent(MEMBER), *words],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, True] * 6
