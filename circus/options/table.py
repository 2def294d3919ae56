"""The one option table: what a `[circus]`, `[watcher:NAME]`, `[socket:NAME]` or `[plugin:NAME]` section may say.

Each class body is both the declaration (name, kind, default, cost of a change, manual line) and the typed value
a program reads. Adding an option is one line here.
"""

from __future__ import annotations

from circus.common.names import (
    DEFAULT_ENDPOINT_DEALER,
    DEFAULT_ENDPOINT_STATS,
    DEFAULT_ENDPOINT_SUB,
    STREAM_CLASSES,
)
from circus.options.kinds import (
    ARGS,
    BOOLEAN,
    ENV,
    HOOK,
    INTEGER,
    NAMES,
    NUMBER,
    OCTAL,
    OPTIONAL_TEXT,
    PORT,
    PROCESSES,
    RLIMIT,
    SIGNAL,
    STREAM_VALUE,
    TEXT,
    USER,
    WORDS,
)
from circus.options.option import Effect, Family, Option, Spec

FIXED, NOTHING, MANAGE, RELOAD = Effect.FIXED, Effect.NOTHING, Effect.MANAGE, Effect.RELOAD
STREAM, REBIND, RESTART = Effect.STREAM, Effect.REBIND, Effect.RESTART


class CircusSpec(Spec):
    """The `[circus]` section."""

    __slots__ = ()

    endpoint = Option(TEXT, DEFAULT_ENDPOINT_DEALER, RESTART, "where requests are answered")
    endpoint_owner = Option(OPTIONAL_TEXT, None, RESTART, "user who owns an ipc control socket")
    pubsub_endpoint = Option(TEXT, DEFAULT_ENDPOINT_SUB, RESTART, "where events are published")
    multicast_endpoint = Option(TEXT, "", RESTART, "group of discovery, off unless set: whoever asks there is told `endpoint`, on any interface; usually udp://237.219.251.97:12027")
    statsd = Option(BOOLEAN, False, NOTHING, "run circusd-stats")
    stats_endpoint = Option(TEXT, DEFAULT_ENDPOINT_STATS, NOTHING, "where statistics are published; setting it turns statsd on")
    statsd_close_outputs = Option(BOOLEAN, False, NOTHING, "send the output of circusd-stats to /dev/null")
    check_delay = Option(NUMBER, 5.0, NOTHING, "upper bound for noticing what no event told; 0 or less: never look", unit="s")
    warmup_delay = Option(NUMBER, 0, NOTHING, "pause between starting two watchers", unit="s")
    umask = Option(OCTAL, None, RESTART, "file mode mask of circusd and its programs, octal")
    httpd = Option(BOOLEAN, False, RESTART, "run the web console")
    httpd_host = Option(TEXT, "localhost", RESTART, "host the web console listens on")
    httpd_port = Option(PORT, 8080, RESTART, "port the web console listens on")
    httpd_close_outputs = Option(BOOLEAN, False, RESTART, "send the output of the web console to /dev/null")
    debug = Option(BOOLEAN, False, NOTHING, "plugins and statistics write to the output of circusd, at level debug")
    debug_gc = Option(BOOLEAN, False, RESTART, "print what the garbage collector finds")
    pidfile = Option(OPTIONAL_TEXT, None, RESTART, "file that holds the process id and the lock")
    loglevel = Option(OPTIONAL_TEXT, None, NOTHING, "critical, error, warning, info or debug")
    logoutput = Option(OPTIONAL_TEXT, None, NOTHING, "log file, `-`, or a syslog:// address")
    loggerconfig = Option(OPTIONAL_TEXT, None, NOTHING, "logging configuration file (.ini, .json, .yaml)")
    fqdn_prefix = Option(OPTIONAL_TEXT, None, NOTHING, "put before the host name: PREFIX@HOST")
    include = Option(WORDS, [], NOTHING, "more files, as blank-separated patterns relative to this one")
    include_dir = Option(WORDS, [], NOTHING, "directories whose *.ini files are read too")
    stream_backend = Option(TEXT, "thread", RESTART, "a `thread` or, with `gevent`, a greenlet for the output of each watcher")
    proc_name = Option(OPTIONAL_TEXT, None, NOTHING, "name of circusd in ps, top and pgrep, 15 bytes of it, circusd if not set; its command line stays as it is")
    ssh_server = Option(OPTIONAL_TEXT, None, NOTHING, "historic, has no effect; the flag --ssh of circusctl and of other clients has")


