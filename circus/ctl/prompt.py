"""The interactive circusctl: a prompt, a history, completion. It stays open whatever happens to the daemon."""

from __future__ import annotations

import cmd
import os
import shlex
import sys
from typing import Any

from circus.commands import command_names, get_command, get_commands
from circus.commands.base import Command
from circus.commands.properties import Property
from circus.ctl.argv import places, signal_names, split
from circus.ctl.console import Console
from circus.ctl.output import say
from circus.exc import CallError
from circus.wire.client import CircusClient

try:
    import readline
except ImportError:  # some Pythons are built without it: no history, no completion
    readline = None  # type: ignore[assignment]

# How long a TAB may take. One that is slower than this is not waited for.
COMPLETION_TIMEOUT = 0.3

HISTORY_LENGTH = 1000

EXIT_HELP = "exit, or Ctrl-D, leaves this shell; quit stops circusd and all its programs."


class Shell(cmd.Cmd):
    prompt = "(circusctl) "
    doc_header = "Commands (help CMD tells more):"

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def default(self, line: str) -> bool:  # type: ignore[override]  # the result is used as that of every do_...
        """Every command comes here; True ends the shell."""
        if line == "EOF":
            print()
            return True
        try:
            words = shlex.split(line)
        except ValueError as exc:
            say(f"error: {exc}", sys.stderr)
            return False
        if words and words[0].lower() == "exit":
            return True
        command = get_command(words[0]) if words else None
        if command is None:
            say(f"*** Unknown syntax: {line}")
        elif command.name != "quit" or not {"-h", "--help"}.isdisjoint(words) or _is_meant():
            self.run(words)
        return False

    def do_exit(self, arg: str) -> bool:
        """exit: leave this shell; circusd goes on. Ctrl-D does the same."""
        return True

    def run(self, words: list[str]) -> None:
        try:
            self.console.run(words)
        except SystemExit:
            pass  # argparse printed what was wrong, or the help that was wanted
        except KeyboardInterrupt:
            print()  # ends the command, not the shell
        except BrokenPipeError:
            raise
        except Exception as exc:  # a command of another package, or a reply of another kind of daemon
            say(f"error: {type(exc).__name__}: {exc}", sys.stderr)

    def do_help(self, arg: str) -> None:
        """help [CMD]: list the commands, or tell about one."""
        if not arg:
            self.print_topics(self.doc_header, command_names(), 15, 80)
            say(EXIT_HELP)
            return
        if arg == "exit":
            say(EXIT_HELP)
            return
        command = get_command(arg)
        if command is None:
            say(f"*** No help on {arg}")
            return
        from circus.ctl.manual import manual

        say(manual(command))

    # Completion. Whatever fails there must not disturb the line being typed.

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        return [name + " " for name in ("exit", "help", *command_names()) if name.startswith(text)]

    def complete_help(self, text: str, *ignored: Any) -> list[str]:
        return [name for name in ("exit", *command_names()) if name.startswith(text)]

    def completedefault(self, text: str, line: str, begidx: int, endidx: int) -> list[str]:
        try:
            found = self.candidates(text, line, begidx, endidx)
        except Exception:
            return []
        start = text.lstrip("'\"")
        return [shlex.quote(word) + " " for word in found if word.startswith(start)]

    def candidates(self, text: str, line: str, begidx: int, endidx: int) -> list[str]:
        words = shlex.split(line[:begidx])
        command = get_command(words[0])
        if command is None:
            return []
        own = getattr(command, "autocomplete", None)
        if own is not None:
            return [str(word) for word in own(self.console.client, text, line, begidx, endidx)]
        if text.startswith("-"):
            return [f"--{name}" for _, name, _, _ in command.options]
        plain, flags = split(words[1:], command)
        if flags and flags[-1] == "--match":
            from circus.commands.matching import METHODS

            return list(METHODS)
        return [word for place in _places(command, len(plain)) for word in self.values(place, plain)]

    def values(self, place: Property, before: list[str]) -> list[str]:
        """Words that may stand at a place of a command, of which `before` is already there."""
        kind = place.kind.name
        if kind == "watcher":
            return self.asked("list", "watchers")
        if kind == "pid":
            return self.asked("list", "pids", name=before[0])
        if kind == "keys":
            return self.asked("options", "options", name=before[0])
        if kind == "object" and len(before) % 2:
            from circus.options.settings import watcher_keys

            return [*watcher_keys()]
        if kind == "global":
            return self.asked("globaloptions", "options")
        if kind == "signal":
            return signal_names()
        return []

    def asked(self, question: str, key: str, **props: str) -> list[str]:
        """What circusd answers; nothing if it does not answer at once."""
        try:
            with CircusClient(endpoint=self.console.near_endpoint, timeout=COMPLETION_TIMEOUT) as client:
                reply = client.send_message(question, **props)
        except CallError:
            return []
        return [str(word) for word in reply.get(key, ())]


def _is_meant() -> bool:
    """Whether a person at a terminal, who may have wanted to leave the shell, wants everything to stop."""
    if not sys.stdin.isatty():
        return True
    print("Stop circusd and all its programs? (y/n; exit leaves this shell only) ", end="", flush=True)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")  # not `input`, which would keep it in the history
    except KeyboardInterrupt:
        print()
        return False


def _places(command: Command, index: int) -> list[Property]:
    all_places = places(command)
    if index < len(all_places):
        return all_places[index]
    return all_places[-1] if all_places and all_places[-1][0].rest else []


def run_shell(console: Console, version: str) -> int:
    """Prompt until the end of input; the exit code is 0."""
    get_commands()  # now, so that no TAB and no first use of a command waits for a file
    shell = Shell(console)
    history = _History()
    say(version)
    try:
        shell.run(["status"])
        shell.cmdloop()
    except KeyboardInterrupt:
        print()
    finally:
        history.save()
    return 0


def history_path() -> str:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "circus", "history")


class _History:
    """Lines typed in this and earlier shells. Only its owner may read the file: commands can hold passwords."""

    def __init__(self) -> None:
        self.path = history_path()
        self.active = readline is not None and sys.stdin.isatty()
        if not self.active:
            return
        # Names hold dashes, dots and colons: only white space ends a word.
        readline.set_completer_delims(" \t\n")
        readline.set_history_length(HISTORY_LENGTH)
        try:
            readline.read_history_file(self.path)
        except OSError:
            pass  # none yet, or not ours to read
        self.known = readline.get_current_history_length()

    def save(self) -> None:
        if not self.active:
            return
        added = readline.get_current_history_length() - self.known
        try:
            os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            os.chmod(self.path, 0o600)
            # Appended, so that two shells at the same time do not lose each other's lines.
            readline.append_history_file(max(0, added), self.path)
        except OSError:
            pass  # a home that is not there or not writable costs the history only
