"""Restarts a watcher when a file its command runs was changed: for those who edit, and for deployments by symlink.

    [plugin:reloader]
    use = circus.plugins.command_reloader.CommandReloader
    loop_rate = 1

Every `loop_rate` seconds these files of each active watcher are looked at: the program (the first word, found in PATH
if it holds no slash), every word of `cmd` and `args` that names a file, so that `python worker.py` is covered, and the
whole text of `cmd`. Relative names count from `working_dir`. The watcher is restarted when the modification time of
one of them has changed, or where it really lies (another target of a symlink).

- A file that vanishes changes nothing, because editors and deployments replace files: when it is there again and
  differs, that is the change. A file that is there for the first time is only noted.
- A file the program itself writes must not be among these words, or every write is a restart. Targets of `>` and names
  such as `*.log` and `*.pid` are left out for this reason.
- Watchers that are not active are left alone, and so are Circus' own programs. What was changed while a watcher was
  stopped has its effect when it is started, and needs no restart.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from circus.common.convert import split_words
from circus.common.names import (
    ACTIVE,
    ADD,
    RELOAD,
    REMOVE,
    START,
    STOP,
    STOPPED,
    UPDATED,
    is_own_watcher,
    res_name,
)
from circus.options.option import Spec
from circus.plugins.base import CircusPlugin
from circus.plugins.options import POSITIVE, plugin_option, read_options

logger = logging.getLogger("circus")

# After these a watcher may have another command.
NEW_COMMAND = (ADD, REMOVE, START, STOP, UPDATED, RELOAD)

# Files with such names are written by programs rather than read.
WRITTEN = (".log", ".out", ".err", ".pid", ".lock", ".sock")


class Print(NamedTuple):
    """What a file is known by."""

    real_path: str
    mtime_ns: int


class Command(NamedTuple):
    """What a watcher runs."""

    text: str
    words: tuple[str, ...]
    program: str  # the first word, or the option `executable`
    directory: str
    search: tuple[str, ...]  # where a program without a slash is looked for

    def places(self) -> list[str]:
        """Where a file may lie that decides what is run. Most of these are no files."""
        names = [self.text, self.program] if "/" in self.program else [self.text]
        before = ""
        for word in self.words:
            if not before.endswith(">") and not word.lower().endswith(WRITTEN):
                names.append(word)
            before = word
        return list(dict.fromkeys(os.path.join(self.directory, name) for name in names if name))

    def alternatives(self) -> list[str]:
        """Where the program may lie if only its name is known, the best first."""
        name = self.program
        return [os.path.join(path, name) for path in self.search] if name and "/" not in name else []


class Followed:
    """A watcher: its command, and the files of it as they were."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.program: str | None = None  # once found it is that file, even while it is away
        self._prints: dict[str, Print] = {}

    def compare(self, prints: Mapping[str, Print]) -> list[str]:
        """The files that are not what they were. Files that are not there stay as they are remembered."""
        changed = [path for path, seen in prints.items() if self._prints.get(path, seen) != seen]
        self._prints.update(prints)
        return changed


class ReloaderOptions(Spec):
    """Options of CommandReloader:"""

    __slots__ = ()

    loop_rate = plugin_option(POSITIVE, 1.0, "time between two looks", unit="s")


class CommandReloader(CircusPlugin):
    """Restarts watchers whose program or script was changed."""

    name = "command_reloader"
    option_table = ReloaderOptions

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        self.loop_rate = read_options(self, ReloaderOptions).loop_rate
        self.followed: dict[str, Followed] = {}
        self._asked: set[str] = set()  # res names of those whose command is known to be the current one

    def handle_init(self) -> None:
        self.every(self.loop_rate, self.look_after)
        self.look_after()
        self._asked.clear()  # no event told of what was changed up to now

    def handle_recv(self, data: list[bytes]) -> None:
        watcher, event, _ = self.split_data(data)
        if event in NEW_COMMAND:
            self._asked.discard(watcher)

    def look_after(self) -> None:
        statuses: dict[str, str] = self.call("status").get("statuses", {})
        wanted = [name for name, status in statuses.items() if status != STOPPED and not is_own_watcher(name)]
        self.followed = {name: self.followed[name] for name in wanted if name in self.followed}
        for name in wanted:
            # One that is just being started or stopped is compared later, with what is remembered of it.
            if name not in self.followed or statuses[name] == ACTIVE:
                self._look_at(name)

    def _look_at(self, name: str) -> None:
        followed = self._follow(name)
        changed = followed.compare(look(followed)) if followed is not None else []
        if changed:  # never at the first look, which may come before it is active
            logger.info("command_reloader: %s is restarted: %s has changed", name, ", ".join(changed))
            self.cast("restart", name=name, match="simple")

    def _follow(self, name: str) -> Followed | None:
        """What is remembered of a watcher; nothing yet if its command is another one. None: it was just removed."""
        if name not in self.followed or res_name(name) not in self._asked:
            options = self.call("options", name=name).get("options")
            if options is None:
                return None
            self._asked.add(res_name(name))
            command = command_of(options, os.environ)
            if name not in self.followed or self.followed[name].command != command:
                self.followed[name] = Followed(command)
        return self.followed[name]


def command_of(options: Mapping[str, Any], environ: Mapping[str, str]) -> Command:
    """From what the command `options` tells; `environ` is that of circusd."""
    text = str(options.get("cmd") or "")
    words = [*_words(text), *_words(options.get("args") or "")]
    env = {**(environ if options.get("copy_env") else {}), **(options.get("env") or {})}
    return Command(
        text,
        tuple(words),
        str(options.get("executable") or (words[0] if words else "")),
        str(options.get("working_dir") or ""),
        tuple(env.get("PATH", os.defpath).split(os.pathsep)),
    )


def look(followed: Followed) -> dict[str, Print]:
    """The files of a command that are there."""
    command = followed.command
    if followed.program is None:
        followed.program = next(filter(_is_program, command.alternatives()), None)
    places = command.places() + ([followed.program] if followed.program else [])
    return {path: seen for path in places if (seen := take(path)) is not None}


def take(path: str) -> Print | None:
    """None if there is no such file, or it is a directory, a device or a socket."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: no path at all, a zero byte is in it
        return None
    return Print(os.path.realpath(path), found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _words(value: object) -> Sequence[str]:
    """As circusd splits them; none if it cannot either."""
    if isinstance(value, (list, tuple)):
        return [str(word) for word in value]
    try:
        return split_words(str(value))
    except ValueError:
        return []


def _is_program(path: str) -> bool:
    return take(path) is not None and os.access(path, os.X_OK)
