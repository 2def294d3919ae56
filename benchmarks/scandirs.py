"""s6 and runit: one directory per process, whose `run` script becomes the worker. Taken from PATH if installed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import ClassVar

from peers import Peer, Section


class ScanDirectory(Peer):
    """`self.services` are the directories of the programs, without their loggers."""

    skips = frozenset({"status", "load"})  # no control socket for the whole that could be asked

    def configure(self, sections: list[Section]) -> list[str]:
        self.scan = self.home / "scan"
        self.services: list[Path] = []
        for section in sections:
            for slot in range(section.count):
                self._service(section, slot)
        return self.supervise()

    def _service(self, section: Section, slot: int) -> None:
        service = self.scan / f"{section.name}-{slot}"
        _script(service / "run", section.command(str(slot)))
        if section.log:
            directory = section.log.with_name(f"{section.log.name}-{slot}")
            directory.mkdir()
            _script(service / "log" / "run", self.logger(directory))
        self.services.append(service)

    def supervise(self) -> list[str]:
        raise NotImplementedError

    def logger(self, directory: Path) -> str:
        """The command that logs its stdin into `directory` and deletes nothing."""
        raise NotImplementedError


class S6(ScanDirectory):
    name = "s6"
    label = "s6"
    needs = "s6-svscan"

    def supervise(self) -> list[str]:
        return [self.program("s6-svscan"), "-c", str(2 * len(self.services) + 10), str(self.scan)]

    def logger(self, directory: Path) -> str:
        return f"{self.program('s6-log')} n1000 s268435455 {directory}"  # 256 MiB: its largest file

    def stop_command(self) -> list[str]:
        """s6-svc takes one directory; then wait until all are down, as `circusctl stop --waiting` does."""
        names = " ".join(map(str, self.services))
        loop = f"for service in {names}; do {self.program('s6-svc')} -d $service; done"
        return ["/bin/sh", "-c", f"{loop}; exec {self.program('s6-svwait')} -t 120000 -D {names}"]

    def status_command(self) -> list[str]:
        return [self.program("s6-svstat"), str(self.services[0])]


class Runit(ScanDirectory):
    name = "runit"
    label = "runit"
    needs = "runsvdir"
    end_signal: ClassVar[int] = signal.SIGHUP  # SIGTERM would leave the services running

    def supervise(self) -> list[str]:
        return [self.program("runsvdir"), "-P", str(self.scan)]

    def logger(self, directory: Path) -> str:
        (directory / "config").write_text("s0\n")  # no rotation
        return f"{self.program('svlogd')} {directory}"

    def stop_command(self) -> list[str]:
        return [self.program("sv"), "-w", "120", "stop", *map(str, self.services)]

    def status_command(self) -> list[str]:
        return [self.program("sv"), "status", str(self.services[0])]


def _script(path: Path, command: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\nexec {command}\n")
    path.chmod(0o755)