class WatcherSpec(Spec):
    """A `[watcher:NAME]` section; keys that are not options stay as free-form data."""

    __slots__ = ()

    cmd = Option(TEXT, "", RELOAD, "program to run, with arguments")
    args = Option(ARGS, None, RELOAD, "more arguments")
    numprocesses = Option(PROCESSES, 1, MANAGE, "how many processes to keep")
    warmup_delay = Option(NUMBER, 0, NOTHING, "pause after starting a process", unit="s")
    working_dir = Option(OPTIONAL_TEXT, None, RELOAD, "directory the program starts in")
    shell = Option(BOOLEAN, False, RELOAD, "run cmd through /bin/sh -c")
    shell_args = Option(OPTIONAL_TEXT, None, RELOAD, "more arguments for the shell")
    executable = Option(OPTIONAL_TEXT, None, RELOAD, "program file; the first word of cmd stays its name")
    uid = Option(USER, None, RELOAD, "user to run as; also sets that user's groups")
    gid = Option(USER, None, RELOAD, "group to run as")
    copy_env = Option(BOOLEAN, False, RELOAD, "give the program the environment of circusd")
    copy_path = Option(BOOLEAN, False, RELOAD, "give the program the Python path of circusd; needs copy_env", listed=False)
    user_env = Option(BOOLEAN, False, RELOAD, "set HOME, USER and LOGNAME to those of `uid`", listed=False)
    env = Option(ENV, None, RELOAD, "environment of the program, NAME=VALUE,...")
    autostart = Option(BOOLEAN, True, NOTHING, "start together with circusd", listed=False)
    respawn = Option(BOOLEAN, True, MANAGE, "replace a process that ended by itself")
    singleton = Option(BOOLEAN, False, MANAGE, "at most one process")
    on_demand = Option(BOOLEAN, False, MANAGE, "start at the first connection to a managed socket it uses, and again after its end")
    idle_timeout = Option(NUMBER, 0, NOTHING, "on demand: stop when neither used nor connected to for so long; 0: never", unit="s", listed=False)
    use_sockets = Option(BOOLEAN, False, RELOAD, "hand all managed sockets to the program, each under the number it has in circusd; without it those that `$(circus.sockets.NAME)` names")
    stdin_socket = Option(OPTIONAL_TEXT, None, RELOAD, "managed socket to place on descriptor 0", listed=False)
    listen_fds = Option(NAMES, (), RELOAD, "managed sockets to place on descriptors 3 and so on, told by LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES (sd_listen_fds(3)): NAME, NAME", listed=False)
    send_hup = Option(BOOLEAN, False, NOTHING, "reload by sending SIGHUP")
    stop_signal = Option(SIGNAL, 15, NOTHING, "signal that asks the program to end")
    stop_children = Option(BOOLEAN, False, NOTHING, "send the stop signal to direct children too")
    stop_tree = Option(BOOLEAN, True, NOTHING, "end every descendant too; false lets offspring live on")
    graceful_timeout = Option(NUMBER, 30.0, NOTHING, "time to end before SIGKILL", unit="s")
    max_retry = Option(INTEGER, 5, NOTHING, "attempts to start a program that cannot be started; -1: for ever")
    max_age = Option(INTEGER, 0, NOTHING, "age at which a process is replaced; 0: never", unit="s")
    max_age_variance = Option(INTEGER, 30, NOTHING, "random part added to max_age", unit="s")
    priority = Option(INTEGER, 0, NOTHING, "bigger starts first and stops last")
    rlimits = Family("rlimit_", RLIMIT, RELOAD, "resource limit, soft and hard; empty: infinity")
    stdout_stream = Family("stdout_stream.", STREAM_VALUE, STREAM, "where standard output goes: class, filename, ...")
    stderr_stream = Family("stderr_stream.", STREAM_VALUE, STREAM, "where standard error goes: class, filename, ...")
    hooks = Family("hooks.", HOOK, NOTHING, "dotted name of a function, optionally `, true` to ignore its failure")
    hooks_timeout = Option(NUMBER, 0, NOTHING, "time after which a hook counts as failed; 0: never", unit="s", listed=False)
    close_child_stdin = Option(BOOLEAN, True, RELOAD, "give the program /dev/null as standard input")
    close_child_stdout = Option(BOOLEAN, False, RELOAD, "send standard output to /dev/null")
    close_child_stderr = Option(BOOLEAN, False, RELOAD, "send standard error to /dev/null")
    virtualenv = Option(OPTIONAL_TEXT, None, RELOAD, "virtual environment whose programs and packages come first", listed=False)
    virtualenv_py_ver = Option(OPTIONAL_TEXT, None, RELOAD, "Python version of the virtualenv, X.Y", listed=False)
    flapping_active = Option(BOOLEAN, True, NOTHING, "pause a process that dies again and again", name="flapping.active", aliases=("flapping_active",))
    flapping_attempts = Option(INTEGER, 2, NOTHING, "deaths within the window that count as flapping", name="flapping.attempts", aliases=("flapping_attempts",))
    flapping_window = Option(NUMBER, 1, NOTHING, "time in which deaths are counted", unit="s", name="flapping.window", aliases=("flapping_window",))
    flapping_retry_in = Option(NUMBER, 7, NOTHING, "first pause", unit="s", name="flapping.retry_in", aliases=("flapping_retry_in", "retry_in"))
    flapping_max_retry = Option(INTEGER, 5, NOTHING, "pauses in a row before giving up; -1: never", name="flapping.max_retry", aliases=("flapping_max_retry",))
    flapping_backoff = Option(NUMBER, 2, NOTHING, "each further pause is so many times longer", name="flapping.backoff", aliases=("flapping_backoff",))
    flapping_max_retry_in = Option(NUMBER, 300, NOTHING, "longest pause", unit="s", name="flapping.max_retry_in", aliases=("flapping_max_retry_in",))


