"""An ssh server of a test's own, and a program `ssh` that knows it: nothing of the user's configuration is read."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.support import Program, free_port

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")

SERVER_CONFIG = """
ListenAddress 127.0.0.1
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
StrictModes no
PidFile none
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
"""

CLIENT_CONFIG = """
Host there stranger forbidden shut
  HostName 127.0.0.1
  Port {port}
  UserKnownHostsFile {directory}/known
Host unchecked
  HostName 127.0.0.1
  Port {port}
  UserKnownHostsFile /dev/null
Host locked
  HostName 127.0.0.1
  Port {port}
  UserKnownHostsFile {directory}/known
  IdentityFile {directory}/locked
Host there unchecked
  IdentityFile {directory}/key
Host stranger
  IdentityFile {directory}/stranger
Host forbidden
  IdentityFile {directory}/forbidden
Host shut
  IdentityFile {directory}/shut
Host *
  IdentitiesOnly yes
  IdentityAgent none
  GlobalKnownHostsFile /dev/null
"""

# Root's sshd insists on a directory that the service makes; in a name space of its own it can have one.
_WITH_DIRECTORY = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"', "sh"]


def key(path: Path, passphrase: str = "") -> str:
    """A new key; its public part as one line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", path], check=True)
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


class SshServer:
    """Hosts of the configuration: `there`, where everything works; `unchecked`, whose key is not known; `stranger`, who
    has the wrong key; `forbidden`, who may not forward anything; `shut`, who may run one program only; `locked`, whose
    key is opened by the word `secret`.

    `env` is what a program needs so that its ssh knows them.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.key = directory / "key"
        (directory / "known").write_text(f"[127.0.0.1]:{self.port} {key(directory / 'host')}\n")
        allowed = [key(self.key), key(directory / "locked", "secret"), f"restrict {key(directory / 'forbidden')}"]
        allowed.append(f'command="echo This account is for mail only." {key(directory / "shut")}')
        key(directory / "stranger")
        (directory / "authorized").write_text("\n".join([*allowed, ""]))
        for name, text in (("sshd.conf", SERVER_CONFIG), ("config", CLIENT_CONFIG)):
            (directory / name).write_text(text.format(directory=directory, port=self.port))
        self.words = [str(SSHD), "-D", "-e", "-f", str(directory / "sshd.conf"), "-p", str(self.port)]
        if os.getuid() == 0 and not os.path.isdir("/run/sshd"):
            self.words = [*_WITH_DIRECTORY, *self.words]
        wrapper = directory / "bin" / "ssh"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {directory}/config "$@"\n')
        wrapper.chmod(0o755)
        self.env = {"PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def ssh_server(directory: Path) -> Iterator[SshServer]:
    server = SshServer(directory)
    with Program(server.words, directory) as program:
        program.wait_for_output("Server listening on 127.0.0.1")
        yield server
