"""Pages from a real web server: good ones, errors, none at all, and a watcher that is restarted for it."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from circus.plugins.http_observer import fetch
from circus.plugins.server_observer import Answer
from tests.real.proc import program
from tests.real.support import Daemon, free_port
from tests.real.udp import Listener

pytestmark = [pytest.mark.usefixtures("nobody_left"), pytest.mark.untraced]

LONG = 20.0  # seconds, where an answer must not come from the time-out


# ---- a page ------------------------------------------------------------------------------------------------------


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], object]) -> Iterator[str]:
    """The address of a server that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                pass  # nobody waits for it any more

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join()


def respond(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"hello", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def buckets(answer: Answer) -> list[str]:
    return [metric.bucket.removeprefix("http_stats.") for metric in answer.metrics]


@pytest.mark.parametrize("status", [200, 204, 299])
def test_page_is_timed(status: int) -> None:
    with server(lambda handler: respond(handler, status, b"")) as url:
        answer = fetch(url, LONG)
    assert buckets(answer) == ["request_time"]
    assert isinstance(answer.metrics[0].value, int)


@pytest.mark.parametrize("status", [304, 404, 500, 503])
def test_status_that_is_no_page_is_an_error(status: int) -> None:
    with server(lambda handler: respond(handler, status)) as url:
        answer = fetch(url, LONG)
    assert buckets(answer) == ["error", f"error.{status}"]
    assert f"status {status}" in answer.trouble


def test_redirect_is_followed() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/there":
            respond(handler, 200)
        else:
            respond(handler, 302, Location="/there")

    with server(answer) as url:
        assert buckets(fetch(url, LONG)) == ["request_time"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "/again"])
def test_redirect_to_files_or_in_circles_is_an_error(target: str) -> None:
    with server(lambda handler: respond(handler, 302, Location=target)) as url:
        assert buckets(fetch(url, LONG)) == ["error", "error.302" if "ftp" not in target else "error.599"]


def test_nobody_there_is_an_error() -> None:
    answer = fetch(f"http://127.0.0.1:{free_port()}/", LONG)
    assert buckets(answer) == ["error", "error.599"]
    assert "refused" in answer.trouble


def test_no_answer_is_an_error_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.1)
    assert buckets(answer) == ["error", "error.599"]
    assert "timed out" in answer.trouble


def test_page_that_never_ends_is_left_after_the_timeout() -> None:
    left = threading.Event()

    def pour(handler: BaseHTTPRequestHandler) -> None:
        respond(handler, 200)
        while not left.wait(0.01):
            handler.wfile.write(b"more")

    with server(pour) as url:
        answer = fetch(url, 0.2)
        left.set()
    assert answer.trouble == "no end of the page within 0.2 s"


def test_page_that_was_cut_off_is_an_error() -> None:
    with server(lambda handler: respond(handler, 200, b"hel", Content_Length="5")) as url:
        assert fetch(url, LONG).trouble == "the page was cut off"


def test_what_is_no_web_server_is_an_error() -> None:
    with server(lambda handler: handler.wfile.write(b"SSH-2.0-x\r\n")) as url:
        answer = fetch(url, LONG)
    assert buckets(answer) == ["error", "error.599"]
    assert answer.trouble.startswith("no web page: BadStatusLine: SSH-2.0-x")


def test_login_of_the_address_is_sent_and_not_to_others() -> None:
    seen: list[str | None] = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        respond(handler, 200)

    with server(note) as other, server(note) as url:
        assert buckets(fetch(url.replace("//", "//me:s%40cret@"), LONG)) == ["request_time"]
        with server(lambda handler: respond(handler, 302, Location=other)) as sender:
            assert buckets(fetch(sender.replace("//", "//me:secret@"), LONG)) == ["request_time"]
    assert seen == [f"Basic {base64.b64encode(b'me:s@cret').decode()}", None]


def test_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    with server(lambda handler: respond(handler, 200)) as url:
        assert buckets(fetch(url, LONG)) == ["request_time"]


# ---- below circusd -----------------------------------------------------------------------------------------------

