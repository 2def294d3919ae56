"""The completion files in the shells they are for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

import circus
from circus.ctl.completion import script
from tests.real.fake_daemon import FakeDaemon, refused
from tests.real.terminal import Terminal

pytestmark = pytest.mark.untraced

SHELLS = ("bash", "zsh", "fish")


def answer(request):
    command, props = request["command"], request["properties"]
    if command == "list" and props.get("name") in (None, "my app", "web-1"):
        return {"pids": [11, 12]} if "name" in props else {"watchers": ["db", "my app", "plugin:flapping", "web-1"]}
    if command == "globaloptions":
        return {"options": {"endpoint": "tcp://127.0.0.1:1", "check_delay": 1}}
    return refused("no")


# Prints the completions of the line in $LINE, one a line.
ASK = {
    "bash": r"""
source "$SCRIPT"
COMP_LINE=$LINE COMP_POINT=${#LINE}
_circusctl
printf '%s\n' "${COMPREPLY[@]}"
""",
    # zsh completes only inside its line editor; outside, stand-ins for its two builtins print what they would show.
    "zsh": r"""
compadd() {
    local -a plain; local array= word
    while [[ $1 == -* ]]; do case $1 in -a) array=1 ;; --) shift; break ;; esac; shift; done
    for word in "$@"; do if [[ -n $array ]]; then plain+=(${(P)word}); else plain+=($word); fi; done
    for word in $plain; do [[ $word == "$PREFIX"* ]] && print -r -- $word; done
}
_describe() {
    local item
    for item in ${(P)2}; do item=${item%%:*}; [[ $item == "$PREFIX"* ]] && print -r -- $item; done
}
compdef() {}
words=(${(z)LINE}); [[ $LINE == *' ' ]] && words+=('')
CURRENT=$#words PREFIX=${words[CURRENT]}
source "$SCRIPT"
_circusctl
""",
    "fish": r"""
source $SCRIPT
complete -C "$LINE" | string replace -r '\t.*' ''
""",
}


@pytest.fixture(scope="module")
def reachable(tmp_path_factory):
    """A directory with a `circusctl` and the three files, and a daemon it reaches."""
    home = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (home / f"circusctl.{shell}").write_text(script(shell) + "\n")
    program = home / "circusctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m circus.circusctl "$@"\n')
    program.chmod(0o755)
    with FakeDaemon(answer) as daemon:
        yield home, daemon


@pytest.fixture(params=SHELLS)
def complete(request, reachable):
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    home, daemon = reachable

    def ask(line):
        run = subprocess.run(
            [shell, "-c", ASK[shell]], capture_output=True, text=True, timeout=60,
            env={
                "PATH": f"{home}:{os.environ['PATH']}", "HOME": str(home), "LINE": line, "LC_ALL": "C.UTF-8",
                "SCRIPT": str(home / f"circusctl.{shell}"), "CIRCUSCTL_ENDPOINT": daemon.endpoint,
                "PYTHONPATH": os.path.dirname(os.path.dirname(circus.__file__)),
            },
        )  # fmt: skip
        assert run.stderr == ""
        return [word.strip().replace("\\", "") for word in run.stdout.split("\n") if word]

    return ask


@pytest.mark.parametrize("shell", SHELLS)
def test_file_is_good_syntax(shell, reachable):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    run = subprocess.run([shell, "-n", reachable[0] / f"circusctl.{shell}"], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("circusctl numw", ["numwatchers"]),
        ("circusctl st", ["start", "stats", "status", "stop"]),
        ("circusctl --json rel", ["reload", "reloadconfig"]),
        ("circusctl --timeout 3 rel", ["reload", "reloadconfig"]),
        ("circusctl help listp", ["listpids"]),
        ("circusctl --completion z", ["zsh"]),
        ("circusctl stop w", ["web-1"]),
        ("circusctl stop --waiting w", ["web-1"]),
        ("circusctl stop web-1 w", []),
        ("circusctl kill web-1 ", ["11", "12"]),
        ("circusctl kill --signum HU", ["HUP"]),
        ("circusctl kill --signum HUP web-1 ", ["11", "12"]),
        ("circusctl signal web-1 1", ["11", "12"]),
        ("circusctl signal web-1 WIN", ["WINCH"]),
        ("circusctl signal web-1 11 WIN", ["WINCH"]),
        ("circusctl get web-1 numproc", ["numprocesses"]),
        ("circusctl get web-1 cmd numproc", ["numprocesses"]),
        ("circusctl set web-1 numproc", ["numprocesses"]),
        ("circusctl set web-1 cmd numproc", []),
        ("circusctl set web-1 cmd x numproc", ["numprocesses"]),
        ("circusctl set web-1 hooks.before_sp", ["hooks.before_spawn"]),
        ("circusctl start x --match si", ["simple"]),
        ("circusctl globaloptions check", ["check_delay"]),
        ("circusctl dstats ", []),
        ("circusctl add x ", []),
    ],
)
def test_line_is_completed(complete, line, words):
    assert sorted(complete(line)) == words


def test_flags_are_completed(complete):
    assert set(complete("circusctl reload --")) >= {"--sequential", "--terminate", "--waiting"}
    assert set(complete("circusctl --en")) == {"--endpoint"}


def test_names_with_blanks_and_colons_are_completed(complete):
    # bash takes what stands before a colon for a finished word, and wants only the rest.
    assert complete("circusctl stop m") == ["my app"]
    assert complete("circusctl stop plugin:fl") in (["plugin:flapping"], ["flapping"])


def test_pids_of_a_name_with_a_blank_are_completed(complete):
    assert sorted(complete("circusctl kill my\\ app 1")) == ["11", "12"]


def test_endpoint_on_the_line_is_the_one_asked(complete, reachable):
    with FakeDaemon(lambda request: {"watchers": ["elsewhere"]}) as other:
        assert complete(f"circusctl --endpoint {other.endpoint} stop e") == ["elsewhere"]


def test_daemon_that_is_not_there_completes_nothing(complete):
    assert complete("circusctl --endpoint tcp://127.0.0.1:1 stop w") == []


PROMPTING = {
    "bash": (["--norc", "--noprofile", "-i"], ["source $SCRIPT"]),
    "zsh": (["-f", "-i"], ["autoload -Uz compinit; compinit -u -D", "source $SCRIPT"]),
}


@pytest.mark.parametrize("shell", PROMPTING)
def test_tab_at_a_prompt_completes(shell, reachable, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    home, daemon = reachable
    flags, lines = PROMPTING[shell]
    env = {
        "PATH": f"{home}:{os.environ['PATH']}", "TERM": "vt100", "PS1": "ready> ", "INPUTRC": "/dev/null",
        "SCRIPT": str(home / f"circusctl.{shell}"), "CIRCUSCTL_ENDPOINT": daemon.endpoint,
    }  # fmt: skip
    with Terminal([shutil.which(shell), *flags], tmp_path, env) as terminal:
        terminal.expect("ready> ")
        for line in lines:
            terminal.type(line + "\n")
            terminal.expect("ready> ")
        terminal.type("circusctl numw\t")
        terminal.expect("numwatchers")
        terminal.type("\x15circusctl stop web\t")
        terminal.expect("web-1")
