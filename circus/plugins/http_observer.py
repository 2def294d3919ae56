"""Asks a web server for a page, and restarts its watcher if it does not get it.

    [plugin:http]
    use = circus.plugins.http_observer.HttpObserver
    check_url = http://127.0.0.1:8000/health
    timeout = 5
    loop_rate = 30
    restart_on_error = web

Every `loop_rate` seconds the page is fetched, redirects followed, and `http_stats.request_time` (milliseconds) sent to
statsd. When there is no page within `timeout` seconds, or its status is not 2xx, `http_stats.error` and
`http_stats.error.STATUS` are counted (599: no answer at all); and with `restart_on_error`, the name of a watcher, this
is restarted if it is active, and `http_stats.restart_on_error` counted.

Proxies in the environment are not used: the server is asked, not a proxy. A name and password in the URL are sent as
basic authentication, and not shown in the log.
"""

from __future__ import annotations

import base64
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from circus import __version__
from circus.options.kinds import TEXT
from circus.plugins.options import plugin_option, read_options, text_kind
from circus.plugins.server_observer import Answer, ServerObserver, ServerOptions
from circus.plugins.statsd import count, timed

NO_ANSWER = 599
"""Counted like a status; no server sends it."""


def web_address(text: str) -> str:
    """ValueError for what cannot be fetched."""
    try:
        parts = urlsplit(text)
        port = parts.port  # asked for, because only this looks at it
    except ValueError as exc:
        raise ValueError(f"{exc} (a URL such as http://127.0.0.1:8000/ is needed)") from None
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not is_plain:
        raise ValueError("a URL such as http://127.0.0.1:8000/ is needed")
    return text


class HttpOptions(ServerOptions):
    """Options of HttpObserver:"""

    __slots__ = ()

    check_url = plugin_option(text_kind("URL", web_address), "http://localhost/", "the page to ask for")
    restart_on_error = plugin_option(TEXT, "", "watcher to restart when the page is not right")


class HttpObserver(ServerObserver):
    name = "http_observer"
    default_app_name = "http_observer"
    option_table = HttpOptions
    restarted_bucket = "http_stats.restart_on_error"

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        options = read_options(self, HttpOptions)
        self.check_url: str = options.check_url
        self.restart_on_error: str = options.restart_on_error

    @property
    def target(self) -> str:
        return split_login(self.check_url)[0]

    @property
    def restarts(self) -> str:
        return self.restart_on_error

    def ask(self) -> Answer:
        return fetch(self.check_url, self.timeout)

    def no_answer(self, trouble: str) -> Answer:
        return bad(NO_ANSWER, trouble)


# ---- outcomes in, answers out ------------------------------------------------------------------------------------


def good(seconds: float) -> Answer:
    return Answer([timed("http_stats.request_time", int(seconds * 1000))])


def bad(status: int, trouble: str) -> Answer:
    return Answer([count("http_stats.error"), count(f"http_stats.error.{status}")], trouble, restart=True)


def split_login(url: str) -> tuple[str, str]:
    """The URL without name and password, and these as `name:password`."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)), unquote(login)


# ---- the web -----------------------------------------------------------------------------------------------------


def fetch(url: str, timeout: float) -> Answer:
    began_at = time.monotonic()
    try:
        with _opener().open(_request(url), timeout=timeout) as response:
            # The time-out is for each wait; a page that never ends, or comes in drops, has to be left.
            while response.read1(65536):
                if time.monotonic() - began_at > timeout:
                    return bad(NO_ANSWER, f"no end of the page within {timeout:g} s")
            if response.length:  # bytes announced that did not come
                return bad(NO_ANSWER, "the page was cut off")
    except urllib.error.HTTPError as exc:
        with exc:
            return bad(exc.code, f"status {exc.code} {exc.reason}")
    except urllib.error.URLError as exc:
        return bad(NO_ANSWER, str(exc.reason))
    except OSError as exc:
        return bad(NO_ANSWER, str(exc))
    except Exception as exc:  # whatever a strange answer makes the library raise
        return bad(NO_ANSWER, f"no web page: {type(exc).__name__}: {exc}")
    return good(time.monotonic() - began_at)


def _request(url: str) -> urllib.request.Request:
    where, login = split_login(url)
    request = urllib.request.Request(where, headers={"User-Agent": f"circus/{__version__}"})  # noqa: S310 -- web_address
    if login:
        basic = base64.b64encode(login.encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")  # not for the place we are redirected to
    return request


def _opener() -> urllib.request.OpenerDirector:
    """Without proxies, and without the ways to files that a redirect could name."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPRedirectHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