class StreamSpec(Spec):
    """What may follow `stdout_stream.` and `stderr_stream.`; a class of your own is given whatever else stands there."""

    __slots__ = ()

    stream_class = Option(OPTIONAL_TEXT, None, STREAM, f"{', '.join(STREAM_CLASSES)}, or a dotted name; a filename alone means FileStream", name="class")
    filename = Option(OPTIONAL_TEXT, None, STREAM, "file to append to; without one a temporary file is used")
    max_bytes = Option(INTEGER, 0, STREAM, "size at which FileStream starts a new file; 0: never", unit="bytes")
    backup_count = Option(INTEGER, 0, STREAM, "how many old files are kept")
    time_format = Option(OPTIONAL_TEXT, None, STREAM, "time put before each line, in the words of strftime(3)")
    rotate_when = Option(OPTIONAL_TEXT, None, STREAM, "when TimedRotatingFileStream starts a new file: S, M, H, D, MIDNIGHT, W0 to W6")
    rotate_interval = Option(INTEGER, 1, STREAM, "how many of these make a turn")
    utc = Option(BOOLEAN, False, STREAM, "turn by universal instead of local time")
    color = Option(OPTIONAL_TEXT, None, STREAM, "colour of FancyStdoutStream: red, green, yellow, blue, magenta, cyan, white; else random")
    maxsize = Option(INTEGER, 4096, STREAM, "how many pieces of output a QueueStream holds")
    refresh_time = Option(NUMBER, 0, STREAM, "historic, has no effect", unit="s")


class SocketSpec(Spec):
    """A `[socket:NAME]` section."""

    __slots__ = ()

    host = Option(TEXT, "localhost", REBIND, "name or address to listen on; empty: all of this machine")
    port = Option(PORT, 8080, REBIND, "port to listen on; 0: any free one")
    family = Option(TEXT, "AF_INET", REBIND, "AF_INET, AF_INET6 or AF_UNIX; an IPv6 address as host means AF_INET6")
    type = Option(TEXT, "SOCK_STREAM", REBIND, "SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW or SOCK_RDM")
    path = Option(OPTIONAL_TEXT, None, REBIND, "file of a unix socket, or @NAME without a file; means AF_UNIX")
    umask = Option(OCTAL, None, REBIND, "file mode mask of a unix socket, octal; none: that of circusd")
    replace_socket = Option(BOOLEAN, False, REBIND, "take over the path of a socket to which nobody listens any more", name="replace")
    interface = Option(OPTIONAL_TEXT, None, REBIND, "network interface to bind to")
    so_reuseport = Option(BOOLEAN, False, REBIND, "each process that names the socket is given one of its own, bound to the same port")
    blocking = Option(BOOLEAN, False, REBIND, "leave the socket blocking; one of `listen_fds` is in any case, as programs made for them expect")
    backlog = Option(INTEGER, 2048, REBIND, "connections that may wait; the system has a limit, too")
    proto = Option(OPTIONAL_TEXT, None, REBIND, "protocol name, as in protocols(5)")


class PluginSpec(Spec):
    """A `[plugin:NAME]` section; every other key goes to the plugin."""

    __slots__ = ()

    use = Option(TEXT, "", FIXED, "dotted name of the plugin class")


class ConfigSpec:
    """A whole configuration: what a file, or a program using the library, asks for."""

    __slots__ = ("circus", "plugins", "sockets", "watchers")

    def __init__(
        self,
        circus: CircusSpec,
        watchers: list[WatcherSpec],
        sockets: list[SocketSpec] | None = None,
        plugins: list[PluginSpec] | None = None,
    ) -> None:
        self.circus = circus
        self.watchers = watchers
        self.sockets = sockets or []
        self.plugins = plugins or []
