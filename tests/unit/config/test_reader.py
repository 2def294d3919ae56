"""Configurations: what they mean, and every problem they may have."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circus import config
from circus.config import read as read_config
from circus.config.environments import Environments
from circus.config.ini import Document
from circus.config.reader import Remark
from circus.exc import ConfigError
from circus.options.settings import watcher_keys
from circus.options.table import CircusSpec, PluginSpec, SocketSpec, StreamSpec, WatcherSpec

from .support import DATA, ENVIRON, Files, read, read_file

# ---- one file for each bug of the past ---------------------------------------------------------------------------


def test_the_name_of_a_section_stays_out_of_options_and_environments():
    watcher = read_file("section_name_leak.ini").only
    assert watcher.extras == {"mine": "yes"}
    assert watcher.env == {"A": "1"}


def test_percent_is_an_ordinary_letter():
    result = read_file("percent.ini")
    assert not result.problems
    assert result.only.cmd == "date +%Y-%m-%d"
    assert result.only.env == {"RATIO": "100%", "FORMAT": "%(asctime)s"}
    assert result.only.stdout_stream["time_format"] == "%H:%M:%S"
    assert result.only.extras == {"mine": "50%% of %s"}


def test_dollars_mean_something_in_environments_only_and_can_be_escaped():
    result = read_file("dollar.ini")
    assert result.only.cmd == "echo foo$BAR $HOME"
    assert result.only.args == "${HOME}"
    assert result.only.extras == {"mine": "foo$BAR"}
    assert result.only.env == {
        "FULL": "/home/me/bin",
        "ESCAPED": "foo$BAR",
        "GONE": "foo!",
        "PRICE": "$5",
        "SHELL_STYLE": "${HOME}",
        "LOWER": "pa$$word and $word",
    }
    (text,) = result.texts
    assert "dollar.ini:5: [env] GONE: $BAR is not set" in text
    assert "write $$BAR for the text itself" in text


def test_the_first_blank_and_semicolon_begin_a_comment():
    result = read_file("inline_comment.ini")
    assert [text.partition(" cmd: ")[2] for text in result.texts] == [
        "a blank and `;` begin a comment, so the value is only 'sleep 1'; write `;` without a blank before it"
    ]
    assert result.only.cmd == "sleep 1"
    assert result.only.extras == {"first": "a;b ;c", "hash": "a # b", "tight": "a;b"}


def test_comments_begin_in_column_one():
    watcher = read_file("comments.ini").only
    assert watcher.cmd == "sleep\n1\n2"
    assert watcher.extras == {"remark": "this is no comment"}


def test_the_first_delimiter_ends_the_key():
    watcher = read_file("delimiters.ini").only
    assert watcher.cmd == "sleep 1"
    assert watcher.extras == {
        "url": "http://localhost:80/?a=b",
        "path": "a=b",
        "empty": "",
        "quoted": "",
        "single": "''",
    }


def test_masks_are_octal():
    result = read_file("umask.ini")
    assert result.circus.umask == 0o022
    assert result.sockets["web"].umask == 0o117


def test_pauses_may_be_fractions_of_a_second():
    result = read_file("float_warmup.ini")
    assert not result.problems
    assert result.circus.warmup_delay == 0.25
    assert result.only.warmup_delay == 0.5


def test_variables_ignore_case_and_unknown_ones_stay():
    watcher = read_file("variables.ini").only
    assert watcher.cmd == "say hello hello /srv"
    assert watcher.args == (
        "$(circus.wid) $(CIRCUS.SOCKETS.Web) {circus.env.greeting} ${circus.env.greeting} $(circus.env.unknown)"
    )
    assert watcher.stdout_stream == {"filename": "/var/log/hello.log"}


def test_numbers_see_the_base_environment_and_text_the_watchers_own():
    watcher = read_file("numbers_see_base.ini").only
    assert watcher.cmd == "run --workers 5"
    assert watcher.numprocesses == 3


def test_sections_are_merged_and_the_first_definition_stays():
    result = read_file("merged_sections.ini")
    assert (result.only.cmd, result.only.numprocesses, result.only.priority) == ("first", 2, 7)
    assert result.only.env == {"A": "1", "B": "2"}
    assert [text.partition("merged_sections.ini:")[2] for text in result.texts] == [
        f"10: [watcher:merged] cmd: has no effect: {DATA}/merged_sections.ini:3 sets it first",
        f"15: [env:merged] A: has no effect: {DATA}/merged_sections.ini:7 sets it first",
    ]


def test_a_stream_without_a_filename_loads():
    result = read_file("stream_without_filename.ini")
    assert not result.problems
    assert result.only.stderr_stream == {"class": "FileStream"}
    assert result.only.stdout_stream == {"filename": "test.log", "refresh_time": "0.3"}


def test_keys_of_circus_in_a_watcher_load_with_a_warning():
    result = read_file("circus_keys_in_watcher.ini")
    assert result.only.extras == {"check_delay": "5", "statsd": "false"}
    assert [text.rpartition("[watcher:misplaced] ")[2] for text in result.texts] == [
        "check_delay: is an option of [circus]; here it has no effect",
        "statsd: is an option of [circus]; here it has no effect",
    ]
    assert not result.fatal


def test_the_key_env_lies_between_the_sections():
    assert read_file("env_key.ini").only.env == {"A": "base", "B": "key", "C": "section", "D": "a,b"}


def test_environment_sections_apply_by_pattern_in_the_order_of_the_file():
    result = read_file("env_sections.ini")
    assert not result.problems
    path = "/opt/bin:/bin"
    assert result.watchers["other"].env == {"PATH": path}
    assert result.watchers["worker"].env == {"PATH": path, "ROLE": "first", "WHERE": path}
    assert result.watchers["web1"].env == {"PATH": path, "ROLE": "second", "WHERE": path}
    assert result.watchers["web1"].working_dir == "/srv/second"


def test_naming_the_stats_endpoint_switches_statistics_on():
    result = read_file("stats_endpoint.ini")
    assert result.circus.statsd is True
    assert "stats_endpoint.ini:3: [circus] stats_endpoint: switches statsd on" in result.texts[0]
    assert not result.fatal


def test_the_flapping_plugin_sets_the_defaults_of_all_watchers():
    result = read_file("flapping_plugin.ini")
    assert not result.problems
    assert not result.plugins
    a, b = result.watchers["a"], result.watchers["b"]
    assert (a.flapping_attempts, a.flapping_window, a.flapping_max_retry, a.flapping_retry_in) == (3, 2.5, -1, 7)
    assert (b.flapping_attempts, b.flapping_window, b.flapping_max_retry, b.flapping_retry_in) == (9, 4, -1, 7)


def test_hooks_are_pairs_of_name_and_flag():
    assert read_file("hooks.ini").only.hooks == {
        "before_start": ("hooks.before", True),
        "after_start": ("hooks:after", False),
        "before_stop": ("$(circus.env.module).stop", False),
    }


def test_limits_may_be_infinite_and_in_any_case():
    result = read_file("rlimits.ini")
    assert not result.problems
    assert result.only.rlimits == {"nofile": 500, "core": None, "as": None}


def test_the_default_section_reaches_every_section_without_noise():
    result = read_file("default_section.ini")
    assert not result.problems
    assert (result.watchers["a"].working_dir, result.watchers["a"].numprocesses) == ("/tmp", 2)
    assert (result.watchers["b"].working_dir, result.watchers["b"].numprocesses) == ("/tmp", 3)


def test_names_of_watchers():
    result = read_file("names.ini")
    assert list(result.watchers) == ["Twin", "renamed", "twin", "with blank:and colon"]
    assert [text.rpartition("names.ini:")[2] for text in result.texts] == [
        "9: [watcher:twin]: [watcher:Twin] differs only in case: commands find the last one",
        "15: [watcher:renamed] name: [watcher:a] has the name 'renamed' already. Failed to create watcher 'renamed': "
        "it is left out",
    ]


def test_values_of_plugins_lose_one_pair_of_quotes():
    plugin = read_file("plugin_quotes.ini").plugins["statsd"]
    assert plugin.use == "circus.plugins.statsd.StatsdEmitter"
    assert plugin.extras == {"application_name": "my app", "pattern": 'a\\d+ "b"'}


def test_a_watcher_that_cannot_be_built_is_left_out_and_the_others_stay():
    result = read_file("cannot_be_built.ini")
    assert list(result.watchers) == ["good"]
    assert not result.fatal
    assert [text.rpartition("cannot_be_built.ini:")[2] for text in result.texts] == [
        "5: [watcher:singleton]: Singleton watcher has a single process. "
        "Failed to create watcher 'singleton': it is left out",
        "10: [watcher:path]: copy_path needs copy_env. Failed to create watcher 'path': it is left out",
        "16: [watcher:limit] rlimit_nofiles: this system has no such limit; did you mean nofile?. "
        "Failed to create watcher 'limit': it is left out",
        "20: [watcher:stream] stdout_stream.class: there is no stream class FileStrem; did you mean FileStream?. "
        "Failed to create watcher 'stream': it is left out",
    ]


def test_every_problem_is_told_at_once_in_order_with_its_place():
    result = read_file("many_problems.ini")
    told = [text.rpartition("many_problems.ini:")[2] for text in result.texts]
    assert told == [
        "3: [circus] check_delay: 'soon' is not a number",
        "4: [circus] endpiont: is not known, so it has no effect; did you mean endpoint?",
        "5: [circus] umask: '099' is not an octal number such as 022",
        "8: [watcher:web] cmd: '\"sleep 1' cannot be split into words: No closing quotation",
        "9: [watcher:web] numprocesses: 'many' is not a whole number",
        "10: [watcher:web] stop_signal: signal invalid: 'SIGNOPE' (use a number below 65 or a name such as TERM)",
        "11: [watcher:web] shell: 'perhaps' is neither true (yes, true, on, 1) nor false (no, false, off, 0)",
        "12: [watcher:web] numproceses: is not an option, only data; did you mean numprocesses?",
        "13: [watcher:web] hooks.before_strat: there is no such hook, so it is never called; "
        "did you mean before_start?",
        "14: [watcher:web] hooks.after_start: the dotted name of a function is missing",
        "15: [watcher:web]: 'no delimiter here' is not of the form `key = value`",
        "17: [watchers:typo]: is not known, so nothing reads it; did you mean [watcher:NAME]?",
        "20: [env:wbe]: there is no watcher 'wbe'; did you mean 'web'?",
    ]
    assert len(result.fatal) == 7


def test_what_is_indented_belongs_to_the_value_above():
    result = read_file("indented.ini")
    assert result.only.cmd == "sleep 1\n# no comment\n[no:section]"
    assert len(result.texts) == 3


def test_the_documented_example_loads_without_a_word():
    result = read_file("documented.ini")
    assert not result.problems
    assert (result.only.args, result.only.numprocesses) == ("-u myprogram.py $WID", 5)


# ---- includes ----------------------------------------------------------------------------------------------------


def test_includes_come_after_the_main_file_in_order():
    result = read_file("includes/main.ini", {**ENVIRON, "MORE": "nothing"})
    assert result.circus.check_delay == 1
    assert set(result.watchers) == {"a", "b", "c"}
    a, b, c = (result.watchers[name] for name in "abc")
    assert (a.cmd, a.args, a.priority) == ("main", "second", 3)
    assert (b.cmd, b.args, b.priority) == ("third", "x", 2)
    assert c.cmd == "x"
    missing = [problem for problem in result.problems if "no file is called" in problem.text]
    assert [(problem.key, problem.line, problem.fatal) for problem in missing] == [
        ("include", 3, False),
        ("include_dir", 5, False),
    ]
    assert "missing.ini'; paths are relative to the directory of" in missing[0].text


def test_an_include_in_an_included_file_is_not_followed():
    files = {"d/a.ini": "[circus]\ninclude = b.ini", "b.ini": "[watcher:b]\na=b"}
    result = read("[circus]\ninclude_dir = d", files=files)
    assert not result.watchers
    assert result.texts == ["d/a.ini:2: [circus] include: has no effect: an included file includes no others"]


def test_a_file_included_twice_is_read_once():
    files = {"d/a.ini": "[watcher:a]\ncmd = x\nno delimiter"}
    result = read("[circus]\ninclude = d/*.ini d/a.ini\ninclude_dir = d", files=files)
    assert result.texts == ["d/a.ini:3: [watcher:a]: 'no delimiter' is not of the form `key = value`"]


def test_an_included_file_that_cannot_be_read_is_a_warning():
    files = {"a.ini": PermissionError(13, "Permission denied")}
    result = read("[circus]\ninclude = a.ini", files=files)
    assert result.texts == ["a.ini: cannot be read: Permission denied"]
    assert not result.fatal


def test_a_main_file_that_cannot_be_read_is_fatal():
    disk = Files()
    _, (problem,) = config.read("gone.ini", {}, disk.open_file, disk.glob)
    assert (str(problem), problem.fatal) == ("gone.ini: cannot be read: No such file or directory", True)


def test_bytes_that_are_not_utf8_survive(tmp_path):
    path = tmp_path / "latin.ini"
    path.write_bytes(b"# caf\xe9\n[watcher:w]\ncmd = echo caf\xe9\n")
    spec, problems = config.read(str(path), {})
    assert not problems
    assert spec.watchers[0].cmd.encode("utf-8", "surrogateescape") == b"echo caf\xe9"


# ---- environments ------------------------------------------------------------------------------------------------


def test_without_environment_sections_a_watcher_has_none():
    assert read("[watcher:a]\ncmd = x").only.env is None


def test_in_env_the_environment_of_circusd_is_seen_before_its_own_lines():
    env = "[env]\nPATH = /x:$(circus.env.PATH)\nALSO = $(circus.env.PATH)\nA = 1\nB = $(circus.env.a)\n"
    assert read(env + "[watcher:a]\ncmd=x").only.env == {"PATH": "/x:/bin", "ALSO": "/bin", "A": "1", "B": "1"}


def test_a_variable_that_adds_to_itself_needs_no_warning():
    assert not read("[env]\nPYTHONPATH = lib:$PYTHONPATH\n[watcher:a]\ncmd = x").problems


def test_variables_of_a_variable_are_not_replaced_again():
    result = read("[env]\nA = $TRICK $(circus.env.TRICK)\n[watcher:a]\ncmd = x", {"TRICK": "$HOME", "HOME": "/home/me"})
    assert result.only.env == {"A": "$HOME $HOME"}


def test_the_key_env_that_is_no_environment_is_a_problem():
    result = read("[watcher:a]\ncmd = x\nenv = PATH")
    assert result.fatal == ["main.ini:3: [watcher:a] env: 'PATH' is not of the form NAME=VALUE"]


def test_a_pattern_that_matches_nothing_may_be_there_for_later():
    assert not read("[watcher:a]\ncmd = x\n[env:web*,[xyz],?]\nA = 1").problems


def test_a_plain_name_that_matches_nothing_is_told():
    assert read("[env:b]\nA = 1").texts == ["main.ini:1: [env:b]: there is no watcher 'b'"]


def test_a_watcher_that_is_left_out_is_still_known_to_its_environment():
    result = read("[watcher:a]\nname = b\ncmd = x\ncopy_path = 1\n[env:b]\nA = 1")
    assert len(result.texts) == 1


# ---- sections and keys -------------------------------------------------------------------------------------------


def test_an_empty_file_means_the_defaults():
    result = read("")
    assert not result.problems
    assert result.circus == CircusSpec()


@pytest.mark.parametrize("kind", ["watcher", "socket", "plugin"])
@pytest.mark.parametrize("name", ["a", ""])
def test_an_empty_section_is_left_out(kind, name):
    result = read(f"[{kind}:{name}]\n")
    assert not (result.watchers or result.sockets or result.plugins)
    assert result.texts == [f"main.ini:1: [{kind}:{name}]: is empty, so it is left out"]
    assert not result.fatal


@pytest.mark.parametrize("kind", ["watcher", "socket", "plugin"])
def test_a_section_without_a_name_is_fatal(kind):
    assert read(f"[{kind}: ]\na = b").fatal == [f"main.ini:1: [{kind}: ]: has no name; write [{kind}:NAME]"]


@pytest.mark.parametrize(
    ("section", "hint"),
    [
        ("Circus", "; did you mean [circus]?"),
        ("cirucs", "; did you mean [circus]?"),
        (" circus ", "; did you mean [circus]?"),
        ("Watcher:x", "; did you mean [watcher:NAME]?"),
        ("watcher x", "; did you mean [watcher:NAME]?"),
        ("wacther:x", "; did you mean [watcher:NAME]?"),
        ("plugins:x", "; did you mean [plugin:NAME]?"),
        ("sokcet:x", "; did you mean [socket:NAME]?"),
        ("evn:x", "; did you mean [env:PATTERN]?"),
        ("supervisord", ""),
    ],
)
def test_a_section_nobody_reads_gets_a_warning(section, hint):
    result = read(f"[{section}]\na = b")
    assert result.texts == [f"main.ini:1: [{section}]: is not known, so nothing reads it{hint}"]
    assert not result.fatal


def test_a_watcher_without_a_command_loads_with_a_warning():
    result = read("[watcher:a]\nnumprocesses = 2")
    assert result.texts == ["main.ini:1: [watcher:a]: has no cmd, so there is nothing to run"]
    assert result.only.numprocesses == 2


def test_a_command_for_a_shell_is_not_split():
    assert not read("[watcher:a]\nshell = true\ncmd = echo it's # fine").problems


@pytest.mark.parametrize("key", ["uid", "gid", "working_dir", "executable", "virtualenv"])
def test_a_key_without_a_value_says_nothing(key):
    result = read(f"[watcher:a]\ncmd = x\n{key} =")
    assert result.only == WatcherSpec("a", {"cmd": "x"})


def test_what_is_seen_on_the_machine_is_told_with_file_and_line():
    def look(config):
        circus, watcher, plugin = config.circus, config.watchers[0], config.plugins[0]
        return [
            Remark(config.sockets[0], "path", "a directory"),
            Remark(circus, "pidfile", "no directory"),
            Remark(watcher, "cmd", "no program", may_come=True),
            Remark(plugin, "use", "no module"),
        ]

    text = "[circus]\npidfile = /x\n[watcher:w]\nname = web\ncmd = x\n[plugin:p]\nuse = a.b\n[socket:S]\npath = /"
    text = text.replace("cmd = x", "cmd = x $(circus.sockets.s)")
    config, problems = read_config("main.ini", {}, lambda path: text, lambda pattern: [], look=look)
    assert [(str(problem), problem.fatal, problem.skips) for problem in problems] == [
        ("main.ini:2: [circus] pidfile: no directory", False, True),
        ("main.ini:5: [watcher:w] cmd: no program", False, False),
        ("main.ini:7: [plugin:p] use: no module", False, True),
        ("main.ini:9: [socket:S] path: a directory", False, True),
    ]
    assert [watcher.name for watcher in config.watchers] == ["web"]


def test_gevent_that_is_not_there_is_one_warning_and_threads_are_used():
    result = read("[circus]\nstream_backend = gevent")
    place, reason = "main.ini:2: [circus] stream_backend", "gevent needs the package gevent"
    assert result.texts == [f"{place}: {reason}: pip install 'circus[green]'; thread is used"]
    assert (result.fatal, result.circus.stream_backend) == ([], "thread")


def test_a_watcher_whose_virtualenv_is_not_here_is_kept_for_whoever_starts_it_to_say_so():
    result = read("[watcher:a]\ncmd = x\ncopy_env = true\nvirtualenv = /no/such/place")
    assert (result.texts, result.only.virtualenv) == ([], "/no/such/place")


def test_a_backend_nobody_knows_is_a_warning():
    place = "main.ini:2: [circus] stream_backend"
    assert read("[circus]\nstream_backend = fibers").texts == [
        f"{place}: 'fibers' is neither thread nor gevent; thread is used"
    ]


def test_gevent_that_is_there_is_used():
    result = read("[circus]\nstream_backend = gevent", installed=["gevent"])
    assert (result.texts, result.circus.stream_backend) == ([], "gevent")


@pytest.mark.parametrize("size", [1073741824, 2**40, 2**63 - 1])
def test_a_size_may_be_as_big_as_a_file(size):
    result = read(
        "[watcher:a]\ncmd = x\nstdout_stream.class = FileStream\n"
        f"stdout_stream.max_bytes = {size}\nstdout_stream.backup_count = 1"
    )
    assert not result.problems
    assert result.only.stdout_stream["max_bytes"] == str(size)


def test_an_empty_multicast_endpoint_is_a_value():
    assert read("[circus]\nmulticast_endpoint =").circus.multicast_endpoint == ""


@pytest.mark.parametrize("key", ["stdout_stream", "hooks", "rlimits"])
def test_a_family_is_written_by_its_parts(key):
    result = read(f"[watcher:a]\ncmd = x\n{key} = y")
    assert len(result.fatal) == 1
    assert f"[watcher:a] {key}: is set by its parts; write " in result.fatal[0]


def test_the_first_spelling_of_an_option_counts():
    assert read("[watcher:a]\ncmd = x\nretry_in = 3\nflapping.retry_in = 4").only.flapping_retry_in == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("237.219.251.97:12027", "udp://ADDRESS:PORT is needed, such as udp://237.219.251.97:12027"),
        ("udp://10.0.0.1:12027", "the address must be between 224.0.0.0 and 239.255.255.255"),
    ],
)
def test_an_address_that_is_no_multicast_group_is_fatal(value, text):
    (told,) = read(f"[circus]\nmulticast_endpoint = {value}").fatal
    assert told == f"main.ini:2: [circus] multicast_endpoint: '{value}': {text}; empty: no discovery"


@pytest.mark.parametrize("key", ["endpoint", "pubsub_endpoint", "stats_endpoint"])
def test_an_endpoint_without_a_transport_is_fatal(key):
    (text,) = read(f"[circus]\n{key} = localhost:5555").fatal
    assert text.startswith(f"main.ini:2: [circus] {key}: 'localhost:5555' is not an address such as tcp://127.0.0.1:5555")


def test_a_log_level_that_is_none_is_told():
    (text,) = read("[circus]\nloglevel = loud").texts
    assert text.endswith("'loud' is not one of critical, error, warning, info, debug; info is used")
    assert not read("[circus]\nloglevel = DEBUG").problems


def test_a_key_of_the_default_section_is_told_once():
    text = "[DEFAULT]\nnumproceses = 3\n[watcher:a]\ncmd = x\n[watcher:b]\ncmd = x\n[circus]\ncheck_delay = 1"
    result = read(text)
    assert result.texts == [
        "main.ini:2: [watcher:a] numproceses: is not an option, only data; did you mean numprocesses?"
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("stdout_stream.filenam = x", "stdout_stream.filenam: a stream needs a class or a filename."),
        ("stdout_stream.clas = FileStream", "stdout_stream.clas: a stream needs a class or a filename."),
        ("stdout_stream.max_bytes = 1k\nstdout_stream.filename = x", "stdout_stream.max_bytes: '1k' is not a whole"),
        ("stderr_stream.utc = x\nstderr_stream.class = FileStream", "stderr_stream.utc: 'x' is neither true"),
        ("stderr_stream.class = filestream", "stderr_stream.class: there is no stream class filestream"),
    ],
)
def test_a_stream_that_cannot_be_leaves_its_watcher_out(line, text):
    result = read(f"[watcher:a]\ncmd = x\n{line}")
    assert not result.watchers
    assert text in result.skipping[0]


@pytest.mark.parametrize("line", ["", "stdout_stream.max_bytes =\nstdout_stream.filename = x"])
def test_streams_that_can_be_are_let_through(line):
    assert not read(f"[watcher:a]\ncmd = x\n{line}").problems


@pytest.mark.parametrize("name", ["my.module.Class", "my.module:Class"])
def test_a_stream_class_of_the_users_own_takes_what_it_likes(name):
    assert not read(f"[watcher:a]\ncmd = x\nstdout_stream.class = {name}\nstdout_stream.max_bytes = 1k").skipping


def test_an_unknown_option_of_a_known_stream_gets_a_warning():
    result = read("[watcher:a]\ncmd = x\nstdout_stream.class = FileStream\nstdout_stream.filenam = x")
    assert result.texts == [
        "main.ini:4: [watcher:a] stdout_stream.filenam: the stream has no such option; did you mean filename?"
    ]
    assert result.watchers


def test_an_unknown_key_of_a_socket_gets_a_warning():
    result = read("[socket:Web]\nport = 80\nbackolg = 5")
    assert result.sockets["web"].extras == {"backolg": "5"}
    assert "main.ini:3: [socket:Web] backolg: is not known, so it has no effect; did you mean backlog?" in result.texts


def test_a_plugin_without_a_class_is_fatal():
    assert "main.ini:1: [plugin:a] use: names the class of the plugin and is missing" in read("[plugin:a]\nx = y").fatal


def test_slips_in_the_flapping_plugin_are_told():
    text = "[plugin:flapping]\nuse = circus.plugins.flapping.Flapping\nattemps = 3\npriority = 1\nwindow = long"
    assert read(text).texts == [
        "main.ini:3: [plugin:flapping] attemps: is not known, so it has no effect; did you mean attempts?",
        "main.ini:5: [plugin:flapping] window: 'long' is not a number",
    ]


# ---- what is not built yet ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[circus]\nhttpd = true", "main.ini:2: [circus] httpd: the web console is not available"),
    ],
)
def test_what_this_version_cannot_do_is_fatal_with_a_remedy(text, problem):
    (told,) = read(text).fatal
    assert told.startswith(problem)
    assert "; remove " in told


def test_sockets_and_plugins_are_read():
    result = read("[socket:Web]\nport = 80\nso_reuseport = yes\nreplace = on\n[plugin:p]\nuse = a.b\nx = y")
    assert result.sockets["web"] == SocketSpec("web", {"port": 80, "so_reuseport": True, "replace_socket": True})
    assert result.plugins["p"] == PluginSpec("p", {"use": "a.b"}, {"x": "y"})


# ---- slips of the keyboard ---------------------------------------------------------------------------------------


def slips(word):
    """One letter dropped or changed at every place."""
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]
        yield word[:at] + ("x" if word[at] != "x" else "y") + word[at + 1 :]


def written_keys(spec):
    return [name for option in spec.options() for name in (option.name, *option.aliases)]


def told_about(written, section="watcher:{}", more=""):
    """All texts about a configuration with one section for each of the keys."""
    parts = [f"[{section.format(number)}]\ncmd = x\n{key} = 1\n{more}" for number, key in enumerate(sorted(written))]
    return " ".join(read("\n".join(parts)).texts)


@pytest.mark.parametrize("key", written_keys(CircusSpec))
def test_one_wrong_letter_in_a_circus_key_is_told(key):
    wrong = set(slips(key)) - set(written_keys(CircusSpec))
    told = told_about(wrong, "circus")
    assert [slip for slip in wrong if f" {slip}: " not in told] == []


@pytest.mark.parametrize("key", watcher_keys())
def test_one_wrong_letter_in_a_watcher_key_is_told(key):
    wrong = {slip for slip in slips(key) if slip.lower() not in watcher_keys() and slip != "name"}
    told = told_about(wrong)
    assert [slip for slip in wrong if f" {slip}: " not in told] == []


@pytest.mark.parametrize("key", [option.name for option in StreamSpec.options()])
def test_one_wrong_letter_in_a_stream_key_is_told_for_every_built_in_class(key):
    known = {option.name for option in StreamSpec.options()}
    wrong = {f"stdout_stream.{slip}" for slip in set(slips(key)) - known if slip}
    told = told_about(wrong, more="stdout_stream.class = FileStream\n")
    assert [slip for slip in wrong if f" {slip}: the stream has no such option; did you mean " not in told] == []


@pytest.mark.parametrize("key", ["mine", "my.own.key", "description", "owner", "memory_limit", "team-2"])
def test_a_key_of_the_users_own_is_kept_without_a_word(key):
    result = read(f"[watcher:a]\ncmd = x\n{key} = 1")
    assert not result.problems
    assert result.only.extras == {key: "1"}


# ---- anything at all ---------------------------------------------------------------------------------------------

LINES = st.lists(
    st.sampled_from(
        ["[circus]", "[env]", "[env:a*]", "[watcher:a]", "[watcher:b]", "[socket:s]", "[plugin:p]", "[DEFAULT]", "["]
        + [f"{key} = $(circus.env.A)" for key in ("cmd", "numprocesses", "name", "env", "A", "include", "hooks")]
        + [f"{key} = {value}" for key in ("use", "umask", "env") for value in ("", "a=b", "\udcff", "$A")]
        + ["use = circus.plugins.flapping.Flapping", "stdout_stream.class = x", "rlimit_x = 3", "  more", "\0", "="]
    )
    | st.text(max_size=20)
    | st.sampled_from(watcher_keys()).map(lambda key: f"{key} = 5")
)


@settings(max_examples=100)
@given(LINES, st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
def test_no_file_raises(lines, environ):
    result = read("\n".join(lines), environ)
    for problem in result.problems:
        str(problem)


# ---- the ways in -------------------------------------------------------------------------------------------------


def test_load_gives_the_specs_of_a_good_file():
    assert config.load(str(DATA / "documented.ini"), ENVIRON).watchers[0].name == "myprogram"


def test_load_raises_with_every_fatal_problem():
    with pytest.raises(ConfigError) as caught:
        config.load(str(DATA / "many_problems.ini"), ENVIRON)
    assert len(caught.value.problems) == 7


def test_the_module_has_the_older_functions_and_no_others():
    assert callable(config.get_config)
    with pytest.raises(AttributeError, match="no attribute 'get_lunch'"):
        _ = config.get_lunch


def test_environments_of_an_empty_document_are_those_of_circusd():
    environments = Environments(Document(), {"A": "1"})
    assert environments.known({"B": "2"}) == {"env.A": "1", "env.B": "2"}
    assert environments.layers("w", "watcher:w") == [("env", "", {})]


def test_size_that_rotates_nothing_is_a_warning():
    result = read("[watcher:a]\ncmd = x\nstdout_stream.filename = /x/y\nstdout_stream.max_bytes = 10")
    assert [problem.key for problem in result.problems] == ["stdout_stream.max_bytes"]
    assert not result.problems[0].skips
