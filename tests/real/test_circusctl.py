"""circusctl as a program, against a scripted daemon."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from contextlib import contextmanager

import pytest
import zmq

import circus
from tests.real.fake_daemon import FakeDaemon, refused


def environment(**extra):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CIRCUS", "XDG", "COMP_", "AUTO_"))}
    return {**kept, "PYTHONPATH": os.path.dirname(os.path.dirname(circus.__file__)), **extra}


def ctl(*words, endpoint=None, env=None, **kwargs):
    """Run circusctl to its end."""
    flags = ["--endpoint", endpoint] if endpoint else []
    return subprocess.run(
        [sys.executable, "-m", "circus.circusctl", *flags, *words],
        capture_output=True, text=True, timeout=60, env=environment(**(env or {})), **kwargs,
    )  # fmt: skip


def answer(request):
    """A small daemon with two watchers."""
    command, props = request["command"], request["properties"]
    if props.get("name") == "nope":
        return refused("program nope not found")
    answers = {
        "list": {"pids": [11, 12]} if "name" in props else {"watchers": ["db", "my app", "web-1"]},
        "status": {"status": "active"} if "name" in props else {"statuses": {"web": "active", "db": "stopped"}},
        "globaloptions": {"options": {"pubsub_endpoint": "tcp://127.0.0.1:1", "endpoint": "x"}},
        "options": {"options": {"cmd": "sleep", "free-form": "x"}},
    }
    return answers.get(command, {})


@pytest.fixture
def daemon():
    with FakeDaemon(answer) as running:
        yield running


@contextmanager
def program(code, **kwargs):
    """A Python program in another process that has printed a line: its first word of output is handed over."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=environment(), **kwargs
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)
        process.stdout.close()


# ---- exit codes and where the text goes


def test_good_reply_is_printed_with_code_0(daemon):
    run = ctl("status", endpoint=daemon.endpoint)
    assert (run.returncode, run.stdout, run.stderr) == (0, "db: stopped\nweb: active\n", "")


def test_error_reply_goes_to_stderr_with_code_3(daemon):
    run = ctl("status", "nope", endpoint=daemon.endpoint)
    assert (run.returncode, run.stdout, run.stderr) == (3, "", "error: program nope not found\n")


def test_error_reply_as_json_has_code_3_too(daemon):
    run = ctl("--json", "status", "nope", endpoint=daemon.endpoint)
    assert run.returncode == 3
    assert run.stdout.startswith('{"status": "error", "time": 1.5, "reason": "program nope not found"')
    assert run.stdout.count("\n") == 1


def test_prettify_indents_and_sorts(daemon):
    run = ctl("--json", "--prettify", "status", "web", endpoint=daemon.endpoint)
    assert run.stdout.startswith('{\n  "id": "') and run.stdout.endswith('\n  "status": "active",\n  "time": 1.5\n}\n')


def test_wrong_words_have_code_1_and_show_the_usage(daemon):
    run = ctl("rm", endpoint=daemon.endpoint)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "Invalid number of arguments\nusage: circusctl rm <name> [--nostop] [--waiting]\n"
    assert daemon.requests == []


def test_unknown_key_has_code_1(daemon):
    run = ctl("set", "web", "nope", "1", endpoint=daemon.endpoint)
    assert run.returncode == 1 and run.stderr.startswith("unknown key 'nope'")


def test_unknown_command_has_code_2_and_a_guess(daemon):
    run = ctl("relaod", endpoint=daemon.endpoint)
    assert run.returncode == 2
    assert run.stderr.endswith("circusctl: error: unrecognized arguments: relaod\nDid you mean reload?\n")


@pytest.mark.parametrize("words", [["--foo", "status"], ["status", "--foo"]])
def test_unknown_flag_has_code_2(daemon, words):
    run = ctl(*words, endpoint=daemon.endpoint)
    assert run.returncode == 2
    assert run.stderr.endswith("circusctl: error: unrecognized arguments: --foo\n")


@pytest.mark.parametrize("words", [["--version"], ["-v"], ["version"]])
def test_version_is_told(words):
    run = ctl(*words)
    assert (run.returncode, run.stdout) == (0, f"circusctl {circus.__version__}\n")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_lists_commands_and_options(words):
    run = ctl(*words)
    assert run.returncode == 0
    assert run.stdout.startswith("usage: circusctl [options] command [args]\n")
    assert "\nCommands:\n  add            Add a watcher\n" in run.stdout
    assert "\n  --endpoint ENDPOINT " in run.stdout