CONFIG = """
    [plugin:http]
    use = circus.plugins.http_observer.HttpObserver
    application_name = app
    check_url = http://127.0.0.1:{port}/
    restart_on_error = {restart}
    host = 127.0.0.1
    port = {statsd}
    loop_rate = {loop_rate}
    timeout = {timeout}

    [watcher:web]
    cmd = {web} {port} {mood}
"""


class Setup:
    def __init__(self, directory: Path, restart: str = "web", loop_rate: float = 1, timeout: float = 0.5) -> None:
        self.mood = directory / "mood"
        self.listener = Listener()
        values = {"restart": restart, "loop_rate": loop_rate, "timeout": timeout, "mood": self.mood}
        config = CONFIG.format(port=free_port(), statsd=self.listener.port, web=program("web.py"), **values)
        self.daemon = Daemon(directory, config)

    def __enter__(self) -> Setup:
        self.daemon.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.daemon.__exit__(*error)  # type: ignore[arg-type]  # passed on as they came
        self.listener.close()

    def turn(self, mood: str) -> None:
        """Once a page came, turn the mood of the server."""
        assert self.listener.value("http_stats.request_time").endswith("|ms")
        self.mood.write_text(mood)
        self.listener.forget()


@pytest.mark.parametrize(("mood", "status"), [("500", "500"), ("404", "404"), ("hang", "599")])
def test_watcher_whose_server_is_in_a_bad_mood_is_restarted_until_it_answers(
    tmp_path: Path, mood: str, status: str
) -> None:
    with Setup(tmp_path) as setup:
        daemon, listener = setup.daemon, setup.listener
        setup.turn(mood)
        [before] = daemon.pids("web")
        assert listener.value("http_stats.error") == "1|c"
        assert listener.value(f"http_stats.error.{status}") == "1|c"
        assert listener.value("http_stats.restart_on_error") == "1|c"
        daemon.wait_for(lambda: (pids := daemon.pids("web")) and pids != [before])
        daemon.wait_for_output("plugin:http: http://127.0.0.1:")
        listener.value("http_stats.request_time")
        assert not setup.mood.exists()
        daemon.wait_for_output("answers again")
        assert "web is restarted" in daemon.output


def test_error_without_a_name_restarts_nobody(tmp_path: Path) -> None:
    with Setup(tmp_path, restart="", loop_rate=0.1) as setup:
        setup.turn("500")
        before = setup.daemon.pids("web")
        setup.daemon.wait_for(lambda: setup.listener.seen.count("http_stats.error.500:1|c") > 3)
        assert setup.daemon.pids("web") == before
        assert not [text for text in setup.listener.seen if "restart" in text]
    assert setup.daemon.output.count("status 500") == 1


def test_watcher_that_was_stopped_by_hand_stays_so(tmp_path: Path) -> None:
    with Setup(tmp_path, loop_rate=0.1) as setup:
        setup.listener.value("http_stats.request_time")
        setup.daemon.call("stop", name="web", waiting=True)
        setup.listener.forget()
        setup.daemon.wait_for(lambda: setup.listener.seen.count("http_stats.error.599:1|c") > 3)
        assert setup.daemon.call("status", name="web")["status"] == "stopped"
        assert not [text for text in setup.listener.seen if "restart" in text]


def test_server_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with Setup(tmp_path, loop_rate=0.1, timeout=1000) as setup:
        daemon = setup.daemon
        daemon.wait_for_output("plugin:http: Starting")
        setup.listener.value("http_stats.request_time")
        setup.mood.write_text("hang")
        daemon.wait_for(setup.mood.with_suffix(".seen").exists)
        daemon.call("stop", name="plugin:http", waiting=True)
        daemon.wait_for_output("plugin:http: Stopping")


def test_address_that_is_none_is_one_line(tmp_path: Path) -> None:
    config = "[plugin:http]\nuse = circus.plugins.http_observer.HttpObserver\ncheck_url = localhost:80\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.wait_for_output("ValueError: plugin:http: check_url = localhost:80: a URL such as http://")
    assert "Traceback" not in daemon.output
