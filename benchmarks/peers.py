"""One adapter per supervisor: how it is configured, started, asked and stopped, each as its users do it."""

from __future__ import annotations

import os
import resource
import signal
import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

# In the order they are taken on one instance: first what needs an untouched supervisor, last what ends it.
PROCESS_MEASURES = ("up", "memory", "idle", "status", "cli", "restart", "replaced", "stop")
# Each on an instance of its own.
LOG_MEASURES = ("load", "logs", "lines")
MEASURES = PROCESS_MEASURES + LOG_MEASURES

SLOT = "{slot}"  # in Section.argv: replaced by the supervisor's own variable for "the number of this process"


@dataclass(frozen=True)
class Section:
    """One program: `count` processes of it, their stdout into `log` or left alone."""

    name: str
    argv: tuple[str, ...]
    count: int
    log: Path | None = None

    def command(self, slot: str) -> str:
        return " ".join(self.argv).replace(SLOT, slot)


class Peer(ABC):
    """`home` is an empty directory for the run's files; `bin_dir` holds the supervisor's programs."""

    name: ClassVar[str]
    label: ClassVar[str]
    end_signal: ClassVar[int] = signal.SIGTERM  # asks the supervisor to end with all it started
    skips: ClassVar[frozenset[str]] = frozenset()  # measures that have no meaning here
    needs: ClassVar[str] = ""  # a program to be found in PATH, where this one is not installed by us

    def __init__(self, bin_dir: Path, home: Path) -> None:
        self.bin_dir = bin_dir
        self.home = home

    @abstractmethod
    def configure(self, sections: list[Section]) -> list[str]:
        """Write the configuration; return the command that runs the supervisor in the foreground."""

    def stop_command(self) -> list[str]:
        """Stops all programs, the supervisor stays; returns when they are stopped."""
        raise NotImplementedError

    def status_command(self) -> list[str]:
        """What a user types to see whether all is well."""
        raise NotImplementedError

    def probe_command(self, program: str) -> list[str]:
        """Interpreter and arguments for probe.py, without its numbers."""
        raise NotImplementedError

    def program(self, name: str) -> str:
        return str(self.bin_dir / name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Circus(Peer):
    """This checkout, and the base of Circus 0.19: configuration and command line are the same."""

    name = "circus"
    label = "Circus (this checkout)"

    def configure(self, sections: list[Section]) -> list[str]:
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        lines = [
            "[circus]",
            f"endpoint = {self.endpoint}",
            f"pubsub_endpoint = tcp://127.0.0.1:{free_port()}",
            "multicast_endpoint =",  # no packet leaves the machine
        ]
        for section in sections:
            lines += [
                f"[watcher:{section.name}]",
                f"cmd = {section.command('$(circus.wid)')}",
                f"numprocesses = {section.count}",
            ]
            if section.log:
                lines += ["stdout_stream.class = FileStream", f"stdout_stream.filename = {section.log}"]
        config = self.home / "circus.ini"
        config.write_text("\n".join(lines) + "\n")
        return [self.program("circusd"), str(config)]

    def stop_command(self) -> list[str]:
        return [
            self.program("circusctl"),
            "--endpoint",
            self.endpoint,
            "--timeout",
            "120",
            "stop",
            "--waiting",
        ]

    def status_command(self) -> list[str]:
        return [self.program("circusctl"), "--endpoint", self.endpoint, "status"]

    def probe_command(self, program: str) -> list[str]:
        return [self.program("python"), "circus", self.endpoint, program]


class Circus019(Circus):
    name = "circus019"
    label = "Circus 0.19"


class Supervisord(Peer):
    name = "supervisord"
    label = "supervisord 4.3"
    PROCESS = "%(program_name)s_%(process_num)d"

    def configure(self, sections: list[Section]) -> list[str]:
        self.socket = self.home / "supervisor.sock"
        self.config = self.home / "supervisord.conf"
        lines = [
            "[unix_http_server]",
            f"file = {self.socket}",
            "chmod = 0700",
            "[supervisord]",
            f"logfile = {self.home}/supervisord.log",
            f"pidfile = {self.home}/supervisord.pid",
            f"childlogdir = {self.home}",
            "nodaemon = true",
            "silent = true",
            f"minfds = {descriptors_needed(sections)}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            "[supervisorctl]",
            f"serverurl = unix://{self.socket}",
        ]
        for section in sections:
            lines += self._program(section)
        self.config.write_text("\n".join(lines) + "\n")
        return [self.program("supervisord"), "-c", str(self.config)]

    def _program(self, section: Section) -> list[str]:
        log = f"{section.log}.%(process_num)d" if section.log else "NONE"
        return [
            f"[program:{section.name}]",
            f"command = {section.command('%(process_num)d')}",
            f"process_name = {self.PROCESS}",
            f"numprocs = {section.count}",
            "autorestart = true",  # default: only after an exit code it did not expect
            "startsecs = 0",  # default 1: a worker killed in its first second would count as a failed start
            f"stdout_logfile = {log}",
            "stdout_logfile_maxbytes = 0",  # no rotation, as in Circus
            "stderr_logfile = NONE",
        ]

    def stop_command(self) -> list[str]:
        return [self.program("supervisorctl"), "-c", str(self.config), "stop", "all"]

    def status_command(self) -> list[str]:
        return [self.program("supervisorctl"), "-c", str(self.config), "status"]

    def probe_command(self, program: str) -> list[str]:
        return [self.program("python"), "supervisord", str(self.socket), f"{program}:{program}_0"]


class SpawnLoop(Peer):
    """No supervisor: a C program that starts the workers with posix_spawn, the least that starting can cost."""

    name = "spawnloop"
    label = "C posix_spawn loop"
    skips = frozenset(measure for measure in MEASURES if measure != "up")

    def configure(self, sections: list[Section]) -> list[str]:
        (section,) = sections
        if len(section.argv) != 3:
            raise RuntimeError("the posix_spawn loop is part of the C worker: it needs a C compiler")
        program, starts, _ = section.argv
        return [program, starts, "spawn", str(section.count)]


def descriptors_needed(sections: list[Section]) -> int:
    """Three pipes and two log files per process is the most any of them holds open."""
    return 5 * sum(section.count for section in sections) + 200


def raise_descriptor_limit() -> int:
    """Soft limit to the hard one, for this program and every supervisor it starts; returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def clean_environment() -> dict[str, str]:
    """Nothing of the caller's Python settings (unbuffered, no byte code, ...) reaches a supervisor."""
    return {
        key: os.environ[key]
        for key in ("PATH", "HOME", "USER", "TMPDIR", "LD_LIBRARY_PATH")
        if key in os.environ
    } | {"LANG": "C.UTF-8"}