@pytest.mark.parametrize("words", [["--help", "stop"], ["help", "stop"]])
def test_help_of_a_command_is_its_manual_page(words):
    run = ctl(*words)
    assert run.returncode == 0
    assert run.stdout.startswith("Stop watchers\n=============\n\nusage: circusctl stop [<name>]")


def test_help_flag_of_a_command_is_short():
    run = ctl("stop", "--help")
    assert run.returncode == 0
    assert run.stdout.startswith("usage: circusctl stop [<name>] [--match MATCH] [--waiting]\n\nStop watchers\n")


def test_help_of_an_unknown_command_has_code_2():
    assert ctl("--help", "nope").returncode == 2


def test_endpoint_may_come_from_the_environment_and_the_flag_wins(daemon):
    assert ctl("list", env={"CIRCUSCTL_ENDPOINT": daemon.endpoint}).stdout == "db,my app,web-1\n"
    run = ctl("list", endpoint=daemon.endpoint, env={"CIRCUSCTL_ENDPOINT": "tcp://127.0.0.1:1"})
    assert run.stdout == "db,my app,web-1\n"


def test_output_nobody_reads_is_no_complaint(daemon):
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-m", "circus.circusctl", "--endpoint", daemon.endpoint, "list"],
        stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, env=environment(),
    )  # fmt: skip
    os.close(writer)
    assert (run.returncode, run.stderr) == (1, "")


def test_names_the_terminal_cannot_show_are_escaped():
    with FakeDaemon(lambda request: {"watchers": ["dämon", "\udc80"]}) as daemon:
        run = ctl("list", endpoint=daemon.endpoint, env={"PYTHONIOENCODING": "ascii"})
    assert (run.returncode, run.stdout) == (0, "d\\xe4mon,\\udc80\n")


def test_old_completion_by_environment_prints_names_with_code_1():
    run = ctl(env={"AUTO_COMPLETE": "1", "COMP_WORDS": "circusctl st", "COMP_CWORD": "1"})
    assert (run.returncode, run.stdout) == (1, "start stats status stop\n")
    run = ctl(env={"AUTO_COMPLETE": "1", "COMP_WORDS": "circusctl stop w", "COMP_CWORD": "2"})
    assert (run.returncode, run.stdout) == (1, "")


# ---- nobody answers


def test_daemon_that_never_answers_is_a_time_out_with_code_1():
    with FakeDaemon(lambda request: None) as silent:
        run = ctl("--timeout", "1", "list", endpoint=silent.endpoint)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("Timed out.\ncircusd did not answer within 1 s: ")
    assert "is alive, but has not answered" in run.stderr


def test_operation_that_lasts_longer_than_the_time_out_is_said_to_go_on():
    with FakeDaemon(lambda request: None) as silent:
        run = ctl("--timeout", "1", "stop", "web", "--waiting", endpoint=silent.endpoint)
    assert run.returncode == 1
    assert run.stderr.startswith("Timed out.\nThe command had not ended within 1 s. circusd goes on with it;")


def test_slow_daemon_is_waited_for():
    gate = {"open": False}

    def slow(request):
        # The look from outside comes as a second connection without a request; so this really is slow.
        import time

        time.sleep(1)
        gate["open"] = True
        return {"watchers": ["a"]}

    with FakeDaemon(slow) as daemon:
        run = ctl("--timeout", "30", "list", endpoint=daemon.endpoint)
    assert gate["open"]
    assert (run.returncode, run.stdout, run.stderr) == (0, "a\n", "")


def test_very_short_time_out_is_honoured():
    with FakeDaemon(lambda request: None) as silent:
        run = ctl("--timeout", "0.05", "list", endpoint=silent.endpoint)
    assert run.returncode == 1 and run.stderr.startswith("Timed out.\n")


