"""Every example of the pages is tried here, in the order of its page.

The convention. A page is prose and fenced blocks; all blocks of a page share one directory. The words after the fence
say what becomes of a block:

- `ini`: the configuration `circus.ini`, or the file whose name stands behind. circusd must have nothing to say about
  it, unless `wrong` stands behind: then the page shows what it says. With `changed` the circusd that runs keeps
  running, and the page shows how it is told.
- `python`: a program. It is run, and must end with exit code 0. With a file name behind, it is only written, and
  another block has to use it. `sh` is the same for shell scripts.
- `systemd`: a unit file, which is only shown.
- `console`: what follows `$ ` is run, and prints what stands below. `...` stands for anything, and a number that
  differs from run to run (process id, time, memory) for any such number. A command is interrupted where `^C`
  stands, once it has printed what stands above. Lines that begin with `(circusctl) ` are given to circusctl. What only
  asks is asked again until the page is right, for facts take their time.

Before the first commands that do not start circusd themselves, and before the first program with a client, circusd is
started with the last `circus.ini`. The addresses, the port 8080 and the directories that pages speak of are replaced by
those of the test, so that pages can be tried side by side, on any machine.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from circus import config
from tests.real.support import PATIENCE, ROOT, Program, free_port, wait_for

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

# design.md and performance.md are for those who change Circus; the reference is made from the code.
PAGES = [
    path
    for path in [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
    if path.exists() and path.name not in ("design.md", "performance.md")
]

ADDRESSES = {"tcp://127.0.0.1:5555": "ctl", "tcp://127.0.0.1:5556": "pub", "tcp://127.0.0.1:5557": "stat"}
DIRECTORIES = ("/run/circus", "/var/log/circus", "/etc/circus", "/srv/app")

MODULES = {
    "circusd": "circus.circusd",
    "circusctl": "circus.circusctl",
    "circus-top": "circus.stats.client",
    "circus-plugin": "circus.plugins.runner",
}

CLIENTS = re.compile(r"circus\.(?:client|consumer|stats)")
ONLY_ASKS = re.compile(
    r"(?:export \S+; |sleep \d; )?circusctl(?: --?\w+)*"
    r"(?:$| (?:status|list|listpids|stats|numprocesses|numwatchers|options|get|dstats|globaloptions)\b)"
    r"|circus-top|curl|tail|cat|cut|grep|ls|stat|ps|wc|head"
)

# What differs from run to run, and what it is compared as.
VARIABLE = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"\d+:\d\d\.\d\d", "TIME"),
    (r"\d+\.\d+[KMGT]?\b", "#"),
    (r"\[\d+\]", "[#]"),
    (r"^\d+(?=:socket )", "#"),
    (r"\b(pid|try in|for|in|another) \d+\b", r"\1 #"),
    (r"(\"process_id\": )\d+", r"\1#"),
    (r"\d{3,}", "#"),
    (rf"\b{re.escape(getpass.getuser())}\b", "root"),
    (r"\bpython3?(?:\.\d+)?(?= |$)", "python3"),
    (r"\s+", " "),
)


class Block(NamedTuple):
    place: str
    language: str
    words: list[str]  # what stands behind the language
    text: str
    others: str  # the rest of the page

    @property
    def filename(self) -> str:
        return next((word for word in self.words if word not in ("wrong", "changed")), "")


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.M):
        language, *words = found[1].split() or [""]
        place = f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}"
        yield Block(place, language, words, found[2], text[: found.start()] + text[found.end() :])


def plain(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, instead in VARIABLE:
        line = re.sub(pattern, instead, line)
    return line.strip()


def expectation(lines: list[str]) -> re.Pattern[str]:
    """Fits the output that `lines` of a page describe, made plain."""
    patterns = (
        r"(?:.*\n)*?" if line.strip() == "..." else re.escape(plain(line)).replace(r"\.\.\.", ".*") + r"\n"
        for line in lines
    )
    return re.compile("".join(patterns))


class Place:
    """The directory a page is tried in, and the circusd that runs there."""

    def __init__(self) -> None:
        self.port = str(free_port())
        self.directory = Path(tempfile.mkdtemp(prefix="docs"))  # short: paths of sockets have 107 bytes
        for name in (*DIRECTORIES, "/tools"):
            (self.directory / name[1:]).mkdir(parents=True)
        for tool, module in MODULES.items():
            self._tool(tool, f"-m {module}")
        self._tool("python3")
        self._tool("python")
        names = {"DEALER": "ctl", "SUB": "pub", "STATS": "stat"}
        lines = [f"names.DEFAULT_ENDPOINT_{name} = 'ipc://{self.directory}/{file}'" for name, file in names.items()]
        (self.directory / "tools/sitecustomize.py").write_text("\n".join(["from circus.common import names", *lines]))
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("CIRCUS")}
        self.env |= {
            "PATH": f"{self.directory}/tools:{os.environ['PATH']}",
            "PYTHONPATH": f"{self.directory}/tools:{ROOT}:{self.directory}",
            "HOME": str(self.directory),
            "COLUMNS": "120",
        }
        self.circusd: Program | None = None

    def _tool(self, name: str, words: str = "") -> None:
        path = self.directory / "tools" / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        path.chmod(0o755)

    def here(self, text: str) -> str:
        """With the addresses and directories of the test."""
        for address, name in ADDRESSES.items():
            text = text.replace(address, f"ipc://{self.directory}/{name}")
        for name in DIRECTORIES:
            text = re.sub(rf"(?<![\w.]){name}\b", f"{self.directory}{name}", text)
        return re.sub(r"\b8080\b", self.port, text)

    def there(self, text: str) -> str:
        """With those of the page."""
        for address, name in ADDRESSES.items():
            text = text.replace(f"ipc://{self.directory}/{name}", address)
        text = re.sub(rf"{self.directory}(?={'|'.join(DIRECTORIES)})", "", text)
        return re.sub(rf"\b{self.port}\b", "8080", text.replace(f"{self.directory}/", ""))

    # ---- blocks ------------------------------------------------------------------------------------------------

    def try_block(self, block: Block) -> None:
        languages = ("ini", "python", "sh", "console", "systemd")
        assert block.language in languages, f"{block.place}: a block of an unknown kind"
        if block.language == "systemd":
            return
        if block.language == "ini":
            self._configure(block)
        elif block.filename:
            assert block.filename.rpartition("/")[2].partition(".")[0] in block.others, f"{block.place}: never used"
            self._write(block)
        elif block.language == "python":
            if CLIENTS.search(block.text):
                self._provide_circusd()
            result = self._run([sys.executable, "-c", self.here(block.text)])
            assert result.returncode == 0, f"{block.place}: exit code {result.returncode}\n{result.stdout}"
        else:
            assert block.language == "console", f"{block.place}: a script without a name"
            self._converse(block)

    def _write(self, block: Block, end: str = "") -> Path:
        path = self.directory / self.here(block.filename or "circus.ini")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here(block.text) + end)
        if block.language == "sh":
            path.chmod(0o755)
        return path

    def _configure(self, block: Block) -> None:
        is_main = block.filename in ("", "circus.ini")
        path = self._write(block, self._own_section(block.text) if is_main else "")
        if is_main and "changed" not in block.words:
            self.end_circusd()
        said = self._run(["circusd", "--check", str(path)]).stdout
        assert bool(re.search(r"^(error|warning): ", said, re.M)) == ("wrong" in block.words), f"{block.place}: {said}"

    def _own_section(self, text: str) -> str:
        """What the page leaves out, at the end, where it shifts no line. An endpoint for statistics turns them on."""
        pairs = {"endpoint": "ctl", "pubsub_endpoint": "pub"} | ({"stats_endpoint": "stat"} if "statsd" in text else {})
        missing = {key: name for key, name in pairs.items() if not re.search(rf"^{key}\b", text, re.M)}
        return "\n[circus]\n" + "".join(f"{key} = ipc://{self.directory}/{name}\n" for key, name in missing.items())

    # ---- circusd -----------------------------------------------------------------------------------------------

    def _provide_circusd(self) -> None:
        """Start it with the last configuration, if there is one and it did not run yet."""
        path = self.directory / "circus.ini"
        if self.circusd or not path.exists():
            return
        self.circusd = Program([f"{self.directory}/tools/circusd", "circus.ini"], self.directory, self.env)
        endpoint = config.read(str(path), self.env)[0].circus.endpoint

        def is_up() -> bool:
            status = self._run(["circusctl", "--endpoint", endpoint, "status"])
            return status.returncode == 0 and "starting" not in status.stdout

        self.circusd.wait_for(is_up)

    def end_circusd(self) -> None:
        if self.circusd is not None:
            self.circusd.end()
            self.circusd = None

    # ---- commands ----------------------------------------------------------------------------------------------

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=PATIENCE * 2,
        )  # fmt: skip

    def _converse(self, block: Block) -> None:
        if not re.search(r"^\$ circusd\b", block.text, re.M):
            self._provide_circusd()
        for command, lines in commands(block.text):
            self.try_command(block.place, self.here(command), lines)

    def try_command(self, place: str, command: str, lines: list[str]) -> None:
        interrupted = "^C" in lines
        above = lines[: lines.index("^C")] if interrupted else lines
        below = lines[len(above) + 1 :]
        seen = [""]

        def is_right(text: str, wanted: list[str]) -> bool:
            seen[0] = self.there(text).removesuffix("(circusctl) \n")
            made_plain = "".join(f"{plain(line)}\n" for line in seen[0].splitlines())
            return expectation(wanted).fullmatch(made_plain) is not None

        def says_right() -> bool:
            return is_right(self._run(["bash", "-c", command]).stdout, lines)

        def complaint() -> str:
            return f"{place}: $ {command}\nmust print\n" + "\n".join(lines) + f"\nbut prints\n{seen[0]}"

        if interrupted:
            with Program(["bash", "-c", command], self.directory, self.env) as program:
                try:
                    wait_for(lambda: is_right(program.output, above), what=complaint)
                finally:
                    os.killpg(program.pid, signal.SIGINT)
                    program.wait()
                assert not below or is_right(program.output, above + below), complaint()
        elif ONLY_ASKS.match(command):
            wait_for(says_right, what=complaint)
        else:
            assert says_right(), complaint()

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end_circusd()
        finally:
            shutil.rmtree(self.directory)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """What stands after each prompt, and the lines below it."""
    for part in re.split(r"^(?=\$ |\(circusctl\) )", text, flags=re.M)[1:]:
        first, *lines = re.sub(r"\\\n *", "", part).splitlines()
        yield first.removeprefix("$ ").replace("(circusctl) ", "circusctl "), lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_of_the_page_does_what_the_page_says(page: Path) -> None:
    with Place() as place:
        for block in blocks(page):
            place.try_block(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_example_outside_of_fences(page: Path) -> None:
    prose = re.sub(r"^```.*\n(?:.*\n)*?```$", "", page.read_text(), flags=re.M)
    assert re.findall(r"\n\n( {4}.*)", prose) == []


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


EXAMPLES = [
    pytest.param(block.text, ROOT / "examples" / block.filename, id=block.place)
    for page in PAGES
    for block in blocks(page)
    if block.filename and (ROOT / "examples" / block.filename).exists()
]


@pytest.mark.parametrize("text, example", EXAMPLES)
def test_what_a_page_shows_of_an_example_is_the_example(text: str, example: Path) -> None:
    assert text == example.read_text()
