"""Words of other supervisors, and comments that cut more than they should."""

import pytest

from .support import read


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("user = www-data", "uid"),
        ("User = www-data", "uid"),
        ("numprocs = 4", "numprocesses"),
        ("autorestart = false", "respawn"),
    ],
)
def test_a_key_that_would_have_changed_who_runs_or_what_is_an_error_with_the_right_name(line, right):
    result = read(f"[watcher:a]\ncmd = x\n{line}\n[watcher:b]\ncmd = y")
    key = line.split()[0]
    place = f"main.ini:3: [watcher:a] {key}: "
    reason = f"is the word of another supervisor; here it is {right}, and {key} would have no effect"
    assert result.skipping == [f"{place}{reason}. Failed to create watcher 'a': it is left out"]
    assert result.texts == result.skipping
    assert list(result.watchers) == ["b"]


@pytest.mark.parametrize("key", ["command", "ExecStart"])
def test_a_program_by_another_word_is_an_error(key):
    (text,) = read(f"[watcher:a]\n{key} = x").skipping
    assert text.startswith(f"main.ini:2: [watcher:a] {key}: is the word of another supervisor; here it is cmd, and ")


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("group = web", "gid"),
        ("directory = /srv", "working_dir"),
        ("environment = A=1", "env"),
        ("stopsignal = INT", "stop_signal"),
        ("stopwaitsecs = 5", "graceful_timeout"),
        ("startretries = 5", "max_retry"),
        ("stdout_logfile = /x", "stdout_stream.filename"),
        ("stderr_logfile = /x", "stderr_stream.filename"),
    ],
)
def test_another_key_of_another_supervisor_is_a_warning_with_the_right_name(line, right):
    result = read(f"[watcher:a]\ncmd = x\n{line}")
    key, _, value = line.partition(" = ")
    assert result.texts == [f"main.ini:3: [watcher:a] {key}: is not an option, only data; did you mean {right}?"]
    assert result.only.extras == {key: value}


def test_who_says_the_right_word_too_may_have_the_other_as_data():
    result = read("[watcher:a]\ncmd = x\nuid = web\nuser = someone")
    assert result.texts == []
    assert (result.only.uid, result.only.extras) == ("web", {"user": "someone"})


@pytest.mark.parametrize("section", ["program:web", "Program web"])
def test_a_section_of_another_supervisor_is_known_by_its_right_name(section):
    assert read(f"[{section}]\ncommand = x").texts == [
        f"main.ini:1: [{section}]: is not known, so nothing reads it; did you mean [watcher:NAME]?"
    ]


@pytest.mark.parametrize(
    ("text", "section", "key", "left"),
    [
        ("[watcher:a]\ncmd = sh -c 'a ; b'", "watcher:a", "cmd", "sh -c 'a"),
        ("[watcher:a]\ncmd = x\nargs = a ; b", "watcher:a", "args", "a"),
        ("[watcher:a]\ncmd = x\nmine = a ; b", "watcher:a", "mine", "a"),
        ("[watcher:a]\ncmd = x\nenv = A=a ; b", "watcher:a", "env", "A=a"),
        ("[env]\nA = a ; b", "env", "A", "a"),
        ("[watcher:a]\ncmd = x\n[env:a]\nA = a ; b", "env:a", "A", "a"),
        ("[plugin:a]\nuse = a.b\nwhat = a ; b", "plugin:a", "what", "a"),
    ],
)
def test_a_comment_that_cuts_what_a_program_would_be_given_is_a_warning_with_what_is_left(text, section, key, left):
    texts = [line for line in read(text).texts if "comment" in line]
    line = 1 + next(n for n, words in enumerate(text.split("\n")) if words.startswith(f"{key} ="))
    reason = f"a blank and `;` begin a comment, so the value is only {left!r}; write `;` without a blank before it"
    assert texts == [f"main.ini:{line}: [{section}] {key}: {reason}"]


def test_a_comment_after_a_number_or_a_path_is_just_a_comment():
    text = "[circus]\ncheck_delay = 5 ; s\n[watcher:a]\ncmd = x\nnumprocesses = 2 ; two\nworking_dir = / ; root"
    assert read(text).texts == []


def test_every_mistaken_word_is_named_at_once():
    result = read("[watcher:a]\ncommand = x\nuser = someone\nnumprocs = 2")
    assert [problem.key for problem in result.problems if problem.skips] == ["command", "user", "numprocs"]