def test_daemon_that_is_just_starting_is_waited_for(tmp_path):
    endpoint = f"ipc://{tmp_path}/sock"
    process = subprocess.Popen(
        [sys.executable, "-m", "circus.circusctl", "--endpoint", endpoint, "list"],
        stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    with FakeDaemon(answer, endpoint):
        assert process.communicate(timeout=30)[0] == "db,my app,web-1\n"
    assert process.returncode == 0


def one_line(run):
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1
    return run.stderr[7:-1]


def test_missing_ipc_file_is_told_at_once(tmp_path):
    text = one_line(ctl("--timeout", "60", "list", endpoint=f"ipc://{tmp_path}/none"))
    assert text.startswith(f"no circusd at ipc://{tmp_path}/none: that file does not exist; start circusd, or check")


def test_stale_ipc_file_is_told_at_once(tmp_path):
    path = f"{tmp_path}/stale"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    text = one_line(ctl("--timeout", "60", "list", endpoint=f"ipc://{path}"))
    assert text.startswith(f"no circusd at ipc://{path}: nobody listens there; start circusd")


def test_file_that_is_no_socket_is_told_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    assert one_line(ctl("--timeout", "60", "list", endpoint=f"ipc://{tmp_path}/file")).startswith(
        f"{tmp_path}/file is not a socket; check --endpoint"
    )


def test_closed_port_is_told_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        text = one_line(ctl("--timeout", "60", "list", endpoint=endpoint))
    assert text.startswith(f"no circusd at {endpoint}: nobody listens there; start circusd")


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "ipc://" + "x" * 200])
def test_endpoint_that_cannot_be_one_is_told_at_once(endpoint):
    assert endpoint in one_line(ctl("--timeout", "60", "list", endpoint=endpoint))


def test_event_endpoint_taken_for_the_control_endpoint_is_told_at_once():
    context = zmq.Context()
    publisher = context.socket(zmq.PUB)
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    try:
        text = one_line(ctl("--timeout", "60", "list", endpoint=f"tcp://127.0.0.1:{port}"))
    finally:
        context.destroy(linger=0)
    assert "is an event endpoint, not the control endpoint" in text


SILENT_LISTENER = """
    import socket, time
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        time.sleep(600)
"""

TALKING_LISTENER = """
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection = server.accept()[0]
            connection.sendall(b"SSH-2.0-something\\r\\n")
"""


@pytest.mark.parametrize("code", [SILENT_LISTENER, TALKING_LISTENER])
def test_something_else_that_listens_is_told_with_its_pid(code):
    with program(code) as (process, port):
        text = one_line(ctl("--timeout", "60", "list", endpoint=f"tcp://127.0.0.1:{port}"))
    assert f"(pid {process.pid}) at tcp://127.0.0.1:{port} does not speak the protocol of circus" in text


ROUTER = """
    import sys, time, zmq
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:*")
    print(router.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_suspended_daemon_is_told_with_its_pid_and_the_remedy(transport, tmp_path):
    code = ROUTER if transport == "tcp" else ROUTER.replace("tcp://127.0.0.1:*", f"ipc://{tmp_path}/sock")
    with program(code) as (process, endpoint):
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        text = one_line(ctl("--timeout", "60", "list", endpoint=endpoint))
    assert f"(pid {process.pid}) at {endpoint} is suspended" in text
    assert text.endswith(f"let it go on with: kill -CONT {process.pid}")


LOOK_AS_NOBODY = """
    import os, sys
    from circus.ctl import diagnose
    from circus.posix import peers
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
    print(diagnose.diagnose(sys.stdin.readline().strip()).text, flush=True)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
@pytest.mark.parametrize("closed", ["socket", "directory"])
@pytest.mark.untraced
def test_socket_of_another_user_is_told_with_the_owner(closed):
    # Not in tmp_path: its parents are closed to others.
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/sock"
        with FakeDaemon(answer, f"ipc://{path}"):
            os.chmod(path, 0o600)
            os.chmod(directory, 0o755 if closed == "socket" else 0o700)
            run = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(LOOK_AS_NOBODY)],
                input=f"ipc://{path}\n", capture_output=True, text=True, timeout=30, env=environment(),
            )  # fmt: skip
    assert run.stderr == ""
    assert run.stdout.strip() == f"no permission for ipc://{path}: " + {
        "socket": "it belongs to user root (mode 0600); run circusctl as root",
        "directory": "a directory on the way is closed to you; run circusctl as the user of circusd, or as root",
    }[closed]


def test_ssh_without_its_package_is_told(daemon):
    run = ctl("--ssh", "me@nowhere.invalid:1", "list", endpoint=daemon.endpoint)
    assert run.returncode == 1 and run.stderr.startswith("error: ")


# ---- listen


class Events:
    """A PUB socket, and what circusctl prints of it."""

    def __init__(self):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.context.destroy(linger=0)

    def subscription(self):
        assert self.socket.poll(30_000), "nobody subscribed"
        return self.socket.recv()

    def heard(self, *words, endpoint=None, env=None):
        """The first line of `listen`, its code after Ctrl-C, and the topic it subscribed to."""
        flags = ["--endpoint", endpoint] if endpoint else []
        process = subprocess.Popen(
            [sys.executable, "-m", "circus.circusctl", *flags, "listen", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**(env or {})),
        )  # fmt: skip
        try:
            topic = self.subscription()[1:].decode()
            self.socket.send_multipart([b"watcher.web.spawn", b'{"process_pid": 7}'])
            line = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait(10)
        return line, process.returncode, topic


LINE = 'watcher.web.spawn: {"process_pid": 7}\n'


def test_listen_prints_events_until_interrupted():
    with Events() as events:
        assert events.heard(endpoint=events.endpoint) == (LINE, 1, "")


def test_listen_subscribes_to_its_topics():
    with Events() as events:
        assert events.heard("watcher.web.", endpoint=events.endpoint) == (LINE, 1, "watcher.web.")


def test_listen_takes_an_endpoint_among_its_topics():
    with Events() as events:
        assert events.heard(events.endpoint, "watcher.") == (LINE, 1, "watcher.")


def test_listen_asks_a_control_endpoint_where_the_events_are():
    with Events() as events, FakeDaemon(lambda r: {"options": {"pubsub_endpoint": events.endpoint}}) as daemon:
        assert events.heard(endpoint=daemon.endpoint) == (LINE, 1, "")
        assert daemon.requests[0]["properties"] == {"option": "pubsub_endpoint"}


def test_listen_asks_the_control_endpoint_of_the_environment():
    with Events() as events, FakeDaemon(lambda r: {"options": {"pubsub_endpoint": events.endpoint}}) as daemon:
        assert events.heard(env={"CIRCUSCTL_ENDPOINT": daemon.endpoint})[0] == LINE


def test_listen_reaches_events_bound_to_every_address_through_the_host_of_the_control_endpoint():
    with Events() as events, FakeDaemon(
        lambda r: {"options": {"pubsub_endpoint": f"tcp://0.0.0.0:{events.port}"}}
    ) as daemon:
        assert events.heard(endpoint=daemon.endpoint)[0] == LINE


def test_listen_on_a_daemon_that_does_not_tell_has_code_1():
    with FakeDaemon(lambda request: refused("no such option")) as daemon:
        run = ctl("listen", endpoint=daemon.endpoint)
    assert run.returncode == 1
    assert run.stderr == f"error: {daemon.endpoint} does not tell where its events are: no such option\n"


# ---- what a start costs


@pytest.mark.untraced
def test_one_command_loads_neither_the_others_nor_the_daemon():
    code = (
        "import sys; from circus.commands import get_command; get_command('status');"
        "print(*[m for m in sys.modules if m.startswith('circus.commands.')]);"
        "print(*sorted({'psutil', 'zmq', 'logging', 'asyncio', 'inspect', 'dataclasses', 'uuid', 'pickle', 'argparse'}"
        " & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    commands, heavy = output.split("\n")[:2]
    assert set(commands.split()) == {f"circus.commands.{name}" for name in ("base", "properties", "status")}
    assert heavy == ""


@pytest.mark.untraced
def test_importing_circusctl_loads_nothing_heavy():
    heavy = ["psutil", "logging", "asyncio", "inspect", "dataclasses", "uuid", "argparse", "cmd", "readline"]
    heavy += ["socket", "selectors", "fcntl"]  # of what binds, which circusctl never does
    heavy += [f"circus.{name}" for name in ("wire.consumer", "options.table", "ctl.manual", "ctl.diagnose")]
    code = (
        "import sys, zmq; before = {*sys.modules}; import circus.circusctl;"
        f"print(*sorted({{*{heavy}}} & {{*sys.modules}} - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"
